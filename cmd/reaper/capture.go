package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/supervise"
	"github.com/reaper-init/reaper/pkg/supervise/output"
)

// outputOptions say where what the command prints goes. Without any of them it has
// reaper's own streams, and nothing here runs. With tail alone what it prints goes there
// too, but comes by here.
type outputOptions struct {
	file     string
	maxSize  int64
	keep     *int
	compress bool
	prefix   bool
	tail     *int
}

const (
	defaultMaxSize = 10 << 20
	defaultKeep    = 5
	// outputPatience is how long the end of the program waits for output to be written.
	outputPatience = 5 * time.Second
)

func addOutputFlags(f *pflag.FlagSet, w *outputOptions) {
	f.StringVar(&w.file, "output", "", "")
	w.maxSize = defaultMaxSize
	f.Var(sizeValue{&w.maxSize}, "output-max-size", "")
	f.Var(rangeValue{&w.keep, 0, 1 << 20}, "output-keep", "")
	f.BoolVar(&w.compress, "output-compress", false, "")
	f.BoolVar(&w.prefix, "output-prefix", false, "")
	f.Var(rangeValue{&w.tail, 0, 10_000}, "tail", "")
}

// outputConflicts is every option about the output that has nothing to be about.
func (o *options) outputConflicts() error {
	w := &o.output
	for _, of := range []struct {
		option string
		given  bool
	}{
		{"output-max-size", w.maxSize != defaultMaxSize}, {"output-keep", w.keep != nil}, {"output-compress", w.compress},
	} {
		if of.given && w.file == "" {
			return &usageError{o.origin(of.option) + " is for the files of --output", "add --output FILE"}
		}
	}
	return nil
}

// captured is the output of the command on its way. It is nil if there is none.
type captured struct {
	*output.Capture
	stop, told chan struct{} // about tell
}

// captureOutput opens what the options name, and gives the command streams that lead
// there.
func (o *options) captureOutput(command []string) (*captured, error) {
	w := &o.output
	c := output.Config{File: w.file}
	if w.file != "" {
		c.MaxSize, c.Keep, c.Compress = w.maxSize, defaultKeep, w.compress
		if w.keep != nil {
			c.Keep = *w.keep
		}
	}
	if w.prefix {
		c.Prefixed = descriptor(1)
		if len(command) > 0 {
			c.Name = filepath.Base(command[0])
		}
	}
	if w.tail != nil {
		c.Tail = *w.tail
	}
	if c.Tail > 0 && w.file == "" && !w.prefix {
		c.Stdout, c.Stderr = descriptor(1), descriptorOfStderr()
	}
	if !c.Wanted() {
		return nil, nil
	}
	capture, err := output.Open(c)
	if err != nil && w.file == "" {
		return nil, fmt.Errorf("output cannot be taken in: %w", err)
	}
	if err != nil {
		return nil, &usageError{o.origin("output") + " " + quoted(w.file) + ": " + cause(err), "use a file that can be written"}
	}
	runtime.GOMAXPROCS(max(2, runtime.NumCPU())) // the loop does not wait for who copies and compresses
	o.config.Stdout = os.NewFile(uintptr(capture.FD(output.Stdout)), "stdout")
	o.config.Stderr = os.NewFile(uintptr(capture.FD(output.Stderr)), "stderr")
	return &captured{Capture: capture}, nil
}

// descriptorOfStderr is 1 if the streams of reaper are one terminal, pipe or file: it is to
// be one destination then, so that no line of the one gets into a line of the other.
func descriptorOfStderr() descriptor {
	var stdout, stderr unix.Stat_t
	if unix.Fstat(1, &stdout) == nil && unix.Fstat(2, &stderr) == nil && stdout.Dev == stderr.Dev && stdout.Ino == stderr.Ino {
		return 1
	}
	return 2
}

// tell logs what befalls the destinations. It has a log of its own, as that of the
// events belongs to the goroutine of the supervisor.
func (c *captured) tell(o *options) {
	c.stop, c.told = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(c.told)
		log := newLog(o, 2)
		defer log.close()
		for {
			select {
			case ev := <-c.Events():
				log.outputEvent(ev)
			case <-c.stop:
				return
			}
		}
	}()
}

// end takes in and writes what is left of the output when all is over, and returns the
// last lines.
func (c *captured) end(o *options, log *logger) []output.Line {
	patience := outputPatience
	if o.config.Leftovers == supervise.KeepLeftovers {
		patience = 0 // whoever is kept may print for ever
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c.CloseWriters()
	err := c.Close(ctx)
	close(c.stop)
	<-c.told
	runtime.KeepAlive(o.config.Stdout) // CloseWriters has closed their descriptors; they must not
	runtime.KeepAlive(o.config.Stderr)
	held := errors.Is(err, output.ErrHeld) && o.config.Leftovers == supervise.KeepLeftovers
	if err != nil && !held {
		log.error("output could not be written in full", err)
	}
	return c.Tail()
}

// outputReport is what the report tells of the output.
type outputReport struct {
	LostLines uint64       `json:"lost_lines"`
	LostBytes uint64       `json:"lost_bytes"`
	Lines     []lineReport `json:"lines"`
}

type lineReport struct {
	Stream string    `json:"stream"`
	Time   time.Time `json:"time"`
	Text   string    `json:"text"`
	Cut    bool      `json:"cut,omitempty"`
}

func (c *captured) report(tail []output.Line) *outputReport {
	r := &outputReport{Lines: make([]lineReport, 0, len(tail))}
	for _, to := range c.Stats().To {
		for _, lost := range to.Lost {
			r.LostLines += lost.Lines
			r.LostBytes += lost.Bytes
		}
	}
	for _, line := range tail {
		r.Lines = append(r.Lines, lineReport{line.Stream.String(), line.Time.UTC(), line.Text, line.Cut})
	}
	return r
}

// outputEvent writes the line of an event of the output.
func (l *logger) outputEvent(ev output.Event) {
	level, message := zapcore.WarnLevel, "output lost, it was not taken in time"
	fields := []zapcore.Field{text(fieldTo, ev.To.String())}
	switch ev.Kind {
	case output.Lost:
		fields = append(fields, number(fieldCount, int(ev.Lost.Lines)), number(fieldBytes, int(ev.Lost.Bytes)))
	case output.Failed:
		level, message = zapcore.ErrorLevel, "output cannot be written"
		fields = append(fields, text(fieldError, ev.Err.Error()))
	case output.Recovered:
		message = "output can be written again"
	}
	if l.enabled(level) {
		l.write(level, message, fields)
	}
}

// lastLines writes the last lines of a command that has failed.
func (l *logger) lastLines(tail []output.Line) {
	for _, line := range tail {
		if l.enabled(zapcore.WarnLevel) {
			l.write(zapcore.WarnLevel, "last output", []zapcore.Field{
				text(fieldStream, line.Stream.String()), text(fieldLine, line.Text),
			})
		}
	}
}

// descriptor is written to plainly: package os would make a SIGPIPE of what nobody
// reads into one for the whole process.
type descriptor int

// Write writes all, also where somebody has made the descriptor non-blocking.
func (d descriptor) Write(all []byte) (written int, err error) {
	for written < len(all) {
		n, err := unix.Write(int(d), all[written:])
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(d), Events: unix.POLLOUT}}, -1); err != nil && !errors.Is(err, unix.EINTR) {
				return written, err
			}
		case err != nil:
			return written, err
		default:
			written += n
		}
	}
	return written, nil
}
