package notify

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fakeManager is a socket as that of a service manager, which knows nothing of this
// package.
func fakeManager(t *testing.T, address string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // the test may have done so
	return conn
}

func managerOf(t *testing.T, address string) *Manager {
	t.Helper()
	m, err := NewManager(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func tell(t *testing.T, m *Manager, text string) {
	t.Helper()
	msg := parse([]byte(text))
	if err := m.Send(&msg); err != nil {
		t.Fatal(err)
	}
}

func wantRead(t *testing.T, conn *net.UnixConn, want string) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2*maxMessage)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(buf[:n]); got != want {
		t.Fatalf("the manager got %q, want %q", got, want)
	}
}

func status(n int) string { return "STATUS=" + strconv.Itoa(n) }

func TestNewManager(t *testing.T) {
	for address, want := range map[string]bool{
		"/run/systemd/notify": true, "@x": true, "@": false, "": false, "run/notify": false, "vsock:2:1234": false, "vsock-stream:2:1": false,
	} {
		m, err := NewManager(address)
		if (err == nil) != want {
			t.Errorf("%q: %v", address, err)
		}
		if err == nil {
			m.Close()
		}
	}
}

// What the command says comes to the manager as the word of this process.
func TestForward(t *testing.T) {
	for place, config := range places {
		t.Run(place, func(t *testing.T) {
			above := listening(t, config)
			below := listening(t, config)
			m := managerOf(t, above.Address())
			m.MainPID = 5
			cmd := command(t, sender, below.Address(), "READY=1\nMAINPID=77", "BARRIER=1", "FDSTORE=1", "WATCHDOG=1")
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			for range 4 {
				msg := next(t, below)
				if err := m.Send(&msg); err != nil {
					t.Fatal(err)
				}
			}
			got := next(t, above)
			if !got.Ready || got.MainPID != 5 || got.PID != os.Getpid() || got.UID != os.Getuid() {
				t.Errorf("got %+v", got)
			}
			if got := next(t, above); !got.Watchdog {
				t.Errorf("got %+v", got)
			}
			none(t, above)
			if m.Waiting() != 0 || m.Dropped() != 0 {
				t.Errorf("%d wait, %d dropped", m.Waiting(), m.Dropped())
			}
		})
	}
}

