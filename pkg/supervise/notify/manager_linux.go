package notify

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Manager is the service manager above this process, which listens at the NOTIFY_SOCKET
// of this process. Its methods belong to one goroutine and wait for nobody.
//
// What it does not take waits here: because its socket is full, or because it is not
// there for a moment. A manager is told by the kernel who sends, and knows this process
// by the number that it has in the manager's own pid namespace.
type Manager struct {
	// MainPID is what it is told in place of the command's MAINPID; 0 has it told
	// nothing.
	MainPID int

	address string
	file    *os.File // nil if there is no connection
	fd      int      // the same
	queue   queue
	out     bool // it could not be reached last time
	closed  bool

	writable chan struct{}
	ended    chan struct{} // the goroutine that waits for room; nil if there is none
}

// NewManager is for the value of NOTIFY_SOCKET: a path, or an abstract name that begins
// with @. Another, such as the vsock: of a virtual machine, is an error. No connection
// is made before there is something to tell.
func NewManager(address string) (*Manager, error) {
	if !strings.HasPrefix(address, "/") && (!strings.HasPrefix(address, "@") || len(address) == 1) {
		return nil, fmt.Errorf("use notify socket %.80q: neither a path nor an abstract name", address)
	}
	return &Manager{address: address, MainPID: ownPID(), writable: make(chan struct{}, 1)}, nil
}

// ownPID is the number of this process where it means the same to the manager. A manager
// cannot be in a pid namespace below that of a process it has started, so in the
// initial one both share it. In another the manager may be outside, where the number is
// somebody else's. Then nothing is said, and nothing is lost: the manager takes for the
// main process the one that it has started.
func ownPID() int {
	const initialPIDNamespace = 0xEFFFFFFC // PROC_PID_INIT_INO, include/linux/proc_ns.h
	info, err := os.Stat("/proc/self/ns/pid")
	if err != nil {
		return 0
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Ino != initialPIDNamespace {
		return 0
	}
	return os.Getpid()
}

// Send tells the manager what is for it in a message, now or when it can. It is not told
// of a barrier, of descriptors or of NOTIFYACCESS, which are between the command and
// this process. For the error see Flush.
func (m *Manager) Send(msg *Message) error {
	text := msg.upward(m.MainPID)
	if text == "" || m.closed {
		return nil
	}
	m.queue.add(datagram{text: text, keep: msg.Ready || msg.Reloading || msg.Stopping})
	return m.Flush()
}

// Writable brings a value when a manager that took nothing may take something: then
// Flush.
func (m *Manager) Writable() <-chan struct{} { return m.writable }

// Waiting is how many messages it has not taken yet, and Dropped how many it never will.
func (m *Manager) Waiting() int { return len(m.queue.waiting) }

// Dropped is how many messages were given up: too many were waiting, or one was too
// long.
func (m *Manager) Dropped() int { return m.queue.dropped }

// Flush sends what waits. An error tells that the manager cannot be reached; once, until
// it can. What waits is kept then, and tried again with the next call of Flush or Send.
func (m *Manager) Flush() error {
	for len(m.queue.waiting) > 0 && !m.closed {
		err := m.transmit(m.queue.waiting[0].text)
		switch {
		case err == nil:
			m.out = false
			m.queue.remove(0)
		case errors.Is(err, syscall.EAGAIN):
			m.out = false
			return m.watch()
		case errors.Is(err, syscall.EMSGSIZE):
			m.queue.drop(0)
		case m.out:
			return nil
		default:
			m.out = true
			return fmt.Errorf("send notification to %s: %w", m.address, err)
		}
	}
	return nil
}

// transmit sends one datagram. A manager that has opened its socket anew is found again.
func (m *Manager) transmit(text string) error {
	err := m.send(text)
	if err == nil || errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EMSGSIZE) {
		return err
	}
	m.disconnect()
	if err := m.connect(); err != nil {
		return err
	}
	return m.send(text)
}

func (m *Manager) send(text string) error {
	if m.file == nil {
		return syscall.ENOTCONN
	}
	for {
		_, err := syscall.SendmsgN(m.fd, []byte(text), nil, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// connect makes the connection. With one, the kernel tells when there is room again
// (unix_dgram_peer_wake_me in net/unix/af_unix.c), Linux 4.4.
func (m *Manager) connect() error {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: m.address}); err != nil {
		_ = syscall.Close(fd) // nothing was sent
		return err
	}
	m.file, m.fd = os.NewFile(uintptr(fd), "notify"), fd
	return nil
}

// watch has the kernel tell when there is room.
func (m *Manager) watch() error {
	if m.ended != nil {
		return nil
	}
	conn, err := m.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("poll %s: %w", m.address, err)
	}
	m.ended = make(chan struct{})
	go func(ended, writable chan struct{}) {
		defer close(ended)
		// The first call has it tried once more, as there may be room by now; that try
		// makes the kernel tell, and the poller waits already.
		_ = conn.Write(func(uintptr) bool { signal(writable); return false }) // ends with disconnect
	}(m.ended, m.writable)
	return nil
}

func (m *Manager) disconnect() {
	if m.file == nil {
		return
	}
	m.file.Close()
	if m.ended != nil {
		<-m.ended
	}
	m.file, m.ended = nil, nil
}

// Close tries once more to send what waits, and closes the connection.
func (m *Manager) Close() {
	_ = m.Flush() // what is not taken now never will be
	m.disconnect()
	m.closed = true
}
