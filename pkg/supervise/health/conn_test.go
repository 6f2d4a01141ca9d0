package health

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestConnectByName(t *testing.T) {
	for name, answer := range map[string]func(string, []byte) []byte{
		"over UDP": func(_ string, question []byte) []byte { return answerTo(question, dnsAnswer, loopback) },
		"too long for UDP": func(network string, question []byte) []byte {
			if network == "udp" {
				return answerTo(question, dnsAnswer|dnsTruncated)
			}
			return answerTo(question, dnsAnswer, loopback)
		},
	} {
		t.Run(name, func(t *testing.T) {
			noTrace(t)
			_, port, _ := net.SplitHostPort(serve(t, "127.0.0.1:0", gone))
			c, err := connect(t.Context(), nameServer(t, answer), host, port)
			if err != nil {
				t.Fatal(err)
			}
			c.Close() //nolint:errcheck // it is open
		})
	}
}

func TestConnectByUnknownName(t *testing.T) {
	noTrace(t)
	names := nameServer(t, func(_ string, question []byte) []byte { return answerTo(question, dnsAnswer|dnsNoName) })
	_, err := connect(t.Context(), names, host, "1")
	if dns, ok := errors.AsType[*net.DNSError](err); !ok || !dns.IsNotFound || !strings.HasSuffix(err.Error(), "no such host") {
		t.Errorf("got %v", err)
	}
}

// Package net would go on to wait for an answer, whatever becomes of the context.
func TestConnectWithoutNameServer(t *testing.T) {
	noTrace(t)
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network+", cancelled", func(t *testing.T) {
			noTrace(t)
			asked := make(chan struct{}, 100)
			names := nameServer(t, silentOver(network, func() { asked <- struct{}{} }))
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error)
			go func() {
				_, err := connect(ctx, names, host, "1")
				result <- err
			}()
			<-asked
			cancel()
			start := time.Now()
			if err := <-result; !errors.Is(err, context.Canceled) || time.Since(start) > nameServerTimeout/2 {
				t.Errorf("got %v after %v", err, time.Since(start))
			}
		})
		t.Run(network+", out of time", func(t *testing.T) {
			noTrace(t)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			_, err := connect(ctx, nameServer(t, silentOver(network, func() {})), host, "1")
			if !errors.Is(err, ErrTimeout) || err.Error() != "find address: timed out" {
				t.Errorf("got %v", err)
			}
		})
	}
}

