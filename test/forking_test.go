package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Daemons that fork themselves away, with the built binary. daemon is one of them, in a
// session of its own, which tells its pid as reaper knows it.
const daemon = `( setsid $PROBE obey 7 & )`

// fork launches reaper with a script that leaves daemons. $FIFO is a pipe that is never
// written to, $PIDFILE a name for a file, $PROBE the program of test/probe.
func fork(t *testing.T, at place, options, script string) *session {
	t.Helper()
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	pidfile := filepath.Join(dir, "pid")
	options = strings.ReplaceAll(options, "$PIDFILE", pidfile)
	args := append(strings.Fields("-v --type forking --restart-delay 0 "+options), "--", "sh", "-c", script)
	return launch(t, at, func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), "FIFO="+fifo, "PIDFILE="+pidfile, "PROBE="+probeBin)
	}, args...)
}

// followed waits until reaper says that it follows the daemon.
func (s *session) followed() {
	s.t.Helper()
	for {
		line, ok := s.stderr.await("")
		if !ok {
			s.t.Fatalf("%s follows nobody\nstdout: %s\nstderr: %s", s.cmd, s.stdout, s.stderr)
		}
		if strings.Contains(line, "following another process") {
			return
		}
	}
}

// goOn gives the command the line that it waits for.
func (s *session) goOn() {
	s.t.Helper()
	if _, err := s.stdin.Write([]byte("x\n")); err != nil {
		s.t.Fatal(err)
	}
}

// outerPID is a process below reaper as it is seen from here.
func (s *session) outerPID(inner string) int {
	s.t.Helper()
	n, err := strconv.Atoi(inner)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range descendants(s.pid) {
		status, _ := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/status")
		_, rest, _ := strings.Cut(string(status), "\nNSpid:")
		line, _, _ := strings.Cut(rest, "\n")
		if numbers := strings.Fields(line); len(numbers) > 0 && numbers[len(numbers)-1] == strconv.Itoa(n) {
			return p.PID
		}
	}
	s.t.Fatalf("no process %d below %d:\n%s", n, s.pid, table(s.pid))
	return 0
}

// The daemon is the command: signals go to it, its end is the end, and its status comes
// out, though it is nobody's child who started it.
func TestForking(t *testing.T) {
	inEach(t, allPlaces, func(t *testing.T, at place) {
		s := fork(t, at, "", daemon)
		s.expect("daemon ")
		s.followed()
		s.signal(unix.SIGHUP)
		s.expect("hup")
		s.signal(unix.SIGTERM)
		s.wantCode(7)
		nobodyIsLeft(t)
	})
}

// What comes while the program that leaves the daemon still runs is for the daemon: it
// waits for it, and does not end the program. Where the program fails it is forgotten.
func TestForkingEarlySignals(t *testing.T) {
	hear := func(s *session, sigs ...unix.Signal) {
		s.expect("starting")
		for _, sig := range append(sigs, unix.SIGCONT) {
			s.signal(sig)
		}
		s.stderr.awaitText(s.t, "signal forwarded") // CONT, which is for the program
	}
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s := fork(t, at, "-v", "echo starting; read x; "+daemon+"; read x")
		hear(s, unix.SIGHUP, unix.SIGWINCH)
		s.goOn()
		s.expect("daemon ")
		s.goOn()
		s.followed()
		s.expect("hup")
		s.signal(unix.SIGTERM)
		s.wantCode(7)
		if out := s.stdout.rest(); len(out) != 4 { // starting, daemon, hup, term
			t.Errorf("stdout %q", out)
		}
		nobodyIsLeft(t)
	})
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s := fork(t, at, "-v --restart on-failure", `if ! [ -e "$PIDFILE" ]; then : >"$PIDFILE"; echo starting; read x; exit 3; fi; `+daemon+"; read x")
		hear(s, unix.SIGUSR1) // which would end the daemon
		s.goOn()
		s.expect("daemon ")
		s.goOn()
		s.followed()
		s.signal(unix.SIGTERM)
		s.wantCode(7)
		if out := s.stdout.rest(); len(out) != 3 { // starting, daemon, term
			t.Errorf("stdout %q", out)
		}
		nobodyIsLeft(t)
	})
}