// In the initial pid namespace the number of this process is the manager's too; see
// TestSenderInAnotherPIDNamespace for another.
func TestOwnPID(t *testing.T) {
	want := 0
	if ns, err := os.Readlink("/proc/self/ns/pid"); err == nil && ns == "pid:[4026531836]" {
		want = os.Getpid()
	}
	if got := ownPID(); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

// A manager that does not read is not waited for. When it reads again it gets what
// counts, in order.
func TestManagerIsFull(t *testing.T) {
	keepDescriptors(t)
	address := filepath.Join(t.TempDir(), "manager")
	conn := fakeManager(t, address)
	m := managerOf(t, address)
	sent := 0
	for m.Waiting() == 0 {
		tell(t, m, status(sent))
		sent++
	}
	sent-- // the last one waits
	tell(t, m, "READY=1")
	const more = 1000
	for i := range more {
		tell(t, m, status(sent+1+i))
	}
	tell(t, m, "STOPPING=1")
	if m.Waiting() != maxQueue || m.Dropped() != 1+more+2-maxQueue {
		t.Errorf("%d wait, %d dropped", m.Waiting(), m.Dropped())
	}
	want := []string{}
	for i := range sent {
		want = append(want, status(i))
	}
	want = append(want, "READY=1")
	for i := range maxQueue - 2 {
		want = append(want, status(sent+1+more-(maxQueue-2)+i))
	}
	want = append(want, "STOPPING=1")
	for i, text := range want {
		wantRead(t, conn, text)
		for i+m.Waiting() >= len(want)-1 && m.Waiting() > 0 { // nothing is in the socket: it must wake
			select {
			case <-m.Writable():
			case <-time.After(patience):
				t.Fatalf("%d wait, and nothing wakes the loop", m.Waiting())
			}
			if err := m.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if m.Waiting() != 0 {
		t.Errorf("%d wait", m.Waiting())
	}
}

// Full and empty again, many times, with nothing but wake-ups to go by.
func TestManagerIsFullAgainAndAgain(t *testing.T) {
	keepDescriptors(t)
	address := filepath.Join(t.TempDir(), "manager")
	conn := fakeManager(t, address)
	m := managerOf(t, address)
	const total = 20_000
	read := make(chan error, 1)
	go func() {
		buf := make([]byte, 64)
		for i := range total {
			if n, err := conn.Read(buf); err != nil || string(buf[:n]) != status(i) {
				read <- errors.Join(err, errors.New(string(buf[:n])+" instead of "+status(i)))
				return
			}
		}
		read <- nil
	}()
	for i := range total {
		tell(t, m, status(i))
		for m.Waiting() > 1 {
			select {
			case <-m.Writable():
			case <-time.After(patience):
				t.Fatalf("%d: %d wait, and nothing wakes the loop", i, m.Waiting())
			}
			if err := m.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for m.Waiting() > 0 {
		<-m.Writable()
		if err := m.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-read; err != nil {
		t.Error(err)
	}
}

// There is room again between the try that failed and the moment from which the kernel
// tells: the loop is woken all the same.
func TestManagerHasRoomTooEarly(t *testing.T) {
	keepDescriptors(t)
	address := filepath.Join(t.TempDir(), "manager")
	conn := fakeManager(t, address)
	m := managerOf(t, address)
	sent := 0
	for ; ; sent++ {
		if err := m.transmit(status(sent)); errors.Is(err, syscall.EAGAIN) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for i := range sent {
		wantRead(t, conn, status(i))
	}
	if err := m.watch(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-m.Writable():
	case <-time.After(patience):
		t.Fatal("nothing wakes the loop")
	}
}

// A manager that is gone is told of once. What it was to know it gets when it is back.
func TestManagerVanishes(t *testing.T) {
	keepDescriptors(t)
	for _, kind := range []string{"path", "abstract"} {
		address := filepath.Join(t.TempDir(), "manager")
		if kind == "abstract" {
			address = "@" + address
		}
		m := managerOf(t, address)
		ready, other := parse([]byte("READY=1")), parse([]byte("STATUS=x"))
		gone := func(want error) {
			t.Helper()
			if err := m.Send(&ready); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", kind, err, want)
			}
			if err := errors.Join(m.Send(&other), m.Flush()); err != nil {
				t.Errorf("%s: told again: %v", kind, err)
			}
			if m.Waiting() != 2 {
				t.Errorf("%s: %d wait", kind, m.Waiting())
			}
		}
		back := func() *net.UnixConn {
			t.Helper()
			conn := fakeManager(t, address)
			if err := m.Flush(); err != nil || m.Waiting() != 0 {
				t.Errorf("%s: %d wait, %v", kind, m.Waiting(), err)
			}
			wantRead(t, conn, "READY=1")
			wantRead(t, conn, "STATUS=x")
			return conn
		}
		missing := map[string]error{"path": syscall.ENOENT, "abstract": syscall.ECONNREFUSED}[kind]
		gone(missing) // it was never there
		leave := func(conn *net.UnixConn) {
			t.Helper()
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
		remove := func() { _ = os.Remove(address) } // an abstract one is gone already
		leave(back())
		gone(syscall.ECONNREFUSED) // the path is still there
		remove()
		leave(back())
		remove()
		gone(missing)
		m.Close()
	}
}

// A socket that is gone with a path that is left, and one that has died while it was
// full.
func TestManagerDies(t *testing.T) {
	keepDescriptors(t)
	address := filepath.Join(t.TempDir(), "manager")
	conn := fakeManager(t, address)
	m := managerOf(t, address)
	for m.Waiting() == 0 {
		tell(t, m, "STATUS=x")
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	select { // that it is gone wakes too
	case <-m.Writable():
	case <-time.After(patience):
		t.Fatal("nothing wakes the loop")
	}
	eventually(t, "it is refused", func() bool { return errors.Is(m.Flush(), syscall.ECONNREFUSED) })
	if m.Waiting() != 1 {
		t.Errorf("%d wait", m.Waiting())
	}
}

// A message that is too long for the socket is given up; the next is not.
func TestManagerCannotTakeSoMuch(t *testing.T) {
	keepDescriptors(t)
	address := filepath.Join(t.TempDir(), "manager")
	conn := fakeManager(t, address)
	m := managerOf(t, address)
	m.queue.add(datagram{text: string(make([]byte, 8<<20)), keep: true})
	tell(t, m, "READY=1")
	if m.Dropped() != 1 || m.Waiting() != 0 {
		t.Errorf("%d dropped, %d wait", m.Dropped(), m.Waiting())
	}
	wantRead(t, conn, "READY=1")
}

// At the end what waits is sent if it can be, and nothing is afterwards.
func TestManagerClose(t *testing.T) {
	keepDescriptors(t)
	address := filepath.Join(t.TempDir(), "manager")
	m := managerOf(t, address)
	ready := parse([]byte("READY=1"))
	if err := m.Send(&ready); !errors.Is(err, syscall.ENOENT) {
		t.Error(err)
	}
	conn := fakeManager(t, address)
	m.Close()
	wantRead(t, conn, "READY=1")
	if err := errors.Join(m.Send(&ready), m.Flush()); err != nil || m.Waiting() != 0 {
		t.Errorf("%d wait, %v", m.Waiting(), err)
	}
	m.Close()
}

// Not a privilege that is needed: the manager learns the number of this process from
// the kernel, not from what it says.
func TestManagerSeesThisProcess(t *testing.T) {
	l := listening(t, ListenConfig{Abstract: true})
	m := managerOf(t, l.Address())
	tell(t, m, "MAINPID=1\nSTATUS=x")
	got := next(t, l)
	if got.PID != unix.Getpid() || got.MainPID != ownPID() {
		t.Errorf("got %+v", got)
	}
}