// All addresses of a name are tried, and one that does not answer leaves time for
// the next. In which order they are tried is up to package net. The ports of these
// addresses are not in use as those of 127.0.0.1 are, which is where clients call from.
func TestConnectTriesAllAddresses(t *testing.T) {
	one, other := [4]byte{127, 0, 0, 2}, [4]byte{127, 0, 0, 3}
	for name, tt := range map[string]struct{ fails, works [4]byte }{
		"one":       {one, other},
		"the other": {other, one},
	} {
		works := net.IP(tt.works[:]).String() + ":0"
		t.Run(name+" is refused", func(t *testing.T) {
			noTrace(t)
			_, port, _ := net.SplitHostPort(serve(t, works, gone))
			number, _ := strconv.Atoi(port)
			bound(t, tt.fails, number, -1)
			if err := connects(t, patience, port, tt.fails, tt.works); err != nil {
				t.Error(err)
			}
		})
		t.Run(name+" is dropped", func(t *testing.T) {
			noTrace(t)
			_, port, _ := net.SplitHostPort(serve(t, works, gone))
			number, _ := strconv.Atoi(port)
			deaf(t, tt.fails, number)
			// The first address has half of the time; a machine may stand still for the rest.
			var err error
			for within := 2 * sec; within < patience; within *= 4 {
				if err = connects(t, within, port, tt.fails, tt.works); !errors.Is(err, ErrTimeout) {
					break
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func connects(t *testing.T, within time.Duration, port string, addresses ...[4]byte) error {
	t.Helper()
	names := nameServer(t, func(_ string, question []byte) []byte { return answerTo(question, dnsAnswer, addresses...) })
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	c, err := connect(ctx, names, host, port)
	if err == nil {
		c.Close() //nolint:errcheck // it is open
	}
	return err
}

// If none answers it is told what was wrong with the first.
func TestConnectFails(t *testing.T) {
	noTrace(t)
	port := bound(t, loopback, 0, -1)
	names := nameServer(t, func(_ string, question []byte) []byte {
		return answerTo(question, dnsAnswer, loopback, [4]byte{127, 0, 0, 3})
	})
	_, err := connect(t.Context(), names, host, strconv.Itoa(port))
	if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != "connect: connection refused" {
		t.Errorf("got %v", err)
	}
}

// A server that has gone means EPIPE and no SIGPIPE, which would come by sigs and be
// forwarded to the command (pitfall 56). Package net alone has it come: this is what
// the test of it shows first.
func TestWriteWithoutSIGPIPE(t *testing.T) {
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, syscall.SIGPIPE, syscall.SIGCONT)
	defer signal.Stop(signals)
	noTrace(t) // but for the goroutine of package signal, which stays
	address := serve(t, "127.0.0.1:0", func(c *net.TCPConn) {
		c.Read(make([]byte, 1)) //nolint:errcheck // the write tells
		c.CloseWrite()          //nolint:errcheck // the write tells
		c.SetLinger(0)          //nolint:errcheck // the write tells
	})
	written := func(write func(c *stream) error) os.Signal {
		t.Helper()
		c, err := dial(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() //nolint:errcheck // it is of no use any more
		for err == nil || !errors.Is(err, syscall.EPIPE) {
			err = write(c.(*stream)) // it may be ECONNRESET at first
		}
		// SIGPIPE is for the thread, and is there before the call returns; signals are
		// delivered in the order of their numbers, and this is the higher one.
		if err := syscall.Kill(os.Getpid(), syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		first := <-signals
		for sig := first; sig != syscall.SIGCONT; {
			sig = <-signals
		}
		return first
	}
	if sig := written(func(c *stream) error { _, err := c.TCPConn.Write([]byte("x")); return err }); sig != syscall.SIGPIPE {
		t.Errorf("package net: %v, and the test shows nothing", sig)
	}
	if sig := written(func(c *stream) error { _, err := c.Write([]byte("x")); return err }); sig != syscall.SIGCONT {
		t.Errorf("got %v", sig)
	}
}

// slowCloser takes until it is let go.
type slowCloser struct{ let chan struct{} }

func (c slowCloser) Close() error { <-c.let; return nil }

// Who has taken back that something is to be closed need not fear that it still is.
func TestCloseAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := slowCloser{make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		release := closeAt(ctx, c)
		cancel()
		released := make(chan struct{})
		go func() { release(); close(released) }()
		synctest.Wait()
		select {
		case <-released:
			t.Error("it is being closed, and nobody waits for that")
		default:
		}
		close(c.let)
		<-released
		release() // a second time does no harm

		ctx, cancel = context.WithCancel(t.Context())
		release = closeAt(ctx, slowCloser{}) // would take for ever
		release()
		cancel()
	})
}

func TestReason(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	call := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	contexts := map[string]context.Context{"in time": t.Context(), "over": over, "late": late}
	for _, tt := range []struct {
		when string
		err  error
		want error
	}{
		{"in time", call(syscall.ECONNREFUSED), syscall.ECONNREFUSED},
		{"in time", call(syscall.ETIMEDOUT), ErrTimeout},
		{"in time", call(os.ErrDeadlineExceeded), ErrTimeout}, // its share is over, and the context is not
		{"in time", io.ErrUnexpectedEOF, io.ErrUnexpectedEOF},
		{"late", net.ErrClosed, ErrTimeout},
		{"late", call(syscall.ECONNREFUSED), ErrTimeout},
		{"over", net.ErrClosed, context.Canceled},
	} {
		if got := reason(contexts[tt.when], tt.err); got.Error() != tt.want.Error() {
			t.Errorf("%s, %v: %v, want %v", tt.when, tt.err, got, tt.want)
		}
	}
}

// More than the other side takes at once is sent all the same, and no more at the end
// of the context.
func TestWriteMuch(t *testing.T) {
	noTrace(t)
	const much = 64 << 20
	got := make(chan int64, 1)
	c, err := dial(t.Context(), "tcp", serve(t, "127.0.0.1:0", func(c *net.TCPConn) {
		n, _ := io.Copy(io.Discard, c)
		got <- n
	}))
	if err != nil {
		t.Fatal(err)
	}
	n, err := c.Write(make([]byte, much))
	c.Close() //nolint:errcheck // it is open
	if received := <-got; n != much || err != nil || received != much {
		t.Errorf("wrote %d, %v; received %d", n, err, received)
	}

	release := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	c, err = dial(ctx, "tcp", serve(t, "127.0.0.1:0", func(*net.TCPConn) { <-release }))
	if err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, much))
		wrote <- err
	}()
	cancel()
	if err := <-wrote; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	close(release)
	c.Close() //nolint:errcheck // it has been closed
	c.Close() //nolint:errcheck // a second time does no harm
}

// The packages that this one must not bring: net/http is twice the binary.
func TestDependencies(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go command here")
	}
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		if pkg == "net/http" || pkg == "crypto/tls" || pkg == "golang.org/x/sys/unix" || pkg == "os/exec" || strings.HasPrefix(pkg, "go.uber.org/") {
			t.Errorf("it depends on %s", pkg)
		}
	}
}
