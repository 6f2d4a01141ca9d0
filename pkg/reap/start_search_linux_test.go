package reap

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// searchCase is one walk along PATH, with the arguments one and two.
type searchCase struct {
	name string
	arg  string // what is started
	path string // PATH; "-" is none at all
	want string // what it prints; or else
	err  *StartError
}

var longName = strings.Repeat("x", 300)

func notFound(name string) *StartError { return &StartError{Op: "find", Path: name, Err: unix.ENOENT} }

func notThere(path string, err error) *StartError {
	return &StartError{Op: "exec", Path: path, Err: err}
}

func refused(path string, err error) *StartError {
	return &StartError{Op: "exec", Path: path, Found: true, Err: err}
}

func noInterpreter(path string) *StartError {
	return &StartError{Op: "exec", Path: path, Found: true, NoInterpreter: true, Err: unix.ENOENT}
}

// searchCases are the rules of execvp(3), one for each errno that matters.
var searchCases = []searchCase{
	{"the first counts", "prog", "good:other", "good/prog", nil},
	{"ENOENT is passed over", "prog", "empty:good", "good/prog", nil},
	{"no such directory is passed over", "prog", "none:none/none:good", "good/prog", nil},
	{"ENOTDIR is passed over", "prog", "file:good", "good/prog", nil},
	{"a dangling link is passed over", "prog", "dangling:good", "good/prog", nil},
	{"EACCES is passed over", "prog", "denied:good", "good/prog", nil},
	{"a directory is passed over", "prog", "dir:good", "good/prog", nil},
	{"a missing interpreter is passed over", "prog", "broken:good", "good/prog", nil},
	{"what has no format is the shell's", "prog", "empty:shell:good", "by shell shell/prog one two", nil},

	{"nowhere", "prog", "empty:none:file:dangling", "", notFound("prog")},
	{"EACCES is told", "prog", "denied", "", refused("denied/prog", unix.EACCES)},
	{"EACCES counts more than ENOENT", "prog", "empty:denied:empty", "", refused("denied/prog", unix.EACCES)},
	{"the first EACCES is told", "prog", "dir:denied", "", refused("dir/prog", unix.EACCES)},
	{"a missing interpreter is told", "prog", "broken:empty", "", noInterpreter("broken/prog")},
	{"EACCES counts more than that", "prog", "broken:denied", "", refused("denied/prog", unix.EACCES)},
	{"any other error ends the search", "prog", "empty:loop:good", "", notThere("loop/prog", unix.ELOOP)},
	{"even after EACCES", "prog", "denied:loop:good", "", notThere("loop/prog", unix.ELOOP)},
	{"too long a name ends it", longName, "empty:good", "", notThere("empty/"+longName, unix.ENAMETOOLONG)},

	{"an empty PATH is the current directory", "here", "", "here", nil},
	{"and an empty element, the first", "here", ":empty", "here", nil},
	{"in the middle", "here", "empty::empty", "here", nil},
	{"the last", "here", "empty:", "here", nil},
	{"and the dot", "here", "empty:.", "./here", nil},
	{"which is not there by itself", "here", "empty", "", notFound("here")},
	{"an empty element, and no format", "plain", "empty:", "by shell plain one two", nil},

	{"without PATH there is a default", "echo", "-", "one two", nil},
	{"without the current directory", "here", "-", "", notFound("here")},

	{"a slash: no search", "good/prog", "other", "good/prog", nil},
	{"a slash at the start", "./here", "other", "./here", nil},
	{"a slash, nothing there", "none/prog", "good", "", notThere("none/prog", unix.ENOENT)},
	{"a slash, below a file", "file/prog", "good", "", notThere("file/prog", unix.ENOTDIR)},
	{"a slash, a dangling link", "dangling/prog", "good", "", notThere("dangling/prog", unix.ENOENT)},
	{"a slash, denied", "denied/prog", "good", "", refused("denied/prog", unix.EACCES)},
	{"a slash, a directory", "dir/", "good", "", refused("dir/", unix.EACCES)},
	{"a slash, a missing interpreter", "broken/prog", "good", "", noInterpreter("broken/prog")},
	{"a slash, a missing loader", "brokenelf/prog", "good", "", noInterpreter("brokenelf/prog")},
	{"a slash, no format", "shell/prog", "good", "by shell shell/prog one two", nil},
	{"a slash, an empty file", "./file", "good", "", nil},
}

