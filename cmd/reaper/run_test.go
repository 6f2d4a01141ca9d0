package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// The one line on a failed start names the command and the cause.
func TestDescribeStart(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		writeFile(t, path, content, mode)
		return path
	}
	exec := func(path string, found bool, err error) *reap.StartError {
		return &reap.StartError{Op: "exec", Path: path, Found: found, Err: err, NoInterpreter: found && errors.Is(err, unix.ENOENT)}
	}
	plain := file("plain", "", 0o644)
	run := file("run", "", 0o755)
	script := file("script", "#! /no/such/sh -e\n", 0o755)
	windows := file("windows", "#!/bin/sh\r\necho\r\n", 0o755)
	elf := file("elf", "\x7fELF", 0o755)
	blank := file("a b", "", 0o644)
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"foo", &reap.StartError{Op: "find", Path: "foo", Err: unix.ENOENT}, "cannot run foo: not found in PATH"},
		{"f o", &reap.StartError{Op: "find", Path: "f o", Err: unix.ENOENT}, `cannot run "f o": not found in PATH`},
		{"./foo", exec("./foo", false, unix.ENOENT), "cannot run ./foo: no such file"},
		{"a/b", exec("a/b", false, unix.ENOTDIR), "cannot run a/b: not a directory"},
		{plain, exec(plain, true, unix.EACCES), "cannot run " + plain + ": it is not executable; chmod +x is missing"},
		{"plain", exec(plain, true, unix.EACCES), "cannot run plain (" + plain + "): it is not executable; chmod +x is missing"},
		{"a b", exec(blank, true, unix.EACCES), `cannot run "a b" ("` + blank + `"): it is not executable; chmod +x is missing`},
		{dir, exec(dir, true, unix.EACCES), "cannot run " + dir + ": it is a directory"},
		{run, exec(run, true, unix.EACCES), "cannot run " + run + ": permission denied"}, // a file system without exec, say
		{"/x/y", exec("/x/y", false, unix.EACCES), "cannot run /x/y: permission denied"},
		{run, exec(run, true, unix.ENOEXEC), "cannot run " + run + ": not a program of this machine, and /bin/sh cannot run it"},
		{script, exec(script, true, unix.ENOENT), "cannot run " + script + ": its interpreter /no/such/sh is not there"},
		{"script", exec(script, true, unix.ENOENT), "cannot run script (" + script + "): its interpreter /no/such/sh is not there"},
		{
			windows, exec(windows, true, unix.ENOENT),
			"cannot run " + windows + `: its interpreter "/bin/sh\r" is not there; the lines of the script end as on Windows`,
		},
		{elf, exec(elf, true, unix.ENOENT), "cannot run " + elf + ": the loader that it was linked for is not there"},
		{run, exec(run, true, unix.ETXTBSY), "cannot run " + run + ": text file busy"},
		{run, exec(run, true, unix.E2BIG), "cannot run " + run + ": argument list too long"},
		{
			"foo", &reap.StartError{Op: "fork for", Path: run, Err: unix.EAGAIN},
			"cannot run foo: no process could be made for it: resource temporarily unavailable",
		},
		{
			"foo", &reap.StartError{Op: "make process group for", Path: run, Err: unix.EPERM},
			"cannot run foo: make process group for it: operation not permitted",
		},
		{
			"foo", &reap.StartError{Op: "set user of", Path: run, Err: unix.EPERM},
			"cannot run foo: set user of it: operation not permitted; that needs CAP_SETUID and CAP_SETGID",
		},
		{
			"foo", &reap.StartError{Op: "set user of", Path: run, Err: unix.EINVAL},
			"cannot run foo: set user of it: invalid argument; an ID is not mapped into this user namespace",
		},
		{
			"foo", &reap.StartError{Op: "set signal mask for", Path: run, Err: unix.EPERM},
			"cannot run foo: set signal mask for it: operation not permitted",
		},
		{
			"foo", &reap.StartError{Op: "set OOM score of", Path: run, Err: unix.ENOENT},
			"cannot run foo: set OOM score of it: no such file or directory",
		},
		{
			"foo", &reap.StartError{Op: "change directory for", Path: run, Dir: "/a b", Err: unix.EACCES},
			`cannot run foo: directory "/a b": permission denied`,
		},
		{
			"foo", &reap.StartError{Op: "set attributes of", Path: run, Err: errors.ErrUnsupported},
			"cannot run foo: what it becomes can be changed on amd64 and arm64 alone",
		},
		{
			"foo", exec("foo", true, unix.EAGAIN),
			"cannot run foo: its user has more processes than the limit nproc allows",
		},
		{
			"./plain", &reap.StartError{Op: "exec", Path: "./plain", Dir: dir, Found: true, Err: unix.EACCES},
			"cannot run ./plain: it is not executable; chmod +x is missing",
		},
		{
			"./script", &reap.StartError{Op: "exec", Path: "./script", Dir: dir, Found: true, NoInterpreter: true, Err: unix.ENOENT},
			"cannot run ./script: its interpreter /no/such/sh is not there",
		},
		{"foo", errors.New("check configuration: Args: no command"), "check configuration: Args: no command"},
	} {
		got := describeStart(test.err, test.name)
		if got != test.want {
			t.Errorf("%+v\nsays %s\nwant %s", test.err, got, test.want)
		}
		if strings.ContainsAny(got, "\n\r\x00") || strings.HasSuffix(got, ".") {
			t.Errorf("not one line without a period: %q", got)
		}
	}
}

