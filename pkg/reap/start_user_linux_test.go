package reap

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

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
