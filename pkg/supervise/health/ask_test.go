package health

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// unwritable is a connection that has been closed by the other side, after an answer.
type unwritable struct {
	net.Conn
	err    error
	answer io.Reader
}

func (c unwritable) Write([]byte) (int, error) { return 0, c.err }

func (c unwritable) Read(p []byte) (int, error) { return c.answer.Read(p) }

func (c unwritable) SetReadDeadline(time.Time) error { return nil }

func TestAskTooLate(t *testing.T) {
	for _, tt := range []struct {
		sent error
		code int
		err  error
	}{
		{syscall.EPIPE, 200, nil},
		{syscall.ECONNRESET, 200, nil},
		{net.ErrClosed, 0, net.ErrClosed},
	} {
		code, err := ask(t.Context(), unwritable{err: tt.sent, answer: strings.NewReader("HTTP/1.1 200 OK\r\n\r\n")}, "GET / HTTP/1.1\r\n\r\n")
		if code != tt.code || !errors.Is(err, tt.err) {
			t.Errorf("%v: %d, %v; want %d, %v", tt.sent, code, err, tt.code, tt.err)
		}
	}
}

// How long what takes, on a clock of its own.
func TestAskTiming(t *testing.T) {
	const header = "HTTP/1.1 200 OK\r\n\r\n"
	for name, tt := range map[string]struct {
		text  string
		pause time.Duration // before each byte
		open  bool          // not closed at the end
		took  time.Duration
		err   error
	}{
		"at once":                   {header + "body", 0, false, 0, nil},
		"slow":                      {header, 100 * time.Millisecond, false, time.Duration(len(header)) * 100 * time.Millisecond, nil},
		"a server that stays":       {header + "body", 0, true, bodyPatience, nil},
		"a slow body":               {header + strings.Repeat(" ", 100), 100 * time.Millisecond, true, time.Duration(len(header))*100*time.Millisecond + bodyPatience, nil},
		"too slow":                  {header, sec, true, 5 * sec, ErrTimeout},
		"silent":                    {"", 0, true, 5 * sec, ErrTimeout},
		"in time, with a slow body": {header + strings.Repeat(" ", 100), 260 * time.Millisecond, true, 4970 * time.Millisecond, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				served := make(chan struct{})
				go func() {
					defer close(served)
					defer theirs.Close() //nolint:errcheck // never fails
					request(theirs)
					for i := range len(tt.text) {
						<-time.After(tt.pause)
						if _, err := io.WriteString(theirs, tt.text[i:i+1]); err != nil { // the other side has gone
							return
						}
					}
					if tt.open {
						io.Copy(io.Discard, theirs) //nolint:errcheck // that is what it waits for
					}
				}()
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 5*sec)
				defer cancel()
				release := closeAt(ctx, ours)
				code, err := ask(ctx, ours, "GET / HTTP/1.1\r\n\r\n")
				took := time.Since(start)
				release()
				ours.Close() //nolint:errcheck // it may have been closed
				<-served
				if err != nil {
					err = reason(ctx, err)
				}
				if !errors.Is(err, tt.err) || (err == nil) != (code == 200) || took != tt.took {
					t.Errorf("%d, %v after %v; want %v after %v", code, err, took, tt.err, tt.took)
				}
			})
		})
	}
}

// A server that has more to say when its status is known can say it, and is not cut off
// by the limit before that.
func TestAskTakesTheBody(t *testing.T) {
	const header, piece = "HTTP/1.1 200 OK\r\n\r\n", 4096
	for _, tt := range []struct{ size, taken int }{
		{0, 0},
		{piece, piece},
		{bodyLimit, bodyLimit},
		{3 * bodyLimit, bodyLimit + piece},
	} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			taken := make(chan int)
			go func() {
				defer theirs.Close() //nolint:errcheck // never fails
				request(theirs)
				io.WriteString(theirs, header) //nolint:errcheck // the next shows
				n := 0
				for n < tt.size {
					<-time.After(time.Millisecond)
					more, err := theirs.Write(make([]byte, min(piece, tt.size-n)))
					n += more
					if err != nil {
						break
					}
				}
				taken <- n
			}()
			code, err := ask(t.Context(), ours, "GET / HTTP/1.1\r\n\r\n")
			ours.Close() //nolint:errcheck // never fails
			if n := <-taken; code != 200 || err != nil || n < min(tt.size, bodyLimit) || n > tt.taken {
				t.Errorf("%d bytes: %d were taken; %d, %v", tt.size, n, code, err)
			}
		})
	}
}