// The interpreter is what the kernel looks for: all up to a blank or a tab.
func TestInterpreter(t *testing.T) {
	file := filepath.Join(t.TempDir(), "script")
	for content, want := range map[string]string{
		"#!/bin/sh\n":                           "/bin/sh",
		"#!/bin/sh":                             "/bin/sh",
		"#! \t /bin/sh -e -x\n":                 "/bin/sh",
		"#!/usr/bin/env python3\n":              "/usr/bin/env",
		"#!/bin/sh\r\n":                         "/bin/sh\r",
		"#!/bin/s\u00a0h\n":                     "/bin/s\u00a0h",
		"#!sh\x00rest\n":                        "sh",
		"#!\n/bin/sh\n":                         "",
		"#! \n":                                 "",
		"":                                      "",
		"\n#!/bin/sh\n":                         "",
		" #!/bin/sh\n":                          "",
		"\x7fELF":                               "",
		"/bin/sh\n":                             "",
		"#!/" + strings.Repeat("x", 300) + "\n": "/" + strings.Repeat("x", 253), // BINPRM_BUF_SIZE
	} {
		writeFile(t, file, content, 0o600)
		if got := interpreter(file); got != want {
			t.Errorf("%q: got %q, want %q", content, got, want)
		}
	}
	if got := interpreter(file + "/none"); got != "" {
		t.Errorf("of no file: %q", got)
	}
}

func TestQuoted(t *testing.T) {
	for word, want := range map[string]string{
		"":            `""`,
		"plain":       "plain",
		"/usr/bin/X9": "/usr/bin/X9",
		"a-b_c.d+e=f": "a-b_c.d+e=f",
		"a:b,c@d%e":   "a:b,c@d%e",
		"a b":         `"a b"`,
		"a\nb":        `"a\nb"`,
		`a"b`:         `"a\"b"`,
		"é":           `"é"`,
		"\x1b[31m":    `"\x1b[31m"`,
		"\xff":        `"\xff"`,
		"$(x)":        `"$(x)"`,
	} {
		if got := quoted(word); got != want {
			t.Errorf("quoted(%q) = %s, want %s", word, got, want)
		}
	}
}

// A parent that has died before the kernel knew that we care makes the signal all the
// same, also one that reaper does not take from itself.
func TestParentHasDied(t *testing.T) {
	for _, sig := range []syscall.Signal{unix.SIGPIPE, unix.SIGTERM, unix.SIGVTALRM} {
		p := process{requests: make(chan os.Signal, 1), sigs: make(chan os.Signal, 1), ppid: os.Getpid()}
		failed := make(chan error)
		go func() { failed <- p.becomeInit(&options{noSubreaper: true, parentDeath: sig}) }() // it locks its thread, for good
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-p.sigs:
			if got != sig || sig == unix.SIGTERM {
				t.Errorf("sigs got %v for %v", got, sig)
			}
		case got := <-p.requests:
			if got != unix.SIGTERM || sig != unix.SIGTERM {
				t.Errorf("requests got %v for %v", got, sig)
			}
		default:
			t.Errorf("%v is lost", sig)
		}
	}
}
