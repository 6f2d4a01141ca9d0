package test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What the command tells of itself by sd_notify, with the built binary. $TELL is a program
// that sends its arguments.

// telltale launches reaper with a script that tells of itself.
func telltale(t *testing.T, at place, env []string, options, script string) *session {
	t.Helper()
	args := append(strings.Fields("-v --restart-delay 0 "+options), "--", "sh", "-c", script)
	return launch(t, at, func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), "TELL="+probeBin+" tell")
		cmd.Env = append(cmd.Env, env...)
	}, args...)
}

// manager is a service manager that only listens.
type manager struct {
	t       *testing.T
	conn    *net.UnixConn
	address string
}

func newManager(t *testing.T) manager {
	t.Helper()
	address := filepath.Join(t.TempDir(), "manager")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return manager{t, conn, address}
}

// next is the next message, with a space for the end of a line.
func (m manager) next() string {
	m.t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		m.t.Fatal(err)
	}
	text := make([]byte, 4096)
	n, err := m.conn.Read(text)
	if err != nil {
		m.t.Fatalf("nothing came: %v", err)
	}
	return strings.ReplaceAll(string(text[:n]), "\n", " ")
}

// It is ready when it says so, and the service manager hears of it, but not of an end
// that is none.
func TestNotify(t *testing.T) {
	inEach(t, allPlaces, func(t *testing.T, at place) {
		m := newManager(t)
		s := telltale(t, at, []string{"NOTIFY_SOCKET=" + m.address}, "--type notify --start-timeout 1h --restart on-failure",
			`echo $NOTIFY_SOCKET; trap '$TELL STOPPING=1; exit 0' TERM
			$TELL STATUS=warming; $TELL READY=1; $TELL STOPPING=1; $TELL STATUS=on
			read line || while :; do sleep 0.05; done; exit 3`)
		socket := s.expect("")
		for life := range 2 {
			for _, want := range []string{"STATUS=warming", "READY=1", "STATUS=on"} {
				if got := m.next(); got != want {
					t.Errorf("the manager gets %q, want %q", got, want)
				}
			}
			if life == 0 { // the next finds its end
				if _, err := s.stdin.Write([]byte("\n")); err != nil {
					t.Fatal(err)
				}
				s.stdin.Close()
			}
		}
		s.signal(unix.SIGTERM)
		if got := m.next(); got != "STOPPING=1" {
			t.Errorf("the manager gets %q", got)
		}
		s.wantCode(0)
		s.stderr.awaitText(t, "command is ready")
		if strings.HasPrefix(socket, "@") {
			return
		}
		if _, err := os.Stat(filepath.Dir(socket)); !at.pid1 && !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", socket, err)
		}
	})
}

// A command that is never ready is stopped, as often as it is started.
func TestNotifyNotReady(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		s := telltale(t, at, nil, "--type notify --start-timeout 0.3 --restart on-failure:2 --report fd:1", "exec sleep 1000")
		s.wantCode(124)
		if out := strings.Join(s.stdout.rest(), "\n"); !strings.Contains(out, `"restarts":1,`) {
			t.Errorf("the report is %s", out)
		}
		nobodyIsLeft(t)
	})
}

// A command that gives no sign of life gets ABRT, and one that gives some does not.
func TestNotifyWatchdog(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		s := telltale(t, at, nil, "--type notify --watchdog 0.5 --grace 60", `echo $WATCHDOG_USEC; $TELL READY=1; exec sleep 1000`)
		if got := s.expect(""); got != "500000" {
			t.Errorf("it is told of %q", got)
		}
		s.wantCode(134)
		s.stderr.awaitText(t, "no sign of life")
	})
	inPlaces(t, func(t *testing.T, at place) { // deaf to ABRT
		s := telltale(t, at, nil, "--watchdog 2 --grace 0.3", `trap "" ABRT; while :; do sleep 0.1; done`)
		s.wantCode(137)
	})
	s := telltale(t, asSubreaper, nil, "--watchdog 5", `i=0; while [ $i -lt 30 ]; do $TELL WATCHDOG=1; sleep 0.2; i=$((i+1)); done; exit 6`)
	s.wantCode(6)
}

// A watchdog of the service manager is the command's to serve.
func TestNotifyWatchdogOfManager(t *testing.T) {
	m := newManager(t)
	s := telltale(t, asSubreaper, []string{"NOTIFY_SOCKET=" + m.address, "WATCHDOG_USEC=3000000"}, "--notify",
		`echo $WATCHDOG_USEC; $TELL WATCHDOG=1`)
	if got := s.expect(""); got != "3000000" {
		t.Errorf("it is told of %q", got)
	}
	if got := m.next(); got != "WATCHDOG=1" {
		t.Errorf("the manager gets %q", got)
	}
	s.wantCode(0)
}

// The successor that the command names is the command when it has ended, and at once if
// it is nobody else's child.
func TestNotifySuccessor(t *testing.T) {
	const (
		first   = `setsid sh -c 'trap "exit 9" TERM; `
		then    = `$TELL "MAINPID=$$"; echo heir; while :; do sleep 0.05; done' & `
		adopted = `until grep -q "^PPid:[[:space:]]*$REAPER\$" /proc/$$/status; do sleep 0.01; done; `
	)
	for name, script := range map[string]string{
		"when it has ended": first + then + `read line; exit 3`,
		"at once":           `export REAPER=$PPID; ( ` + first + adopted + then + ` ); read line; sleep 1000`,
	} {
		t.Run(name, func(t *testing.T) {
			inEach(t, realPlaces, func(t *testing.T, at place) {
				s := telltale(t, at, nil, "--notify", script)
				s.expect("heir")
				s.stdin.Close()
				s.followed()
				s.signal(unix.SIGTERM)
				s.wantCode(9)
				nobodyIsLeft(t)
			})
		})
	}
}

// A command that reaper has made another user reaches the socket and is heard, also if
// reaper is not root itself.
func TestNotifyUserOption(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "only root can become another user")
	}
	for _, as := range [][]string{
		nil,
		{
			"setpriv", "--reuid=65533", "--regid=65533", "--clear-groups",
			"--inh-caps=+setuid,+setgid", "--ambient-caps=+setuid,+setgid",
		},
	} {
		args := append(as, reaperBin, "-v", "--type", "notify", "--user", "65534:65534", "--", "sh", "-c", "$TELL READY=1; id -u; read line")
		s := launchProgram(t, asSubreaper, func(cmd *exec.Cmd) {
			cmd.Env = append(os.Environ(), "TELL="+probeBin+" tell")
		}, args[0], args[1:]...)
		s.stderr.awaitText(t, "command is ready")
		s.expect("65534")
		s.stdin.Close()
		s.wait()
	}
}

// As another user the command is heard as well, and a stranger of that user is not.
func TestNotifyUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "only root can become another user")
	}
	const nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups "
	s := telltale(t, asSubreaper, nil, "--type notify", `echo $NOTIFY_SOCKET; read line; `+nobody+`$TELL STATUS=mine & wait; exec `+nobody+`sh -c '$TELL READY=1; read line'`)
	socket := s.expect("")
	stranger := exec.Command("sh", "-c", nobody+probeBin+" tell READY=1")
	stranger.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket)
	if out, err := stranger.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.stderr.awaitText(t, "of user 65534")
	if strings.Contains(s.stderr.String(), "is ready") {
		t.Errorf("believed: %s", s.stderr)
	}
	if _, err := s.stdin.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	s.stderr.awaitText(t, "command is ready")
	s.stdin.Close()
	s.wait()
}
