package health

import (
	"errors"
	"syscall"
)

// Write sends without SIGPIPE. That signal would come to this process when the other
// side has gone, and be forwarded to the command like any other: the end of it.
func (c *stream) Write(p []byte) (n int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var sendErr error
	err = raw.Write(func(fd uintptr) (done bool) {
		for n < len(p) {
			var sent int
			sent, sendErr = syscall.SendmsgN(int(fd), p[n:], nil, nil, syscall.MSG_NOSIGNAL)
			switch {
			case errors.Is(sendErr, syscall.EINTR):
			case errors.Is(sendErr, syscall.EAGAIN):
				return false
			case sendErr != nil:
				return true
			default:
				n += sent
			}
		}
		return true
	})
	if err == nil {
		err = sendErr
	}
	return n, err
}
