package docker

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// There is no network in these tests, so the images that the example starts from are
// made of what this machine has.
func standIns(t *testing.T) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	run := func(name string, args ...string) string {
		cmd := exec.Command(name, args...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", cmd, err)
		}
		return strings.TrimSpace(string(out))
	}
	mkdir := func(path string) string {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	makeBin, err := exec.LookPath("make")
	if err != nil {
		t.Fatal(err)
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	// make and what it is linked with, at the places where the loader looks.
	files := []string{makeBin}
	for word := range strings.FieldsSeq(run("ldd", makeBin)) {
		if strings.HasPrefix(word, "/") {
			files = append(files, word)
		}
	}
	for _, file := range files {
		if err := copyFile(filepath.Join(mkdir(filepath.Dir(file)), filepath.Base(file)), file); err != nil {
			t.Fatal(err)
		}
	}
	run(busybox, "--install", "-s", mkdir("bin"))
	if err := copyFile(filepath.Join(root, busybox), busybox); err != nil {
		t.Fatal(err)
	}
	mkdir("tmp")
	mkdir("root")
	run("cp", "-a", run("go", "env", "GOROOT"), filepath.Join(mkdir("usr/local"), "go"))
	// The modules that are needed, as a proxy has them.
	run("cp", "-a", filepath.Join(run("go", "env", "GOMODCACHE"), "cache", "download"), mkdir("modules"))
	importImage(t, root, "golang:1.26", "ENV PATH=/usr/local/go/bin:"+filepath.Dir(makeBin)+":/bin:/usr/bin",
		"ENV GOPROXY=file:///modules/download", "ENV GOSUMDB=off", "ENV GOTOOLCHAIN=local", "ENV GOFLAGS=-p="+fmt.Sprint(runtime.NumCPU()))

	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.MkdirAll(filepath.Join(plain, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(plain, "etc/passwd"), []byte("nonroot:x:65532:65532::/:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	importImage(t, plain, "gcr.io/distroless/static-debian12")
}

func importImage(t *testing.T, root, name string, changes ...string) {
	t.Helper()
	args := []string{"import"}
	for _, change := range changes {
		args = append(args, "-c", change)
	}
	tar, docker := exec.Command("tar", "-C", root, "-c", "."), engineCommand(append(args, "-", name)...)
	pipe, err := tar.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	docker.Stdin = pipe
	if err := tar.Start(); err != nil {
		t.Fatal(err)
	}
	if out, err := docker.CombinedOutput(); err != nil {
		t.Fatalf("import %s: %v\n%s", name, err, out)
	}
	if err := tar.Wait(); err != nil {
		t.Fatal(err)
	}
}

// The Dockerfile and the compose file of the examples do what they say.
func TestExamples(t *testing.T) {
	needEngine(t)
	composer, err := exec.LookPath("docker-compose")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("may not be skipped in CI: %v", err)
		}
		t.Skip(err)
	}
	standIns(t)
	source := filepath.Join(t.TempDir(), "source") // as a fresh clone has it
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	copied := exec.Command("sh", "-c", `git -C ../.. ls-files -z --cached --others --exclude-standard | tar -C ../.. --null -T - -c | tar -x -C "$0"`, source)
	if out, err := copied.CombinedOutput(); err != nil {
		t.Fatalf("copy the source: %v\n%s", err, out)
	}
	for _, target := range []string{"distroless", ""} {
		args := []string{"build", "--network", "none", "-f", filepath.Join(source, "examples/docker/Dockerfile"), "-t", "hello"}
		if target != "" {
			args = append(args, "--target", target)
		}
		mustDocker(t, append(args, source)...)
		k := container{t: t, id: mustDocker(t, "run", "-d", "--network", "none", "hello")}
		t.Cleanup(func() { mustDocker(t, "rm", "-f", k.id) })
		k.awaitLog("hello: listening")
		mustDocker(t, "stop", "-t", "50", k.id)
		k.wantCode(0)
		if log := k.log(); !strings.Contains(log, "hello: stopped") || !strings.Contains(log, "helper: stopped") {
			t.Errorf("%s", log)
		}
	}
	t.Run("compose", func(t *testing.T) { compose(t, composer, source) })
}

// compose brings the service up and down. The network of the machine stands in for
// the one that the tests do not have.
func compose(t *testing.T, composer, source string) {
	port := freePort(t)
	other := filepath.Join(t.TempDir(), "other.yaml")
	text := fmt.Sprintf("services:\n  hello:\n    image: hello\n    network_mode: host\n    command: [/hello, -listen, '127.0.0.1:%d']\n", port)
	if err := os.WriteFile(other, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	// What is published and what is the machine's network exclude each other.
	file := filepath.Join(source, "examples/docker/compose.yaml")
	service, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	ports := []byte("    ports:\n      - \"127.0.0.1:8080:8080\"\n")
	if !bytes.Contains(service, ports) {
		t.Fatal("the ports are not where they were")
	}
	if err := os.WriteFile(file, bytes.Replace(service, ports, nil, 1), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(composer, append([]string{"-p", "example", "-f", file, "-f", other}, args...)...)
		cmd.Env = append(os.Environ(), engineVariables()...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		return string(out)
	}
	run("up", "-d", "--no-build")
	defer run("down")
	var answer string
	eventually(t, "it answers", func() bool {
		resp, err := (&http.Client{Timeout: time.Second}).Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		answer = string(body)
		return err == nil
	}, func() string { return run("logs") })
	if answer != "hello\n" {
		t.Errorf("%q", answer)
	}
	run("stop")
	if log := run("logs"); !strings.Contains(log, "hello: stopped") || !strings.Contains(log, "helper: stopped") {
		t.Errorf("%s", log)
	}
	if code := mustDocker(t, "inspect", "-f", "{{.State.ExitCode}}", strings.Fields(run("ps", "-q"))[0]); code != "0" {
		t.Errorf("exit code %s\n%s", code, run("logs"))
	}
}

// freePort is one that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
