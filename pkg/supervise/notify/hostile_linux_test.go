package notify

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What comes in is no more than what the sender can make of it.
func TestHostile(t *testing.T) {
	l := listening(t, ListenConfig{})
	_, w := pipe(t)
	defer closeFD(t, w)
	many := make([]int, maxDescriptors)
	for i := range many {
		many[i] = w
	}
	for _, c := range []struct {
		what, text  string
		fds         []int
		err         string
		descriptors int
	}{
		{"nothing", "", nil, "", 0},
		{"as long as can be", strings.Repeat("\n", maxMessage), nil, "", 0},
		{"too long by one", strings.Repeat("\n", maxMessage+1), nil, errTooLong.Error(), 0},
		{"100 KB", strings.Repeat("READY=1\n", 12_500), nil, errTooLong.Error(), 0},
		{"bytes", "\xff\x00\x01", nil, "parse message: a zero byte in it", 0},
		{"every descriptor", "FDSTORE=1", many, "", maxDescriptors},
		{"every descriptor and too long", strings.Repeat("x", 2*maxMessage), many, errTooLong.Error(), maxDescriptors},
		{"descriptors with nothing", "", many[:2], "", 2},
	} {
		if err := trySend(l.Address(), c.text, c.fds...); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		m := next(t, l)
		if text := fmt.Sprint(m.Err); m.Err == nil && c.err != "" || m.Err != nil && text != c.err {
			t.Errorf("%s: %q, want %q", c.what, text, c.err)
		}
		if m.PID != os.Getpid() || m.Ready || m.Descriptors != c.descriptors {
			t.Errorf("%s: got %+v", c.what, m)
		}
	}
	none(t, l)
}

// A megabyte is more than the kernel lets anybody but root send.
func TestHostileMegabyte(t *testing.T) {
	needRoot(t)
	l := listening(t, ListenConfig{})
	conn := dial(t, l.Address())
	if err := unix.SetsockoptInt(conn, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20); err != nil {
		cannot(t, "no such buffer here: %v", err)
	}
	if err := unix.Send(conn, make([]byte, 1<<20), 0); err != nil {
		t.Fatal(err)
	}
	if m := next(t, l); !errors.Is(m.Err, errTooLong) {
		t.Errorf("got %+v", m)
	}
	none(t, l)
}

// With no descriptor left to take, the kernel closes those that come; the text is read.
func TestDescriptorsCannotBeTaken(t *testing.T) {
	l := listening(t, ListenConfig{})
	r, w := pipe(t)
	conn := dial(t, l.Address())
	if err := unix.Sendmsg(conn, []byte("READY=1"), unix.UnixRights(w, w, w, w, w, w, w, w), nil, 0); err != nil {
		t.Fatal(err)
	}
	closeFD(t, w)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few := limit
	few.Cur = uint64(conn) + 3 // above all that are open; some holes may be below
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	m, ok, err := l.Receive()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if !ok || err != nil || !m.Ready || m.Err == nil || m.PID != os.Getpid() || m.Descriptors >= 8 {
		t.Errorf("received %v, %+v, %v", ok, m, err)
	}
	eventually(t, "all are closed", func() bool { return hungUp(t, r) })
}

// lingering is one end of a connection whose close(2) waits for the other end, and what
// lets it go on.
func lingering(t *testing.T) (fd int, release func()) {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		cannot(t, "no TCP on this machine: %v", err)
	}
	defer server.Close() //nolint:errcheck // it is open
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	address := &unix.SockaddrInet4{Port: server.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Connect(fd, address); err != nil {
		t.Fatal(err)
	}
	other, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 3600}); err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for {
		if err := unix.Send(fd, block, unix.MSG_DONTWAIT); errors.Is(err, unix.EAGAIN) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	return fd, func() { _ = other.Close() } // it is open
}

// The last descriptor of a connection that lingers: to close it takes an hour, or as
// long as the other end likes. The loop goes on, and so does the end.
func TestDescriptorHangs(t *testing.T) {
	hangs(t, func(l *Listener) {
		send(t, l.Address(), "READY=1")
		if m := next(t, l); !m.Store || m.Descriptors != 1 {
			t.Errorf("got %+v", m)
		}
		if m := next(t, l); !m.Ready {
			t.Errorf("got %+v", m)
		}
	})
}

// The same if it is still in the socket when that is closed.
func TestDescriptorHangsInSocket(t *testing.T) { hangs(t, func(*Listener) {}) }

// hangs sends a descriptor that hangs, and wants it to do so when the listener is closed.
// Any signal for the thread that closes it ends that, and the Go runtime sends some: so
// it is tried several times.
func hangs(t *testing.T, meanwhile func(l *Listener)) {
	t.Helper()
	for range 10 {
		l := listening(t, ListenConfig{})
		fd, release := lingering(t)
		send(t, l.Address(), "FDSTORE=1", fd)
		closeFD(t, fd)
		meanwhile(l)
		l.Close()
		eventually(t, "no more than one hangs", func() bool {
			l.settle()
			return l.closing <= 1
		})
		hung := l.closing == 1
		release()
		for l.closing > 0 {
			l.closing -= <-l.closed
		}
		if hung {
			return
		}
	}
	t.Error("it does not hang")
}

// If many hang no more are taken: the senders wait, as for any that is slow. It goes on
// when they are closed.
func TestManyDescriptorsHang(t *testing.T) {
	l := listening(t, ListenConfig{})
	fd, release := lingering(t)
	fds := make([]int, maxClosing)
	for i := range fds {
		fds[i] = fd
	}
	send(t, l.Address(), "FDSTORE=1", fds...) // the last of them hangs
	closeFD(t, fd)
	if m := next(t, l); m.Descriptors != maxClosing {
		t.Errorf("got %+v", m)
	}
	send(t, l.Address(), "READY=1")
	none(t, l)
	release()
	if m := next(t, l); !m.Ready {
		t.Errorf("got %+v", m)
	}
}
