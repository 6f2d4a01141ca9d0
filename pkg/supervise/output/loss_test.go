package output

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

var remarkLine = regexp.MustCompile(`\[reaper: (?:(\d+) lines? \()?(\d+) bytes\)? of (stdout|stderr) lost here\]$`)

// remarksIn adds up what the remarks in an output tell of a stream.
func remarksIn(t *testing.T, text []byte, s Stream) (lost Count) {
	t.Helper()
	for line := range bytes.Lines(text) {
		m := remarkLine.FindSubmatch(bytes.TrimSuffix(line, []byte{'\n'}))
		if m == nil || string(m[3]) != s.String() {
			continue
		}
		lines, _ := strconv.ParseUint("0"+string(m[1]), 10, 64)
		size, err := strconv.ParseUint(string(m[2]), 10, 64)
		if err != nil {
			t.Error(err)
		}
		lost.add(Count{lines, size})
	}
	return lost
}

// lossesIn adds up the events of loss until stop is closed.
func (c *Capture) lossesIn(stop <-chan struct{}) <-chan Count {
	sum := make(chan Count, 1)
	go func() {
		var lost Count
		for {
			select {
			case e := <-c.Events():
				lost.add(e.Lost)
			case <-stop:
				sum <- lost
				return
			}
		}
	}()
	return sum
}

// A reader that sleeps blocks nobody: not the command, and not the file. What it misses
// is counted, and told where it is missing.
func TestSlowReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	sleeper := newGate()
	c := run(t, Config{File: path, Prefixed: sleeper, Queue: 8 << 20, Tail: 1}, never)
	stop := make(chan struct{})
	losses := c.lossesIn(stop)
	const size, lineSize = 64 << 20, 128
	var text []byte
	within(t, "the command", func() {
		for len(text) < size {
			begin := len(text)
			for len(text) < begin+1000*lineSize {
				text = fmt.Appendf(text, "%0*d\n", lineSize-1, len(text)/lineSize)
			}
			c.print(t, Stdout, string(text[begin:]))
		}
	})
	last := fmt.Sprintf("%0*d", lineSize-1, len(text)/lineSize-1)
	c.Settle()
	wantTail(t, c, "stdout "+last)
	close(sleeper.opened)
	c.print(t, Stdout, "end\n")
	c.end(t)
	close(stop)

	stats := c.Stats()
	lost := stats.To[ToPrefixed].Lost[Stdout]
	if lost.Bytes < size/2 || lost.Bytes != lost.Lines*lineSize && lost.Bytes != (lost.Lines-1)*lineSize+4 { // with "end"
		t.Errorf("lost %+v", lost)
	}
	if told := <-losses; told.Lines > lost.Lines || told.Lines == 0 {
		t.Errorf("lost %+v, told %+v", lost, told)
	}
	if remarked := remarksIn(t, sleeper.Bytes(), Stdout); remarked != lost {
		t.Errorf("lost %+v, remarked %+v", lost, remarked)
	}
	wantGapless(t, sleeper.String())
	if file := stats.To[ToFile].lost(); file.Bytes == 0 {
		wantSame(t, "file", contents(t, path), append(text, "end\n"...))
	}
}

// wantGapless wants lines that are numbered, or remarks in place of those that are not there.
func wantGapless(t *testing.T, text string) {
	t.Helper()
	next := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := remarkLine.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi("0" + m[1])
			next += n
			continue
		}
		_, number, ok := strings.Cut(line, ": ")
		if number == "end" {
			continue
		}
		if n, err := strconv.Atoi(number); !ok || err != nil || n != next {
			t.Fatalf("%q where %d should be", line, next)
		}
		next++
	}
}

// flaky is a destination that fails now and then, often in the midst of a write.
type flaky struct {
	bytes.Buffer
	r *rand.Rand
}

func (f *flaky) Write(data []byte) (int, error) {
	n := len(data)
	if f.r.IntN(3) == 0 {
		n = min(1+f.r.IntN(1000), n)
	}
	f.Buffer.Write(data[:n])
	if n < len(data) {
		return n, []error{syscall.ENOSPC, syscall.EIO, io.ErrShortWrite, nil}[f.r.IntN(4)]
	}
	return n, nil
}

