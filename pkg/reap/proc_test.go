package reap

import (
	"fmt"
	"strings"
	"testing"
)

// statLine is a line of /proc/PID/stat, as Linux 6.18 prints it.
func statLine(name string) string {
	return "4242 (" + name + ") S 1 4240 4241 34816 4242 4194560 231 0 0 0 1 2 3 4 20 0 1 0 987654 3133440 384" +
		" 18446744073709551615 1 2 3 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
}

// A name may hold any byte but NUL: it ends at the last parenthesis.
var oddNames = []string{
	"sh", "", " ", "a b", "\n", "(", ")", "()", ")(", "a) R 1 (b", ") Z 1 2 3 4", "(sd-pam)", "kworker/0:1", "\xff\xfe", "15 bytes of name", "x) S 1 2 3 4)",
}

func TestParseStatNames(t *testing.T) {
	for _, name := range oddNames {
		got, err := parseStat([]byte(statLine(name)))
		want := Proc{PID: 4242, Name: name, State: 'S', PPID: 1, PGID: 4240, Session: 4241, Threads: 1, Start: 987654}
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v", name, got, err)
		}
	}
}

func TestParseStatStates(t *testing.T) {
	for _, state := range "RSDTtZXxKWPI" {
		p, err := parseStat([]byte(strings.Replace(statLine("x"), ") S", ") "+string(state), 1)))
		if err != nil || p.State != byte(state) || p.Zombie() != (state == 'Z') {
			t.Errorf("%c: %+v, zombie %v, %v", state, p, p.Zombie(), err)
		}
	}
}

// The kernel is free to add fields, and has never taken any away.
func TestParseStatFields(t *testing.T) {
	line := strings.TrimSuffix(statLine("a b"), "\n")
	fields := strings.Split(line, " ")
	const needed = 23 // 22 of proc(5), and the blank in the name
	for n := range len(fields) + 1 {
		_, err := parseStat([]byte(strings.Join(fields[:n], " ")))
		if (err == nil) != (n >= needed) {
			t.Errorf("with %d fields: %v", n, err)
		}
	}
	if _, err := parseStat([]byte(line + " 1 2 3 new\n")); err != nil {
		t.Errorf("with more fields: %v", err)
	}
}

func TestParseStatRefuses(t *testing.T) {
	whole := statLine("x")
	for _, line := range []string{
		"", "\n", "1", "1 (x", "1 x) S", "()", "(x) S 1 2 3", ")(", "1 )x( S",
		strings.Replace(whole, "4242 (", "(", 1),
		strings.Replace(whole, "4242 (", "x (", 1),
		strings.Replace(whole, "4242 (", "4242 1 (", 1),
		strings.Replace(whole, ") S", ") SS", 1),
		strings.Replace(whole, ") S", ")", 1),
		strings.Replace(whole, " 1 4240", " x 4240", 1),
		strings.Replace(whole, " 4240", " 4240x", 1),
		strings.Replace(whole, " 4241", " 99999999999999999999", 1),
		strings.Replace(whole, " 987654", " -987654", 1),
		strings.Replace(whole, " 987654", " x", 1),
	} {
		if p, err := parseStat([]byte(line)); err == nil || p != (Proc{}) {
			t.Errorf("%q: %+v, %v", line, p, err)
		}
	}
}

// Whatever the line, parseStat does not panic; and what it reads is what would
// be written.
func FuzzParseStat(f *testing.F) {
	for _, name := range oddNames {
		f.Add([]byte(statLine(name)))
	}
	whole := statLine("a) (b")
	for n := range len(whole) {
		f.Add([]byte(whole[:n]))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		p, err := parseStat(line)
		if err != nil {
			if p != (Proc{}) {
				t.Errorf("%+v beside %v", p, err)
			}
			return
		}
		again := fmt.Sprintf("%d (%s) %c %d %d %d 0 0 0 0 0 0 0 0 0 0 0 0 0 %d 0 %d\n", p.PID, p.Name, p.State, p.PPID, p.PGID, p.Session, p.Threads, p.Start)
		if q, err := parseStat([]byte(again)); err != nil || q != p {
			t.Errorf("%q is read as %+v, and %q as %+v, %v", line, p, again, q, err)
		}
	})
}