// It need not be asked: whatever ends it, that is known.
func TestForkingStatus(t *testing.T) {
	for sig, code := range map[unix.Signal]int{unix.SIGKILL: 137, unix.SIGTERM: 143, unix.SIGSEGV: 139} {
		inEach(t, realPlaces, func(t *testing.T, at place) {
			s := fork(t, at, "", `( setsid sh -c 'echo daemon $$; exec sleep 1000' & )`)
			pid := s.outerPID(s.expect("daemon "))
			s.followed()
			unix.Kill(pid, sig)
			s.wantCode(code)
		})
	}
}

// A daemon that is killed comes back, with another pid, and is followed again.
func TestForkingRestart(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s := fork(t, at, "--restart on-failure --pidfile $PIDFILE", `( setsid sh -c 'echo $$ >"$PIDFILE"; echo daemon $$; exec sleep 1000' & )
			while ! [ -s "$PIDFILE" ]; do sleep 0.01; done`)
		seen := make(map[string]bool)
		for range 5 {
			inner := s.expect("daemon ")
			if seen[inner] {
				t.Errorf("pid %s again", inner)
			}
			seen[inner] = true
			s.followed()
			unix.Kill(s.outerPID(inner), unix.SIGKILL)
		}
		s.expect("daemon ")
		s.followed()
		s.signal(unix.SIGTERM)
		s.wantCode(143)
		nobodyIsLeft(t)
	})
}

// A program that fails has left no daemon, whatever it has left.
func TestForkingFails(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		s := fork(t, at, "", daemon+"; exit 4")
		s.wantCode(4)
		nobodyIsLeft(t)
	})
	inPlaces(t, func(t *testing.T, at place) {
		s := fork(t, at, "--restart on-failure:3", "echo try; exit 4")
		s.wantCode(4)
		if out := s.stdout.rest(); len(out) != 3 {
			t.Errorf("stdout %q", out)
		}
	})
}

// Nobody is left, or nobody knows who it is.
func TestForkingNotFound(t *testing.T) {
	const two = daemon + "; " + daemon
	for _, test := range []struct {
		name, options, script, says string
		code                        int
	}{
		{"nobody", "", "exit 0", "the command left no process", 125},
		{"two", "", two, "one of 2 processes, and no pid file tells which", 125},
		{"no pid file", "--pidfile $PIDFILE --start-timeout 0.3", daemon, "not ready in time", 124},
		{"nobody, and a pid file", "--pidfile $PIDFILE", "echo 1 >$PIDFILE", "the command left no process", 125},
		{"a daemon that fails at once", "", "( setsid sh -c 'exit 9' & ); sleep 0.5", "daemon ended before it could be followed", 9},
		{"not a number", "--pidfile $PIDFILE", daemon + "; echo 12x >$PIDFILE", `\"12x\" is not a pid`, 125},
		{"a directory", "--pidfile $PIDFILE", daemon + "; mkdir $PIDFILE", "it is not a regular file", 125},
		{"a pipe", "--pidfile $PIDFILE", daemon + "; mkfifo $PIDFILE", "it is not a regular file", 125},
		{"too long", "--pidfile $PIDFILE", daemon + "; head -c 5000 /dev/zero >$PIDFILE", "it is longer than 4096 bytes", 125},
		{"a link of anybody", "--pidfile $PIDFILE", daemon + `; d=${PIDFILE%/*}; echo 12 >$d/real; chmod 1777 $d; ln -s real $PIDFILE`, "is a symbolic link in a directory in which everybody can write", 125},
		{"somebody else", "--pidfile $PIDFILE --start-timeout 2", daemon + "; echo $PPID >$PIDFILE", "it is not one that the command has left", 124},
		{"a link", "--pidfile $PIDFILE --time-limit 2", daemon + `; d=${PIDFILE%/*}; echo 1 >$d/real; ln -s real $PIDFILE`, "it is not one that the command has left", 124},
	} {
		t.Run(test.name, func(t *testing.T) {
			inEach(t, realPlaces, func(t *testing.T, at place) {
				s := fork(t, at, test.options, test.script)
				s.wantCode(test.code)
				if log := strings.Join(s.stderr.rest(), "\n"); !strings.Contains(log, test.says) {
					t.Errorf("the log does not say %q:\n%s", test.says, log)
				}
				nobodyIsLeft(t)
			})
		})
	}
}

