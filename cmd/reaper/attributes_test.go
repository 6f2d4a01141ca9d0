package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// The table has every capability that the kernel's headers name, under that name.
func TestCapabilityNames(t *testing.T) {
	if len(capabilityNames) != unix.CAP_LAST_CAP+1 {
		t.Errorf("%d names, and %d capabilities", len(capabilityNames), unix.CAP_LAST_CAP+1)
	}
	for n, name := range capabilityNames {
		for _, text := range []string{name, strings.ToLower(name), "CAP_" + name, "cap_" + strings.ToLower(name)} {
			var l capabilityList
			if err := l.Set(text); err != nil || l != (capabilityList{set: 1 << n}) {
				t.Errorf("%s: %+v, %v", text, l, err)
			}
		}
	}
	for _, text := range []string{"", "CAP_", "0", "12", "CHOWN KILL", "CAP_CAP_CHOWN", "ALL,x"} {
		if err := new(capabilityList).Set(text); err == nil {
			t.Errorf("%q is taken", text)
		} else {
			wantUsageError(t, err)
		}
	}
}

// The words of docker run: a name counts more than ALL, and what is neither dropped
// nor added stays. A user other than root has what is added, and no more.
func TestCapabilities(t *testing.T) {
	const chown, kill, bind, admin reap.CapabilitySet = 1 << unix.CAP_CHOWN, 1 << unix.CAP_KILL, 1 << unix.CAP_NET_BIND_SERVICE, 1 << unix.CAP_SYS_ADMIN
	own := reap.Capabilities{Permitted: chown | kill | bind, Bounding: chown | kill | bind | admin}
	for _, test := range []struct {
		drop, add string
		root      bool
		wantDrop  reap.CapabilitySet
		wantAdd   reap.CapabilitySet
		err       string
	}{
		{"ALL", "", true, reap.AllCapabilities, 0, ""},
		{"ALL", "", false, reap.AllCapabilities, 0, ""},
		{"ALL", "KILL", true, reap.AllCapabilities &^ kill, 0, ""},
		{"ALL", "KILL", false, reap.AllCapabilities &^ kill, kill, ""},
		{"CHOWN", "ALL", true, chown, 0, ""},
		{"CHOWN", "ALL", false, chown, kill | bind, ""},
		{"CHOWN", "KILL", true, chown, 0, ""},
		{"CHOWN", "KILL", false, chown, kill, ""},
		{"CHOWN,ALL", "KILL", false, reap.AllCapabilities &^ kill, kill, ""},
		{"", "ALL", false, 0, chown | kill | bind, ""},
		{"", "ALL,CHOWN", false, 0, chown | kill | bind, ""},
		{"", "NET_BIND_SERVICE", true, 0, 0, ""},
		{"", "SYS_ADMIN", true, 0, 0, "--cap-add: reaper itself does not have SYS_ADMIN"},
		{"", "SYS_TIME,SYS_ADMIN,KILL", false, 0, 0, "--cap-add: reaper itself does not have SYS_ADMIN, SYS_TIME"},
		{"SYS_TIME", "", true, 1 << unix.CAP_SYS_TIME, 0, ""},
	} {
		var args []string
		for option, value := range map[string]string{"--cap-drop=": test.drop, "--cap-add=": test.add} {
			if value != "" {
				args = append(args, option+value)
			}
		}
		o, _, err := parse(append(args, "cmd"), nil)
		if err != nil {
			t.Fatal(err)
		}
		drop, add, err := o.capabilities(test.root, own)
		switch {
		case test.err != "":
			if err == nil || err.Error() != test.err {
				t.Errorf("%q: %v, want %q", args, err, test.err)
			} else {
				wantUsageError(t, err)
			}
		case err != nil || drop != test.wantDrop || add != test.wantAdd:
			t.Errorf("%q, root %v: drop %x, add %x, %v; want %x, %x", args, test.root, drop, add, err, test.wantDrop, test.wantAdd)
		}
	}
}

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]reap.ResourceLimit{
		"nofile=1024":                   {Resource: unix.RLIMIT_NOFILE, Limit: reap.Limit{Cur: 1024, Max: 1024}},
		"NOFILE=1024:4096":              {Resource: unix.RLIMIT_NOFILE, Limit: reap.Limit{Cur: 1024, Max: 4096}},
		"core=0:-1":                     {Resource: unix.RLIMIT_CORE, Limit: reap.Limit{Max: reap.Unlimited}},
		"core=unlimited":                {Resource: unix.RLIMIT_CORE, Limit: reap.Limit{Cur: reap.Unlimited, Max: reap.Unlimited}},
		"stack=18446744073709551614:-1": {Resource: unix.RLIMIT_STACK, Limit: reap.Limit{Cur: reap.Unlimited - 1, Max: reap.Unlimited}},
		"rttime=5:unlimited":            {Resource: unix.RLIMIT_RTTIME, Limit: reap.Limit{Cur: 5, Max: reap.Unlimited}},
	} {
		got, err := parseLimit(text)
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v; want %v", text, got, err, want)
		}
		if again, err := parseLimit(limitText(got)); err != nil || again != got {
			t.Errorf("%s is %s, which is %v, %v", text, limitText(got), again, err)
		}
	}
	for _, text := range []string{
		"", "=", "nofile", "nofile=", "nofile=:", "nofile=1:", "nofile=:1", "nofile=2:1", "nofile=-2", "nofile=-1:5",
		"nofile=unlimited:5", "nofile=1:2:3", "nofile=1k", "nofile=0x10", "nofile=1.5", "files=1", " nofile=1", "nofile =1",
		"nofile=18446744073709551616",
	} {
		if got, err := parseLimit(text); err == nil {
			t.Errorf("%q: got %v", text, got)
		} else {
			wantUsageError(t, err)
		}
	}
	// Each resource of the kernel has a name, and one alone.
	named := make(map[int]bool)
	for name, resource := range resources() {
		if named[resource] || limitText(reap.ResourceLimit{Resource: resource}) != name+"=0:0" {
			t.Errorf("%s is %d", name, resource)
		}
		named[resource] = true
	}
	for resource := range 16 { // RLIM_NLIMITS
		if !named[resource] {
			t.Errorf("limit %d has no name", resource)
		}
	}
}

