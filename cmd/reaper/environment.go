package main

import (
	"os"
	"strconv"
	"strings"
	"unicode"
)

const (
	hintEnv     = "use NAME=VALUE, or NAME to pass on what reaper has"
	hintEnvFile = "each line is NAME=VALUE, or NAME to pass on what reaper has, or starts with #; nothing is quoted"
)

// assignments are NAME=VALUE or NAME alone.
type assignments []string

func (a *assignments) Set(text string) error {
	if name, _, _ := strings.Cut(text, "="); name == "" {
		return &usageError{"no name of a variable", hintEnv}
	}
	*a = append(*a, text)
	return nil
}

func (a *assignments) String() string { return "" }
func (a *assignments) Type() string   { return "assignment" }

// environment is that of the command: what reaper has, or nothing; over that HOME, if
// the user has one; over that the files, and at last the options. own is reaper's, with
// all variables that are options.
func (o *options) environment(own []string, home string) ([]string, error) {
	env := o.config.Env
	if o.clearEnv {
		env = nil
	}
	var set assignments
	if home != "" {
		set = append(set, "HOME="+home)
	}
	for _, file := range o.envFiles {
		lines, err := readEnvFile(file)
		if err != nil {
			return nil, o.wrong("env-file", file, err)
		}
		set = append(set, lines...)
	}
	for _, assignment := range append(set, o.setEnv...) {
		name, _, given := strings.Cut(assignment, "=")
		if given {
			env = assign(env, name, assignment)
			continue
		}
		var passed []string
		if value, ok := getenv(own, name); ok {
			passed = append(passed, name+"="+value)
		}
		env = assign(env, name, passed...)
	}
	return env, nil
}

// assign replaces all entries of a name by those that are given.
func assign(env []string, name string, entries ...string) []string {
	result := make([]string, 0, len(env)+len(entries))
	for _, kv := range env {
		if key, _, _ := strings.Cut(kv, "="); key != name {
			result = append(result, kv)
			continue
		}
		result = append(result, entries...)
		entries = nil
	}
	return append(result, entries...)
}

// getenv is getenv(3).
func getenv(env []string, name string) (value string, ok bool) {
	for _, kv := range env {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// readEnvFile reads what docker run takes as --env-file. A value is what follows the
// first = up to the end of the line, blanks and quotes too.
func readEnvFile(file string) (assignments, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, &usageError{cause(err), "give a file that can be read"}
	}
	var set assignments
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		number++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		line = strings.TrimLeftFunc(line, unicode.IsSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		name, _, _ := strings.Cut(line, "=")
		wrong := ""
		switch {
		case name == "":
			wrong = "no name before the ="
		case strings.ContainsFunc(name, unicode.IsSpace):
			wrong = "a blank in the name " + strconv.Quote(name)
		case strings.Contains(line, "\x00"):
			wrong = "a NUL"
		}
		if wrong != "" {
			return nil, &usageError{"line " + strconv.Itoa(number) + ": " + wrong, hintEnvFile}
		}
		set = append(set, line)
	}
	return set, nil
}
