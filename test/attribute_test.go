package test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// eachBuild runs the test with the binary of make build and that of go build.
func eachBuild(t *testing.T, run func(t *testing.T, bin string)) {
	t.Helper()
	for name, bin := range map[string]string{"built": reaperBin, "plain": plainBin} {
		t.Run(name, func(t *testing.T) { run(t, bin) })
	}
}

// needRoot skips a test that must become another user.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		cannot(t, "only root can become another user")
	}
}

// asUser has the program run as an ordinary user.
func asUser(id uint32, caps ...uintptr) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.Dir = "/"
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: id, Gid: id, Groups: []uint32{id}}
		cmd.SysProcAttr.AmbientCaps = caps
	}
}

// tells runs a command under reaper to its end and returns what it prints.
func tells(t *testing.T, bin string, prepare func(*exec.Cmd), options string, command ...string) string {
	t.Helper()
	s := launchProgram(t, asSubreaper, prepare, bin, append(append(strings.Fields(options), "--"), command...)...)
	s.wantCode(0)
	if err := s.stderr.rest(); len(err) > 0 {
		t.Errorf("%s: stderr: %q", options, err)
	}
	return strings.Join(s.stdout.rest(), "\n")
}

// Each option is what the command finds.
func TestAttributes(t *testing.T) {
	dir := t.TempDir()
	eachBuild(t, func(t *testing.T, bin string) {
		for _, c := range []struct{ options, script, want string }{
			{"-w " + dir, "pwd -P", dir},
			{"--workdir=" + dir, "pwd -P", dir},
			{"--umask 027", "umask", "0027"},
			{"--umask 0", "umask", "0000"},
			{"--ulimit nofile=100:200,core=0", "echo $(ulimit -Sn; ulimit -Hn; ulimit -c)", "100 200 0"},
			{"--ulimit nofile=100 --ulimit nofile=50", "echo $(ulimit -Sn; ulimit -Hn)", "50 50"},
			{"--nice 19", "cut -d' ' -f19 /proc/self/stat", "19"},
			{"--oom-score-adj 900", "cat /proc/self/oom_score_adj", "900"},
			{"--no-new-privileges", "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1"},
			{"--clear-env -e A=1 -e B", "env | grep -v PWD | grep -v '^_'", "A=1\nB=of reaper"},
			{"-e A=1 -e B=", `echo "$A$B"`, "1"},
			{"--new-session", `set -- $(cat /proc/$$/stat); [ "$6" = $$ ] && echo leader`, "leader"},
		} {
			got := tells(t, bin, func(cmd *exec.Cmd) {
				cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "B=of reaper"}
			}, c.options, "/bin/sh", "-c", c.script)
			if got != c.want {
				t.Errorf("%s: got %q, want %q", c.options, got, c.want)
			}
		}
	})
}

// An image can set them once.
func TestAttributeVariables(t *testing.T) {
	s := launch(t, asSubreaper, func(cmd *exec.Cmd) {
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "REAPER_UMASK=077", "REAPER_ULIMIT=nofile=64,core=0", "REAPER_ENV=A=b c", "REAPER_WORKDIR="}
	}, "--umask", "070", "--", "sh", "-c", `echo $(umask; ulimit -n; ulimit -c) "$A"`)
	s.wantCode(0)
	s.expect("0070 64 0 b c")
}

// What is not asked for is as without reaper, whatever else is asked for. A plain build
// knows the limit of open files from before Go has raised it.
func TestAttributesChangeNothingElse(t *testing.T) {
	needExact(t)
	words := []string{probeBin, "exec", "-nofile", "77"}
	ignored := fmt.Sprint(uint64(reap.Signals(unix.SIGUSR1, unix.SIGHUP, unix.SIGCHLD, 40)))
	score, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		t.Fatal(err)
	}
	same := []string{"-w", ".", "--oom-score-adj", strings.TrimSpace(string(score))}
	want := seenBy(t, nil, append(words, "-ignore", ignored)...)
	got := seenBy(t, nil, append(append(words, "-ignore", ignored, reaperBin), append(same, "--")...)...)
	if got != want {
		t.Errorf("under reaper the command finds\n%s\nwithout it\n%s", diff(got, want), diff(want, got))
	}
	out := tells(t, probeBin, nil, "exec -nofile 77 "+plainBin+" --umask 0", "sh", "-c", "ulimit -n")
	if out != "77" {
		t.Errorf("a plain build has raised the limit to %s", out)
	}
}

// The command is found with what it is to have: its own PATH, from its directory.
func TestAttributesFindCommand(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sub/hello"), []byte("#!/bin/sh\necho hello from \"$0\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	eachBuild(t, func(t *testing.T, bin string) {
		for _, c := range []struct{ options, name, want string }{
			{"-w " + dir + "/sub", "./hello", "./hello"},
			{"-w " + dir, "sub/hello", "sub/hello"},
			{"-w " + dir + " -e PATH=/bin:sub", "hello", "sub/hello"},
			{"-e PATH=" + dir + "/sub", "hello", dir + "/sub/hello"},
			{"--clear-env -e PATH=" + dir + "/sub", "hello", dir + "/sub/hello"},
		} {
			if got := tells(t, bin, nil, c.options, c.name); got != "hello from "+c.want {
				t.Errorf("%s %s: %q", c.options, c.name, got)
			}
		}
		s := launchProgram(t, asSubreaper, nil, bin, "-w", dir, "--", "./hello")
		s.wantCode(127)
		s = launchProgram(t, asSubreaper, nil, bin, "--clear-env", "--", "no-such-command")
		s.wantCode(127)
	})
}

