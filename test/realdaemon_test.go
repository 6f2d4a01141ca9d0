package test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// A realDaemon is a program of Debian's that forks itself away. $DIR and $PORT in what
// stands here are a directory of the test's and a port that was free.
type realDaemon struct {
	args    string            // the command line
	files   map[string]string // what it reads, in $DIR
	pidfile string            // where it writes its pid
	serves  func(t *testing.T, port string) (answer string, err error)
	reload  func(t *testing.T, s *session, d *realDaemon) // has it read its configuration again
	bad     string                                        // a command line with which it fails
	stopped reap.Status                                   // what TERM makes of it
	private bool                                          // it needs a /run of its own

	port, dir string
}

func (d *realDaemon) expand(text string) string {
	return os.Expand(text, func(name string) string {
		return map[string]string{"DIR": d.dir, "PORT": d.port}[name]
	})
}

var realDaemons = map[string]realDaemon{
	"nginx": {
		args: "nginx -e stderr -c $DIR/nginx.conf", pidfile: "$DIR/pid",
		files: map[string]string{"nginx.conf": `user root; pid $DIR/pid; error_log stderr warn;
			events { worker_connections 64; }
			http { access_log off; client_body_temp_path $DIR/body; proxy_temp_path $DIR/proxy;
			fastcgi_temp_path $DIR/fastcgi; uwsgi_temp_path $DIR/uwsgi; scgi_temp_path $DIR/scgi;
			server { listen 127.0.0.1:$PORT; location / { return 200 "first\n"; } } }`},
		serves: httpAnswer,
		reload: func(t *testing.T, s *session, d *realDaemon) {
			t.Helper()
			d.write(t, "nginx.conf", strings.ReplaceAll(d.files["nginx.conf"], "first", "second"))
			s.signal(unix.SIGHUP)
			eventually(t, "it answers by its new configuration", func() bool {
				answer, _ := httpAnswer(t, d.port)
				return answer == "second\n"
			})
		},
		bad: "nginx -e stderr -c $DIR/missing.conf",
	},
	"redis-server": {
		args:    "redis-server --daemonize yes --bind 127.0.0.1 --port $PORT --dir $DIR --pidfile $DIR/pid --logfile $DIR/log --save ''",
		pidfile: "$DIR/pid",
		serves:  func(t *testing.T, port string) (string, error) { return lineAnswer(t, port, "PING") },
		bad:     "redis-server $DIR/missing.conf",
	},
	"memcached": {
		args: "memcached -d -u root -l 127.0.0.1 -p $PORT -P $DIR/pid", pidfile: "$DIR/pid",
		serves: func(t *testing.T, port string) (string, error) { return lineAnswer(t, port, "version") },
		bad:    "memcached -d -u no-such-user -l 127.0.0.1 -p $PORT",
	},
	"dnsmasq": {
		args: "dnsmasq --conf-file=/dev/null --user=root --port=$PORT --listen-address=127.0.0.1 --bind-interfaces" +
			" --no-resolv --no-hosts --addn-hosts=$DIR/hosts --pid-file=$DIR/pid --log-facility=$DIR/log",
		files: map[string]string{"hosts": "192.0.2.1 host.test\n"}, pidfile: "$DIR/pid",
		serves: dnsAnswer,
		reload: func(t *testing.T, s *session, d *realDaemon) {
			t.Helper()
			d.write(t, "hosts", "192.0.2.2 host.test\n")
			s.signal(unix.SIGHUP)
			eventually(t, "it answers by its new configuration", func() bool {
				answer, _ := dnsAnswer(t, d.port)
				return answer == "192.0.2.2"
			})
		},
		bad: "dnsmasq --conf-file=$DIR/missing.conf",
	},
	"haproxy": {
		args: "haproxy -D -f $DIR/haproxy.cfg -p $DIR/pid", pidfile: "$DIR/pid",
		files: map[string]string{"haproxy.cfg": `
defaults
  mode http
  timeout connect 1s
  timeout client 1s
  timeout server 1s
frontend front
  bind 127.0.0.1:$PORT
  monitor-uri /
`},
		serves:  httpAnswer,
		bad:     "haproxy -D -f $DIR/missing.cfg",
		stopped: reap.SignalStatus(unix.SIGTERM),
	},
	"cron": {
		args: "cron", pidfile: "/run/crond.pid", private: true,
		bad:     "cron --no-such-option",
		stopped: reap.SignalStatus(unix.SIGTERM),
	},
}

func httpAnswer(t *testing.T, port string) (string, error) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://127.0.0.1:" + port + "/")
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %s", answer.Status)
	}
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

func lineAnswer(t *testing.T, port, question string) (string, error) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, patience)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "%s\r\n", question); err != nil {
		return "", err
	}
	return bufio.NewReader(conn).ReadString('\n')
}

func dnsAnswer(t *testing.T, port string) (string, error) {
	t.Helper()
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", "127.0.0.1:"+port)
	}}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	addresses, err := resolver.LookupHost(ctx, "host.test.")
	return strings.Join(addresses, " "), err
}

