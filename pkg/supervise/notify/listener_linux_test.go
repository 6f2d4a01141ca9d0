package notify

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The directory is in the first place that will do, and gone afterwards.
func TestListenPlace(t *testing.T) {
	own := t.TempDir() // with mode 0755 from here up to a directory of the user's alone, or /tmp
	t.Setenv("XDG_RUNTIME_DIR", own)
	for _, c := range []struct {
		config            ListenConfig
		dirMode, fileMode os.FileMode
	}{
		{ListenConfig{}, 0o700, 0o600},
		{ListenConfig{AnyUser: true}, 0o711, 0o666},
	} {
		old := syscall.Umask(0o077)
		l := listening(t, c.config)
		syscall.Umask(old)
		dir := filepath.Dir(l.Address())
		if !c.config.AnyUser && filepath.Dir(dir) != own || l.NoPath() != nil {
			t.Errorf("%+v: at %s, not in %s, %v", c.config, l.Address(), own, l.NoPath())
		}
		for path, want := range map[string]os.FileMode{dir: c.dirMode | os.ModeDir, l.Address(): c.fileMode | os.ModeSocket} {
			if info, err := os.Stat(path); err != nil || info.Mode() != want {
				t.Errorf("%s: mode %v, want %v, %v", path, info.Mode(), want, err)
			}
		}
		send(t, l.Address(), "READY=1")
		next(t, l)
		l.Close()
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	}
}

