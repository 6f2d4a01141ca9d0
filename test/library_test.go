package test

import (
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The example of docs/library.md: as PID 1 and not, what its scripts leave behind is
// reaped. The control: without the call there is a zombie for each request.
func TestExampleOfLibrary(t *testing.T) {
	program := filepath.Join(t.TempDir(), "library")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, "../examples/library").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const requests = 20
	serve := func(t *testing.T, at place, args ...string) *session {
		t.Helper()
		s := launchProgram(t, at, nil, program, append(args, "-listen", "127.0.0.1:0", "../examples/library/script.sh")...)
		addr, ok := s.stderr.await("library: listening on ")
		if !ok {
			t.Fatalf("it does not listen: %s", s.stderr)
		}
		for range requests {
			if got := fetch(t, "http://"+addr+"/"); got != "served\n" {
				t.Errorf("got %q", got)
			}
		}
		return s
	}
	inEach(t, realPlaces, func(t *testing.T, at place) {
		s := serve(t, at)
		for range requests {
			if got, ok := s.stderr.await("library: reaped "); !ok || !strings.HasSuffix(got, ": exit 0") {
				t.Fatalf("reaped %q; %s", got, s.stderr)
			}
		}
		if n := zombies(s.pid); n != 0 {
			t.Errorf("%d zombies", n)
		}
		s.signal(unix.SIGTERM)
		s.wantCode(0)

		s = serve(t, at, "-zombies")
		eventually(t, "there is a zombie for each request", func() bool { return zombies(s.pid) == requests })
	})
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%s, %v", answer.Status, err)
	}
	return string(body)
}
