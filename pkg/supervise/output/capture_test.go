package output

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// noise is output of all kinds: short lines and long ones, empty ones, NUL, bytes that
// are no UTF-8, and perhaps no line break at the end.
func noise(r *rand.Rand, size int) []byte {
	out := make([]byte, 0, size)
	for len(out) < size {
		line := randomBytes()[r.IntN(1<<20):]
		n := []int{r.IntN(3), r.IntN(200), r.IntN(5000), r.IntN(3 * maxLine)}[min(r.IntN(200)/66, r.IntN(60))]
		out = append(append(out, line[:n]...), '\n')
	}
	return out[:size]
}

// randomBytes have no line break.
var randomBytes = sync.OnceValue(func() []byte {
	data := make([]byte, 4*maxLine)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data) // it never fails
	return bytes.ReplaceAll(data, []byte{'\n'}, []byte{0})
})

// printInPieces prints data in writes of all sizes.
func (c *Capture) printInPieces(t *testing.T, s Stream, r *rand.Rand, data []byte) {
	t.Helper()
	for len(data) > 0 {
		n := min(1+r.IntN([]int{10, 1000, 100_000, 1_000_000}[r.IntN(4)]), len(data))
		c.print(t, s, string(data[:n]))
		data = data[n:]
	}
}

// One stream into one file: what comes out is what went in, rotated or not.
func TestIdentical(t *testing.T) {
	for seed := range uint64(6) {
		for name, maxSize := range map[string]int64{"plain": 0, "rotated": 300_000} {
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 0))
				path := filepath.Join(t.TempDir(), "a.log")
				c := run(t, Config{File: path, MaxSize: maxSize, Queue: 64 << 20, Tail: 3}, time.Duration(seed%2)*never)
				in := noise(r, r.IntN(8<<20))
				c.printInPieces(t, Stream(r.IntN(2)), r, in)
				c.end(t)
				c.wantNoLoss(t)
				out, _ := rotated(t, path)
				wantSame(t, "output", out, in)
			})
		}
	}
}

// The lines of both streams are whole, and each stream's are in order.
func TestLinesOfBoth(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var lines bytes.Buffer
	c := run(t, Config{File: path, Prefixed: &lines, Name: "daemon", Queue: 64 << 20}, never)
	const count = 20_000
	var printers sync.WaitGroup
	for s := range streams {
		printers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(s), 1))
			var text []byte
			for n := range count {
				text = fmt.Appendf(text, "%s %06d %s\n", s, n, strings.Repeat("x", r.IntN(100)))
				if n%1000 == 0 {
					text = fmt.Appendf(text, "%s long %s\n", s, strings.Repeat("y", r.IntN(maxLine-100)))
				}
				if r.IntN(20) == 0 || n == count-1 {
					c.print(t, s, string(text))
					text = text[:0]
				}
			}
		})
	}
	printers.Wait()
	c.end(t)
	c.wantNoLoss(t)
	wantOrder(t, contents(t, path), count)
	var bare bytes.Buffer
	for line := range bytes.Lines(lines.Bytes()) {
		head, rest, ok := bytes.Cut(line, []byte(": "))
		if stream, _, _ := bytes.Cut(rest, []byte(" ")); !ok || !bytes.HasSuffix(head, append([]byte(" daemon "), stream...)) {
			t.Fatalf("prefix %q before %.40q", head, rest)
		}
		bare.Write(rest)
	}
	wantOrder(t, bare.Bytes(), count)
}

// wantOrder wants each stream's numbered lines, whole and in order.
func wantOrder(t *testing.T, text []byte, count int) {
	t.Helper()
	next := make(map[string]int)
	for line := range bytes.Lines(text) {
		words := strings.Split(strings.TrimSuffix(string(line), "\n"), " ")
		if len(words) != 3 || words[0] != "stdout" && words[0] != "stderr" {
			t.Fatalf("not a line: %.100q", line)
		}
		if words[1] == "long" {
			if strings.Trim(words[2], "y") != "" {
				t.Fatalf("a long line is torn")
			}
			continue
		}
		if want := fmt.Sprintf("%06d", next[words[0]]); words[1] != want {
			t.Fatalf("%s: line %s where %s should be", words[0], words[1], want)
		}
		next[words[0]]++
	}
	for s := range streams {
		if next[s.String()] != count {
			t.Errorf("%d lines of %s, want %d", next[s.String()], s, count)
		}
	}
}