// The pid file tells which of several it is, when it comes late too, and the others are
// leftovers.
func TestForkingPIDFile(t *testing.T) {
	inEach(t, allPlaces, func(t *testing.T, at place) {
		s := fork(t, at, "--pidfile $PIDFILE", `( setsid sleep 1000 & ); ( setsid sleep 1000 & )
			( setsid sh -c 'sleep 0.5; echo $$ >"$PIDFILE"; exec $PROBE obey 8' & )`)
		s.expect("daemon ")
		s.followed()
		s.signal(unix.SIGTERM)
		s.wantCode(8)
		nobodyIsLeft(t)
	})
}

// A pid file from before is not believed, even if it names a process that reaper has
// adopted since.
func TestForkingStalePIDFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pid")
	// reaper adopts a child that was there before: its number is in the file.
	s := launchProgram(t, asSubreaper, nil, "sh", "-c",
		`sleep 1000 & echo $! >"$1"; exec "$2" -v --type forking --pidfile "$1" --start-timeout 2 -- sh -c "( setsid sleep 1000 & )"`,
		"sh", file, reaperBin)
	s.wantCode(124)
	if log := strings.Join(s.stderr.rest(), "\n"); !strings.Contains(log, "it was written before the command was started") {
		t.Errorf("stderr %s", log)
	}
	nobodyIsLeft(t)
}

// Who was there before the command is not its daemon.
func TestForkingBesideOthers(t *testing.T) {
	s := launchProgram(t, asSubreaper, nil, "sh", "-c",
		`sleep 1000 & exec "$1" -v --type forking -- sh -c "( setsid sh -c 'echo daemon; exec sleep 1000' & )"`, "sh", reaperBin)
	s.expect("daemon")
	s.followed()
	s.signal(unix.SIGTERM)
	s.wantCode(143)
	nobodyIsLeft(t)
}

// Between the program and its daemon there is one more, which is slow to end, or to
// start the daemon: then it is followed itself for a while.
func TestForkingSlowMiddle(t *testing.T) {
	inner := strings.ReplaceAll(daemon, "'", `'\''`)
	for name, follow := range map[string]func(t *testing.T, at place) *session{
		"slow to end": func(t *testing.T, at place) *session {
			s := fork(t, at, "", "( setsid sh -c '"+inner+"; sleep 0.3' & ); read x")
			s.expect("daemon ")
			s.goOn()
			return s
		},
		"slow to start it": func(t *testing.T, at place) *session {
			s := fork(t, at, "", "exec 3<&0; ( setsid sh -c 'read x <&3; "+inner+"' & )")
			s.followed()
			s.goOn()
			s.expect("daemon ")
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			inEach(t, realPlaces, func(t *testing.T, at place) {
				s := follow(t, at)
				s.followed()
				s.signal(unix.SIGHUP)
				s.expect("hup")
				s.signal(unix.SIGTERM)
				s.wantCode(7)
				nobodyIsLeft(t)
			})
		})
	}
}