// What is asked for and cannot be is said in one line, or two, with 125, and the command
// does not run: it would make a file.
func TestAttributesRefused(t *testing.T) {
	dir := everybodysDir(t)
	envFile := filepath.Join(dir, "env")
	if err := os.WriteFile(envFile, []byte("# one\nA=1\n\nB C=2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		t.Fatal(err)
	}
	eachBuild(t, func(t *testing.T, bin string) {
		for _, c := range []struct{ options, want string }{
			{"-u no-such-user", "--user no-such-user: no user of that name in /etc/passwd"},
			{"-u 0:no-such-group", "--user 0:no-such-group: no group no-such-group in /etc/group"},
			{"-u 4294967295", "--user 4294967295: 4294967295 is not from 0 to 4294967294"},
			{"-w /no/such", "--workdir /no/such: no such directory"},
			{"--env-file /no/such", "--env-file /no/such: no such file or directory"},
			{"--env-file " + envFile, "--env-file " + envFile + `: line 4: a blank in the name "B C"`},
			{"--ulimit files=1", "--ulimit files=1: files is not a limit"},
			{"--cap-add CHOWN --cap-drop CHOWN", "--cap-add and --cap-drop name the same"},
		} {
			wantRefused(t, bin, nil, dir, c.options, c.want)
		}
		if os.Geteuid() != 0 {
			return // the rest is for an ordinary user that root makes
		}
		ordinary := asUser(54321)
		control := launchProgram(t, asSubreaper, ordinary, bin, "--", "touch", filepath.Join(dir, "made"))
		control.wantCode(0)
		if err := os.Remove(filepath.Join(dir, "made")); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ options, want string }{
			{"-u 0", "set user of it: operation not permitted; that needs CAP_SETUID and CAP_SETGID"},
			{"-u 54321:0", "set user of it: operation not permitted; that needs CAP_SETUID and CAP_SETGID"},
			{"-w /root", "directory /root: permission denied"},
			{fmt.Sprintf("--ulimit nofile=1:%d", own.Max+1), fmt.Sprintf("--ulimit nofile=1:%d: the hard limit is %d, and reaper may not raise it", own.Max+1, own.Max)},
			{"--nice -20", "set niceness of it: permission denied; that needs CAP_SYS_NICE"},
			{"--oom-score-adj -1000", "set OOM score of it: permission denied; that needs CAP_SYS_RESOURCE"},
			{"--cap-drop ALL", "drop capabilities of it: operation not permitted; that needs CAP_SETPCAP"},
			{"--cap-add CHOWN", "--cap-add: reaper itself does not have CHOWN"},
		} {
			if info, err := os.Stat("/root"); c.options == "-w /root" && (err != nil || info.Mode()&0o001 != 0) {
				continue
			}
			wantRefused(t, bin, ordinary, dir, c.options, c.want)
		}
	})
}

// everybodysDir is a directory that every user can use.
func everybodysDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(filepath.Dir(reaperBin), "everybody") // others may not enter t.TempDir
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// In a user namespace there are only the users that it was given.
func TestUserIsNotMapped(t *testing.T) {
	needRoot(t)
	dir := everybodysDir(t)
	one := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
	alone := func(cmd *exec.Cmd) {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings, cmd.SysProcAttr.GidMappings, cmd.SysProcAttr.GidMappingsEnableSetgroups = one, one, true
	}
	for _, options := range []string{"-u 54321:0", "-u 0:54321"} {
		wantRefused(t, reaperBin, alone, dir, options, "set user of it: invalid argument; an ID is not mapped into this user namespace")
	}
	if got := tells(t, reaperBin, alone, "-u 0:0", "id", "-G"); got != "0" {
		t.Errorf("groups %q", got)
	}
}

func wantRefused(t *testing.T, bin string, prepare func(*exec.Cmd), dir, options, want string) {
	t.Helper()
	made := filepath.Join(dir, "made")
	s := launchProgram(t, asSubreaper, prepare, bin, append(strings.Fields(options), "--", "touch", made)...)
	s.wantCode(125)
	if lines := s.stderr.rest(); len(lines) == 0 || len(lines) > 2 || !strings.HasPrefix(lines[0], "reaper: ") || !strings.HasSuffix(lines[0], want) {
		t.Errorf("%s: %q, want %q", options, lines, want)
	}
	if _, err := os.Stat(made); err == nil {
		t.Errorf("%s: the command has run", options)
		os.Remove(made)
	}
}

// A session of its own: nothing that stops the command stops reaper, and the keys of
// the terminal come by reaper's hand, to all of the command's group.
func TestNewSessionTerminal(t *testing.T) {
	m := startBash(t)
	j := m.start(`$REAPER --new-session -- $PROBE signals`)
	p, err := reap.ReadProc(j.command)
	if err != nil || p.Session != j.command || p.PGID != j.command {
		t.Fatalf("%+v, %v", p, err)
	}
	m.typeKeys(keyStop)
	m.expect("got 20")
	unix.Kill(j.command, unix.SIGSTOP)
	m.await([]byte{'T'}, j.command)
	m.typeKeys(keyInterrupt) // reaper runs, takes it and continues who is to stop
	m.expect("got 2\n")
	if p, err := reap.ReadProc(j.reaper); err != nil || p.State == 'T' {
		t.Errorf("%+v, %v", p, err)
	}
	unix.Kill(j.command, unix.SIGKILL)
	m.expect(prompt)
	m.enter("echo ended-$?")
	m.expect("ended-137")
	m.enter("exit")
	m.wait()
}
