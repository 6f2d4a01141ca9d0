//go:build linux && (amd64 || arm64)

package reap

import (
	"math/bits"
	"os"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// numLimits is the number of resources that have a limit (RLIM_NLIMITS).
const numLimits = 16

// attributes is what the child reads for [Attributes].
type attributes struct {
	scoreFile, score, dir *byte
	limits                [numLimits]Limit
	groups                []uint32
	capHeader             unix.CapUserHeader
	capData               [2]unix.CapUserData
}

// addAttributes has the child become what is asked for: what takes privileges first,
// then the user, and then what is to be done with the rights of that.
func (s *script) addAttributes(a *Attributes) (op string, err error) {
	if a.OOMScoreAdj != nil {
		s.addOOMScore(*a.OOMScoreAdj)
	}
	if err := s.addLimits(a.Limits); err != nil {
		return "set limits of", err
	}
	if a.Nice != nil {
		s.must("set niceness of", unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, uintptr(*a.Nice))
	}
	if a.Umask != nil {
		s.add(needNothing, unix.SYS_UMASK, uintptr(*a.Umask))
	}
	if err := s.addCapabilities(a); err != nil {
		return "set capabilities of", err
	}
	if a.User != nil {
		s.addUser(a.User)
	}
	for set := a.AddCapabilities; set != 0; set &= set - 1 {
		s.must("add capabilities to", unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE,
			uintptr(bits.TrailingZeros64(uint64(set))))
	}
	if a.Dir != "" {
		if s.dir, err = unix.BytePtrFromString(a.Dir); err != nil {
			return "change directory for", err
		}
		s.must("change directory for", unix.SYS_CHDIR, uintptr(unsafe.Pointer(s.dir)))
	}
	return "", nil
}

// addOOMScore has the child write its own score. The kernel lets a process that shares
// its memory have another score than its parent as long as it is the child of a vfork
// (fs/proc/base.c, __set_oom_adj).
func (s *script) addOOMScore(score int) {
	const op = "set OOM score of"
	text := strconv.Itoa(score)
	s.scoreFile, s.score = cString("/proc/self/oom_score_adj"), cString(text)
	here := unix.AT_FDCWD
	opened := s.must(op, unix.SYS_OPENAT, uintptr(here), uintptr(unsafe.Pointer(s.scoreFile)), unix.O_WRONLY|unix.O_CLOEXEC)
	for _, use := range []struct {
		op   string
		nr   uintptr
		args []uintptr
	}{
		{op, unix.SYS_WRITE, []uintptr{0, uintptr(unsafe.Pointer(s.score)), uintptr(len(text))}},
		{"", unix.SYS_CLOSE, nil}, // a low limit of open files comes next
	} {
		passed := s.add(needNothing, copyWord, uintptr(unsafe.Pointer(&opened.result)))
		c := s.must(use.op, use.nr, use.args...)
		passed.args[1] = uintptr(unsafe.Pointer(&c.args[0]))
	}
}

// cString is a text that has no NUL.
func cString(text string) *byte {
	return &append([]byte(text), 0)[0]
}

func (s *script) addLimits(limits []ResourceLimit) error {
	for _, l := range limits {
		if l.Resource < 0 || l.Resource >= numLimits {
			return unix.EINVAL
		}
		s.limits[l.Resource] = l.Limit // the last one of a resource counts
	}
	var done [numLimits]bool
	for _, l := range limits {
		if !done[l.Resource] {
			s.must("set limits of", unix.SYS_PRLIMIT64, 0, uintptr(l.Resource), uintptr(unsafe.Pointer(&s.limits[l.Resource])), 0)
		}
		done[l.Resource] = true
	}
	return nil
}

// addCapabilities takes capabilities out of the sets, and makes others inheritable, as
// ambient ones must be. It is done before the user changes: it takes CAP_SETPCAP.
func (s *script) addCapabilities(a *Attributes) error {
	if a.DropCapabilities == 0 && a.AddCapabilities == 0 {
		return nil
	}
	own, err := ReadCapabilities()
	if err != nil {
		return err
	}
	for set := a.DropCapabilities & own.Bounding; set != 0; set &= set - 1 {
		s.must("drop capabilities of", unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(bits.TrailingZeros64(uint64(set))))
	}
	if inheritable := own.Inheritable&^a.DropCapabilities | a.AddCapabilities; inheritable != own.Inheritable {
		s.capHeader.Version = unix.LINUX_CAPABILITY_VERSION_3
		for i := range s.capData {
			s.capData[i] = unix.CapUserData{
				Effective: half(own.Effective, i), Permitted: half(own.Permitted, i), Inheritable: half(inheritable, i),
			}
		}
		s.must("set capabilities of", unix.SYS_CAPSET, uintptr(unsafe.Pointer(&s.capHeader)), uintptr(unsafe.Pointer(&s.capData[0])))
	}
	if a.AddCapabilities != 0 { // the kernel forgets this at the execve
		s.must("add capabilities to", unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1)
	}
	return nil
}

func half(set CapabilitySet, i int) uint32 { return uint32(set >> (32 * i)) }

// addUser changes the groups first and the user last, as that is what takes the right
// to change. There is no way back: the real, effective and saved IDs are set alike. What
// the process is already it need not become, so that an unprivileged one can ask for itself.
func (s *script) addUser(u *User) {
	if u.isOwn() {
		return
	}
	const op = "set user of"
	s.groups = append(slices.Clone(u.Groups), 0) // so that there is a first one
	s.must(op, unix.SYS_SETGROUPS, uintptr(len(u.Groups)), uintptr(unsafe.Pointer(&s.groups[0])))
	s.must(op, unix.SYS_SETRESGID, uintptr(u.GID), uintptr(u.GID), uintptr(u.GID))
	s.must(op, unix.SYS_SETRESUID, uintptr(u.UID), uintptr(u.UID), uintptr(u.UID))
	// The kernel does that itself for root that becomes another, alone.
	s.add(needNothing, unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL)
}

// isOwn reports whether the calling process is that user already.
func (u *User) isOwn() bool {
	ruid, euid, suid := unix.Getresuid()
	rgid, egid, sgid := unix.Getresgid()
	for _, id := range []int{ruid, euid, suid} {
		if uint32(id) != u.UID {
			return false
		}
	}
	for _, id := range []int{rgid, egid, sgid} {
		if uint32(id) != u.GID {
			return false
		}
	}
	groups, err := os.Getgroups()
	if err != nil {
		return false
	}
	own := make([]uint32, len(groups))
	for i, group := range groups {
		own[i] = uint32(group)
	}
	return slices.Equal(sortedSet(own), sortedSet(u.Groups))
}

func sortedSet(groups []uint32) []uint32 {
	return slices.Compact(slices.Sorted(slices.Values(groups)))
}

// keepDumpable returns what undoes a side effect of a change of the user: the kernel
// takes the memory that parent and child share for one that nobody may look into
// (prctl(2), PR_SET_DUMPABLE). That is right until the execve: the child must not be
// traced by its new user. After it nothing of the parent's is the child's.
func keepDumpable(u *User) (restore func()) {
	const dumpable = 1
	before, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if u == nil || err != nil || before != dumpable {
		return func() {}
	}
	return func() {
		_ = unix.Prctl(unix.PR_SET_DUMPABLE, dumpable, 0, 0, 0) // anybody may
	}
}