// A flood into a small file: as fast as the command prints it. All that was not written is
// told, and the old files are no more than they may be. See also BenchmarkRotate.
func TestFlood(t *testing.T) {
	const full = 64 << 20
	for name, test := range map[string]struct {
		size int
		conf Config
	}{
		"all kept":   {full, Config{Queue: 2 * full}}, // nothing is lost, however slow this machine is
		"some kept":  {full, Config{Keep: 3}},
		"compressed": {full / 8, Config{Keep: 3, Compress: true}},
	} {
		t.Run(name, func(t *testing.T) {
			path, size, conf := filepath.Join(t.TempDir(), "flood.log"), test.size, test.conf
			conf.File, conf.MaxSize = path, int64(size/64)
			c := run(t, conf, never)
			cmd := produce.command(t, strconv.Itoa(size))
			cmd.Stdout, cmd.Stderr = c.ends[Stdout], c.ends[Stderr]
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			most := len(oldOnes(t, path))
			c.end(t)
			all, files := rotated(t, path)
			lines, lost := 0, 0
			for line := range bytes.Lines(all) {
				if line[0] != '[' {
					lines++
				} else if m := remarkLine.FindSubmatch(bytes.TrimSuffix(line, []byte{'\n'})); m != nil {
					n, _ := strconv.Atoi("0" + string(m[1]))
					lost += n
				}
			}
			stats := c.Stats()
			if stats.Read[Stdout] != uint64(size) {
				t.Errorf("read %d bytes of %d", stats.Read[Stdout], size)
			}
			if conf.Keep == 0 {
				c.wantNoLoss(t)
				if lines != produced(size) || lost > 0 {
					t.Errorf("%d lines, %d lost, of %d", lines, lost, produced(size))
				}
				return
			}
			if len(files) != conf.Keep+1 || most > 2*conf.Keep+2 {
				t.Errorf("%d files at the end, %d old ones before, of %d", len(files), most, conf.Keep)
			}
		})
	}
}

// A prompt is seen although its line has not ended; another line does not get into it.
func TestPieces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var lines bytes.Buffer
	c := run(t, Config{File: path, Prefixed: &lines, Name: "d", Tail: 10}, time.Millisecond)
	file := func(want string) {
		t.Helper()
		eventually(t, fmt.Sprintf("the file is %q", want), func() bool { return string(contents(t, path)) == want })
	}
	c.print(t, Stdout, "Password: ")
	file("Password: ")
	c.print(t, Stdout, "***")
	file("Password: ***")
	c.print(t, Stderr, "warning\n")
	file("Password: ***\nwarning\n")
	c.print(t, Stdout, "\nok\n")
	file("Password: ***\nwarning\n\nok\n")
	c.print(t, Stdout, "last")
	c.end(t)
	c.wantNoLoss(t)
	file("Password: ***\nwarning\n\nok\nlast")
	var bare []string
	for line := range strings.Lines(lines.String()) {
		at, rest, _ := strings.Cut(line, " ")
		if _, err := time.Parse(timeLayout, at); err != nil {
			t.Error(err)
		}
		bare = append(bare, rest)
	}
	if got, want := strings.Join(bare, "|"), "d stdout: Password: ***\n|d stderr: warning\n|d stdout+: \n|d stdout: ok\n|d stdout: last"; got != want {
		t.Errorf("lines\n%q, want\n%q", got, want)
	}
	wantTail(t, c, "stdout Password: ***", "stderr warning", "stdout ok", "stdout last")
}

