package health

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is for what happens at once, on any machine.
const patience = 20 * time.Second

// noTrace checks at the end of the test that no descriptor and no goroutine is there that
// was not there before.
func noTrace(t *testing.T) {
	t.Helper()
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close() //nolint:errcheck // the poller of the runtime has its descriptors now, and keeps them
	}
	files, goroutines := descriptors(t), runtime.NumGoroutine()
	t.Cleanup(func() {
		for end := time.Now().Add(patience); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
			if time.Now().After(end) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("there were %d goroutines, and now:\n%s", goroutines, stacks[:runtime.Stack(stacks, true)])
			}
		}
		if now := descriptors(t); !slices.Equal(now, files) {
			t.Errorf("descriptors %v before, %v now", files, now)
		}
	})
}

func descriptors(t *testing.T) (open []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil { // else it is that of the listing
			open = append(open, e.Name()+" "+to)
		}
	}
	return open
}

// serve deals with each connection to a port of the address, which it returns, until the
// end of the test. What handle does must end when the connection is closed.
func serve(t *testing.T, address string, handle func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer c.Close() //nolint:errcheck // it may have been closed
				handle(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close() //nolint:errcheck // it is open
		served.Wait()
	})
	return l.Addr().String()
}

// request reads a request up to its end.
func request(c net.Conn) {
	r := bufio.NewReaderSize(c, 16) // not more than that
	for {
		if line, err := readLine(r); err != nil || len(line) == 0 {
			return
		}
	}
}

// says is a server that says something at once and closes; answers is one that reads the
// request first.
func says(text string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		io.WriteString(c, text) //nolint:errcheck // the probe may have had enough
	}
}

func answers(text string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		request(c)
		says(text)(c)
	}
}

func resets(c *net.TCPConn) {
	c.SetLinger(0) //nolint:errcheck // the probe tells
}

// gone waits until the other side has closed the connection.
func gone(c *net.TCPConn) { io.Copy(io.Discard, c) } //nolint:errcheck // that is what it waits for

// trickle answers in as many packets as there are bytes.
func trickle(text string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		request(c)
		for i := range len(text) {
			io.WriteString(c, text[i:i+1]) //nolint:errcheck // the probe tells
		}
	}
}

// endless answers with the same again and again, as long as it is taken.
func endless(first, more string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		request(c)
		io.WriteString(c, first) //nolint:errcheck // the next shows
		more := strings.Repeat(more, 1000)
		for {
			if _, err := io.WriteString(c, more); err != nil {
				return
			}
		}
	}
}

// bound is a port of an address that nobody else can have, and nobody listens on; with a
// backlog, one that is listened on by nobody who accepts.
func bound(t *testing.T, address [4]byte, port, backlog int) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	if port != 0 { // connections that it had may be in TIME_WAIT
		if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { syscall.Close(fd) }) //nolint:errcheck // it is open
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: address}); err != nil {
		t.Fatal(err)
	}
	if backlog >= 0 {
		if err := syscall.Listen(fd, backlog); err != nil {
			t.Fatal(err)
		}
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return name.(*syscall.SockaddrInet4).Port
}

var loopback = [4]byte{127, 0, 0, 1}

// deaf is a port where connections are neither accepted nor refused: its queue is full,
// and what comes is dropped.
func deaf(t *testing.T, address [4]byte, port int) int {
	t.Helper()
	port = bound(t, address, port, 0)
	c, err := net.Dial("tcp", net.JoinHostPort(net.IP(address[:]).String(), fmt.Sprint(port))) // room for one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // it is open
	return port
}
