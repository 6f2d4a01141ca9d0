package reap

import (
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stormsVariable is how often the storms are run, at their full size: 8 goroutines run
// 2,000 commands beside 10,000 orphans. Without it they are run once and are smaller.
const stormsVariable = "REAP_TEST_STORMS"

func storms(t *testing.T) (runs, commands, orphans int) {
	t.Helper()
	value := os.Getenv(stormsVariable)
	if value == "" {
		return 1, 400, 2000
	}
	runs, err := strconv.Atoi(value)
	if err != nil {
		t.Fatal(err)
	}
	return runs, 2000, 10_000
}

// startStorm starts a shell that makes n orphans one after another.
func startStorm(t *testing.T, n int) *exec.Cmd {
	t.Helper()
	return startChild(t, fmt.Sprintf("i=0; while [ $i -lt %d ]; do ( : & ); i=$((i+1)); done", n))
}

// wrongCodes runs n commands in 8 goroutines, and tells of each that has not the exit
// code that it should have.
func wrongCodes(n int) (wrong []string) {
	const workers = 8
	var lock sync.Mutex
	var running sync.WaitGroup
	for worker := range workers {
		running.Go(func() {
			for i := worker; i < n; i += workers {
				cmd := exec.Command("sh", "-c", "exit "+strconv.Itoa(i%256))
				if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != i%256 {
					lock.Lock()
					wrong = append(wrong, fmt.Sprintf("want exit %d: %v", i%256, err))
					lock.Unlock()
					_ = cmd.Process.Release() // its descriptor
				}
			}
		})
	}
	running.Wait()
	return wrong
}

// No code is wrong or lost, no orphan is reaped twice or remains (pitfall 18).
func TestOrphansBesideExec(t *testing.T) {
	runs, _, _ := storms(t)
	for run := range runs {
		for _, procs := range []string{"1", "2", "16"} {
			if aloneIn(t, func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "GOMAXPROCS="+procs) }) {
				besideExec(t)
				return
			}
			if t.Logf("run %d, GOMAXPROCS=%s", run, procs); t.Failed() {
				t.FailNow()
			}
		}
	}
}

// The same where a number is given away again after some hundred forks.
func TestOrphansBesideExecWithFewPIDs(t *testing.T) {
	if os.Getenv(aloneVariable) == "" && !ownPIDMax() {
		cannot(t, "before Linux 6.14 pid_max is not that of the pid namespace")
	}
	if !aloneInContainer(t) {
		return
	}
	// The first 300 are not given away a second time (RESERVED_PIDS in kernel/pid.c).
	if err := os.WriteFile("/proc/sys/kernel/pid_max", []byte("1500"), 0); err != nil {
		t.Fatal(err)
	}
	besideExec(t)
}

func ownPIDMax() bool {
	var name unix.Utsname
	var major, minor int
	if err := unix.Uname(&name); err != nil {
		return false
	}
	_, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	return err == nil && (major > 6 || major == 6 && minor >= 14)
}

func besideExec(t *testing.T) {
	t.Helper()
	_, commands, orphans := storms(t)
	o := runOrphans(t, OrphanOptions{})
	storm := startStorm(t, orphans)
	for _, wrong := range wrongCodes(commands) {
		t.Error(wrong)
	}
	wantCode(t, storm, 0)
	timeout := time.After(patience / 2)
	for _, more := Peek(); more; _, more = Peek() {
		select {
		case <-timeout:
			left, err := ExitedChildren()
			t.Fatalf("a while later there are %v, %v", left, err)
		default:
		}
	}
	o.wantCount(t, orphans)
}

// wantCount waits until so many have been reaped, that ended by themselves.
func (o *orphanage) wantCount(t *testing.T, n int) {
	t.Helper()
	timeout := time.After(patience)
	for got := range n {
		select {
		case exit := <-o.exits:
			if exit.Status != ExitStatus(0) {
				t.Errorf("%+v", exit)
			}
		case <-timeout:
			t.Fatalf("%d of %d were reaped", got, n)
		}
	}
	o.wantNone(t)
}

// The control: what is common, a wait4(-1) on each SIGCHLD, loses codes.
func TestPlainReaperSteals(t *testing.T) {
	if !alone(t) {
		return
	}
	mustAdopt(t)
	chld := make(chan os.Signal, 1)
	signal.Notify(chld, unix.SIGCHLD)
	defer signal.Stop(chld)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			for pid := 1; pid > 0; {
				pid, _ = unix.Wait4(-1, nil, unix.WNOHANG, nil)
			}
			select {
			case <-chld:
			case <-stop:
				return
			}
		}
	}()
	_, commands, orphans := storms(t)
	var wrong []string
	eventually(t, "a code is lost", func() bool {
		storm := startStorm(t, orphans)
		wrong = wrongCodes(commands)
		_ = storm.Wait() // its own code may be lost
		_ = storm.Process.Release()
		return len(wrong) > 0
	})
	t.Logf("%d of %d codes were lost: %s", len(wrong), commands, wrong[0])
	close(stop)
	<-stopped
	endFamily(t)
}

// A CGI script may leave something behind, and net/http/cgi does not look after that.
func TestOrphansOfCGI(t *testing.T) {
	if !alone(t) {
		return
	}
	script := filepath.Join(t.TempDir(), "script")
	const text = "#!/bin/sh\n( : <&- >&- 2>&- & )\nprintf 'Content-Type: text/plain\\n\\nserved'\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	o := runOrphans(t, OrphanOptions{})
	const requests, clients = 1000, 8
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			for range requests / clients {
				answer := httptest.NewRecorder()
				(&cgi.Handler{Path: script, Dir: "/"}).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
				if body := answer.Body.String(); answer.Code != http.StatusOK || body != "served" {
					t.Errorf("%d %q", answer.Code, body)
				}
			}
		})
	}
	running.Wait()
	o.wantCount(t, requests)
	if left, err := ExitedChildren(); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// Thousands of children that live are no obstacle, and can all end at once.
func TestOrphansBesideThousands(t *testing.T) {
	if !alone(t) {
		return
	}
	const living = 3000
	o := runOrphans(t, OrphanOptions{})
	r, w := mustPipe(t)
	cmd := exec.Command("sh", "-c", fmt.Sprintf("i=0; while [ $i -lt %d ]; do ( ( read x <&3 || exit 3 ) & ); i=$((i+1)); done", living))
	cmd.ExtraFiles = []*os.File{r}
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if pids, err := childrenOf(os.Getpid(), 0); err != nil || len(pids) != living {
		t.Fatalf("%d children, %v", len(pids), err)
	}
	storm := startStorm(t, 1000)
	for _, wrong := range wrongCodes(100) {
		t.Error(wrong)
	}
	wantCode(t, storm, 0)
	o.wantCount(t, 1000)

	w.Close()
	for range living {
		if exit := <-o.exits; exit.Status != ExitStatus(3) {
			t.Errorf("%+v", exit)
		}
	}
}
