package output

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Each stream comes out as it went in: lines of any length, NUL, no line break at the
// end, and none where one life of the command follows another.
func TestRawIsIdentical(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			var out [streams]bytes.Buffer
			c := run(t, Config{Stdout: &out[Stdout], Stderr: &out[Stderr], Queue: 64 << 20, Tail: 3}, time.Duration(seed%3)*shortIdleTime)
			var in [streams][]byte
			var printers sync.WaitGroup
			for s := range streams {
				r := rand.New(rand.NewPCG(seed, uint64(s)))
				in[s] = noise(r, r.IntN(4<<20))
				printers.Go(func() {
					for rest := in[s]; len(rest) > 0; {
						n := min(1+r.IntN(1<<20), len(rest))
						c.printInPieces(t, s, r, rest[:n])
						c.Settle()
						rest = rest[n:]
					}
				})
			}
			printers.Wait()
			c.end(t)
			c.wantNoLoss(t)
			for s := range streams {
				wantSame(t, s.String(), out[s].Bytes(), in[s])
			}
		})
	}
}

// The other destinations get what they get without it.
func TestRawBesideOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var stdout, lines bytes.Buffer
	c := run(t, Config{File: path, Prefixed: &lines, Stdout: &stdout, Tail: 5}, time.Millisecond)
	c.print(t, Stdout, "begun")
	eventually(t, "the beginning is in the file", func() bool { return string(contents(t, path)) == "begun" })
	c.print(t, Stderr, "between\n")
	eventually(t, "so is the other line", func() bool { return string(contents(t, path)) == "begun\nbetween\n" })
	c.print(t, Stdout, " and ended\n")
	c.end(t)
	c.wantNoLoss(t)
	wantSame(t, "stdout", stdout.Bytes(), []byte("begun and ended\n"))
	wantSame(t, "file", contents(t, path), []byte("begun\nbetween\n and ended\n"))
	if n := strings.Count(lines.String(), "\n"); n != 3 {
		t.Errorf("%d lines in %q", n, lines.String())
	}
	wantTail(t, c, "stdout begun and ended", "stderr between")
}

// A writer for both streams is one destination, in which lines are whole.
func TestRawShared(t *testing.T) {
	var out bytes.Buffer
	c := run(t, Config{Stdout: &out, Stderr: &out, Queue: 64 << 20}, never)
	const count = 20_000
	var printers sync.WaitGroup
	for s := range streams {
		printers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(s), 7))
			var text []byte
			for n := range count {
				text = fmt.Appendf(text, "%s %06d %s\n", s, n, strings.Repeat("x", r.IntN(100)))
			}
			c.printInPieces(t, s, r, text)
		})
	}
	printers.Wait()
	c.end(t)
	c.wantNoLoss(t)
	wantOrder(t, out.Bytes(), count)
	if stats := c.Stats(); stats.To[ToStdout].Written != uint64(out.Len()) || stats.To[ToStderr] != (DestinationStats{}) {
		t.Errorf("%+v", stats)
	}
}

// incomparable is a writer that == panics at.
type incomparable []*bytes.Buffer

func (i incomparable) Write(data []byte) (int, error) { return i[0].Write(data) }

func TestRawCannotBeCompared(t *testing.T) {
	var out [streams]bytes.Buffer
	c := run(t, Config{Stdout: incomparable{&out[Stdout]}, Stderr: incomparable{&out[Stderr]}}, never)
	c.print(t, Stdout, "out")
	c.print(t, Stderr, "err")
	c.end(t)
	if got := out[Stdout].String() + " " + out[Stderr].String(); got != "out err" {
		t.Errorf("got %q", got)
	}
}

