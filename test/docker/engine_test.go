package docker

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// patience is how long a test waits for an event before it gives up.
const patience = 60 * time.Second

// The images: with reaper as ENTRYPOINT, and without any. Both have busybox.
const (
	imageEntrypoint = "reaper-test/entrypoint"
	imageBare       = "reaper-test/bare"
)

var (
	dir     string // of everything that the engine has
	client  string // the docker command
	daemon  *exec.Cmd
	missing error // why there is no engine
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if missing = lookForEngine(); missing != nil {
		return m.Run() // each test skips, with the reason
	}
	if err := reap.BecomeSubreaper(); err != nil { // what containerd leaves comes here
		return fatal(err)
	}
	var err error
	if dir, err = os.MkdirTemp("", "rd"); err != nil { // short: a socket's path is
		return fatal(err)
	}
	code := 1
	if err := errors.Join(buildBinaries(), startEngine()); err != nil {
		fatal(err)
	} else if err := buildImages(); err != nil {
		fatal(err)
	} else {
		code = m.Run()
	}
	if err := errors.Join(stopEngine(), os.RemoveAll(dir)); err != nil {
		code = fatal(err)
	}
	if left, _ := reap.Descendants(); len(left) > 0 {
		code = fatal(fmt.Errorf("the tests left processes behind: %+v", left))
	}
	return code
}

func fatal(err error) int {
	fmt.Fprintln(os.Stderr, "test:", err)
	return 1
}

// lookForEngine finds what is needed to run one.
func lookForEngine() error {
	if os.Geteuid() != 0 {
		return errors.New("dockerd needs root")
	}
	for _, program := range []string{"dockerd", "containerd", "runc", "busybox"} {
		if _, err := exec.LookPath(program); err != nil {
			return err
		}
	}
	var err error
	if client, err = exec.LookPath("/usr/bin/docker"); err != nil { // that of the distribution, beside its daemon
		client, err = exec.LookPath("docker")
	}
	return err
}

// needEngine skips the test where there is none, but in CI, where there must be one.
func needEngine(t *testing.T) {
	t.Helper()
	switch {
	case missing == nil:
	case os.Getenv("CI") != "":
		t.Fatalf("may not be skipped in CI: %v", missing)
	default:
		t.Skipf("no docker engine can be run here: %v", missing)
	}
}

// buildBinaries makes reaper, and a docker-init of it for the daemon.
func buildBinaries() error {
	out, err := exec.Command("make", "-s", "-C", "../..", "build", "BIN="+filepath.Join(dir, "reaper")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return os.Symlink("reaper", filepath.Join(dir, "docker-init"))
}

func startEngine() error {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	daemon = exec.Command("dockerd", "--bridge=none", "--iptables=false", "--ip6tables=false",
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"), "--host", "unix://"+filepath.Join(dir, "sock"),
		"--init-path", filepath.Join(dir, "docker-init"))
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		daemon = nil
		return err
	}
	for deadline := time.Now().Add(patience); ; {
		if _, err = docker("info"); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("dockerd does not answer: %w\n%s", err, text)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// stopEngine ends the containers and the daemon, and waits for all that it has left.
func stopEngine() error {
	if daemon == nil {
		return nil
	}
	if ids, err := docker("ps", "-aq"); err == nil && ids != "" {
		if _, err := docker(append([]string{"rm", "-f"}, strings.Fields(ids)...)...); err != nil {
			return err
		}
	}
	err := errors.Join(daemon.Process.Signal(unix.SIGTERM), daemon.Wait())
	// The shims end by themselves; they come here when containerd does.
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		for {
			if pid, waitErr := unix.Wait4(-1, nil, unix.WNOHANG, nil); waitErr != nil || pid == 0 {
				break
			}
		}
		if procs, listErr := reap.Descendants(); listErr == nil && len(procs) == 0 {
			break
		}
		<-time.After(10 * time.Millisecond)
	}
	// Mounts that the daemon has kept would be emptied by what follows.
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if target := strings.Fields(line)[1]; strings.HasPrefix(target, dir+"/") {
			err = errors.Join(err, unix.Unmount(target, unix.MNT_DETACH))
		}
	}
	return err
}

// engineCommand is a docker command for this engine.
func engineCommand(args ...string) *exec.Cmd {
	cmd := exec.Command(client, args...)
	cmd.Env = append(os.Environ(), engineVariables()...)
	return cmd
}

