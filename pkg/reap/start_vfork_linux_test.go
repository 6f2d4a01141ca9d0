//go:build linux && (amd64 || arm64)

package reap

import (
	"math"
	"math/bits"
	"os"
	"strconv"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharedScript is a script in memory that a copy of the process shares too: the
// emulator for other machines makes a vfork a fork.
func sharedScript(t *testing.T) *script {
	t.Helper()
	return (*script)(shared(t, int(unsafe.Sizeof(script{}))))
}

func shared(t *testing.T, size int) unsafe.Pointer {
	t.Helper()
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(memory); err != nil {
			t.Error(err)
		}
	})
	return unsafe.Pointer(&memory[0])
}

// play runs a script that executes nothing, and checks that its child ended with
// 127.
func play(t *testing.T, s *script) (pid int) {
	t.Helper()
	pid, err := s.run()
	if err != nil {
		t.Fatal(err)
	}
	if exit := awaitReap(t, pid); exit.PID != pid || exit.Status != ExitStatus(127) {
		t.Errorf("%+v", exit)
	}
	return pid
}

// The child makes the calls in their order, goes on after a failure or ends, as
// each call says, and writes down what came of them.
func TestVfork(t *testing.T) {
	if !alone(t) {
		return
	}
	none := uintptr(math.MaxUint32) // no descriptor
	closed := -int(unix.EBADF)

	t.Run("goes on", func(t *testing.T) {
		s := sharedScript(t)
		self := s.add(needSuccess, unix.SYS_GETPID)
		fails := s.add(needNothing, unix.SYS_CLOSE, none)
		parent := s.add(needEqual, unix.SYS_GETPPID, 0, 0, 0, 0, uintptr(os.Getpid()))
		last := s.add(needSuccess, unix.SYS_GETPID)
		pid := play(t, s)
		if self.result != pid || fails.result != closed || parent.result != os.Getpid() || last.result != pid {
			t.Errorf("child %d: %+v", pid, s.calls[:s.n])
		}
	})
	t.Run("ends where success is needed", func(t *testing.T) {
		s := sharedScript(t)
		fails := s.add(needSuccess, unix.SYS_CLOSE, none)
		after := s.add(needNothing, unix.SYS_GETPID)
		play(t, s)
		if fails.result != closed || after.result != notMade {
			t.Errorf("%+v", s.calls[:s.n])
		}
	})
	t.Run("ends where a result is needed", func(t *testing.T) {
		for _, wrong := range []uintptr{0, uintptr(os.Getpid()) + 1, uintptr(os.Getpid()) + 1<<32} {
			s := sharedScript(t)
			parent := s.add(needEqual, unix.SYS_GETPPID, 0, 0, 0, 0, wrong)
			after := s.add(needNothing, unix.SYS_GETPID)
			play(t, s)
			if parent.result != os.Getpid() || after.result != notMade {
				t.Errorf("%+v", s.calls[:s.n])
			}
		}
	})
	// A signal that is on its way to the child waits for its end, or for the mask
	// that the command is to have (pitfall 2).
	t.Run("every signal is blocked", func(t *testing.T) {
		const set = 0 // how, which does not matter where there is no new mask
		mask := (*SignalSet)(shared(t, 8))
		s := sharedScript(t)
		s.add(needSuccess, unix.SYS_RT_SIGPROCMASK, set, 0, uintptr(unsafe.Pointer(mask)), unsafe.Sizeof(*mask))
		play(t, s)
		if want := ^Signals(unix.SIGKILL, unix.SIGSTOP); *mask != want {
			t.Errorf("got %x, want %x", *mask, want)
		}
	})
	t.Run("writes a number", func(t *testing.T) {
		type memory struct {
			number int
			prefix [4]byte
			text   [25]byte
			at     uintptr
		}
		for _, number := range []int{0, 9, 10, 4194304, 1<<63 - 1} {
			m := (*memory)(shared(t, int(unsafe.Sizeof(memory{}))))
			m.number, m.prefix = number, [4]byte{'P', 'I', 'D', '='}
			end := uintptr(unsafe.Pointer(&m.text[len(m.text)-1]))
			s := sharedScript(t)
			s.add(needNothing, writeNumber, uintptr(unsafe.Pointer(&m.number)), end,
				uintptr(unsafe.Pointer(&m.prefix))+4, 4, uintptr(unsafe.Pointer(&m.at)))
			after := s.add(needSuccess, unix.SYS_GETPID)
			pid := play(t, s)
			want := "PID=" + strconv.Itoa(number)
			if begin := len(m.text) - 1 - int(end-m.at); begin < 0 || string(m.text[begin:]) != want+"\x00" {
				t.Errorf("%q, from %d, want %q", m.text, begin, want)
			}
			if after.result != pid {
				t.Errorf("%+v", s.calls[:s.n])
			}
		}
	})
	t.Run("copies a result", func(t *testing.T) {
		for number := range uintptr(3) {
			s := sharedScript(t)
			self := s.add(needSuccess, unix.SYS_GETPID)
			passed := s.add(needNothing, copyWord, uintptr(unsafe.Pointer(&self.result)))
			group := s.add(needSuccess, unix.SYS_GETPGID, number)
			passed.args[1] = uintptr(unsafe.Pointer(&group.args[0]))
			if pid := play(t, s); group.args[0] != uintptr(pid) || group.result != unix.Getpgrp() {
				t.Errorf("child %d: %+v", pid, s.calls[:s.n])
			}
		}
	})
	t.Run("makes no call", func(t *testing.T) {
		play(t, sharedScript(t))
	})
	t.Run("passes five arguments", func(t *testing.T) {
		stat := (*unix.Statx_t)(shared(t, int(unsafe.Sizeof(unix.Statx_t{}))))
		path := (*[11]byte)(shared(t, 11))
		copy(path[:], "/proc/self")
		dir := unix.AT_FDCWD
		s := sharedScript(t)
		c := s.add(needSuccess, unix.SYS_STATX, uintptr(dir), uintptr(unsafe.Pointer(path)),
			unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, uintptr(unsafe.Pointer(stat)))
		play(t, s)
		if c.result != 0 || stat.Mode&unix.S_IFMT != unix.S_IFLNK {
			t.Errorf("%d: %+v", c.result, stat)
		}
	})
}

