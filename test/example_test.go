package test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The examples of docs/testing.md leak, and reaper test says so; they pass once
// they do what their authors forgot.
func TestExamplesOfTesting(t *testing.T) {
	for _, test := range []struct {
		name, dir string
		command   []string
		forgotten string
		leak      []string // regular expressions
	}{
		{"go", "go", []string{"go", "test", "-count=1", "./..."}, "STOP_SERVER=1", []string{
			`(?m)^reaper: 1 process left behind by go test -count=1 \./\.\.\.$`,
			`(?m)^  pid \d+  \S+/leaky\.test$`,
			`(?m)^    directory +\S+/examples/testing/go$`,
			`(?m)^    listens on +tcp 127\.0\.0\.1:\d+$`,
		}},
		{"pytest", "pytest", []string{pytest(), "-q", "-p", "no:cacheprovider"}, "STOP_SERVER=1", []string{
			`(?m)^  pid \d+  \S*python3\S* -c "import signal; `,
			`(?m)^    escape +orphan, a session of its own$`,
		}},
		{"shell", "shell", []string{"./test.sh"}, "STOP_AGENT=1", []string{
			`(?m)^  pid \d+  sleep 1000$`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.command[0] == "" {
				cannot(t, "no pytest on this machine")
			}
			run := func(env string) *session {
				return launch(t, asSubreaper, func(cmd *exec.Cmd) {
					cmd.Dir = "../examples/testing/" + test.dir
					cmd.Env = append(os.Environ(), env, "PYTHONDONTWRITEBYTECODE=1")
				}, append([]string{"test", "--"}, test.command...)...)
			}
			s := run("NOTHING=1")
			s.wantCode(86)
			text := strings.Join(s.stderr.rest(), "\n")
			for _, pattern := range test.leak {
				if !regexp.MustCompile(pattern).MatchString(text) {
					t.Errorf("stderr lacks %q:\n%s", pattern, text)
				}
			}
			nobodyIsLeft(t)
			run(test.forgotten).wantCode(0)
		})
	}
}

// pytest is the program, as it is called by itself or in Debian; "" if there is
// none that works.
func pytest() string {
	for _, name := range []string{"pytest", "pytest-3"} {
		if err := exec.Command(name, "--version").Run(); err == nil {
			return name
		}
	}
	return ""
}

// The workflow runs what the page tells.
func TestExampleWorkflow(t *testing.T) {
	text, err := os.ReadFile("../examples/testing/github-actions.yml")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ +- run: reaper (.*) -- go test \./\.\.\.$`).FindSubmatch(text)
	if line == nil {
		t.Fatal("it does not run reaper")
	}
	s := launch(t, asSubreaper, func(cmd *exec.Cmd) { cmd.Dir = t.TempDir() },
		append(strings.Fields(string(line[1])), "--", "true")...)
	s.wantCode(0)
}
