package test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Health checks, with the built binary. $OK is a file that is there as long as all is well.

// ailing launches reaper with a command that a file makes ill.
func ailing(t *testing.T, at place, options, script string) (s *session, ok string) {
	t.Helper()
	ok = filepath.Join(t.TempDir(), "ok")
	writeFile(t, ok, "", 0o644)
	options = strings.ReplaceAll(options, "$OK", ok)
	args := append(strings.Fields("-vv --restart-delay 0 --health-interval 50ms --health-retries 2 "+options), "--", "sh", "-c", script)
	s = launch(t, at, func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), "OK="+ok) }, args...)
	return s, ok
}

// A command that becomes unhealthy is stopped and started again.
func TestHealthRestart(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s, ok := ailing(t, at, "--restart on-failure --health-cmd test${IFS}-e${IFS}$OK", `trap 'exit 0' TERM; touch $OK; echo run; while :; do sleep 0.05; done`)
		for range 3 {
			s.expect("run")
			s.stderr.awaitText(t, "command is ready")
			if err := os.Remove(ok); err != nil {
				t.Fatal(err)
			}
		}
		s.expect("run")
		s.stderr.awaitText(t, "command is unhealthy")
		s.signal(unix.SIGTERM)
		s.wantCode(0)
		if log := s.stderr.String(); strings.Contains(log, "orphan reaped") {
			t.Errorf("a probe counts as an orphan: %s", log)
		}
		nobodyIsLeft(t)
	})
}

// Where it is not to be started again, or only told of.
func TestHealthAction(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		s, _ := ailing(t, at, "--health-interval 300ms --health-cmd false", `trap 'exit 0' TERM; while :; do sleep 0.05; done`)
		s.wantCode(1) // though it ended well
		s, _ = ailing(t, at, "--health-interval 300ms --health-cmd false", `trap 'exit 4' TERM; while :; do sleep 0.05; done`)
		s.wantCode(4)
		s, _ = ailing(t, at, "--health-cmd false --health-action report", `exec sleep 1000`)
		s.stderr.awaitText(t, "command is unhealthy")
		s.signal(unix.SIGTERM)
		s.wantCode(143)
	})
}

// A probe that hangs is killed with its tree, also what is in a session of its own.
func TestHealthHangs(t *testing.T) {
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s, _ := ailing(t, at, "--health-timeout 0.2 --health-action report --health-cmd setsid${IFS}sleep${IFS}1000&sleep${IFS}1001", `exec sleep 999`)
		s.stderr.awaitText(t, "command is unhealthy")
		eventually(t, "only one probe is there", func() bool { return len(descendants(s.pid)) <= 4 })
		s.signal(unix.SIGTERM)
		s.wantCode(143)
		nobodyIsLeft(t)
	})
}

// Readiness is the first success, and must come in time.
func TestHealthStartTimeout(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		s, _ := ailing(t, at, "--start-timeout 0.5 --health-cmd false", `exec sleep 1000`)
		s.wantCode(124)
		s, ok := ailing(t, at, "--start-timeout 1h --health-cmd test${IFS}-s${IFS}$OK", `echo run; exec sleep 1000`)
		s.expect("run")
		writeFile(t, ok, "x", 0o644)
		s.stderr.awaitText(t, "command is ready")
		s.signal(unix.SIGTERM)
		s.wantCode(143)
	})
}

// In the start period it is probed more often, and no failure counts.
func TestHealthStartInterval(t *testing.T) {
	inPlaces(t, func(t *testing.T, at place) {
		s, ok := ailing(t, at, "--health-interval 1h --health-start-period 1h --health-start-interval 20ms --health-cmd test${IFS}-s${IFS}$OK", `exec sleep 1000`)
		eventually(t, "twice as many probes as there are retries", func() bool {
			return strings.Count(s.stderr.String(), "probe ended with exit 1") >= 4
		})
		writeFile(t, ok, "x", 0o644)
		s.stderr.awaitText(t, "command is ready")
		s.signal(unix.SIGTERM)
		s.wantCode(143)
		if log := s.stderr.String(); strings.Contains(log, "command is unhealthy") {
			t.Errorf("a failure counts: %s", log)
		}
	})
}

// Over the network, and of a daemon too.
func TestHealthNetwork(t *testing.T) {
	healthy := make(chan bool, 1)
	healthy <- true
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ok := <-healthy
		healthy <- ok
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		server.Serve(listener)
	}()
	defer func() {
		server.Close()
		<-served
	}()
	address := listener.Addr().String()
	s, _ := ailing(t, asSubreaper, "--health-http http://"+address+"/healthz", `trap 'exit 5' TERM; while :; do sleep 0.05; done`)
	s.stderr.awaitText(t, "command is ready")
	<-healthy
	healthy <- false
	s.stderr.awaitText(t, "status 503")
	s.wantCode(5)

	s = launch(t, asSubreaper, nil, "-v", "--type", "forking", "--health-interval", "50ms", "--health-tcp", address, "--", "sh", "-c", "( setsid sleep 1000 & )")
	s.stderr.awaitText(t, "command is ready")
	s.signal(unix.SIGTERM)
	s.wantCode(143)
	nobodyIsLeft(t)
}
