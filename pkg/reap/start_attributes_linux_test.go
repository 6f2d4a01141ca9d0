package reap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// bothWaysWithAttributes is bothWays where there are attributes.
func bothWaysWithAttributes(t *testing.T) []way {
	t.Helper()
	if !haveVfork {
		t.Skip("no attributes on this machine")
	}
	return bothWays(t)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
}

// become is a command with attributes that a shell shows.
func (w way) become(a Attributes, script string) Command {
	return Command{Args: []string{"/bin/sh", "-c", script}, Env: environment(), Inherited: w.inherited, Attributes: a}
}

// ownAttributes is what attributes might change in this program.
func ownAttributes(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, file := range []string{"oom_score_adj", "limits", "status", "stat"} {
		text, err := os.ReadFile("/proc/self/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			switch name, _, _ := strings.Cut(line, ":"); name {
			case "Uid", "Gid", "Groups", "Umask", "NoNewPrivs", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
				all.WriteString(line)
			default:
				switch file {
				case "limits", "oom_score_adj":
					all.WriteString(line)
				case "stat":
					all.WriteString("nice " + strings.Fields(line[strings.LastIndexByte(line, ')'):])[17] + "\n")
				}
			}
		}
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%sdumpable %d\ndir %s\n", &all, dumpable, dir)
}

// Each attribute is what the command finds, in the shell that shows it and in what that
// executes, and none comes to this program, whose memory the child has shared.
func TestStartAttributes(t *testing.T) {
	for _, way := range bothWaysWithAttributes(t) {
		t.Run(way.name, func(t *testing.T) {
			dir := t.TempDir()
			before := ownAttributes(t)
			for _, test := range []struct {
				name   string
				a      Attributes
				script string
				want   string
			}{
				{"dir", Attributes{Dir: dir}, "pwd -P", dir},
				{"umask", Attributes{Umask: new(uint32(0o137))}, "umask", "0137"},
				{"no umask", Attributes{Umask: new(uint32(0))}, "umask", "0000"},
				{"nice", Attributes{Nice: new(19)}, "cut -d' ' -f19 /proc/self/stat", "19"},
				{"oom score", Attributes{OOMScoreAdj: new(987)}, "cat /proc/self/oom_score_adj", "987"},
				{"no new privileges", Attributes{NoNewPrivileges: true}, "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1"},
				{
					"limits",
					Attributes{Limits: []ResourceLimit{
						{unix.RLIMIT_NOFILE, Limit{100, 200}}, {unix.RLIMIT_CORE, Limit{}}, {unix.RLIMIT_STACK, Limit{1 << 20, 1 << 21}},
					}},
					"echo $(ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc; ulimit -Ss; ulimit -Hs)", "100 200 0 0 1024 2048",
				},
				{
					"the last limit counts",
					Attributes{Limits: []ResourceLimit{{unix.RLIMIT_NOFILE, Limit{5, 5}}, {unix.RLIMIT_NOFILE, Limit{50, 60}}}},
					"echo $(ulimit -Sn; ulimit -Hn)", "50 60",
				},
				{
					// The first three are put into place, and the score is opened, before.
					"few files",
					Attributes{Limits: []ResourceLimit{{unix.RLIMIT_NOFILE, Limit{4, 4}}}, OOMScoreAdj: new(1)},
					"ulimit -n; cat /proc/self/oom_score_adj", "4\n1",
				},
			} {
				stdout, text := pipeFor(t)
				c := way.become(test.a, test.script)
				c.Stdout = stdout
				mustRun(t, c)
				if got := strings.TrimSpace(text()); got != test.want {
					t.Errorf("%s: got %q, want %q", test.name, got, test.want)
				}
			}
			if after := ownAttributes(t); after != before {
				t.Errorf("this program was\n%sand is\n%s", before, after)
			}
		})
	}
}

