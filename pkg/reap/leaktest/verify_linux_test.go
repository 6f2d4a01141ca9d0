package leaktest

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// As it is meant to be used: by defer at the head of a test.
func TestVerifyNone(t *testing.T) {
	if !failsAlone(t, `child still running \(pid \d+, age [\d.]+m?s, state S, ppid \d+\): "sleep 1001", under \S+`,
		`orphan still running \(pid \d+, age [\d.]+m?s, state S, ppid \d+\): "sleep 1002", under \S+`) {
		return
	}
	defer VerifyNone(t)
	start(t, "sleep", "1001")
	orphan(t, "exec sleep 1002")
}

// A zombie cannot be cleared away: the next test is not blamed for it.
func TestToldOnce(t *testing.T) {
	if !failsAlone(t, `child exited, never waited for: a Wait is missing \(.* state Z, .*\): \[true\], under \S+`) {
		return
	}
	t.Run("guilty", func(t *testing.T) {
		defer VerifyNone(t)
		start(t, "true")
	})
	t.Run("innocent", func(t *testing.T) {
		defer VerifyNone(t)
		if err := exec.Command("true").Run(); err != nil {
			t.Error(err)
		}
	})
}

func TestHelper(t *testing.T) {
	if !alone(t) {
		return
	}
	r := new(recorder)
	VerifyNone(r)
	if r.helps != 1 || len(r.errs) != 0 {
		t.Errorf("%+v", r)
	}
	VerifyNone(struct{ TestingT }{r}) // without Helper
	if r.helps != 1 || len(r.errs) != 0 {
		t.Errorf("%+v", r)
	}
}

// What is started while the end is under way ends too.
func TestEndNewcomers(t *testing.T) {
	if !alone(t) {
		return
	}
	start(t, "sh", "-c", "while :; do sleep 0.001 & sleep 1001 & wait $!; done")
	orphan(t, "sh -c 'while :; do setsid sleep 0.001; done'")
	eventually(t, "both are at work", func() bool { return len(found(t)) > 3 })
	if err := verifyNone(MaxWait(0)); err == "" || strings.Contains(err, "still there") {
		t.Errorf("got %s", err)
	}
	wantNothingRuns(t)
	if leaks := found(t); len(leaks) != 0 {
		t.Errorf("left are %v", leaks)
	}
}

func TestVerifyTestMain(t *testing.T) {
	if inside(t) {
		switch os.Getenv(mainVariable) {
		case "failed":
			t.Error("for another reason")
			fallthrough
		case "leaks":
			start(t, "true")
			orphan(t, "exec sleep 1001")
		}
		return
	}
	for _, c := range []struct {
		tests string
		code  int
		leaks []string
	}{
		{"clean", 0, nil},
		{"leaks", 1, []string{`child exited, never waited for.*`, `orphan still running .*`}},
		{"failed", 1, nil}, // it is ended all the same, as output makes sure
	} {
		out, code := output(t, again(t, mainVariable+"="+c.tests))
		if code != c.code || strings.Contains(out, "leaktest: 2 processes have leaked:") != (c.leaks != nil) {
			t.Errorf("%s: exit %d\n%s", c.tests, code, out)
		}
		wantLeaks(t, out, c.leaks...)
	}
}

type runner func() int

func (r runner) Run() int { return r() }

// The code is that of the tests, unless it is 0.
func TestRunTests(t *testing.T) {
	if !alone(t) {
		return
	}
	for code, want := range map[int]int{0: 1, 1: 1, 2: 2} {
		if got := runTests(runner(func() int { start(t, "true"); return code }), nil); got != want {
			t.Errorf("%d with leaks: got %d", code, got)
		}
		if got := runTests(runner(func() int { return code }), nil); got != code {
			t.Errorf("%d without leaks: got %d", code, got)
		}
	}
}

// Without a subreaper, what is seen is told, and that it may not be all.
func TestNoSubreaper(t *testing.T) {
	if !alone(t) {
		return
	}
	process.orphansLost = unix.EPERM
	err := Find()
	if leak := new(LeakError); errors.As(err, &leak) || !errors.Is(err, ErrUnknown) || !errors.Is(err, unix.EPERM) {
		t.Errorf("no leaks: %v", err)
	}
	start(t, "sleep", "1001")
	err = Find(MaxWait(0))
	if leak := new(LeakError); !errors.As(err, &leak) || len(leak.Leaks) != 1 || !errors.Is(err, ErrUnknown) {
		t.Errorf("one leak: %v", err)
	}
	if err := verifyNone(MaxWait(0)); !strings.Contains(err, "sleep 1001") || !strings.Contains(err, ErrUnknown.Error()) {
		t.Errorf("got %s", err)
	}
	wantNothingRuns(t)
}

// No /proc, and that of another pid namespace, is no clean result.
func TestNoProc(t *testing.T) {
	if inside(t) {
		err := Find()
		if !errors.Is(err, ErrUnknown) || !errors.Is(err, reap.ErrNoProc) {
			t.Errorf("Find: %v", err)
		}
		for _, opts := range [][]Option{nil, {IgnoreCurrent()}} {
			if err := verifyNone(opts...); !strings.Contains(err, ErrUnknown.Error()) {
				t.Errorf("VerifyNone: %q", err)
			}
		}
		if code := runTests(runner(func() int { return 0 }), nil); code != 1 {
			t.Errorf("VerifyTestMain: exit %d", code)
		}
		return
	}
	if os.Getuid() != 0 {
		cannot(t, "only root can unmount /proc")
	}
	for name, set := range map[string]func(cmd *exec.Cmd){
		"none": func(cmd *exec.Cmd) {
			cmd.Args = append([]string{"sh", "-c", `umount -l /proc && exec "$@"`, "sh"}, cmd.Args...)
			cmd.Path = "/bin/sh"
			cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
		},
		"another": func(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID} },
	} {
		cmd := again(t)
		set(cmd)
		if out, code := output(t, cmd); code != 0 {
			t.Errorf("%s: exit %d\n%s", name, code, out)
		}
	}
}

// A second is enough for what is just ending, and a Wait that is on its way.
func TestRetry(t *testing.T) {
	if !alone(t) {
		return
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	held := func(script string) *exec.Cmd {
		cmd := exec.Command("sh", "-c", script)
		cmd.ExtraFiles = []*os.File{r}
		return cmd
	}
	if err := held("(read x <&3) &").Run(); err != nil {
		t.Fatal(err)
	}
	cmd := held("read x <&3; :")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kept = append(kept, cmd)
	waited := make(chan error)
	r.Close()
	letGo := func() {
		w.Close()
		tick := time.NewTimer(400 * time.Millisecond)
		<-tick.C
		waited <- cmd.Wait()
	}
	if leaks := found(t); len(leaks) != 2 {
		t.Errorf("at once: %v", leaks)
	}
	go letGo()
	began := time.Now()
	if err := Find(MaxWait(patience)); err != nil || time.Since(began) > patience/2 {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
	start(t, "sleep", "1001")
	began = time.Now()
	if err := Find(); err == nil || time.Since(began) < defaultMaxWait {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	_ = verifyNone(MaxWait(0))
}
