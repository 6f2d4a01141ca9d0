package output

import (
	"bytes"
	"path/filepath"
	"testing"
)

// Whatever is printed, in whatever writes: the file has it, the old files and the new one
// together have it, the lines have it behind
// their prefixes, and what is raw is just it.
func FuzzCapture(f *testing.F) {
	f.Add([]byte("a\nb\n"), uint16(1))
	f.Add([]byte("no end"), uint16(3))
	f.Add([]byte{0, '\n', 0xff, 0xfe, '\n', '\n'}, uint16(2))
	f.Add(numbered(20_000), uint16(700))
	f.Add(bytes.Repeat([]byte("x"), 30_000), uint16(5000))
	f.Fuzz(func(t *testing.T, text []byte, cut uint16) {
		plain, rotating := filepath.Join(t.TempDir(), "plain"), filepath.Join(t.TempDir(), "rotated")
		var lines, raw bytes.Buffer
		for _, conf := range []Config{
			{File: plain, Prefixed: &lines},
			{Stderr: &raw},
			{File: rotating, MaxSize: 4096},
		} {
			c, err := open(conf, never) // run looks at all goroutines, which takes longer than the rest
			if err != nil {
				t.Fatal(err)
			}
			for rest := text; len(rest) > 0; {
				n := min(int(cut)+1, len(rest))
				c.print(t, Stderr, string(rest[:n]))
				rest = rest[n:]
			}
			c.end(t)
			c.wantNoLoss(t)
		}
		wantSame(t, "plain", contents(t, plain), text)
		wantSame(t, "raw", raw.Bytes(), text)
		all, _ := rotated(t, rotating)
		wantSame(t, "rotated", all, text)
		var bare []byte
		const head = len("2026-11-24T18:38:00.123")
		for line := range bytes.Lines(lines.Bytes()) {
			_, rest, ok := bytes.Cut(line[head:], []byte(" stderr: "))
			if !ok {
				t.Fatalf("no prefix: %q", line)
			}
			bare = append(bare, rest...)
		}
		wantSame(t, "lines", bare, text)
	})
}
