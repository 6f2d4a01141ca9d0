package test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A REAPER_ variable has a persona deal with what is left.
func TestPersonaWithVariables(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		for _, name := range models {
			s := launchProgram(t, at, func(cmd *exec.Cmd) {
				cmd.Env = append(os.Environ(), "REAPER_LEFTOVERS=stop", "REAPER_LEAKS=fail", "TINI_SUBREAPER=")
			}, persona(t, name), "--", "sh", "-c", `env | grep REAPER; setsid sleep 1000 & exit 0`)
			s.wantCode(86)
			if text := strings.Join(append(s.stderr.rest(), s.stdout.rest()...), "\n"); !strings.Contains(text, "sleep 1000") || strings.Contains(text, "REAPER_") {
				t.Errorf("%s: %s", name, text)
			}
		}
		// A wrong one is said by reaper.
		s := launchProgram(t, at, func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), "REAPER_LEFTOVERS=junk") }, persona(t, tini), "true")
		s.wantCode(125)
		if text := s.stderr.rest(); len(text) != 2 || !strings.HasPrefix(text[0], "reaper: REAPER_LEFTOVERS=junk") {
			t.Errorf("%q", text)
		}
		// The ladder of stopping is there if it is asked for.
		s = launchProgram(t, at, func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), "REAPER_STOP_TIMEOUT=50ms") },
			persona(t, dumbInit), probeBin, "signals")
		s.expect("ready")
		s.signal(unix.SIGTERM)
		s.wantCode(137)
	})
}

// Pausing: it reaps who comes, and ends with 0 on TERM or INT alone.
func TestPersonaPause(t *testing.T) {
	run := func(program string, args ...string) func(t *testing.T, sig syscall.Signal) {
		return func(t *testing.T, sig syscall.Signal) {
			for _, at := range bothPlaces {
				// It is up when it has reaped the child that it has inherited.
				s := launchProgram(t, at, nil, "sh", append([]string{"-c", `sleep 1000 & echo ready; exec "$@"`, "sh", program}, args...)...)
				s.expect("ready")
				child := s.command().PID
				// catatonit itself never reaps who has exited before it blocks signals.
				eventually(t, "it is no shell any more, and takes signals", func() bool {
					return commandOf(s.pid) != "sh" && (signalsOf(t, s.pid, "SigBlk") | signalsOf(t, s.pid, "SigCgt")).Has(unix.SIGCHLD)
				})
				unix.Kill(child, unix.SIGKILL)
				eventually(t, "the child is reaped", func() bool { return stateOf(child) == gone })
				s.signal(unix.SIGHUP)
				s.signal(unix.SIGUSR1)
				s.signal(sig)
				s.wantCode(0)
				if out := s.stdout.rest(); len(out) > 1 {
					t.Errorf("%q", out)
				}
			}
		}
	}
	for _, sig := range []syscall.Signal{unix.SIGTERM, unix.SIGINT} {
		both(t, catatonit, func(t *testing.T, program string) bool { run(program, "-P")(t, sig); return true })
		run(persona(t, catatonit), "-P", "--", "no-such-command")(t, sig)
		run(persona(t, "pause"))(t, sig)
		run(reaperBin, "--as", "pause")(t, sig)
		run(reaperBin, "--as=catatonit", "-P")(t, sig)
	}
	if s := launchProgram(t, asSubreaper, nil, persona(t, "pause"), "-v"); s.wait() != 0 || len(s.stdout.rest()) != 1 {
		t.Error("the version of pause")
	}
}

// What --as takes, and where.
func TestAs(t *testing.T) {
	launch(t, asSubreaper, nil, "--as", "tini", "-s", "-e", "3", "--", "sh", "-c", "exit 3").wantCode(0)
	launch(t, asSubreaper, nil, "--as=dumb-init", "/nonexistent").wantCode(2)
	launch(t, asSubreaper, nil, "--as", "docker-init", "--version").wantCode(0)
	for _, args := range [][]string{{"--as"}, {"--as", "systemd", "true"}, {"--as="}, {"-v", "--as", "tini", "true"}, {"run", "--as", "tini", "true"}} {
		s := launch(t, asSubreaper, nil, args...)
		s.wantCode(125)
		if lines := s.stderr.rest(); len(lines) != 2 || !strings.Contains(lines[0], "--as") {
			t.Errorf("%q: %q", args, lines)
		}
	}
	// A copy of the binary is the same as a link.
	copied := filepath.Join(t.TempDir(), "dumb-init")
	if err := os.Link(reaperBin, copied); err != nil {
		text, readErr := os.ReadFile(reaperBin)
		if err := errors.Join(readErr, os.WriteFile(copied, text, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	launchProgram(t, asSubreaper, nil, copied, "/nonexistent").wantCode(2)
}

// The death of its own parent is a signal like any other, and so for the command.
func TestPersonaParentDeath(t *testing.T) {
	needExact(t)
	theirs, ours := both(t, tini, func(t *testing.T, program string) bool {
		// A shell takes away the stdin of what it starts in the background.
		s := launchProgram(t, asSubreaper, nil, "sh", "-c", `exec 3<&0; "$@" <&3 3<&- & exec 3<&-; wait`, "sh",
			program, "-s", "-p", "SIGUSR1", "--", probeBin, "signals")
		s.expect("ready")
		s.signal(unix.SIGKILL) // the shell
		_, ok := s.stdout.await("got 10")
		return ok
	})
	if !theirs || !ours {
		t.Errorf("the model %v, reaper %v", theirs, ours)
	}
}

// As docker-init, where there is no /proc, orphans are adopted and signals forwarded.
func TestPersonaNoProc(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "only root can unmount /proc in a namespace")
	}
	asPID1.need(t)
	for _, args := range [][]string{{"docker-init", "-vvv", "--"}, {dumbInit, "-v", "--"}, {catatonit, "--"}} {
		s := launchProgram(t, asPID1, func(cmd *exec.Cmd) {
			cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS
			cmd.Env = append(os.Environ(), "CATATONIT_DEBUG=1")
		}, "/bin/sh", append([]string{"-c", `umount -l /proc && exec "$@"`, "sh", persona(t, args[0])},
			append(args[1:], "/bin/sh", "-c", `[ -e /proc/1 ] && exit 1; ( : & ); trap 'exit 9' USR1; echo ready; while :; do sleep 0.01; done`)...)...)
		s.expect("ready")
		eventually(t, "the orphan is reaped", func() bool { return len(children(s.pid)) == 1 })
		s.signal(unix.SIGUSR1)
		s.wantCode(9)
		if text := s.stderr.String(); strings.Contains(text, "system call failed") {
			t.Errorf("%s: %s", args[0], text)
		}
	}
}
