package reap

import (
	"errors"
	"fmt"
	"os"
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
		cannot(t, "only root can become another user")
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

// Starts that fail at any step leave no descriptor and no process, and the next one
// finds everything as it was.
func TestStartAttributesLeaveNothing(t *testing.T) {
	for _, way := range bothWaysWithAttributes(t) {
		t.Run(way.name, func(t *testing.T) {
			before, files := ownAttributes(t), descriptors(t)
			for i := range 200 {
				a := Attributes{
					Nice: new(1), OOMScoreAdj: new(900), Umask: new(uint32(0o77)), NoNewPrivileges: true,
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
