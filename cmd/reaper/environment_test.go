package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An option counts more than a file, a file more than what reaper has; a name alone
// passes on what that is. The order of what was there stays.
func TestEnvironment(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	writeFile(t, first, "A=first\nB=first\nPASSED\nHIDDEN\n", 0o600)
	writeFile(t, second, "B=second\nHOME=/file\n", 0o600)
	base := []string{"PATH=/bin", "A=1", "HOME=/root", "A=2", "novalue", "Z=26", ""}
	own := append(slices.Clone(base), "REAPER_GROUP=true", "PASSED=on", "EMPTY=", "PASSED=again")
	for _, test := range []struct {
		name string
		o    becoming
		home string
		want []string
	}{
		{"nothing", becoming{}, "", base},
		{"set", becoming{setEnv: assignments{"N=1", "N=2"}}, "", append(slices.Clone(base), "N=2")},
		{"replaced where it was", becoming{setEnv: assignments{"A=x"}}, "", []string{"PATH=/bin", "A=x", "HOME=/root", "novalue", "Z=26", ""}},
		{"an empty value", becoming{setEnv: assignments{"A="}}, "", []string{"PATH=/bin", "A=", "HOME=/root", "novalue", "Z=26", ""}},
		{"a value with =", becoming{setEnv: assignments{"Z=a=b=c"}}, "", []string{"PATH=/bin", "A=1", "HOME=/root", "A=2", "novalue", "Z=a=b=c", ""}},
		{"home", becoming{}, "/srv", []string{"PATH=/bin", "A=1", "HOME=/srv", "A=2", "novalue", "Z=26", ""}},
		{"home by option", becoming{setEnv: assignments{"HOME=/opt"}}, "/srv", []string{"PATH=/bin", "A=1", "HOME=/opt", "A=2", "novalue", "Z=26", ""}},
		{"home by file", becoming{envFiles: words{second}}, "/srv", []string{"PATH=/bin", "A=1", "HOME=/file", "A=2", "novalue", "Z=26", "", "B=second"}},
		{"home passed on", becoming{setEnv: assignments{"HOME"}}, "/srv", base},
		{"none", becoming{clearEnv: true}, "", nil},
		{"none but home", becoming{clearEnv: true}, "/srv", []string{"HOME=/srv"}},
		{
			"names alone",
			becoming{clearEnv: true, setEnv: assignments{"PASSED", "EMPTY", "MISSING", "REAPER_GROUP", "A"}},
			"",
			[]string{"PASSED=on", "EMPTY=", "REAPER_GROUP=true", "A=1"},
		},
		{"what is not there is taken away", becoming{clearEnv: true, setEnv: assignments{"X=1", "MISSING=1", "MISSING"}}, "", []string{"X=1"}},
		{
			"files, then options",
			becoming{clearEnv: true, envFiles: words{first, second}, setEnv: assignments{"A=option"}},
			"",
			[]string{"A=option", "B=second", "PASSED=on", "HOME=/file"},
		},
	} {
		o := &options{becoming: test.o}
		o.config.Env = slices.Clone(base)
		got, err := o.environment(own, test.home)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, %v\nwant %q", test.name, got, err, test.want)
		}
		if !slices.Equal(o.config.Env, base) {
			t.Errorf("%s: what was handed in is now %q", test.name, o.config.Env)
		}
	}
}

// A file is read as docker run reads it.
func TestReadEnvFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	for text, want := range map[string][]string{
		"":                                  nil,
		"A=1":                               {"A=1"},
		"A=1\nB=2\n":                        {"A=1", "B=2"},
		"\ufeffA=1\r\nB=2\r\n":              {"A=1", "B=2"},
		"# comment\n\n  \n\t# too\nA=1 # x": {"A=1 # x"},
		"  A = 1":                           nil,
		"  A= 1 \t":                         {"A= 1 \t"},
		`A="1" '2'`:                         {`A="1" '2'`},
		"A=\nB":                             {"A=", "B"},
		"A=a=b":                             {"A=a=b"},
		"a.b-c=1":                           {"a.b-c=1"},
		"A=\xff":                            {"A=\xff"},
		"export A=1":                        nil,
		"=1":                                nil,
		"A=1\x00":                           nil,
		"A=" + strings.Repeat("x", 1<<20):   {"A=" + strings.Repeat("x", 1<<20)},
	} {
		writeFile(t, file, text, 0o600)
		got, err := readEnvFile(file)
		if wrong := want == nil && strings.Trim(text, " \t\r\n") != ""; wrong {
			if err == nil {
				t.Errorf("%.40q: got %q", text, got)
			} else {
				wantUsageError(t, err)
			}
			continue
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%.40q: got %.40q, %v; want %.40q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"A=1\n\n# x\n=2\n":    "line 4: no name before the =",
		"A=1\nexport B=2":     `line 2: a blank in the name "export B"`,
		"A=1\r\nB\u00a0C=2\n": "line 2: a blank in the name \"B\\u00a0C\"",
		"\x00":                "line 1: a NUL",
	} {
		writeFile(t, file, text, 0o600)
		if _, err := readEnvFile(file); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzReadEnvFile(f *testing.F) {
	for _, text := range []string{"", "A=1\nB\n", "\ufeff#\r\n=\n", "a b=c", "A=\x00"} {
		f.Add(text)
	}
	file := filepath.Join(f.TempDir(), "env")
	f.Fuzz(func(t *testing.T, text string) {
		writeFile(t, file, text, 0o600)
		set, err := readEnvFile(file)
		if err != nil {
			wantUsageError(t, err)
			return
		}
		for _, assignment := range set {
			name, _, _ := strings.Cut(assignment, "=")
			if name == "" || strings.ContainsAny(name, " \t\n\x00") || strings.ContainsAny(assignment, "\n\x00") {
				t.Errorf("%q gives %q", text, assignment)
			}
		}
	})
}
