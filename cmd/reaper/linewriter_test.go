package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A pipeEnd is a descriptor that package os does not know, as descriptor 2: it
// blocks.
type pipeEnd struct{ fd int }

func rawPipe(t *testing.T) (r, w *pipeEnd) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r, w = &pipeEnd{fds[0]}, &pipeEnd{fds[1]}
	t.Cleanup(w.close)
	t.Cleanup(r.close) // the first of the two, which ends whoever writes
	return r, w
}

func (e *pipeEnd) close() {
	if e.fd >= 0 {
		_ = unix.Close(e.fd) // it was open
		e.fd = -1
	}
}

// fill writes x into the pipe until it is full.
func (e *pipeEnd) fill(t *testing.T) {
	t.Helper()
	e.nonblock(t, true)
	for {
		if _, err := unix.Write(e.fd, []byte("x")); errors.Is(err, unix.EAGAIN) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	e.nonblock(t, false)
}

func (e *pipeEnd) nonblock(t *testing.T, on bool) {
	t.Helper()
	if err := unix.SetNonblock(e.fd, on); err != nil {
		t.Fatal(err)
	}
}

// readAll reads, in small pieces, until the last writer has closed.
func (e *pipeEnd) readAll(t *testing.T) []byte {
	t.Helper()
	var all []byte
	piece := make([]byte, 1000)
	for {
		n, err := unix.Read(e.fd, piece)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			t.Error(err)
			return all
		case n == 0:
			return all
		default:
			all = append(all, piece[:n]...)
		}
	}
}

// closedDescriptor is a number so high that nothing gets it soon.
func closedDescriptor(t *testing.T) int {
	t.Helper()
	_, w := rawPipe(t)
	fd, err := unix.FcntlInt(uintptr(w.fd), unix.F_DUPFD_CLOEXEC, 500)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(fd); err != nil {
		t.Fatal(err)
	}
	return fd
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// within fails if f is still running when every patience has an end.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("blocked: %s", what)
	}
}

// numbered is the n-th line of a test, of about the given length.
func numbered(n, length int) []byte {
	line := fmt.Appendf(nil, "%08d ", n)
	return append(append(line, bytes.Repeat([]byte{'a' + byte(n%26)}, length)...), '\n')
}

func writeLines(t *testing.T, w *lineWriter, lines, length int) {
	t.Helper()
	for n := range lines {
		line := numbered(n, length)
		if wrote, err := w.Write(line); wrote != len(line) || err != nil {
			t.Errorf("Write: %d, %v", wrote, err)
		}
		clear(line) // it belongs to the caller again
	}
}

// wantLines checks that the output is the first n of those lines, whole.
func wantLines(t *testing.T, output []byte, n, length int) {
	t.Helper()
	for i := range n {
		line := numbered(i, length)
		if !bytes.HasPrefix(output, line) {
			t.Fatalf("line %d of %d is torn or missing: %.40q", i, n, output)
		}
		output = output[len(line):]
	}
	if len(output) > 0 {
		t.Errorf("%d bytes after the last line: %.40q", len(output), output)
	}
}

// Nobody reads, and the writer's caller goes on. What does not fit is counted
// (pitfall 50).
func TestLineWriterNeverBlocks(t *testing.T) {
	r, end := rawPipe(t)
	end.fill(t)
	w := newLineWriter(end.fd)
	const lines = 4 * queuedLines
	within(t, "Write", func() { writeLines(t, w, lines, 10) })
	kept := lines - w.dropped
	// The writer has some lines in its hands, sooner or later.
	if most := queuedLines + pipeBuf/len(numbered(0, 10)) + 1; kept < queuedLines || kept > most {
		t.Errorf("kept %d lines, want %d to %d", kept, queuedLines, most)
	}

	// Whoever reads at last finds the lines whole and in their order.
	output := make(chan []byte)
	go func() { output <- r.readAll(t) }()
	_ = w.close()
	<-w.ended // close waits for a moment only
	end.close()
	got := slices.Collect(bytes.Lines(bytes.TrimLeft(<-output, "x")))
	if len(got) != kept {
		t.Fatalf("got %d lines, want %d", len(got), kept)
	}
	last := -1
	for i, line := range got {
		n, err := strconv.Atoi(string(line[:min(8, len(line))]))
		if err != nil || !bytes.Equal(line, numbered(n, 10)) || n <= last {
			t.Fatalf("after %d comes %q", last, line)
		}
		if i < queuedLines && n != i {
			t.Fatalf("%d was dropped while there was room", i)
		}
		last = n
	}
}