func engineVariables() []string {
	return []string{
		"DOCKER_HOST=unix://" + filepath.Join(dir, "sock"), "DOCKER_CONFIG=" + filepath.Join(dir, "config"),
		"DOCKER_BUILDKIT=0", "COMPOSE_DOCKER_CLI_BUILD=0",
	}
}

// docker runs a command to its end.
func docker(args ...string) (string, error) {
	out, err := engineCommand(args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("docker %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), err
}

func mustDocker(t testing.TB, args ...string) string {
	t.Helper()
	out, err := docker(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func buildImages() error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	ctx := filepath.Join(dir, "context")
	if err := os.Mkdir(ctx, 0o755); err != nil {
		return err
	}
	for to, from := range map[string]string{"reaper": filepath.Join(dir, "reaper"), "busybox": busybox} {
		if err := copyFile(filepath.Join(ctx, to), from); err != nil {
			return err
		}
	}
	const common = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n" +
		"RUN mkdir /tmp && chmod 1777 /tmp\n"
	for image, text := range map[string]string{
		imageBare:       common,
		imageEntrypoint: common + "COPY reaper /reaper\nENTRYPOINT [\"/reaper\", \"--\"]\n",
	} {
		cmd := engineCommand("build", "--network", "none", "-t", image, "-f", "-", ctx)
		if err := os.WriteFile(filepath.Join(ctx, "Dockerfile"), []byte(text), 0o644); err != nil {
			return err
		}
		cmd.Args[len(cmd.Args)-2] = filepath.Join(ctx, "Dockerfile")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", image, err, out)
		}
	}
	return nil
}

func copyFile(to, from string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o755)
}

// A way is how reaper gets to be PID 1 of a container.
type way struct {
	name  string
	args  []string
	image string
}

var (
	entrypoint = way{"entrypoint", nil, imageEntrypoint}
	byInit     = way{"init", []string{"--init"}, imageBare}
)

func inWays(t *testing.T, run func(t *testing.T, w way)) {
	t.Helper()
	needEngine(t)
	for _, w := range []way{entrypoint, byInit} {
		t.Run(w.name, func(t *testing.T) { run(t, w) })
	}
}

// command is a docker run or create with the options and the command.
func (w way) command(verb string, options []string, command ...string) []string {
	args := append([]string{verb, "--network", "none"}, w.args...)
	return append(append(append(args, options...), w.image), command...)
}

// run runs a container to its end.
func (w way) run(t testing.TB, options []string, command ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := engineCommand(w.command("run", append([]string{"--rm"}, options...), command...)...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if runErr := cmd.Run(); runErr != nil && !errors.As(runErr, new(*exec.ExitError)) {
		t.Fatal(runErr)
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

// A container that runs.
type container struct {
	t   testing.TB
	id  string
	pid int // of its PID 1, here
}

// start starts a container whose command says that it is ready.
func (w way) start(t testing.TB, options []string, command ...string) container {
	t.Helper()
	c := container{t: t, id: mustDocker(t, w.command("run", append([]string{"-d"}, options...), command...)...)}
	t.Cleanup(func() { mustDocker(t, "rm", "-f", c.id) })
	c.awaitLog("ready")
	var err error
	if c.pid, err = strconv.Atoi(c.inspect("{{.State.Pid}}")); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c container) inspect(format string) string {
	c.t.Helper()
	return mustDocker(c.t, "inspect", "-f", format, c.id)
}

func (c container) log() string {
	out, _ := docker("logs", c.id)
	return out
}

func (c container) awaitLog(text string) {
	c.t.Helper()
	eventually(c.t, "the container says "+text, func() bool { return strings.Contains(c.log(), text) }, c.log)
}

// wantCode waits for the end.
func (c container) wantCode(code int) {
	c.t.Helper()
	if got := mustDocker(c.t, "wait", c.id); got != strconv.Itoa(code) {
		c.t.Errorf("exit code %s, want %d\n%s", got, code, c.log())
	}
}

// eventually waits until the condition holds; the texts are told if it does not.
func eventually(t testing.TB, what string, holds func() bool, texts ...func() string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			for _, text := range texts {
				what += "\n" + text()
			}
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// children are the processes whose parent is pid, as seen from outside.
func children(pid int) (found []reap.Proc) {
	procs, _ := reap.Procs()
	for _, p := range procs {
		if p.PPID == pid {
			found = append(found, p)
		}
	}
	return found
}

// zombies counts those of them that have exited.
func zombies(pid int) (n int) {
	for _, p := range children(pid) {
		if p.Zombie() {
			n++
		}
	}
	return n
}
