package main

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const testPasswd = `root:x:0:0:root:/root:/bin/sh
# app:x:1:1::/comment:/bin/sh
  app:x:1000:1001:An App,,,:/srv/app:/bin/sh
app:x:2000:2000::/second:/bin/sh
1234:x:77:77::/digits:/bin/sh
nohome:x:1002:1002:::/bin/sh
short:x:1003:1003
odd:x:oops:oops::/odd:/bin/sh
empty:x:::/empty::
huge:x:4294967294:4294967294::/huge:/bin/sh
toohuge:x:4294967295:4294967295::/toohuge:/bin/sh
negative:x:-1:-1::/negative:/bin/sh
+nis:x:0:0::/nis:/bin/sh
+::::::
cut:x:5
`

const testGroup = `root:x:0:
# comment:x:9:app
staff:x:50:root,app
app:x:1001:
wheel:x:10:app,root
again:x:50:app
apple:x:60:apple,xapp,appx
second:x:70:app
1234:x:88:nobody
odd:x:oops:app
short:x:90
+nis:x:0:app
`

// accounts are files of users and groups.
func accounts(t *testing.T) (passwd, group string) {
	t.Helper()
	dir := t.TempDir()
	passwd, group = filepath.Join(dir, "passwd"), filepath.Join(dir, "group")
	writeFile(t, passwd, testPasswd, 0o644)
	writeFile(t, group, testGroup, 0o644)
	return passwd, group
}

// Users and groups are those that docker run finds, but that an entry whose number is
// none is no entry rather than root's.
func TestLookUp(t *testing.T) {
	passwd, group := accounts(t)
	own := uint32(os.Getuid())
	for _, test := range []struct {
		spec     string
		uid, gid uint32
		groups   []uint32
		home     string
		err      string
	}{
		{"root", 0, 0, []uint32{0, 50, 10}, "/root", ""},
		{"app", 1000, 1001, []uint32{1001, 50, 10, 70}, "/srv/app", ""},
		{"1000", 1000, 1001, []uint32{1001, 50, 10, 70}, "/srv/app", ""},
		{"0001000", 1000, 1001, []uint32{1001, 50, 10, 70}, "/srv/app", ""},
		{"app:", 1000, 1001, []uint32{1001, 50, 10, 70}, "/srv/app", ""},
		{"app:wheel", 1000, 10, []uint32{10}, "/srv/app", ""},
		{"app:0", 1000, 0, []uint32{0}, "/srv/app", ""},
		{"1000:4294967294", 1000, 4294967294, []uint32{4294967294}, "/srv/app", ""},
		{"2000", 2000, 2000, []uint32{2000, 50, 10, 70}, "/second", ""}, // groups go by the name
		{"1234", 1234, 0, []uint32{0}, "/", ""},                         // digits are a number
		{"77", 77, 77, []uint32{77}, "/digits", ""},
		{"0:1234", 0, 1234, []uint32{1234}, "/root", ""},
		{"5555", 5555, 0, []uint32{0}, "/", ""},
		{"5555:staff", 5555, 50, []uint32{50}, "/", ""},
		{"4294967294", 4294967294, 4294967294, []uint32{4294967294}, "/huge", ""},
		{"huge", 4294967294, 4294967294, []uint32{4294967294}, "/huge", ""},
		{"nohome", 1002, 1002, []uint32{1002}, "/", ""},
		{"short", 1003, 1003, []uint32{1003}, "/", ""},
		{":staff", own, 50, []uint32{50}, "", ""},
		{":7", own, 7, []uint32{7}, "", ""},

		{spec: "", err: "neither a user nor a group"},
		{spec: ":", err: "neither a user nor a group"},
		{spec: "nobody", err: "no user of that name in " + passwd},
		{spec: "App", err: "no user of that name in " + passwd},
		{spec: " app", err: "no user of that name in " + passwd},
		{spec: "odd", err: "no user of that name in " + passwd},
		{spec: "empty", err: "no user of that name in " + passwd},
		{spec: "toohuge", err: "no user of that name in " + passwd},
		{spec: "negative", err: "no user of that name in " + passwd},
		{spec: "cut", err: "no user of that name in " + passwd},
		{spec: "+nis", err: "no user of that name in " + passwd},
		{spec: "+", err: "no user of that name in " + passwd},
		{spec: "# app", err: "no user of that name in " + passwd},
		{spec: "-1", err: "no user of that name in " + passwd},
		{spec: "+5", err: "no user of that name in " + passwd},
		{spec: "1e3", err: "no user of that name in " + passwd},
		{spec: "4294967295", err: "4294967295 is not from 0 to 4294967294"},
		{spec: "99999999999999999999", err: "99999999999999999999 is not from 0 to 4294967294"},
		{spec: "app:nobody", err: "no group nobody in " + group},
		{spec: "app:odd", err: "no group odd in " + group},
		{spec: "app:4294967295", err: "4294967295 is not from 0 to 4294967294"},
		{spec: "app:a:b", err: "no group a:b in " + group},
		{spec: "nobody:staff", err: "no user of that name in " + passwd},
		{spec: ":nobody", err: "no group nobody in " + group},
	} {
		got, err := lookUp(test.spec, passwd, group)
		if test.err != "" {
			if err == nil || err.Error() != test.err {
				t.Errorf("%q: %+v, %v; want %q", test.spec, got, err, test.err)
				continue
			}
			wantUsageError(t, err)
			continue
		}
		if err != nil || got.UID != test.uid || got.GID != test.gid || !slices.Equal(got.Groups, test.groups) || got.home != test.home {
			t.Errorf("%q: got %+v, %v; want %+v", test.spec, got, err, test)
		}
	}
}

