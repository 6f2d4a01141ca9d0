package reap

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// adopter tells whether it is a subreaper, does what it is told, and tells it
// again.
var adopter = newRole("adopter", func(args []string) error {
	tell := func() error {
		is, err := IsSubreaper()
		fmt.Print(is, " ")
		return err
	}
	for _, do := range args {
		var err error
		switch do {
		case "tell":
			err = tell()
		case "become":
			err = BecomeSubreaper()
		case "exec":
			err = syscall.Exec("/proc/self/exe", []string{"adopter", "tell"}, os.Environ())
		case "child":
			child := exec.Command("/proc/self/exe", "tell")
			child.Stdout, child.Stderr = os.Stdout, os.Stderr
			err = child.Run()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", do, err)
		}
	}
	return nil
})

// The attribute stays over execve and does not come to children (pitfall 26).
// The process of the tests has it, so each line is a control for the next.
func TestSubreaper(t *testing.T) {
	if is, err := IsSubreaper(); !is || err != nil {
		t.Errorf("the tests are no subreaper: %v, %v", is, err)
	}
	for args, want := range map[string]string{
		"tell":                           "false ",
		"tell become tell":               "false true ",
		"become become tell":             "true ",
		"become exec":                    "true ",
		"exec":                           "false ",
		"become child tell":              "false true ",
		"tell child become child tell":   "false false false true ",
		"become tell child become child": "true false false ",
	} {
		if got := adopter.run(t, strings.Fields(args)...); got != want {
			t.Errorf("%s: got %q, want %q", args, got, want)
		}
	}
}

// PID 1 is one without asking.
func TestSubreaperAsPID1(t *testing.T) {
	needNamespaces(t)
	cmd := adopter.command(t, "tell", "become", "tell")
	inNamespace(cmd)
	if out, err := cmd.Output(); err != nil || string(out) != "true true " {
		t.Errorf("%q, %v", out, err)
	}
}

// dependent asks for a signal when its parent dies, and says so.
var dependent = newRole("dependent", func(args []string) error {
	for _, arg := range args {
		sig, err := strconv.Atoi(arg)
		if err != nil {
			return err
		}
		gone, err := SetParentDeath(syscall.Signal(sig), os.Getppid())
		if err != nil {
			return err
		}
		if gone {
			return fmt.Errorf("the parent %d is gone", os.Getppid())
		}
	}
	fmt.Println(os.Getpid())
	for { // onMainThread holds the thread
		_ = unix.Pause() // it returns for each signal that the runtime handles
	}
})

// parent starts a dependent and lives on.
var parent = newRole("parent", func(args []string) error {
	child := exec.Command("/proc/self/exe", args...)
	child.Env = append(os.Environ(), roleVariable+"="+dependent.name)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	return child.Run()
})

// orphaned has the parent role start a process that prints its pid, and kills
// the parent. The process comes to the tests, which are a subreaper.
func orphaned(t *testing.T, cmd *exec.Cmd) (pid int) {
	t.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		pid, err = strconv.Atoi(strings.TrimSpace(line))
	}
	if err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = cmd.Process.Wait() // cmd.Wait would wait for the end of the output too
	_ = out.Close()           // the pid was all
	eventually(t, "the orphan has come", func() bool {
		p, err := ReadProc(pid)
		if err != nil {
			t.Fatal(err)
		}
		return p.PPID == os.Getpid()
	})
	return pid
}

func TestSetParentDeath(t *testing.T) {
	dependent.used = true // the parent role starts it
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGKILL} {
		pid := orphaned(t, parent.command(t, strconv.Itoa(int(sig))))
		if exit := awaitReap(t, pid); exit.Status != SignalStatus(sig) {
			t.Errorf("signal %d: %+v", sig, exit)
		}
	}
}

// 0 takes the request back: the control too.
func TestSetParentDeathTakenBack(t *testing.T) {
	for _, args := range [][]string{{"0"}, {"9", "0"}} {
		pid := orphaned(t, parent.command(t, args...))
		if exit, ok := Reap(pid); ok {
			t.Errorf("%q: %+v", args, exit)
		}
		mustSignal(t, pid, unix.SIGTERM)
		if exit := awaitReap(t, pid); exit.Status != SignalStatus(unix.SIGTERM) {
			t.Errorf("%q: %+v", args, exit)
		}
	}
}

// The parent may have died before the request stood: then nothing would ever
// come, and the caller must know (pitfall 45).
func TestSetParentDeathTooLate(t *testing.T) {
	if !alone(t) {
		return
	}
	for ppid, want := range map[int]bool{os.Getppid(): false, os.Getppid() + 1: true, 0: true} {
		gone, err := SetParentDeath(0, ppid)
		if err != nil || gone != want {
			t.Errorf("parent %d: gone %v, %v; want %v", ppid, gone, err, want)
		}
	}
	if _, err := SetParentDeath(65, os.Getppid()); err == nil {
		t.Error("65 was taken for a signal")
	}
}