// The IDs, real, effective, saved and of the file system, are those of the user, and the
// groups its own and no more; the capabilities are gone, but can be had from a program
// that has some (pitfall 54). This program stays what it was.
func TestStartUser(t *testing.T) {
	for _, way := range bothWaysWithAttributes(t) {
		t.Run(way.name, func(t *testing.T) {
			needRoot(t)
			own, err := ReadCapabilities()
			if err != nil {
				t.Fatal(err)
			}
			before := ownAttributes(t)
			for _, test := range []struct {
				user             User
				uid, gid, groups string
			}{
				{User{12345, 23456, []uint32{23456, 34567, 7}}, "12345", "23456", "7 23456 34567"},
				{User{12345, 0, []uint32{0}}, "12345", "0", "0"},
				{User{12345, 23456, nil}, "12345", "23456", ""},
				{User{1<<32 - 2, 1<<32 - 2, []uint32{1<<32 - 2}}, "4294967294", "4294967294", "4294967294"},
			} {
				status := mustOutput(t, way.become(Attributes{User: &test.user}, "cat /proc/self/status"))
				four := func(id string) string { return strings.TrimSuffix(strings.Repeat(id+"\t", 4), "\t") }
				for field, want := range map[string]string{"Uid": four(test.uid), "Gid": four(test.gid), "Groups": test.groups} {
					if got := strings.TrimRight(statusField(t, status, field), " "); got != want {
						t.Errorf("%+v: %s %q, want %q", test.user, field, got, want)
					}
				}
				wantCapabilities(t, status, Capabilities{Bounding: own.Bounding, Inheritable: own.Inheritable})
			}
			if after := ownAttributes(t); after != before {
				t.Errorf("this program was\n%sand is\n%s", before, after)
			}
		})
	}
}

func wantCapabilities(t *testing.T, status string, want Capabilities) {
	t.Helper()
	for field, want := range map[string]CapabilitySet{
		"CapPrm": want.Permitted, "CapEff": want.Effective, "CapInh": want.Inheritable,
		"CapBnd": want.Bounding, "CapAmb": want.Ambient,
	} {
		if got := CapabilitySet(signalField(t, status, field)); got != want {
			t.Errorf("%s %x, want %x", field, got, want)
		}
	}
}

// What is dropped nobody below the command can have, root or not; what is added it has
// although it is not root, and so has what it executes.
func TestStartCapabilities(t *testing.T) {
	for _, way := range bothWaysWithAttributes(t) {
		t.Run(way.name, func(t *testing.T) {
			needRoot(t)
			own, err := ReadCapabilities()
			if err != nil {
				t.Fatal(err)
			}
			user := &User{UID: 12345, GID: 12345}
			var none CapabilitySet
			chown, bind := none.With(unix.CAP_CHOWN), none.With(unix.CAP_NET_BIND_SERVICE)
			high := none.With(unix.CAP_SYSLOG) // in the second word
			for _, test := range []struct {
				name string
				a    Attributes
				want Capabilities
			}{
				{
					"root without some",
					Attributes{DropCapabilities: chown | high},
					Capabilities{Permitted: own.Bounding &^ (chown | high), Effective: own.Bounding &^ (chown | high), Bounding: own.Bounding &^ (chown | high)},
				},
				{
					"root with one",
					Attributes{DropCapabilities: AllCapabilities &^ bind},
					Capabilities{Permitted: bind, Effective: bind, Bounding: bind},
				},
				{"root without any", Attributes{DropCapabilities: AllCapabilities}, Capabilities{}},
				{
					"user with two",
					Attributes{User: user, AddCapabilities: bind | high},
					Capabilities{Permitted: bind | high, Effective: bind | high, Inheritable: bind | high, Ambient: bind | high, Bounding: own.Bounding},
				},
				{
					"user with one and no more to have",
					Attributes{User: user, DropCapabilities: AllCapabilities &^ bind, AddCapabilities: bind},
					Capabilities{Permitted: bind, Effective: bind, Inheritable: bind, Ambient: bind, Bounding: bind},
				},
				{
					"the same without new privileges",
					Attributes{User: user, DropCapabilities: AllCapabilities &^ bind, AddCapabilities: bind, NoNewPrivileges: true},
					Capabilities{Permitted: bind, Effective: bind, Inheritable: bind, Ambient: bind, Bounding: bind},
				},
				{"user without any", Attributes{User: user, DropCapabilities: AllCapabilities}, Capabilities{}},
			} {
				t.Run(test.name, func(t *testing.T) {
					wantCapabilities(t, mustOutput(t, way.become(test.a, "cat /proc/self/status")), test.want)
				})
			}
			after, err := ReadCapabilities()
			if err != nil || after != own {
				t.Errorf("this program has %x and had %x, %v", after, own, err)
			}
		})
	}
}

