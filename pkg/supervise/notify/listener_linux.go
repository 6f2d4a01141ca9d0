package notify

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// closePatience is how long Close waits for descriptors that hang as they are closed.
const closePatience = 100 * time.Millisecond

// Listener is the socket that the command sends its messages to. Its methods belong to
// one goroutine.
//
// What a slow owner has not received stays in the socket, and when that is full whoever
// sends waits, as with systemd: nothing is lost.
type Listener struct {
	file    *os.File // for the poller
	fd      int      // the same, -1 when closed
	address string
	dir     string // that of the socket; "" if it is abstract
	noPath  error

	wake  chan struct{}
	ended chan struct{} // the goroutine that wakes

	text, control []byte
	turn          int      // messages received in a row
	closing       int      // descriptors that are being closed
	closed        chan int // how many of them have been
}

// Listen opens a socket for messages. It is in a directory of its own, below
// $XDG_RUNTIME_DIR, /run or the directory for temporary files; where none will do, as
// in a container that has only its root and that read-only, it is abstract.
//
// A path comes first as it is what systemd hands out: a command in a network namespace
// of its own reaches it, which an abstract socket ends at, and other users and
// neighbours in the same network namespace do not, while anybody there may send to an
// abstract one. A command that changes its root directory cannot reach it, as it could
// not reach systemd's: see ListenConfig.Abstract.
func Listen(c ListenConfig) (*Listener, error) {
	var dirs []string
	if !c.Abstract {
		dirs = directories()
	}
	return listen(dirs, c.AnyUser)
}

func listen(dirs []string, anyUser bool) (*Listener, error) {
	s, err := open(dirs, anyUser)
	if err != nil {
		return nil, err
	}
	l := &Listener{
		file: os.NewFile(uintptr(s.fd), "notify"), fd: s.fd, address: s.address, dir: s.dir, noPath: s.noPath,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
		text:    make([]byte, maxMessage),
		control: make([]byte, syscall.CmsgSpace(syscall.SizeofUcred)+syscall.CmsgSpace(4*maxDescriptors)),
		closed:  make(chan int, maxClosing+1), // so that nobody waits to put one in
	}
	conn, err := l.file.SyscallConn()
	if err == nil {
		err = l.file.SetReadDeadline(time.Time{}) // fails if the poller has not taken it
	}
	if err != nil {
		close(l.ended)
		l.Close()
		return nil, fmt.Errorf("poll notify socket: %w", err)
	}
	go func() {
		defer close(l.ended)
		// The poller tells of each datagram that comes (EPOLLET), and this never takes
		// one. The first call is for those that came before.
		_ = conn.Read(func(uintptr) bool { signal(l.wake); return false }) // ends with Close
	}()
	return l, nil
}

// Address is the value for NOTIFY_SOCKET: a path, or a name that begins with @.
func (l *Listener) Address() string { return l.address }

// NoPath tells why the socket is abstract although a path was asked for.
func (l *Listener) NoPath() error { return l.noPath }

// Wake brings a value when there may be something to receive.
func (l *Listener) Wake() <-chan struct{} { return l.wake }

// Receive returns the next message, if there is one. It does not wait. Call it after
// each wake-up until it returns false, and whenever the order of messages and exits
// counts. After a thousand messages in a row it returns false once, so that who sends
// without end cannot keep the caller, and wakes him again. It also returns false while
// too many descriptors hang, and wakes him when some are closed.
//
// By calling it the caller tells that he has taken in what it returned before: only then
// is the descriptor of a barrier behind that received, and closed.
//
// No descriptor that comes along is kept. They are closed by a goroutine, as that can
// take as long as the sender likes: a connection that lingers (SO_LINGER, socket(7)), a
// file on a server that does not answer.
//
// An error is one of the socket, which then is of no more use.
func (l *Listener) Receive() (m Message, ok bool, err error) {
	l.settle()
	if l.fd < 0 || l.closing >= maxClosing {
		return Message{}, false, nil
	}
	if l.turn++; l.turn > maxTurn {
		l.turn = 0
		signal(l.wake)
		return Message{}, false, nil
	}
	n, controls, flags, err := receive(l.fd, l.text, l.control)
	if err != nil {
		l.turn = 0
		if errors.Is(err, syscall.EAGAIN) {
			return Message{}, false, nil
		}
		return Message{}, false, fmt.Errorf("receive notification: %w", err)
	}
	if flags&syscall.MSG_TRUNC != 0 {
		m = Message{Err: errTooLong}
	} else {
		m = parse(l.text[:n])
	}
	fds := m.setControl(l.control[:controls])
	l.dispose(fds)
	switch m.Descriptors = len(fds); {
	case flags&syscall.MSG_CTRUNC != 0:
		m.Err = errors.Join(m.Err, errors.New("receive descriptors: there were more than can be taken"))
	case m.Barrier && len(fds) != 1:
		m.Err = errors.Join(m.Err, fmt.Errorf("parse BARRIER: %d descriptors with it", len(fds)))
	}
	return m, true, nil
}

const maxDescriptors = 253 // SCM_MAX_FD, include/net/scm.h

func receive(fd int, text, control []byte) (n, controls, flags int, err error) {
	for {
		n, controls, flags, _, err = syscall.Recvmsg(fd, text, control, syscall.MSG_DONTWAIT|syscall.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, syscall.EINTR) {
			return n, controls, flags, err
		}
	}
}

// setControl takes in who sent the message, and returns the descriptors that came along.
func (m *Message) setControl(control []byte) (fds []int) {
	m.PID, m.UID, m.GID = 0, -1, -1
	parts, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		m.Err = errors.Join(m.Err, fmt.Errorf("parse control messages: %w", err))
	}
	for i := range parts {
		if came, err := syscall.ParseUnixRights(&parts[i]); err == nil {
			fds = append(fds, came...)
		}
		if cred, err := syscall.ParseUnixCredentials(&parts[i]); err == nil {
			m.PID, m.UID, m.GID = int(cred.Pid), int(cred.Uid), int(cred.Gid)
		}
	}
	return fds
}

// dispose closes descriptors, elsewhere.
func (l *Listener) dispose(fds []int) {
	if len(fds) == 0 {
		return
	}
	l.closing += len(fds)
	go func() {
		for _, fd := range fds {
			_ = syscall.Close(fd) // it is gone, whatever this says
		}
		l.closed <- len(fds)
		signal(l.wake) // there were perhaps too many to go on
	}()
}

// settle counts what has been closed.
func (l *Listener) settle() {
	for {
		select {
		case n := <-l.closed:
			l.closing -= n
		default:
			return
		}
	}
}

// Close closes the socket and removes its directory. What was not received is lost. It
// waits for the goroutines, but not for long if the closing of somebody's descriptor
// hangs, which may also be one that waits in the socket; such a thread ends with the
// process.
func (l *Listener) Close() {
	if l.fd < 0 {
		return
	}
	l.fd = -1
	if l.dir != "" {
		remove(l.dir)
	}
	l.closing++
	go func() {
		l.file.Close()
		<-l.ended
		l.closed <- 1
	}()
	patience := time.NewTimer(closePatience)
	defer patience.Stop()
	for l.closing > 0 {
		select {
		case n := <-l.closed:
			l.closing -= n
		case <-patience.C:
			return
		}
	}
}
