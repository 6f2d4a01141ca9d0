package docker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The exit code of the container is that of the command, and both streams come out.
func TestExitCodes(t *testing.T) {
	inWays(t, func(t *testing.T, w way) {
		for _, c := range []struct {
			command []string
			code    int
		}{
			{[]string{"true"}, 0},
			{[]string{"sh", "-c", "exit 3"}, 3},
			{[]string{"sh", "-c", "exit 255"}, 255},
			{[]string{"sh", "-c", "kill -9 $$"}, 137},
			{[]string{"sh", "-c", "kill -15 $$"}, 143},
			{[]string{"no-such-command"}, 127},
			{[]string{"/bin"}, 126},
		} {
			if _, stderr, code := w.run(t, nil, c.command...); code != c.code {
				t.Errorf("%q: exit %d, want %d\n%s", c.command, code, c.code, stderr)
			}
		}
		stdout, stderr, code := w.run(t, nil, "sh", "-c", "echo out; echo err >&2; echo $$")
		if !strings.HasPrefix(stdout, "out\n") || strings.HasSuffix(stdout, "\n1\n") || stderr != "err\n" || code != 0 {
			t.Errorf("%q, %q, %d", stdout, stderr, code)
		}
	})
}

// It needs no user, no privilege, no file that can be written, and little memory.
func TestHardened(t *testing.T) {
	options := [][]string{
		{"--user", "1234:1234"},
		{"--read-only"},
		{"--cap-drop", "ALL"},
		{"--security-opt", "no-new-privileges"},
		{"-m", "16m", "--memory-swap", "16m"},
		{"--pids-limit", "20"},
	}
	var all []string
	for _, o := range options {
		all = append(all, o...)
	}
	inWays(t, func(t *testing.T, w way) {
		for _, o := range append(options, all) {
			// A zombie of PID 1 would stand there with a Z for ever.
			stdout, stderr, code := w.run(t, o, "sh", "-c", `
				(sh -c 'exit 0' &)
				i=0; while grep -q '^State:.Z' /proc/[0-9]*/status 2>/dev/null && [ $i -lt 1000 ]; do i=$((i+1)); sleep 0.01; done
				[ $i -lt 1000 ] && echo reaped; exit 5`)
			if stdout != "reaped\n" || stderr != "" || code != 5 {
				t.Errorf("%v: %q, %q, %d", o, stdout, stderr, code)
			}
		}
	})
}

// docker stop ends all that is there, within the time, and each gets its chance. As
// docker-init it is as tini has it, unless a variable asks for more.
func TestStop(t *testing.T) {
	const script = `
		trap 'exit 7' TERM
		setsid sh -c 'trap "sleep 0.1; echo done > /marks/daemon; exit" TERM; echo up > /marks/up; while :; do sleep 0.1; done' &
		while [ ! -e /marks/up ]; do sleep 0.01; done
		echo ready; while :; do sleep 0.1; done`
	inWays(t, func(t *testing.T, w way) {
		for _, c := range []struct {
			name     string
			options  []string
			graceful bool // the daemon could do what it wanted
		}{
			{"default", nil, w.name == "entrypoint"},
			{"stop", []string{"-e", "REAPER_LEFTOVERS=stop"}, true},
			{"keep", []string{"-e", "REAPER_LEFTOVERS=keep"}, false},
		} {
			t.Run(c.name, func(t *testing.T) {
				marks := t.TempDir()
				k := w.start(t, append(c.options, "-v", marks+":/marks"), "sh", "-c", script)
				mustDocker(t, "stop", "-t", "50", k.id)
				if code := k.inspect("{{.State.ExitCode}} {{.State.OOMKilled}}"); code != "7 false" {
					t.Errorf("exit code %s\n%s", code, k.log())
				}
				if _, err := os.Stat(filepath.Join(marks, "daemon")); (err == nil) != c.graceful {
					t.Errorf("the daemon: %v\n%s", err, k.log())
				}
			})
		}
		// Who is deaf is killed by the engine.
		k := w.start(t, nil, "sh", "-c", `trap "" TERM; echo ready; while :; do sleep 1; done`)
		mustDocker(t, "stop", "-t", "1", k.id)
		k.wantCode(137)
	})
	// And by reaper, if it is to be sooner.
	k := entrypoint.start(t, []string{"-e", "REAPER_STOP_TIMEOUT=100ms"}, "sh", "-c", `trap "" TERM; echo ready; while :; do sleep 0.1; done`)
	mustDocker(t, "stop", "-t", "50", k.id)
	k.wantCode(137)
}

