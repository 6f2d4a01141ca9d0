package health

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// stream and datagram are connections that are closed when a context ends, whoever waits
// for them. Package net reads an answer of DNS until a deadline, whatever becomes of the
// context.
type stream struct { // its Write is in send_linux.go
	*net.TCPConn
	release func()
}

type datagram struct {
	*net.UDPConn // package net must see that it is a net.PacketConn
	release      func()
}

func (c *stream) Close() error {
	c.release()
	return c.TCPConn.Close()
}

func (c *datagram) Close() error {
	c.release()
	return c.UDPConn.Close()
}

// dial connects to an address, for net.Resolver too.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	return dialUntil(ctx, time.Time{}, network, address)
}

// dialUntil is dial with a time by which it must be connected; zero is never.
func dialUntil(ctx context.Context, until time.Time, network, address string) (net.Conn, error) {
	d := net.Dialer{Deadline: until, KeepAlive: -1}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	switch c := c.(type) {
	case *net.TCPConn:
		return &stream{c, closeAt(ctx, c)}, nil
	case *net.UDPConn:
		return &datagram{c, closeAt(ctx, c)}, nil
	default:
		return c, nil
	}
}

// closeAt closes c at the end of ctx. What it returns takes that back, or waits until it
// has been done.
func closeAt(ctx context.Context, c io.Closer) (release func()) {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.Close() //nolint:errcheck // who waits for it gets the error
		close(closed)
	})
	return sync.OnceFunc(func() {
		if !stop() {
			<-closed
		}
	})
}