// A reader that sleeps cannot hold up the end for longer than is meant.
func TestLineWriterCloseHasAnEnd(t *testing.T) {
	r, end := rawPipe(t)
	end.fill(t)
	w := newLineWriter(end.fd)
	writeLines(t, w, 10, 10)
	start := time.Now()
	within(t, "close", func() { _ = w.close() })
	if took := time.Since(start); took < closePatience {
		t.Errorf("close gave up after %v, it should wait for %v", took, closePatience)
	}
	select {
	case <-w.ended:
		t.Error("the writer has ended, into a full pipe")
	default:
	}
	r.close()
	<-w.ended // by EPIPE
}

// What is read in time is not lost at the end, however slow the reader.
func TestLineWriterCloseWaits(t *testing.T) {
	r, end := rawPipe(t)
	w := newLineWriter(end.fd)
	writeLines(t, w, queuedLines, 50)
	if w.dropped > 0 {
		t.Fatalf("dropped %d of what the queue holds", w.dropped)
	}
	output := make(chan []byte)
	go func() { output <- r.readAll(t) }()
	_ = w.close()
	<-w.ended
	end.close()
	wantLines(t, <-output, queuedLines, 50)
}

// A line is whole however long it is, whether the descriptor blocks or not.
func TestLineWriterNeverTearsALine(t *testing.T) {
	for _, nonblock := range []bool{false, true} {
		r, end := rawPipe(t)
		end.nonblock(t, nonblock)
		w := newLineWriter(end.fd)
		const lines, length = 20, 150_000 // more than twice what a pipe holds
		writeLines(t, w, lines, length)
		output := make(chan []byte)
		go func() { output <- r.readAll(t) }()
		_ = w.close()
		<-w.ended
		end.close()
		wantLines(t, <-output, lines, length)
		if w.dropped > 0 {
			t.Errorf("non-blocking %v: dropped %d", nonblock, w.dropped)
		}
	}
}

// Lines that have to wait share a write, in whole and in no more than a pipe takes at
// once: one write is one message here.
func TestLineWriterBatches(t *testing.T) {
	messages, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(messages[0]) //nolint:errcheck // nothing was written
	const lines, length = 500, 100
	whole := lines * len(numbered(0, length))
	w := newLineWriter(messages[1])
	w.lines, w.ended = make(chan []byte, lines), make(chan struct{})
	writeLines(t, w, lines, length) // all of them wait
	go w.drain()
	close(w.lines)
	var all []byte
	n := 0
	for len(all) < whole {
		message := make([]byte, 2*pipeBuf)
		size, err := unix.Read(messages[0], message)
		if err != nil {
			t.Fatal(err)
		}
		if size > pipeBuf || message[size-1] != '\n' {
			t.Errorf("a write of %d bytes that ends with %q", size, message[size-1])
		}
		all = append(all, message[:size]...)
		n++
	}
	<-w.ended
	unix.Close(messages[1]) //nolint:errcheck // all of it was read
	wantLines(t, all, lines, length)
	if want := whole/(pipeBuf-whole/lines) + 1; n > want {
		t.Errorf("%d writes, want no more than %d", n, want)
	}
}

func brokenPipe(t *testing.T) int {
	t.Helper()
	r, w := rawPipe(t)
	r.close()
	return w.fd
}

// brokenFullPipe would have the writer poll, if anybody read.
func brokenFullPipe(t *testing.T) int {
	t.Helper()
	r, w := rawPipe(t)
	w.fill(t)
	w.nonblock(t, true)
	r.close()
	return w.fd
}

func readOnly(t *testing.T) int {
	t.Helper()
	r, _ := rawPipe(t)
	return r.fd
}

func fullDevice(t *testing.T) int {
	t.Helper()
	file, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { file.Close() })
	return int(file.Fd())
}

func noDescriptor(*testing.T) int { return -1 }