func TestStartSearch(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for _, dir := range []string{"empty", "denied", "good", "dir/prog", "dangling", "broken", "brokenelf", "loop", "other", "shell"} {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			const script = "#!/bin/sh\necho $0\n"
			write(t, "here", script, 0o755)
			write(t, "good/prog", script, 0o755)
			write(t, "other/prog", script, 0o755)
			write(t, "denied/prog", script, 0o644)
			write(t, "shell/prog", "echo by shell $0 $@\n", 0o755)
			write(t, "plain", "echo by shell $0 $@\n", 0o755)
			write(t, "broken/prog", "#!/no/such/interpreter\n", 0o755)
			write(t, "brokenelf/prog", withoutLoader(t), 0o755)
			write(t, "file", "", 0o755)
			for link, to := range map[string]string{"dangling/prog": "nowhere", "loop/prog": "prog"} {
				if err := os.Symlink(to, link); err != nil {
					t.Fatal(err)
				}
			}
			for _, test := range searchCases {
				// getenv(3) sees the first PATH.
				env := []string{"X=1", "PATH=" + test.path, "PATH=good"}
				if test.path == "-" {
					env = nil
				}
				got, status, err := output(t, Command{Args: []string{test.arg, "one", "two"}, Env: env, Inherited: way.inherited})
				var failed *StartError
				switch {
				case test.err != nil && !errors.As(err, &failed):
					t.Errorf("%s: got %q, %v, %v; want %+v", test.name, got, status, err, *test.err)
				case test.err != nil && *failed != *test.err:
					t.Errorf("%s: got %+v, want %+v", test.name, *failed, *test.err)
				case test.err == nil && (err != nil || status != 0 || strings.TrimSpace(got) != test.want):
					t.Errorf("%s: got %q, %v, %v; want %q", test.name, got, status, err, test.want)
				}
			}
		})
	}
}

// withoutLoader is a program that was linked for a loader that is not there.
func withoutLoader(t *testing.T) string {
	t.Helper()
	program, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	loader := regexp.MustCompile(`/lib[a-z0-9/_.-]*/ld-[a-z0-9_.-]+\x00`).FindIndex(program)
	if loader == nil {
		t.Skip("/bin/sh has no loader here")
	}
	program[loader[1]-2] = '?'
	return string(program)
}

// What the kernel has no format for goes to the shell as execvp passes it: the
// file, and the arguments from the second on.
func TestStartByShell(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, "script", "for a in \"$0\" \"$@\"; do printf '[%s]' \"$a\"; done; exit 9\n", 0o755)
			for _, test := range []struct {
				args []string
				want string
			}{
				{[]string{"./script"}, "[./script]"},
				{[]string{"./script", "a b", "", "-x", "--"}, "[./script][a b][][-x][--]"},
				{[]string{"script", "1"}, "[script][1]"},
			} {
				got, status, err := output(t, Command{Args: test.args, Env: []string{"PATH="}, Inherited: way.inherited})
				if err != nil || status != ExitStatus(9) || got != test.want {
					t.Errorf("%q: got %q, %v, %v", test.args, got, status, err)
				}
			}
		})
	}
}

// What is wrong with the call itself, or comes before the execution.
func TestStartRefuses(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, "prog", "#!/bin/sh\n", 0o755)
			long := strings.Repeat("x", 1<<20)
			for _, test := range []struct {
				args, env []string
				want      StartError
				text      string
			}{
				{nil, nil, StartError{Op: "find", Path: `""`, Err: unix.ENOENT}, `find "": no such file or directory`},
				{[]string{""}, nil, StartError{Op: "find", Path: `""`, Err: unix.ENOENT}, `find "": no such file or directory`},
				{[]string{"none"}, nil, StartError{Op: "find", Path: "none", Err: unix.ENOENT}, "find none: no such file or directory"},
				{[]string{"./none"}, nil, *notThere("./none", unix.ENOENT), "exec ./none: no such file or directory"},
				{[]string{"./prog", "a\x00b"}, nil, StartError{Op: "pass arguments to", Path: "./prog", Err: unix.EINVAL}, "pass arguments to ./prog: invalid argument"},
				{[]string{"./prog"}, []string{"A=\x00"}, StartError{Op: "pass environment to", Path: "./prog", Err: unix.EINVAL}, "pass environment to ./prog: invalid argument"},
				{[]string{"./prog", long}, nil, *refused("./prog", unix.E2BIG), "exec ./prog: argument list too long"},
				{[]string{"./prog"}, []string{"A=" + long}, *refused("./prog", unix.E2BIG), "exec ./prog: argument list too long"},
			} {
				pid, err := Start(Command{Args: test.args, Env: test.env, Inherited: way.inherited})
				var failed *StartError
				if !errors.As(err, &failed) || *failed != test.want || pid != 0 {
					t.Errorf("%.30q: got %d, %+v; want %+v", test.args, pid, err, test.want)
					continue
				}
				if err.Error() != test.text || !errors.Is(err, test.want.Err) {
					t.Errorf("got %q, want %q", err, test.text)
				}
			}
		})
	}
}

// A file that is open for writing cannot be executed (pitfall 8).
func TestStartBusyFile(t *testing.T) {
	for _, way := range bothWays(t) {
		t.Run(way.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, "prog", "#!/bin/sh\n", 0o755)
			f, err := os.OpenFile("prog", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			pid, err := Start(Command{Args: []string{"prog"}, Env: []string{"PATH=:/bin"}, Inherited: way.inherited})
			var failed *StartError
			switch {
			case err == nil: // Linux 6.11 and 6.12 allow it
				awaitReap(t, pid)
				t.Skip("this kernel executes a file that is open for writing")
			case !errors.As(err, &failed) || *failed != *refused("prog", unix.ETXTBSY):
				t.Errorf("got %+v", err)
			}
		})
	}
}
