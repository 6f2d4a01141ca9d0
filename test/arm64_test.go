package test

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// The assembly for arm64 does the same, in an emulator if need be: the entry
// point writes down what was inherited and takes what os/signal does not
// deliver, and the vfork hands it on. As PID 1, because the emulator does not
// know PR_SET_CHILD_SUBREAPER; and without failed starts, because it makes a
// vfork a fork, so that the child has no memory to report in.
func TestARM64(t *testing.T) {
	needExact(t) // one build is enough
	if runtime.GOARCH == "arm64" {
		t.Skip("this machine is one: every other test shows it")
	}
	qemu, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		cannot(t, "qemu-aarch64-static is not installed (qemu-user-static)")
	}
	bin := filepath.Join(t.TempDir(), "reaper")
	build := exec.Command("make", "-s", "-C", "..", "build", "BIN="+bin)
	build.Env = append(build.Environ(), "GOARCH=arm64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build for arm64: %v\n%s", err, out)
	}

	t.Run("exit code", func(t *testing.T) {
		launchProgram(t, asPID1, nil, qemu, bin, "--", "sh", "-c", "exit 42").wantCode(42)
	})
	t.Run("ignored and limit", func(t *testing.T) {
		s := launchProgram(t, asPID1, nil, "sh", "-c", `trap "" USR1 PIPE; ulimit -Sn 77; exec "$@"`, "sh",
			qemu, bin, "--", "sh", "-c", "ulimit -n; exec grep SigIgn /proc/self/status")
		s.expect("77")
		s.wantCode(0)
		ignored := signalField(t, strings.Join(s.stdout.rest(), "\n"), "SigIgn")
		if want := reap.Signals(unix.SIGUSR1, unix.SIGPIPE); ignored != want {
			t.Errorf("ignored: %x, want %x", ignored, want)
		}
	})
	t.Run("attributes", func(t *testing.T) {
		needRoot(t)
		s := launchProgram(t, asPID1, nil, qemu, bin, "-u", "54321:7", "-w", "/", "--umask", "027", "--ulimit", "nofile=77", "--nice", "19",
			"--oom-score-adj", "900", "--no-new-privileges", "--cap-drop", "ALL", "--",
			"sh", "-c", `echo $(id -u; id -g; pwd; umask; ulimit -n; cut -d' ' -f19 /proc/self/stat; cat /proc/self/oom_score_adj)
				grep -E 'NoNewPrivs|CapBnd' /proc/self/status`)
		s.wantCode(0)
		if got, want := strings.Join(s.stdout.rest(), "\n"), "54321 7 / 0027 77 19 900\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("signals", func(t *testing.T) {
		for _, sig := range []string{"TERM", "USR1", "URG", "PROF", "34", "64"} {
			s := launchProgram(t, asPID1, nil, qemu, bin, "--", "sh", "-c", `trap 'echo got; exit 3' "$0"; kill -"$0" $PPID; while :; do sleep 0.01; done`, sig)
			s.expect("got")
			s.wantCode(3)
		}
	})
	t.Run("orphans", func(t *testing.T) {
		s := launchProgram(t, asPID1, nil, qemu, bin, "--", "sh", "-c", storm(100))
		s.expect("done")
		eventually(t, "all are reaped", func() bool { return zombies(s.pid) == 0 })
		s.stdin.Close()
		s.wantCode(1)
	})
}