func FuzzParseLimit(f *testing.F) {
	for _, text := range []string{"nofile=1:2", "core=-1", "cpu=unlimited:unlimited", "=:", "stack"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limit, err := parseLimit(text)
		if err != nil {
			wantUsageError(t, err)
			return
		}
		if again, err := parseLimit(limitText(limit)); err != nil || again != limit || limit.Limit.Cur > limit.Limit.Max {
			t.Errorf("%q: %v, again %v, %v", text, limit, again, err)
		}
	})
}

// What is asked for is what the configuration has, with the names looked up.
func TestPrepare(t *testing.T) {
	dir := t.TempDir()
	o, _, err := parse([]string{"-u", "12345:678", "-w", dir, "-e", "A=1", "--new-session", "--clear-env", "cmd"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.prepare([]string{"B=2"}); err != nil {
		t.Fatal(err)
	}
	a := o.config.Attributes
	if a.User == nil || a.User.UID != 12345 || a.User.GID != 678 || !slices.Equal(a.User.Groups, []uint32{678}) || a.Dir != dir {
		t.Errorf("%+v, %+v", a, a.User)
	}
	if want := []string{"HOME=/", "A=1"}; !slices.Equal(o.config.Env, want) {
		t.Errorf("got %q, want %q", o.config.Env, want)
	}
	if o.config.Placement != reap.OwnSession {
		t.Errorf("placement %d", o.config.Placement)
	}
}

// A limit above the hard one is refused where the kernel would, and named.
func TestCheckLimit(t *testing.T) {
	var own unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &own); err != nil {
		t.Fatal(err)
	}
	caps, err := reap.ReadCapabilities()
	if err != nil {
		t.Fatal(err)
	}
	for max, wrong := range map[uint64]bool{own.Max: false, own.Max - 1: false, own.Max + 1: true, reap.Unlimited: true} {
		limit := reap.ResourceLimit{Resource: unix.RLIMIT_NOFILE, Limit: reap.Limit{Cur: 1, Max: max}}
		err := checkLimit(limit)
		if (err != nil) != (wrong && !caps.Effective.Has(unix.CAP_SYS_RESOURCE)) {
			t.Errorf("%d: %v", max, err)
		}
		if err != nil && err.Error() != "the hard limit is "+strconv.FormatUint(own.Max, 10)+", and reaper may not raise it" {
			t.Error(err)
		}
	}
}

func TestCheckDirectory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	writeFile(t, file, "", 0o600)
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.Symlink(dir, link), os.Symlink("none", filepath.Join(dir, "dangling"))); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"": "", dir: "", ".": "", link: "", file: "not a directory", file + "/x": "not a directory",
		filepath.Join(dir, "none"): "no such directory", filepath.Join(dir, "dangling"): "no such directory",
	} {
		err := checkDirectory(path)
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