// A write that fails is taken up where it failed: nothing is lost, and nothing twice.
func TestWriteFails(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		dest := &flaky{r: rand.New(rand.NewPCG(seed, 3))}
		c := run(t, Config{Prefixed: dest, Name: "n", Queue: 64 << 20}, never)
		in := append(noise(r, r.IntN(1<<20)), "x\n"...)
		c.printInPieces(t, Stderr, r, in)
		c.end(t)
		var out []byte
		for line := range bytes.Lines(dest.Bytes()) {
			if _, rest, ok := bytes.Cut(line, []byte(" n stderr: ")); ok {
				line = rest
			}
			out = append(out, line...)
		}
		wantSame(t, fmt.Sprintf("seed %d", seed), out, in)
		if stats := c.Stats().To[ToPrefixed]; stats.lost() != (Count{}) || stats.Err != nil {
			t.Errorf("%+v", stats)
		}
	}
}

// broken fails as long as err is set. The test and the writer use it in turn.
type broken struct {
	bytes.Buffer
	errs  chan error
	calls chan struct{}
}

func (b *broken) Write(data []byte) (int, error) {
	b.calls <- struct{}{}
	if err := <-b.errs; err != nil {
		return 0, err
	}
	return b.Buffer.Write(data)
}

// A failure is told once, another one too, and so is the end of it. A write is tried
// again when more comes, and not before.
func TestFailuresAreTold(t *testing.T) {
	dest := &broken{errs: make(chan error), calls: make(chan struct{})}
	c := run(t, Config{Prefixed: dest}, never)
	attempt := func(text string, err error) {
		t.Helper()
		c.print(t, Stdout, text)
		within(t, "an attempt", func() {
			<-dest.calls
			dest.errs <- err
		})
	}
	event := func(kind EventKind, err error) {
		t.Helper()
		within(t, "an event", func() {
			if e := <-c.Events(); e.To != ToPrefixed || e.Kind != kind || !errors.Is(e.Err, err) {
				t.Errorf("%+v, want kind %d, %v", e, kind, err)
			}
		})
	}
	failures := func(n uint64) {
		t.Helper()
		eventually(t, "failures are counted", func() bool { return c.Stats().To[ToPrefixed].Failures == n })
	}
	attempt("1\n", syscall.ENOSPC)
	event(Failed, syscall.ENOSPC)
	attempt("2\n", syscall.ENOSPC)
	failures(2)
	attempt("3\n", syscall.EIO)
	event(Failed, syscall.EIO)
	attempt("4\n", nil)
	event(Recovered, nil)
	go func() { // the rest
		for range dest.calls {
			dest.errs <- nil
		}
	}()
	c.end(t)
	close(dest.calls)
	if stats := c.Stats().To[ToPrefixed]; stats.Failures != 3 || stats.Err != nil || stats.Written != 8 {
		t.Errorf("%+v", stats)
	}
	var got string
	for line := range strings.Lines(dest.String()) {
		got += line[strings.LastIndex(line, " ")+1:]
	}
	if got != "1\n2\n3\n4\n" {
		t.Errorf("got %q", got)
	}
}

// A disk that is full until the end: it is told how much is lost, and why.
func TestFullForGood(t *testing.T) {
	c := run(t, Config{File: "/dev/full", MaxSize: 1 << 20, Queue: 1 << 20}, never)
	text := numbered(8 << 20)
	within(t, "the command", func() { c.printInPieces(t, Stdout, rand.New(rand.NewPCG(4, 4)), text) })
	var err error
	within(t, "Close", func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err = c.Close(ctx)
	})
	if !errors.Is(err, syscall.ENOSPC) || !regexp.MustCompile(`^write file: \d+ lines \(\d+ bytes\) lost: `).MatchString(err.Error()) {
		t.Errorf("%v", err)
	}
	c.wantAccounts(t)
	want := Count{uint64(bytes.Count(text, []byte{'\n'})), uint64(len(text))}
	if stats := c.Stats().To[ToFile]; stats.lost() != want || stats.Written != 0 || stats.Failures == 0 {
		t.Errorf("%+v, want %+v lost", stats, want)
	}
}

// Whatever the queue is: what is written, and what the remarks tell, is all.
func TestAccounts(t *testing.T) {
	for seed := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, 5))
		dest := newGate()
		c := run(t, Config{Prefixed: dest, Queue: 1 + r.IntN(1<<20)}, never)
		in := append(noise(r, r.IntN(2<<20)), '\n')
		half := r.IntN(len(in))
		c.printInPieces(t, Stdout, r, in[:half])
		if r.IntN(2) == 0 {
			c.Settle()
		}
		close(dest.opened)
		c.printInPieces(t, Stdout, r, in[half:])
		c.end(t)
		stats := c.Stats().To[ToPrefixed]
		if told := remarksIn(t, dest.Bytes(), Stdout); told != stats.Lost[Stdout] {
			t.Errorf("seed %d: lost %+v, told %+v", seed, stats.Lost, told)
		}
	}
}
