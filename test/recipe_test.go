package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Each line of docs/daemons.md that runs my-server, or one that tells that it is ready,
// does so.
func TestRecipes(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "some of them change the user")
	}
	n := 0
	for line := range strings.Lines(readFile(t, "../docs/daemons.md")) {
		options, command, _ := strings.Cut(strings.TrimSpace(line), " -- ")
		if !strings.HasPrefix(options, "reaper ") || !strings.HasPrefix(command, "my-") {
			continue
		}
		n++
		t.Run(options, func(t *testing.T) {
			dir := t.TempDir()
			code, script := 0, "#!/bin/sh\necho served; exit 0\n"
			if strings.Contains(options, "always") {
				code, script = 2, "#!/bin/sh\necho served; exit 2\n"
			}
			notifier := strings.Replace(script, "echo", "systemd-notify --ready && echo", 1)
			if _, err := exec.LookPath("systemd-notify"); err != nil && command == "my-notifier" {
				cannot(t, "%v", err)
			}
			for name, text := range map[string]string{"my-server": script, "my-notifier": notifier, "my.env": "A=1\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) { // for who is not root
				if err := os.Chmod(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			words := strings.Fields(strings.NewReplacer(
				"/var/log/", dir+"/", "/dev/termination-log", dir+"/report", "/srv", dir, "my.env", dir+"/my.env",
			).Replace(strings.TrimPrefix(options, "reaper ")))
			words = append(append(words, "--"), strings.Fields(command)...)
			s := launch(t, asSubreaper, func(cmd *exec.Cmd) {
				cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
			}, words...)
			s.wantCode(code)
			out := strings.Join(s.stdout.rest(), "\n")
			if file := filepath.Join(dir, "my-server.log"); strings.Contains(options, "--output ") {
				out += readFile(t, file)
			}
			if !strings.Contains(out, "served") {
				t.Errorf("it printed %q\nstderr: %s", out, s.stderr)
			}
		})
	}
	if n < 5 {
		t.Errorf("only %d recipes", n)
	}
}
