package test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// storm is a shell that makes n orphans one after another: each subshell leaves
// a process behind and is waited for.
func storm(n int) string {
	return fmt.Sprintf(`i=0; while [ $i -lt %d ]; do ( : & ); i=$((i+1)); done; echo done; read line`, n)
}

// Of 10,000 orphans none is a zombie one second after the last, or ten on a bad day, and
// as a rule no time after it (pitfalls 15, 17).
func TestStorm(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		s := launch(t, at, nil, "--", "sh", "-c", storm(10_000))
		s.expect("done")
		begin := time.Now()
		eventually(t, "no zombie is left", func() bool { return zombies(s.pid) == 0 })
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("the last was reaped after %v", took)
		}
		s.stdin.Close()
		s.wantCode(1) // of read, at the end of its input
	})
}

// The control: an init that waits for its command alone has them all.
func TestStormControl(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		const n = 100
		s := launchProgram(t, at, nil, probeBin, "negligent", "/bin/sh", "-c", storm(n))
		s.expect("done")
		eventually(t, "every orphan is a zombie", func() bool { return zombies(s.pid) == n })
	})
}

// The exit code of the command is not lost among the exits of many others
// (pitfalls 15, 18).
func TestExitCodeAmidOrphans(t *testing.T) {
	// The orphans and the command wait for the end of the same pipe, so they all
	// die in the same moment.
	const script = `i=0; while [ $i -lt 500 ]; do ( read line <&3 & ); i=$((i+1)); done; echo ready; read line <&3; exit 42`
	inPlaces(t, func(t *testing.T, at place) {
		for range 50 {
			r, w := pipe(t)
			s := launch(t, at, func(cmd *exec.Cmd) { cmd.ExtraFiles = []*os.File{r} }, "--", "sh", "-c", script)
			r.Close()
			s.expect("ready")
			w.Close()
			s.wantCode(42)
		}
	})
}

// A daemon that forks twice and leaves the session is adopted, and reaped when
// it ends.
func TestDaemonIsAdopted(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		s := launch(t, at, nil, "-vv", "--", probeBin, "daemon")
		s.expect("daemon ")
		var daemon reap.Proc
		eventually(t, "the daemon is reaper's child", func() bool {
			for _, p := range children(s.pid) {
				if args, _ := reap.CommandLine(p.PID); len(args) > 1 && args[1] == "daemon-end" {
					daemon = p
					return true
				}
			}
			return false
		})
		for _, p := range children(s.pid) {
			if p.PID != daemon.PID && p.Session == daemon.Session {
				t.Errorf("the daemon is still in the session %d", daemon.Session)
			}
		}
		unix.Kill(daemon.PID, unix.SIGKILL)
		eventually(t, "the daemon is reaped", func() bool {
			_, err := reap.ReadProc(daemon.PID)
			return err != nil
		})
		s.stdin.Close()
		s.wantCode(0)
		if !strings.Contains(strings.Join(s.stderr.rest(), "\n"), `"orphan reaped"`) {
			t.Errorf("-vv does not tell of the daemon:\n%s", s.stderr)
		}
	})
}

// The control: without a subreaper the daemon goes to somebody else.
func TestDaemonControl(t *testing.T) {
	s := launchProgram(t, asSubreaper, nil, probeBin, "daemon")
	s.expect("daemon ")
	eventually(t, "the daemon is an orphan", func() bool {
		for _, p := range children(os.Getpid()) { // TestMain made the test the subreaper
			if args, _ := reap.CommandLine(p.PID); len(args) > 1 && args[1] == "daemon-end" {
				return true
			}
		}
		return false
	})
}

// Children that reaper had before it was reaper are nobody's surprise: a shell
// that executes it may have jobs (pitfall 7).
func TestChildrenFromBefore(t *testing.T) {
	s := launchProgram(t, asSubreaper, nil, "sh", "-c", `sleep 0.01 & sleep 1000 & exec "$@"`, "sh",
		reaperBin, "--", "sh", "-c", "echo ready; read line; exit 7")
	s.expect("ready")
	eventually(t, "the short job is reaped", func() bool { return len(children(s.pid)) == 2 && zombies(s.pid) == 0 })
	s.stdin.Close()
	s.wantCode(7)
}

// Where /proc is not mounted everything works, and only names are missing
// (pitfall 38).
func TestNoProc(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		if os.Geteuid() != 0 {
			cannot(t, "only root can unmount /proc in a namespace")
		}
		prepare := func(cmd *exec.Cmd) { cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS }
		s := launchProgram(t, at, prepare, "/bin/sh", "-c", `umount -l /proc && exec "$@"`, "sh",
			reaperBin, "-vv", "--", "/bin/sh", "-c", `[ -e /proc/1 ] && exit 1; ( : & ); trap 'exit 9' USR1; echo ready; while :; do sleep 0.01; done`)
		s.expect("ready")
		eventually(t, "the orphan is reaped", func() bool { return strings.Contains(s.stderr.String(), "orphan reaped") })
		s.signal(unix.SIGUSR1)
		s.wantCode(9)
		if strings.Contains(s.stderr.String(), "system call failed") {
			t.Errorf("without /proc:\n%s", s.stderr)
		}
	})
}

// reaper below reaper: orphans go to the nearest one, and codes pass through
// (pitfall 26).
func TestNested(t *testing.T) {
	s := launch(t, asSubreaper, nil, "--", reaperBin, "--", "sh", "-c", "( sleep 1000 & ); echo ready; read line; exit 3")
	s.expect("ready")
	inner := s.command()
	eventually(t, "the inner one has adopted the orphan", func() bool { return len(children(inner.PID)) == 2 })
	s.stdin.Close()
	s.wantCode(3)
}

// Fifty wrappers at once leave nothing behind and mix nothing up.
func TestManyAtOnce(t *testing.T) {
	sessions := make([]*session, 50)
	for i := range sessions {
		sessions[i] = launch(t, asSubreaper, nil, "--", "sh", "-c", "( : & ); read line; exit "+strconv.Itoa(i))
	}
	for i, s := range sessions {
		s.stdin.Close()
		s.wantCode(i)
	}
}