// What has no end of line does not wait for one, and not for a pause either.
func TestRawDoesNotWait(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	conf := Config{Stdout: file}
	c := run(t, conf, conf.idle())
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(shortIdleTime / 10)
		defer tick.Stop()
		for {
			c.print(t, Stdout, ".")
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	eventually(t, "dots are there", func() bool { return len(contents(t, file.Name())) > 0 })
	close(stop)
	<-stopped
	c.end(t)
}

// A reader of stdout that sleeps blocks nobody: not the command, and not its stderr.
// What it misses is counted, and told where it is missing.
func TestRawSlowReader(t *testing.T) {
	sleeper := newGate()
	var stderr bytes.Buffer
	c := run(t, Config{Stdout: sleeper, Stderr: &stderr, Tail: 2}, never)
	text := numbered(32 << 20)
	within(t, "the command", func() {
		for part := range slices.Chunk(text, 1<<20) {
			c.print(t, Stdout, string(part))
			c.print(t, Stderr, "error\n")
		}
	})
	close(sleeper.opened)
	c.end(t)
	wantSame(t, "stderr", stderr.Bytes(), bytes.Repeat([]byte("error\n"), stderr.Len()/6))
	stats := c.Stats()
	if lost := stats.To[ToStderr]; lost.lost() != (Count{}) || lost.Written != stats.Read[Stderr] {
		t.Errorf("stderr: %+v, %.100q", lost, stderr.String())
	}
	lost := stats.To[ToStdout].Lost
	if lost[Stdout].Bytes < 16<<20 || lost[Stderr] != (Count{}) {
		t.Errorf("lost %+v", lost)
	}
	if told := remarksIn(t, sleeper.Bytes(), Stdout); told != lost[Stdout] {
		t.Errorf("lost %+v, told %+v", lost, told)
	}
	// Without the remarks it is the text, less what was lost, by whole lines.
	rest := text
	for line := range bytes.Lines(sleeper.Bytes()) {
		if remarkLine.Match(bytes.TrimSuffix(line, []byte{'\n'})) {
			continue
		}
		at := bytes.Index(rest, line)
		if at < 0 || at > 0 && rest[at-1] != '\n' {
			t.Fatalf("%q is out of place", line)
		}
		rest = rest[at+len(line):]
	}
}

// A remark has a line of its own, also where the line before it has not ended.
func TestRawRemark(t *testing.T) {
	sleeper := newGate()
	c := run(t, Config{Stdout: sleeper, Queue: 1}, 0)
	c.print(t, Stdout, "first")
	eventually(t, "the writer has it", func() bool { return c.Stats().Read[Stdout] == 5 })
	c.print(t, Stdout, "lost")
	eventually(t, "it is lost", func() bool { return c.Stats().To[ToStdout].Lost[Stdout].Bytes > 0 })
	close(sleeper.opened)
	c.end(t)
	wantSame(t, "stdout", sleeper.Bytes(), []byte("first\n[reaper: 4 bytes of stdout lost here]\n"))
}

// A write that fails is taken up where it failed, to the byte.
func TestRawWriteFails(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 8))
		dest := &flaky{r: rand.New(rand.NewPCG(seed, 9))}
		c := run(t, Config{Stderr: dest, Queue: 64 << 20}, shortIdleTime)
		in := noise(r, r.IntN(1<<20))
		c.printInPieces(t, Stderr, r, in)
		c.print(t, Stdout, "this goes nowhere\n")
		c.end(t)
		wantSame(t, fmt.Sprintf("seed %d", seed), dest.Bytes(), in)
		if stats := c.Stats().To[ToStderr]; stats.lost() != (Count{}) || stats.Err != nil {
			t.Errorf("%+v", stats)
		}
	}
}

// failing takes nothing.
type failing struct{ error }

func (f failing) Write([]byte) (int, error) { return 0, f.error }

// A stream that cannot be written to, as it was closed, is told of; the other is written.
func TestRawOneFails(t *testing.T) {
	var stderr bytes.Buffer
	c := run(t, Config{Stdout: failing{syscall.EBADF}, Stderr: &stderr, Tail: 2}, never)
	c.print(t, Stdout, "out\n")
	if e := <-c.Events(); e.To != ToStdout || e.Kind != Failed || !errors.Is(e.Err, syscall.EBADF) {
		t.Errorf("%+v", e)
	}
	c.print(t, Stderr, "err\n")
	var err error
	within(t, "Close", func() { err = c.Close(context.Background()) })
	if !errors.Is(err, syscall.EBADF) || !strings.HasPrefix(err.Error(), "write stdout: 1 line (4 bytes) lost: ") {
		t.Errorf("%v", err)
	}
	c.wantAccounts(t)
	wantSame(t, "stderr", stderr.Bytes(), []byte("err\n"))
	wantTail(t, c, "stdout out", "stderr err")
}

var _ io.Writer = failing{}