// What this program could hand on to another that has the same inheritable is dropped
// there as well.
func TestStartDropsInheritable(t *testing.T) {
	for _, way := range bothWaysWithAttributes(t) {
		t.Run(way.name, func(t *testing.T) {
			needRoot(t)
			runtime.LockOSThread() // never unlocked: the thread ends with what it was given
			header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var data [2]unix.CapUserData
			if err := unix.Capget(&header, &data[0]); err != nil {
				t.Fatal(err)
			}
			data[0].Inheritable = 1<<unix.CAP_CHOWN | 1<<unix.CAP_KILL
			if err := unix.Capset(&header, &data[0]); err != nil {
				t.Fatal(err)
			}
			const chown, kill CapabilitySet = 1 << unix.CAP_CHOWN, 1 << unix.CAP_KILL
			status := mustOutput(t, way.become(Attributes{DropCapabilities: AllCapabilities &^ kill}, "cat /proc/self/status"))
			wantCapabilities(t, status, Capabilities{Permitted: kill, Effective: kill, Inheritable: kill, Bounding: kill})
			own, err := ReadCapabilities()
			if err != nil || own.Inheritable != chown|kill {
				t.Errorf("%x, %v", own, err)
			}
		})
	}
}

// A program that is not root is told what it may not do, and before anything is
// executed; what it may, and what is so already, it can ask for.
func TestStartUnprivileged(t *testing.T) {
	for _, way := range bothWaysWithAttributes(t) {
		t.Run(way.name, func(t *testing.T) {
			if os.Geteuid() == 0 {
				becomeNobody(t)
			}
			self := User{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
			groups, err := os.Getgroups()
			if err != nil {
				t.Fatal(err)
			}
			for _, group := range groups {
				self.Groups = append(self.Groups, uint32(group), uint32(group)) // twice is once
			}
			var hard unix.Rlimit
			if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &hard); err != nil {
				t.Fatal(err)
			}
			more := []ResourceLimit{{unix.RLIMIT_NOFILE, Limit{1, hard.Max + 1}}}
			const chown = CapabilitySet(1 << unix.CAP_CHOWN)
			for _, test := range []struct {
				a   Attributes
				op  string
				err error
			}{
				{Attributes{User: &self, Nice: new(19), OOMScoreAdj: new(900), Umask: new(uint32(7)), NoNewPrivileges: true, Dir: "/"}, "", nil},
				{Attributes{User: &User{}}, "set user of", unix.EPERM},
				{Attributes{User: &User{self.UID, self.GID, append([]uint32{0}, self.Groups...)}}, "set user of", unix.EPERM},
				{Attributes{User: &User{self.UID, 0, self.Groups}}, "set user of", unix.EPERM},
				{Attributes{User: &User{0, self.GID, self.Groups}}, "set user of", unix.EPERM},
				{Attributes{Limits: more}, "set limits of", unix.EPERM},
				{Attributes{Limits: []ResourceLimit{{unix.RLIMIT_NOFILE, Limit{2, 1}}}}, "set limits of", unix.EINVAL},
				{Attributes{Limits: []ResourceLimit{{16, Limit{}}}}, "set limits of", unix.EINVAL},
				{Attributes{Limits: []ResourceLimit{{-1, Limit{}}}}, "set limits of", unix.EINVAL},
				{Attributes{Nice: new(-5)}, "set niceness of", unix.EACCES},
				{Attributes{OOMScoreAdj: new(-1000)}, "set OOM score of", unix.EACCES},
				{Attributes{OOMScoreAdj: new(1001)}, "set OOM score of", unix.EINVAL},
				{Attributes{DropCapabilities: chown}, "drop capabilities of", unix.EPERM},
				{Attributes{AddCapabilities: chown}, "set capabilities of", unix.EPERM},
				{Attributes{Dir: "/none"}, "change directory for", unix.ENOENT},
				{Attributes{Dir: "/dev/null"}, "change directory for", unix.ENOTDIR},
				{Attributes{Dir: "/\x00"}, "change directory for", unix.EINVAL},
			} {
				pid, err := Start(way.become(test.a, ":"))
				if test.err == nil {
					if err != nil {
						t.Fatal(err)
					}
					if exit := awaitReap(t, pid); exit.Status != 0 {
						t.Errorf("%+v", exit)
					}
					continue
				}
				failed, ok := errors.AsType[*StartError](err)
				if !ok || failed.Op != test.op || !errors.Is(err, test.err) || failed.Dir != test.a.Dir || failed.Path != "/bin/sh" {
					t.Errorf("%+v: %v, want %s, %v", test.a, err, test.op, test.err)
				}
				wantNoChildren(t)
			}
		})
	}
}