// Who is orphaned in a docker exec comes to PID 1 and is reaped there.
func TestExec(t *testing.T) {
	inWays(t, func(t *testing.T, w way) {
		k := w.start(t, nil, "sh", "-c", "echo ready; exec sleep 100000")
		mustDocker(t, "exec", k.id, "sh", "-c", "setsid sleep 5000 >/dev/null 2>&1 </dev/null & :")
		isThere := func() bool {
			for _, p := range children(k.pid) {
				if p.PGID == p.PID && p.Session == p.PID {
					return true
				}
			}
			return false
		}
		eventually(t, "the orphan has come to PID 1", isThere)
		mustDocker(t, "exec", k.id, "sh", "-c", `for p in /proc/[0-9]*; do
			[ "$(tr '\0' ' ' < $p/cmdline)" = "sleep 5000 " ] && kill ${p#/proc/}; done; :`)
		eventually(t, "it is reaped", func() bool { return !isThere() && zombies(k.pid) == 0 })
	})
}

// What docker kill sends reaches the command, also what would end an init that takes
// no notice.
func TestKill(t *testing.T) {
	inWays(t, func(t *testing.T, w way) {
		k := w.start(t, nil, "sh", "-c", `
			for s in HUP INT QUIT USR1 USR2 TERM WINCH SEGV ABRT; do trap "echo got-$s." $s; done
			echo ready; while :; do sleep 0.05; done`)
		for _, sig := range []string{"HUP", "INT", "USR1", "USR2", "WINCH", "SEGV", "ABRT", "QUIT"} {
			if w.name == "entrypoint" && sig == "INT" {
				continue // a request to stop, after which QUIT would be another
			}
			mustDocker(t, "kill", "-s", sig, k.id)
			k.awaitLog("got-" + sig + ".")
		}
		mustDocker(t, "kill", "-s", "KILL", k.id)
		k.wantCode(137)
	})
}

// The report goes where Kubernetes wants to read why a container has ended: to a file
// that is mounted alone, in a directory that is not the user's.
func TestTerminationLog(t *testing.T) {
	inWays(t, func(t *testing.T, w way) {
		log := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(log, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(log, 0o666); err != nil { // whatever the umask
			t.Fatal(err)
		}
		_, stderr, code := w.run(t, []string{
			"--user", "65532", "--read-only", "-v", log + ":/dev/termination-log", "-e", "REAPER_REPORT=/dev/termination-log",
		}, "sh", "-c", "exit 3")
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		var report struct {
			Exit int `json:"exit"`
		}
		if err := json.Unmarshal(text, &report); err != nil || report.Exit != 3 || code != 3 {
			t.Errorf("%v, exit %d, %q\n%s", err, code, text, stderr)
		}
	})
}

// Five hundred orphans, and no zombie is left.
func TestStorm(t *testing.T) {
	inWays(t, func(t *testing.T, w way) {
		k := w.start(t, nil, "sh", "-c", `i=0; while [ $i -lt 500 ]; do (sh -c : &); i=$((i+1)); done; echo ready; exec sleep 100000`)
		eventually(t, "all are reaped", func() bool { return zombies(k.pid) == 0 && len(children(k.pid)) == 1 })
	})
}

// The daemon reads the version of its init.
func TestInfo(t *testing.T) {
	needEngine(t)
	out, err := engineCommand("info", "--format", "{{json .}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		InitBinary string
		InitCommit struct{ ID string }
		Warnings   []string
	}
	if err := json.Unmarshal(out, &info); err != nil {
		t.Fatal(err)
	}
	if info.InitBinary != filepath.Join(dir, "docker-init") {
		t.Errorf("the init is %q", info.InitBinary)
	}
	version, err := engineCommand("version", "--format", "{{json .Server.Components}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"Name":"docker-init","Version":"0.19.0_reaper-`; !strings.Contains(string(version), want) {
		t.Errorf("%s\nhas no %s", version, want)
	}
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "init") && strings.Contains(line, "version") {
			t.Error(line)
		}
	}
}