func (d *realDaemon) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(d.expand(text)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// prepare finds a directory and a port, and writes the files.
func (d *realDaemon) prepare(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath(strings.Fields(d.args)[0]); err != nil {
		cannot(t, "it is not installed: %v", err)
	}
	if os.Geteuid() != 0 {
		cannot(t, "it is started as root")
	}
	d.dir = t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, d.port, err = net.SplitHostPort(listener.Addr().String())
	listener.Close()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range d.files {
		d.write(t, name, text)
	}
}

// launch starts the command line, by reaper with the options or, without any, alone.
func (d *realDaemon) launch(t *testing.T, line string, options ...string) *session {
	t.Helper()
	words := strings.Fields(d.expand(line))
	for i, word := range words {
		words[i] = strings.Trim(word, "'")
	}
	if len(options) > 0 {
		words = slices.Concat([]string{reaperBin}, options, []string{"--"}, words)
	}
	prepare := func(*exec.Cmd) {}
	if d.private {
		prepare = func(cmd *exec.Cmd) { cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS }
		words = append([]string{"sh", "-c", `mount -t tmpfs none /run && exec "$@"`, "sh"}, words...)
	}
	return launchProgram(t, asSubreaper, prepare, words[0], words[1:]...)
}

// runs waits until reaper has one child, which is none of those before, serves, and
// returns its pid.
func (d *realDaemon) runs(t *testing.T, s *session, before ...int) int {
	t.Helper()
	var pid int
	eventually(t, "the daemon is reaper's only child", func() bool {
		all := children(s.pid)
		if len(all) != 1 || all[0].Name != commandName(d.args) || slices.Contains(before, all[0].PID) {
			return false
		}
		pid = all[0].PID
		return true
	})
	if d.serves != nil {
		eventually(t, "it serves", func() bool {
			_, err := d.serves(t, d.port)
			return err == nil
		})
	}
	return pid
}

func commandName(line string) string {
	name, _, _ := strings.Cut(line, " ")
	return name
}

// recipe is the options that docs/daemons.md has for a daemon, with its pid file where
// the test has it.
func (d *realDaemon) recipe(t *testing.T, name string) []string {
	t.Helper()
	for line := range strings.Lines(readFile(t, "../docs/daemons.md")) {
		options, command, found := strings.Cut(line, " -- ")
		if words := strings.Fields(options); found && words[0] == "reaper" && commandName(strings.TrimSpace(command)) == name {
			if i := slices.Index(words, "--pidfile"); i >= 0 {
				words[i+1] = d.expand(d.pidfile)
			}
			return words[1:]
		}
	}
	t.Fatalf("docs/daemons.md has no recipe for %s", name)
	return nil
}

// Daemons as they are: each forks itself away, is followed, comes back when it is
// killed, gets its signals, and leaves nothing behind.
func TestRealDaemon(t *testing.T) {
	for name, d := range realDaemons {
		for _, way := range []string{"pidfile", "only child", "recipe"} {
			t.Run(name+"/"+way, func(t *testing.T) {
				d := d // a copy: each has its own directory and port
				d.prepare(t)
				options := []string{"-v", "--type", "forking", "--restart", "on-failure", "--restart-delay", "10ms", "--start-timeout", "60s"}
				switch way {
				case "pidfile":
					options = append(options, "--pidfile", d.expand(d.pidfile))
				case "recipe":
					options = append([]string{"-v"}, d.recipe(t, name)...)
				}
				s := d.launch(t, d.args, options...)
				s.followed()
				first := d.runs(t, s)
				if err := unix.Kill(first, unix.SIGKILL); err != nil {
					t.Fatal(err)
				}
				s.followed()
				d.runs(t, s, first)
				if d.reload != nil {
					d.reload(t, s, &d)
				}
				s.signal(unix.SIGTERM)
				if got := s.wait(); got != d.stopped && got != reap.ExitStatus(128+int(d.stopped.Signal())) {
					t.Errorf("got %v, want %v\nstderr: %s", got, d.stopped, s.stderr)
				}
				nobodyIsLeft(t)
			})
		}
	}
}

// One that is configured wrongly fails with its own exit code and last lines.
func TestRealDaemonFails(t *testing.T) {
	for name, d := range realDaemons {
		t.Run(name, func(t *testing.T) {
			d := d
			d.prepare(t)
			want := d.launch(t, d.bad)
			got := d.launch(t, d.bad, "--type", "forking", "--restart", "on-failure:3", "--restart-delay", "1ms")
			if want.wait(); want.status.Code() <= 0 {
				t.Fatalf("alone: %v", want.status)
			}
			got.wantCode(want.status.Code())
			said := append(want.stderr.rest(), want.stdout.rest()...)
			last := withoutNumbers(said[len(said)-1])
			all := append(got.stderr.rest(), got.stdout.rest()...)
			if n := len(slices.DeleteFunc(all, func(line string) bool { return withoutNumbers(line) != last })); n != 3 {
				t.Errorf("%q came %d times in 3 attempts\nstderr: %s", last, n, got.stderr)
			}
			nobodyIsLeft(t)
		})
	}
}

// withoutNumbers is a line without what changes from run to run: times and pids.
func withoutNumbers(line string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, line)
}