// becomeNobody has all of this process be an ordinary user, for good.
func becomeNobody(t *testing.T) {
	t.Helper()
	const nobody = 65534
	for _, err := range []error{
		syscall.Setgroups([]int{nobody}), syscall.Setresgid(nobody, nobody, nobody), syscall.Setresuid(nobody, nobody, nobody),
		unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0), // as a program is that such a user has executed
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What is relative is so to the directory of the command: its name, and an element of
// PATH. The user must be allowed to enter it, and root is not asked in its place.
func TestStartDir(t *testing.T) {
	for _, way := range bothWaysWithAttributes(t) {
		t.Run(way.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for _, dir := range []string{"here/sub", "there"} {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			const script = "#!/bin/sh\necho $0 in $(pwd -P)\n"
			write(t, "there/prog", script, 0o755)
			write(t, "prog", "#!/bin/sh\necho the wrong one\n", 0o755)
			write(t, "here/sub/prog", script, 0o755)
			write(t, "here/plain", "echo $0 in $(pwd -P)\n", 0o755)
			write(t, "here/denied", "", 0o644)
			write(t, "here/broken", "#!/no/such\n", 0o755)
			if err := os.Symlink("here/sub", "link"); err != nil {
				t.Fatal(err)
			}
			root, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			for _, test := range []struct {
				dir, name, path string
				want            string
				err             *StartError
			}{
				{"there", "./prog", "", "./prog in " + root + "/there", nil},
				{root + "/there", "prog", "/bin::", "prog in " + root + "/there", nil},
				{"here", "prog", "/bin:sub:../there", "sub/prog in " + root + "/here", nil},
				{"link", "../sub/prog", "", "../sub/prog in " + root + "/here/sub", nil}, // the kernel's .., not that of the name
				{"here", root + "/there/prog", "", root + "/there/prog in " + root + "/here", nil},
				{"here", "plain", ":", "plain in " + root + "/here", nil},
				{"here", "./prog", "", "", notThere("./prog", unix.ENOENT)},
				{"here", "prog", "/bin:", "", notFound("prog")},
				{"here", "./denied", "", "", refused("./denied", unix.EACCES)},
				{"here", "./broken", "", "", noInterpreter("./broken")},
				{"here", "broken", ":", "", noInterpreter("broken")},
			} {
				got, status, err := output(t, Command{
					Args: []string{test.name}, Env: []string{"PATH=" + test.path}, Inherited: way.inherited, Attributes: Attributes{Dir: test.dir},
				})
				if test.err != nil {
					test.err.Dir = test.dir
					if failed, ok := errors.AsType[*StartError](err); !ok || *failed != *test.err {
						t.Errorf("%s in %s: got %q, %+v; want %+v", test.name, test.dir, got, err, *test.err)
					} else if test.err.Found {
						if _, err := os.Stat(failed.File()); err != nil {
							t.Error(err)
						}
					}
					continue
				}
				if got := strings.TrimSpace(got); err != nil || status != 0 || got != test.want {
					t.Errorf("%s in %s: got %q, %v, %v; want %q", test.name, test.dir, got, status, err, test.want)
				}
			}
		})
	}
}

// A directory that is closed to the user is not entered, though root could have.
func TestStartDirOfAnother(t *testing.T) {
	for _, way := range bothWaysWithAttributes(t) {
		t.Run(way.name, func(t *testing.T) {
			needRoot(t)
			dir := filepath.Join(t.TempDir(), "closed")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			_, err := Start(way.become(Attributes{Dir: dir, User: &User{UID: 12345, GID: 12345}}, ":"))
			if failed, ok := errors.AsType[*StartError](err); !ok || failed.Op != "change directory for" || !errors.Is(err, unix.EACCES) {
				t.Errorf("%v", err)
			}
			// Nor is a capability that the command is to have of use for it.
			_, err = Start(way.become(Attributes{
				Dir: dir, User: &User{UID: 12345, GID: 12345}, AddCapabilities: 1 << unix.CAP_DAC_OVERRIDE,
			}, ":"))
			if !errors.Is(err, unix.EACCES) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A user that has used up its processes cannot execute one more (setrlimit(2),
// RLIMIT_NPROC): that is the kernel's answer to the execve.
func TestStartUserHasTooManyProcesses(t *testing.T) {
	for _, way := range bothWaysWithAttributes(t) {
		t.Run(way.name, func(t *testing.T) {
			needRoot(t)
			user := &User{UID: 3_000_000_001, GID: 1}
			limits := []ResourceLimit{{unix.RLIMIT_NPROC, Limit{1, 1}}}
			var started []int
			var err error
			for err == nil && len(started) < 5 { // the kernel counts them at different times
				var pid int
				if pid, err = Start(way.become(Attributes{User: user, Limits: limits}, "exec sleep 1000")); err == nil {
					started = append(started, pid)
				}
			}
			if failed, ok := errors.AsType[*StartError](err); !ok || failed.Op != "exec" || !errors.Is(err, unix.EAGAIN) || len(started) == 0 {
				t.Errorf("%v, after %d", err, len(started))
			}
			for _, pid := range started {
				mustSignal(t, pid, unix.SIGKILL)
				awaitReap(t, pid)
			}
		})
	}
}

// foreignStarter is starter for a command of another user, which may be given back a
// capability.
var foreignStarter = newRole("foreignStarter", func(args []string) error {
	a := Attributes{User: &User{UID: 12345, GID: 12345}, NoNewPrivileges: true}
	if args[1] != "" {
		a.AddCapabilities = 1 << unix.CAP_KILL
	}
	c := Command{Args: []string{"sleep", "1000"}, Env: environment(), ParentDeath: unix.SIGTERM, Attributes: a}
	if args[0] == "exact" {
		c.Inherited = &Inheritance{}
	}
	pid, err := Start(c)
	if err != nil {
		return err
	}
	fmt.Println(pid)
	for { // onMainThread holds the thread
		_ = unix.Pause() // it returns for each signal that the runtime handles
	}
})

// The kernel forgets the signal for the death of the parent when the user changes
// (prctl(2)), so it is asked for after that (pitfalls 45 and 54).
func TestStartUserParentDeath(t *testing.T) {
	if !haveVfork {
		t.Skip("no attributes on this machine")
	}
	needRoot(t)
	for _, way := range ways {
		for _, capability := range []string{"", "kill"} {
			pid := orphaned(t, foreignStarter.command(t, way.name, capability))
			if exit := awaitReap(t, pid); exit.Status != SignalStatus(unix.SIGTERM) {
				t.Errorf("%s, %s: %+v", way.name, capability, exit)
			}
		}
	}
}

// Starts that fail at any step leave no descriptor and no process, and the next one
// finds everything as it was.
func TestStartAttributesLeaveNothing(t *testing.T) {
	for _, way := range bothWaysWithAttributes(t) {
		t.Run(way.name, func(t *testing.T) {
			before, files := ownAttributes(t), descriptors(t)
			for i := range 200 {
				a := Attributes{
					Nice: new(19), OOMScoreAdj: new(900), Umask: new(uint32(0o77)), NoNewPrivileges: true,
					Limits: []ResourceLimit{{unix.RLIMIT_CORE, Limit{}}},
				}
				if os.Geteuid() == 0 {
					a.User, a.DropCapabilities = &User{UID: 12345, GID: 12345, Groups: []uint32{1, 2, 3}}, AllCapabilities
				}
				want := ExitStatus(i)
				pid, err := Start(way.become(a, "exit "+strconv.Itoa(i)))
				if err != nil {
					t.Fatal(err)
				}
				if exit := awaitReap(t, pid); exit.Status != want {
					t.Fatalf("%+v, want %v", exit, want)
				}
				a.Dir = "/none"
				if _, err := Start(way.become(a, ":")); !errors.Is(err, unix.ENOENT) {
					t.Fatal(err)
				}
				wantNoChildren(t)
			}
			if after := ownAttributes(t); after != before {
				t.Errorf("this program was\n%sand is\n%s", before, after)
			}
			if after := descriptors(t); strings.Join(after, "\n") != strings.Join(files, "\n") {
				t.Errorf("descriptors before %v and after %v", files, after)
			}
		})
	}
}

// On other machines attributes are refused rather than left out.
func TestStartAttributesRefused(t *testing.T) {
	if haveVfork {
		t.Skip("this machine has them")
	}
	_, err := Start(Command{Args: []string{"/bin/true"}, Attributes: Attributes{NoNewPrivileges: true}})
	if failed, ok := errors.AsType[*StartError](err); !ok || failed.Op != "set attributes of" || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}