// For other users a directory that they cannot enter will not do.
func TestListenPlaceOfOneUser(t *testing.T) {
	shared := t.TempDir() // in one of mode 0700
	if err := os.Chmod(filepath.Dir(shared), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := searchable(shared); err != nil {
		cannot(t, "%v", err)
	}
	closed := filepath.Join(shared, "closed")
	below := filepath.Join(closed, "below")
	link := filepath.Join(shared, "link")
	if err := errors.Join(os.Mkdir(closed, 0o700), os.Mkdir(below, 0o755), os.Chmod(shared, 0o755), os.Symlink(below, link)); err != nil {
		t.Fatal(err)
	}
	keepDescriptors(t)
	for _, dir := range []string{closed, below, link} {
		l, err := listen([]string{dir, shared}, true)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Dir(filepath.Dir(l.Address())) != shared {
			t.Errorf("with %s: at %s", dir, l.Address())
		}
		l.Close()
		if l, err = listen([]string{dir, shared}, false); err != nil {
			t.Fatal(err)
		}
		if filepath.Dir(filepath.Dir(l.Address())) != dir {
			t.Errorf("with %s for one user: at %s", dir, l.Address())
		}
		l.Close()
	}
}

// Where no directory will do the socket is abstract, and tells why.
func TestListenFallsBack(t *testing.T) {
	keepDescriptors(t)
	tooLong := filepath.Join(t.TempDir(), strings.Repeat("x", 100))
	if err := os.Mkdir(tooLong, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dirs    []string
		anyUser bool
		why     string
	}{
		{nil, false, "<nil>"}, // it was asked for
		{[]string{"", ".", "tmp"}, true, "<nil>"},
		{[]string{"/nonexistent/dir"}, false, "no such file or directory"},
		{[]string{"/nonexistent/dir"}, true, "no such file or directory"},
		{[]string{tooLong}, false, "invalid argument"},
		{[]string{t.TempDir()}, true, "not for every user"}, // in one of mode 0700
		{[]string{file}, false, "not a directory"},
		{[]string{"/proc"}, true, "make directory for notify socket"},
	} {
		l, err := listen(c.dirs, c.anyUser)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(l.Address(), "@reaper-notify-") {
			t.Errorf("%q: at %s", c.dirs, l.Address())
		}
		if why := fmt.Sprint(l.NoPath()); !strings.Contains(why, c.why) {
			t.Errorf("%q: because of %q", c.dirs, why)
		}
		send(t, l.Address(), "READY=1")
		if m := next(t, l); !m.Ready {
			t.Errorf("got %+v", m)
		}
		l.Close()
	}
	if left, err := os.ReadDir(tooLong); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A socket that is not received from holds what its queue can, and then its senders
// wait. Nothing is lost and the order is kept.
func TestBackpressure(t *testing.T) {
	l := listening(t, ListenConfig{})
	conn := dial(t, l.Address())
	sent := 0
	for {
		err := unix.Send(conn, []byte("STATUS="+strconv.Itoa(sent)), unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sent++
	}
	if sent == 0 || sent >= maxTurn {
		t.Errorf("%d messages fit into the socket, and %d are received in a row", sent, maxTurn)
	}
	for i := range sent {
		if m, ok, err := l.Receive(); !ok || err != nil || *m.Status != strconv.Itoa(i) {
			t.Fatalf("%d: received %v, %+v, %v", i, ok, m, err)
		}
	}
	none(t, l)
	if err := unix.Send(conn, []byte("READY=1"), unix.MSG_DONTWAIT); err != nil {
		t.Error(err)
	}
	next(t, l)
}

// dial is a connected socket that waits as it sends, as that of sd_notify(3).
func dial(t *testing.T, address string) (fd int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeFD(t, fd) })
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: address}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// Ten thousand datagrams from several senders at once, received only after wake-ups:
// none is lost, each sender's come in order, and no wake-up is missed.
func TestFlood(t *testing.T) {
	const senders, each = 4, 2500
	l := listening(t, ListenConfig{})
	errs := make(chan error, senders)
	for i := range senders {
		conn := dial(t, l.Address())
		go func() {
			for n := range each {
				if err := unix.Send(conn, fmt.Appendf(nil, "MAINPID=%d\nERRNO=%d", n+1, i), 0); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	var got [senders]int
	for range senders * each {
		m := next(t, l)
		if m.Err != nil || m.Errno == nil {
			t.Fatalf("got %+v", m)
		}
		i := int(*m.Errno)
		if got[i]++; m.MainPID != got[i] {
			t.Fatalf("sender %d: %d instead of %d", i, m.MainPID, got[i])
		}
	}
	for range senders {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	none(t, l)
}

// Who sends without end cannot keep the loop: it gets a turn, and is woken again.
func TestTurn(t *testing.T) {
	l := listening(t, ListenConfig{})
	conn := dial(t, l.Address())
	for range 3 {
		for range maxTurn { // always one waits, as if somebody sent without end
			if err := unix.Send(conn, []byte("WATCHDOG=1"), unix.MSG_DONTWAIT); err != nil {
				t.Fatal(err)
			}
			if _, ok, err := l.Receive(); !ok || err != nil {
				t.Fatalf("received %v, %v", ok, err)
			}
		}
		if err := unix.Send(conn, []byte("READY=1"), unix.MSG_DONTWAIT); err != nil {
			t.Fatal(err)
		}
		for len(l.Wake()) > 0 { // this one was before
			<-l.Wake()
		}
		none(t, l)
		if len(l.Wake()) == 0 {
			t.Fatal("nothing wakes the loop")
		}
		if m := next(t, l); !m.Ready {
			t.Fatalf("got %+v", m)
		}
		none(t, l) // it is empty, and a row begins anew
	}
}

// One message at a time, received only after a wake-up: none is missed.
func TestWake(t *testing.T) {
	for place, config := range places {
		t.Run(place, func(t *testing.T) {
			l := listening(t, config)
			conn := dial(t, l.Address())
			for range 20_000 {
				if err := unix.Send(conn, []byte("WATCHDOG=1"), 0); err != nil {
					t.Fatal(err)
				}
				<-l.Wake()
				for more := true; more; {
					var err error
					if _, more, err = l.Receive(); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// What waits in the socket when that is closed is lost, and its descriptors are closed.
func TestClose(t *testing.T) {
	l := listening(t, ListenConfig{})
	r, w := pipe(t)
	send(t, l.Address(), "BARRIER=1", w)
	closeFD(t, w)
	address := l.Address()
	l.Close()
	eventually(t, "the barrier is gone", func() bool { return hungUp(t, r) })
	if err := trySend(address, "READY=1"); err == nil {
		t.Error("sent to a socket that is gone")
	}
	none(t, l)
	l.Close()
}

// A sign of life, sent and received.
func BenchmarkReceive(b *testing.B) {
	l, err := Listen(ListenConfig{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	conn, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(conn) //nolint:errcheck // it is open
	to := &unix.SockaddrUnix{Name: l.Address()}
	b.ReportAllocs()
	for b.Loop() {
		if err := unix.Sendto(conn, []byte("WATCHDOG=1"), 0, to); err != nil {
			b.Fatal(err)
		}
		if _, ok, err := l.Receive(); !ok || err != nil {
			b.Fatal(err)
		}
		if _, ok, err := l.Receive(); ok || err != nil { // as the loop does
			b.Fatal(err)
		}
	}
}
