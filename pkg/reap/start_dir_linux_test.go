package reap

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What is relative is so to the directory of the command: its name, and an element of
// PATH. The user must be allowed to enter it, and root is not asked in its place.
func TestStartDir(t *testing.T) {
	for _, way := range bothWaysWithAttributes(t) {
		t.Run(way.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for _, dir := range []string{"here/sub", "there"} {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			const script = "#!/bin/sh\necho $0 in $(pwd -P)\n"
			write(t, "there/prog", script, 0o755)
			write(t, "prog", "#!/bin/sh\necho the wrong one\n", 0o755)
			write(t, "here/sub/prog", script, 0o755)
			write(t, "here/plain", "echo $0 in $(pwd -P)\n", 0o755)
			write(t, "here/denied", "", 0o644)
			write(t, "here/broken", "#!/no/such\n", 0o755)
			if err := os.Symlink("here/sub", "link"); err != nil {
				t.Fatal(err)
			}
			root, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			for _, test := range []struct {
				dir, name, path string
				want            string
				err             *StartError
			}{
				{"there", "./prog", "", "./prog in " + root + "/there", nil},
				{root + "/there", "prog", "/bin::", "prog in " + root + "/there", nil},
				{"here", "prog", "/bin:sub:../there", "sub/prog in " + root + "/here", nil},
				{"link", "../sub/prog", "", "../sub/prog in " + root + "/here/sub", nil}, // the kernel's .., not that of the name
				{"here", root + "/there/prog", "", root + "/there/prog in " + root + "/here", nil},
				{"here", "plain", ":", "plain in " + root + "/here", nil},
				{"here", "./prog", "", "", notThere("./prog", unix.ENOENT)},
				{"here", "prog", "/bin:", "", notFound("prog")},
				{"here", "./denied", "", "", refused("./denied", unix.EACCES)},
				{"here", "./broken", "", "", noInterpreter("./broken")},
				{"here", "broken", ":", "", noInterpreter("broken")},
			} {
				got, status, err := output(t, Command{
					Args: []string{test.name}, Env: []string{"PATH=" + test.path}, Inherited: way.inherited, Attributes: Attributes{Dir: test.dir},
				})
				if test.err != nil {
					test.err.Dir = test.dir
					if failed, ok := errors.AsType[*StartError](err); !ok || *failed != *test.err {
						t.Errorf("%s in %s: got %q, %+v; want %+v", test.name, test.dir, got, err, *test.err)
					} else if test.err.Found {
						if _, err := os.Stat(failed.File()); err != nil {
							t.Error(err)
						}
					}
					continue
				}
				if got := strings.TrimSpace(got); err != nil || status != 0 || got != test.want {
					t.Errorf("%s in %s: got %q, %v, %v; want %q", test.name, test.dir, got, status, err, test.want)
				}
			}
		})
	}
}

// A directory that is closed to the user is not entered, though root could have.
func TestStartDirOfAnother(t *testing.T) {
	for _, way := range bothWaysWithAttributes(t) {
		t.Run(way.name, func(t *testing.T) {
			needRoot(t)
			dir := filepath.Join(t.TempDir(), "closed")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			_, err := Start(way.become(Attributes{Dir: dir, User: &User{UID: 12345, GID: 12345}}, ":"))
			if failed, ok := errors.AsType[*StartError](err); !ok || failed.Op != "change directory for" || !errors.Is(err, unix.EACCES) {
				t.Errorf("%v", err)
			}
			// Nor is a capability that the command is to have of use for it.
			_, err = Start(way.become(Attributes{
				Dir: dir, User: &User{UID: 12345, GID: 12345}, AddCapabilities: 1 << unix.CAP_DAC_OVERRIDE,
			}, ":"))
			if !errors.Is(err, unix.EACCES) {
				t.Errorf("%v", err)
			}
		})
	}
}