func wantTail(t *testing.T, c *Capture, want ...string) {
	t.Helper()
	var got []string
	for _, l := range c.Tail() {
		if l.Time.IsZero() || l.Cut {
			t.Errorf("%+v", l)
		}
		got = append(got, l.Stream.String()+" "+l.Text)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("tail %q, want %q", got, want)
	}
}

// What was printed before Settle is among the last lines after it, and what the next
// instance of the command prints does not go on with its last line.
func TestSettle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := run(t, Config{File: path, Tail: 2}, never)
	for n := range 200 {
		c.print(t, Stderr, fmt.Sprintf("starting %d\nfatal: %d", n, n))
		within(t, "Settle", c.Settle)
		wantTail(t, c, fmt.Sprintf("stderr starting %d", n), fmt.Sprintf("stderr fatal: %d", n))
	}
	c.Settle()
	c.end(t)
	c.Settle() // finds nothing
	wantTail(t, c, "stderr starting 199", "stderr fatal: 199")
	if got := strings.Count(string(contents(t, path)), "\nfatal: "); got != 200 {
		t.Errorf("%d lines of 200 begin as they should", got)
	}
}

// Settle ends although somebody never stops printing.
func TestSettleAmidFlood(t *testing.T) {
	c := run(t, Config{Tail: 1}, never)
	c.print(t, Stdout, "flood\n")
	end := false
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for !end {
			select {
			case <-stop:
				end = true
			default:
				c.print(t, Stdout, strings.Repeat("flood\n", 1000))
			}
		}
	}()
	for range 100 {
		within(t, "Settle", c.Settle)
	}
	close(stop)
	<-stopped
	c.end(t)
	wantTail(t, c, "stdout flood")
}

// What a process that is left still prints is taken in, until its end.
func TestCloseWaitsForLeftovers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	c := run(t, Config{File: path}, never)
	left, err := dup(c.FD(Stdout))
	if err != nil {
		t.Fatal(err)
	}
	c.print(t, Stdout, "command\n")
	closed := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		closed <- c.Close(ctx)
	}()
	eventually(t, "the command's output is there", func() bool { return string(contents(t, path)) == "command\n" })
	for range 100 {
		if _, err := left.WriteString("leftover\n"); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-closed:
		t.Fatalf("closed before its end: %v", err)
	default:
	}
	left.Close()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	wantSame(t, "file", contents(t, path), []byte("command\n"+strings.Repeat("leftover\n", 100)))
}

// One that is kept is cut short. What it has printed by then is taken in.
func TestCloseCutsShort(t *testing.T) {
	for _, held := range []Stream{Stdout, Stderr} {
		path := filepath.Join(t.TempDir(), "log")
		c := run(t, Config{File: path}, never)
		left, err := dup(c.FD(held))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("0123456\n", 50_000) + "unfinished"
		if _, err := left.WriteString(text); err != nil {
			t.Fatal(err)
		}
		// Close waits a moment only for what is to be written then.
		eventually(t, "the lines are written", func() bool { return len(contents(t, path)) >= 50_000*8 })
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		within(t, "Close", func() { err = c.Close(ctx) })
		if !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), "read "+held.String()+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v", err)
		}
		wantSame(t, "file", contents(t, path), []byte(text))
		c.wantAccounts(t)
		if _, err := left.WriteString("x"); err == nil {
			t.Error("somebody still reads")
		}
		left.Close()
	}
}

// The descriptors of the command block, and are those of no other program.
func TestDescriptors(t *testing.T) {
	c := run(t, Config{Tail: 1}, never)
	for s := range streams {
		flags, closing := fcntl(t, c.FD(s), getFlags), fcntl(t, c.FD(s), getFD)
		if flags&nonblock != 0 || closing != 1 {
			t.Errorf("%s: flags %#x, close-on-exec %d", s, flags, closing)
		}
	}
	c.CloseWriters()
	c.CloseWriters()
	c.end(t)
	if c.Stats() != (Stats{}) || len(c.Tail()) != 0 {
		t.Errorf("%+v, %+v", c.Stats(), c.Tail())
	}
}