// Nobody is there to tell, so nothing happens.
func TestLineWriterOfNothing(t *testing.T) {
	for name, open := range map[string]func(*testing.T) int{
		"closed": closedDescriptor, "none": noDescriptor, "read-only": readOnly, "full": fullDevice,
		"broken": brokenPipe, "broken, non-blocking": brokenFullPipe,
	} {
		t.Run(name, func(t *testing.T) {
			w := newLineWriter(open(t))
			writeLines(t, w, 100, 10)
			within(t, "close", func() {
				_ = w.close()
				<-w.ended
			})
			if w.dropped > 0 {
				t.Errorf("dropped %d", w.dropped)
			}
		})
	}
}

// The SIGPIPE of a log that nobody reads does not come back as a signal to be
// forwarded to the command (pitfalls 46 and 56).
func TestLineWriterKeepsSIGPIPE(t *testing.T) {
	sigs := make(chan os.Signal, 10)
	signal.Notify(sigs, unix.SIGPIPE, unix.SIGWINCH)
	defer signal.Stop(sigs)

	r, end := rawPipe(t)
	r.close()
	w := newLineWriter(end.fd)
	writeLines(t, w, 100, 10)
	_ = w.close()
	<-w.ended
	// os/signal hands over what is pending in the order of the numbers, so what
	// the writer had raised would come before this.
	if err := unix.Kill(os.Getpid(), unix.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	if got := <-sigs; got != unix.SIGWINCH {
		t.Errorf("the writer's %v came to the program", got)
	}

	// The control: any other write does raise it.
	if _, err := unix.Write(end.fd, []byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Fatal(err)
	}
	select {
	case got := <-sigs:
		if got != unix.SIGPIPE {
			t.Errorf("got %v", got)
		}
	case <-time.After(patience):
		t.Error("a write to a broken pipe raised nothing, so this test proves nothing")
	}
}

// The writer's thread takes no signal, and is gone with the writer. The main
// thread alone cannot go: the runtime lets it sleep for ever.
func TestLineWriterThread(t *testing.T) {
	r, end := rawPipe(t)
	end.fill(t)
	w := newLineWriter(end.fd)
	writeLines(t, w, 1, 10)
	var tid string
	eventually(t, "a thread writes to the full pipe", func() bool {
		tid = writingThread(t, end.fd)
		return tid != ""
	})
	status, err := os.ReadFile("/proc/self/task/" + tid + "/status")
	if err != nil {
		t.Fatal(err)
	}
	const all = "\nSigBlk:\tfffffffffffbfeff\n" // but for KILL and STOP
	if !strings.Contains(string(status), all) {
		t.Errorf("not every signal is blocked:\n%s", status)
	}
	r.close()
	_ = w.close()
	<-w.ended
	eventually(t, "the writer's thread has ended", func() bool {
		_, err := os.Stat("/proc/self/task/" + tid)
		return err != nil || tid == strconv.Itoa(os.Getpid())
	})
}

// writingThread is the thread of this process that is in a write to fd, if any.
func writingThread(t *testing.T, fd int) (tid string) {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	write := fmt.Sprintf("%d 0x%x ", unix.SYS_WRITE, fd)
	for _, task := range tasks {
		call, err := os.ReadFile("/proc/self/task/" + task.Name() + "/syscall")
		if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
			t.Skip(err)
		}
		if strings.HasPrefix(string(call), write) {
			return task.Name()
		}
	}
	return ""
}

func TestLineWriterRoom(t *testing.T) {
	r, end := rawPipe(t)
	end.fill(t)
	w := newLineWriter(end.fd)
	writeLines(t, w, 1, pipeBuf) // so long that no other joins it
	eventually(t, "the first line is in the writer's hands", func() bool { return len(w.lines) == 0 })
	for n := range queuedLines {
		if !w.room() {
			t.Fatalf("no room after %d lines", n)
		}
		writeLines(t, w, 1, 10)
	}
	if w.room() || w.dropped != 0 {
		t.Errorf("room %v, dropped %d", w.room(), w.dropped)
	}
	writeLines(t, w, 1, 10)
	if w.dropped != 1 {
		t.Errorf("dropped %d, want 1", w.dropped)
	}
	r.close()
	_ = w.close()
	<-w.ended
}
