package output

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// told is a tail as text: the stream, the line, and + if it was cut.
func told(lines []Line) string {
	var out strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&out, "%s %q", l.Stream, l.Text)
		if l.Cut {
			out.WriteString("+")
		}
		out.WriteString("\n")
	}
	return out.String()
}

func TestTailLines(t *testing.T) {
	type piece struct {
		stream Stream
		text   string
		cont   bool
	}
	long := strings.Repeat("l", maxTailLine)
	for name, test := range map[string]struct {
		lines  int
		pieces []piece
		want   string
	}{
		"none":                 {3, nil, ""},
		"not wanted":           {0, []piece{{0, "a\n", false}}, ""},
		"fewer":                {3, []piece{{0, "a\nb\n", false}}, "stdout \"a\"\nstdout \"b\"\n"},
		"as many":              {2, []piece{{0, "a\nb\n", false}}, "stdout \"a\"\nstdout \"b\"\n"},
		"more":                 {2, []piece{{0, "a\nb\nc\n", false}}, "stdout \"b\"\nstdout \"c\"\n"},
		"empty ones":           {2, []piece{{0, "a\n\n\n", false}}, "stdout \"\"\nstdout \"\"\n"},
		"no end":               {2, []piece{{0, "a\nb\nc", false}}, "stdout \"b\"\nstdout \"c\"\n"},
		"both":                 {2, []piece{{0, "a\n", false}, {1, "b\n", false}, {0, "c\n", false}}, "stderr \"b\"\nstdout \"c\"\n"},
		"a line in pieces":     {2, []piece{{0, "a", false}, {0, "b", true}, {0, "c\nd\n", true}}, "stdout \"abc\"\nstdout \"d\"\n"},
		"pieces of both":       {2, []piece{{0, "a", false}, {1, "x", false}, {0, "b\n", true}, {1, "y\n", true}}, "stdout \"ab\"\nstderr \"xy\"\n"},
		"its beginning is old": {1, []piece{{0, "a", false}, {1, "x\n", false}, {0, "b\n", true}}, "stderr \"x\"\n"},
		"a new instance":       {2, []piece{{0, "a", false}, {0, "b\n", false}}, "stdout \"a\"\nstdout \"b\"\n"},
		"only the end comes":   {2, []piece{{0, "a", false}, {0, "\n", true}, {0, "b\n", false}}, "stdout \"a\"\nstdout \"b\"\n"},
		"the longest":          {1, []piece{{0, long + "\n", false}}, fmt.Sprintf("stdout %q\n", long)},
		"a longer":             {1, []piece{{0, long, false}, {0, "m\n", true}}, fmt.Sprintf("stdout %q+\n", long)},
	} {
		tl := newTail(test.lines)
		for _, p := range test.pieces {
			tl.add(p.stream, time.Now(), []byte(p.text), p.cont)
		}
		if got := told(tl.copy()); got != test.want {
			t.Errorf("%s: got\n%.200s want\n%.200s", name, got, test.want)
		}
	}
}

// What is remembered of a stream in pieces is the end of it, however it was cut.
func FuzzTail(f *testing.F) {
	f.Add(uint8(2), "a\nb\nc\n", uint8(3))
	f.Add(uint8(1), "\n\n", uint8(1))
	f.Add(uint8(3), "no end", uint8(2))
	f.Fuzz(func(t *testing.T, lines uint8, text string, cut uint8) {
		n, size := 1+int(lines%8), 1+int(cut)
		tl := newTail(n)
		mid := false
		for rest := text; rest != ""; {
			piece := rest[:min(size, len(rest))]
			rest = rest[len(piece):]
			tl.add(Stderr, time.Now(), []byte(piece), mid)
			mid = !strings.HasSuffix(piece, "\n")
		}
		all := strings.Split(text, "\n")
		if all[len(all)-1] == "" {
			all = all[:len(all)-1]
		}
		all = all[max(len(all)-n, 0):]
		got := tl.copy()
		for i, l := range got {
			if i >= len(all) || l.Text != all[i][:min(len(all[i]), maxTailLine)] {
				t.Fatalf("line %d of %q is %q", i, all, l.Text)
			}
		}
		if len(got) != len(all) {
			t.Fatalf("%d lines of %q", len(got), all)
		}
	})
}

// A flood costs no memory for its lines.
func TestTailAllocatesNothing(t *testing.T) {
	tl := newTail(10)
	text := numbered(100_000)
	at := time.Now()
	if n := testing.AllocsPerRun(100, func() { tl.add(Stdout, at, text, false) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
