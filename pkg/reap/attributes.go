package reap

// Attributes are what a process has otherwise than the program that starts it. The
// zero value changes nothing. docs/design.md has their order and its reasons.
//
// They need amd64 or arm64: on other machines [Start] refuses all but the zero value.
type Attributes struct {
	// Dir is its working directory, "" is the caller's. The process enters it as
	// User, so it must be allowed to. Where the name of the command or an element of
	// PATH is relative, it is so to Dir.
	Dir string
	// User, if not nil, is whose rights it has. The capabilities of the caller are
	// lost by that, but for AddCapabilities, and unless it becomes root.
	User *User
	// Umask, if not nil, is its file mode mask, of which 0o777 counts.
	Umask *uint32
	// Limits are set in their order.
	Limits []ResourceLimit
	// Nice, if not nil, is its niceness, from -20 to 19 (setpriority(2)).
	Nice *int
	// OOMScoreAdj, if not nil, is from -1000, for a process that the kernel never
	// kills when memory is used up, to 1000 (proc_pid_oom_score_adj(5)). It needs /proc.
	OOMScoreAdj *int
	// NoNewPrivileges has set-user-ID programs, and those with capabilities, give it
	// and its descendants none (PR_SET_NO_NEW_PRIVS; Linux 3.5).
	NoNewPrivileges bool
	// DropCapabilities are what it and its descendants can never have: they are taken
	// out of the bounding, the inheritable and the ambient set.
	DropCapabilities CapabilitySet
	// AddCapabilities are what it has although it is not root, and hands on to what it
	// executes: they become ambient (Linux 4.3). The caller must have them.
	AddCapabilities CapabilitySet
}

// User is whose rights a process has.
type User struct {
	UID, GID uint32
	Groups   []uint32 // all of its groups, so GID is usually one of them
}

// ResourceLimit is what a process may use of something: Resource is the number of
// one of the RLIMIT constants of getrlimit(2).
type ResourceLimit struct {
	Resource int
	Limit    Limit
}

// Unlimited is a [Limit] that is none (RLIM_INFINITY).
const Unlimited = ^uint64(0)

// none reports whether there is nothing to change.
func (a *Attributes) none() bool {
	return a.Dir == "" && a.User == nil && a.Umask == nil && len(a.Limits) == 0 && a.Nice == nil &&
		a.OOMScoreAdj == nil && !a.NoNewPrivileges && a.DropCapabilities == 0 && a.AddCapabilities == 0
}