// With everything that can be asked for the script still has room, also on a kernel
// with as many capabilities as fit into a set.
func TestScriptHasRoom(t *testing.T) {
	env, err := syscall.SlicePtrFromStrings([]string{"LISTEN_PID=" + strconv.Itoa(os.Getpid())})
	if err != nil {
		t.Fatal(err)
	}
	own, err := ReadCapabilities()
	if err != nil {
		t.Fatal(err)
	}
	var limits []ResourceLimit
	for resource := range numLimits {
		limits = append(limits, ResourceLimit{Resource: resource}, ResourceLimit{Resource: resource})
	}
	one, mask := 1, uint32(0)
	s := script{image: &image{argv: env, envv: env}, nofile: Limit{100, 100}}
	op, err := s.write(&Command{
		ParentDeath: unix.SIGKILL, Terminal: &Terminal{500}, Group: OwnSession, ListenPID: true,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Attributes: Attributes{
			Dir: "/", User: &User{UID: 1}, Umask: &mask, Limits: limits, Nice: &one, OOMScoreAdj: &one, NoNewPrivileges: true,
			DropCapabilities: AllCapabilities, AddCapabilities: AllCapabilities,
		},
	}, &Inheritance{})
	if err != nil {
		t.Fatal(op, err)
	}
	if most := s.n + 64 - bits.OnesCount64(uint64(own.Bounding)); most > maxCalls {
		t.Errorf("%d calls, and room for %d", most, maxCalls)
	}
}

// The assembly knows where the fields are.
func TestCallLayout(t *testing.T) {
	var c call
	for name, at := range map[string][2]uintptr{
		"nr": {unsafe.Offsetof(c.nr), 0}, "args": {unsafe.Offsetof(c.args), 8},
		"need": {unsafe.Offsetof(c.need), 48}, "result": {unsafe.Offsetof(c.result), 56}, "size": {unsafe.Sizeof(c), 64},
	} {
		if at[0] != at[1] {
			t.Errorf("%s: at %d, want %d", name, at[0], at[1])
		}
	}
	if s := unsafe.Sizeof(sigaction{}); s != 32 {
		t.Errorf("a sigaction has %d bytes", s)
	}
}