// In an empty container there are no names, and numbers will do. A file that is there
// and cannot be read is another thing: groups would be missing.
func TestLookUpWithoutFiles(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	if got, err := lookUp("1000:7", none, none); err != nil || got.UID != 1000 || got.GID != 7 || got.home != "/" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := lookUp("1000", none, none); err != nil || got.UID != 1000 || !slices.Equal(got.Groups, []uint32{0}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := lookUp("root", none, none); err == nil || err.Error() != "no user of that name in "+none {
		t.Error(err)
	}
	passwd, group := accounts(t)
	for _, files := range [][2]string{{dir, group}, {passwd, dir}} {
		for _, spec := range []string{"app", "1000"} {
			if _, err := lookUp(spec, files[0], files[1]); err == nil || err.Error() != "cannot read "+dir+": is a directory" {
				t.Errorf("%s in %q: %v", spec, files, err)
			}
		}
	}
}

// A line can be as long as a large company has members.
func TestLookUpLongLine(t *testing.T) {
	passwd, group := accounts(t)
	writeFile(t, group, "all:x:7:"+strings.Repeat("somebody,", 100_000)+"app\n", 0o644)
	if got, err := lookUp("app", passwd, group); err != nil || !slices.Equal(got.Groups, []uint32{1001, 7}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// Whatever the files say, nobody becomes root but by a number that is 0.
func FuzzLookUp(f *testing.F) {
	f.Add("app", testPasswd, testGroup)
	f.Add("app:staff", testPasswd, testGroup)
	f.Add("", "", "")
	f.Add("a", "a:::::", "a::0:a")
	f.Fuzz(func(t *testing.T, spec, passwd, group string) {
		dir := t.TempDir()
		files := [2]string{filepath.Join(dir, "passwd"), filepath.Join(dir, "group")}
		writeFile(t, files[0], passwd, 0o644)
		writeFile(t, files[1], group, 0o644)
		got, err := lookUp(spec, files[0], files[1])
		if err != nil {
			return
		}
		zero := func(field string) bool { return field != "" && strings.Trim(field, "0") == "" }
		name, _, _ := strings.Cut(spec, ":")
		if got.UID == 0 && name != "" && !zero(name) {
			found := false
			for line := range strings.SplitSeq(passwd, "\n") {
				fields := strings.Split(strings.TrimSpace(line), ":")
				found = found || len(fields) > 3 && fields[0] == name && zero(fields[2])
			}
			if !found {
				t.Errorf("%q is root by %q", spec, passwd)
			}
		}
		if got.UID > maxID || got.GID > maxID || !slices.Contains(got.Groups, got.GID) {
			t.Errorf("%q: %s, %+v", spec, strconv.Quote(passwd), got)
		}
	})
}