// A daemon that executes its successor and exits is followed by that, by its pid file.
func TestForkingSuccessor(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s := fork(t, at, "--pidfile $PIDFILE", `cat >"${PIDFILE%/*}/old" <<'END'
trap upgrade=1 USR2; echo $$ >"$PIDFILE"; echo daemon $$
while [ -z "$upgrade" ]; do sleep 0.02; done
sh -c 'echo $$ >"$PIDFILE"; exec $PROBE obey 5' &
while [ "$(cat "$PIDFILE")" = $$ ]; do sleep 0.01; done
sleep 2 # longer than what counts as a middle one
END
			( setsid sh "${PIDFILE%/*}/old" & ); while ! [ -s "$PIDFILE" ]; do sleep 0.01; done`)
		s.expect("daemon ")
		s.followed()
		s.signal(unix.SIGUSR2)
		s.expect("daemon ")
		s.followed()
		s.signal(unix.SIGTERM)
		s.wantCode(5)
		nobodyIsLeft(t)
	})
}

// Workers are the daemon's children: they are not it, and are leftovers when it is killed.
func TestForkingWorkers(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s := fork(t, at, "--restart on-abnormal", `( setsid sh -c 'sleep 1000 & sleep 1000 & echo daemon $$; wait' & )`)
		for range 3 {
			inner := s.expect("daemon ")
			s.followed()
			unix.Kill(s.outerPID(inner), unix.SIGKILL)
		}
		s.expect("daemon ")
		s.followed()
		if n := len(descendants(s.pid)); n != 3 {
			t.Errorf("%d processes:\n%s", n, table(s.pid))
		}
		s.signal(unix.SIGTERM)
		s.wantCode(143)
		nobodyIsLeft(t)
	})
}

// With --group the group of the daemon gets the signals, which has another number than
// the daemon.
func TestForkingGroup(t *testing.T) {
	s := fork(t, asSubreaper, "--group", `( setsid sh -c '$PROBE obey 6 & exit 0' & )`)
	s.expect("daemon ")
	s.followed()
	s.signal(unix.SIGTERM)
	s.expect("term")
	s.wantCode(6)
	nobodyIsLeft(t)
}

// A request to stop before the daemon is known stops it too.
func TestForkingStopEarly(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		for range 5 {
			s := fork(t, at, "--pidfile $PIDFILE", `echo started; `+daemon)
			s.expect("started")
			s.signal(unix.SIGTERM)
			s.wait()
			nobodyIsLeft(t)
		}
	})
}

// A launcher that hangs is stopped when the time is over, and killed if it is deaf.
func TestForkingStartTimeout(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s := fork(t, at, "--start-timeout 1 --grace 0.2 --restart on-failure:2 --report fd:1", `trap "" TERM; read x <"$FIFO"`)
		s.wantCode(124)
		if out := strings.Join(s.stdout.rest(), "\n"); !strings.Contains(out, `"restarts":1,`) {
			t.Errorf("the report is %s", out)
		}
	})
}

// Without /proc the daemon is known all the same.
func TestForkingNoProc(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "only root can unmount /proc in a namespace")
	}
	s := launchProgram(t, asSubreaper, func(cmd *exec.Cmd) {
		cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS
	}, "sh", "-c", `umount -l /proc && exec "$1" -v --type forking -- sh -c "( setsid sh -c 'echo daemon; exec sleep 1000' & )"`, "sh", reaperBin)
	s.expect("daemon")
	s.followed()
	s.signal(unix.SIGTERM)
	s.wantCode(143)
	nobodyIsLeft(t)
}

// A command of the default type that goes on in the background is told what to do, and
// one that has worked for a while is not.
func TestForkingHint(t *testing.T) {
	const hint = "use --type forking"
	for script, want := range map[string]bool{
		`( setsid sleep 1000 & )`:         true,
		`( setsid sleep 1000 & ); exit 3`: false,
		`( sleep 1000 & ); sleep 2.1`:     false,
		`( : & )`:                         false,
	} {
		s := launch(t, asSubreaper, nil, "--", "sh", "-c", script)
		s.wait()
		if got := strings.Contains(strings.Join(s.stderr.rest(), "\n"), hint); got != want {
			t.Errorf("%s: the hint: %v, want %v\n%s", script, got, want, s.stderr)
		}
	}
}
