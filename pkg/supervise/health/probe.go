package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"
)

const (
	// bodyLimit and bodyPatience are how much of a body is taken in, and for how long.
	bodyLimit    = 1 << 20
	bodyPatience = time.Second
)

var errNoAddress = errors.New("the name has no address")

// Start probes on a goroutine of its own, which ends when the result is in the channel.
// It is in there soon after the end of ctx at the latest, so who ends ctx can wait for it.
func (t Target) Start(ctx context.Context) <-chan error {
	result := make(chan error, 1)
	go func() { result <- t.Probe(ctx) }()
	return result
}

// Probe asks the target and tells what is wrong: nil is a success, which is a connection,
// and, for a URL, an answer with a status from 200 to 399. A redirect is not followed.
// At the end of ctx it returns at once, with an ErrTimeout if that was a deadline. No
// goroutine and no descriptor of it is left.
//
// A name is looked up each time, in /etc/hosts and by DNS, without cgo. Its addresses
// are tried one after the other. A proxy that the environment names is not used.
func (t Target) Probe(ctx context.Context) error {
	if err := t.probe(ctx); err != nil {
		return fmt.Errorf("probe %s: %w", t.name, err)
	}
	return nil
}

func (t Target) probe(ctx context.Context) error {
	c, err := connect(ctx, resolver(), t.host, t.port)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // what was to be known is known
	if t.request == "" {
		return nil
	}
	code, err := ask(ctx, c, t.request)
	switch {
	case err != nil:
		return reason(ctx, err)
	case code < 200 || code > 399:
		return fmt.Errorf("status %d", code)
	}
	return nil
}

// ask sends a request and returns the status of the answer.
func ask(ctx context.Context, c net.Conn, request string) (code int, err error) {
	_, err = io.WriteString(c, request)
	if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		return 0, err // else it has closed the connection, perhaps with an answer
	}
	limited := &io.LimitedReader{R: c, N: headerLimit}
	code, err = readAnswer(bufio.NewReader(limited))
	switch {
	case errors.Is(err, errBreaksOff) && limited.N == 0:
		return 0, errLongHeader
	case err != nil:
		return 0, err
	}
	takeBody(ctx, c)
	return code, nil
}

// takeBody reads the body and forgets it, as far as it is short and comes soon. A server
// that is still writing when the connection is closed gets ECONNRESET or SIGPIPE, and
// it would be the health check that kills it. One that does not close, or has no end
// to say, is not waited for until ctx ends: the probe has succeeded.
func takeBody(ctx context.Context, c net.Conn) {
	patience := bodyPatience
	if end, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(end)/2)
	}
	if c.SetReadDeadline(time.Now().Add(patience)) == nil {
		io.Copy(io.Discard, io.LimitReader(c, bodyLimit)) //nolint:errcheck // whatever ends it, the status is known
	}
}

// resolver looks up names by Go alone, on connections that end with the context.
func resolver() *net.Resolver { return &net.Resolver{PreferGo: true, Dial: dial} }

// connect connects to a host by the first of its addresses that answers. Each gets its
// share of the time that is left.
func connect(ctx context.Context, names *net.Resolver, host, port string) (net.Conn, error) {
	addrs, err := names.LookupHost(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("find address: %w", reason(ctx, err))
	}
	first := errNoAddress
	for i, addr := range addrs {
		var until time.Time
		if end, ok := ctx.Deadline(); ok {
			until = time.Now().Add(time.Until(end) / time.Duration(len(addrs)-i))
		}
		c, err := dialUntil(ctx, until, "tcp", net.JoinHostPort(addr, port))
		if err == nil {
			return c, nil
		}
		if i == 0 {
			first = err
		}
	}
	return nil, fmt.Errorf("connect: %w", reason(ctx, first))
}

// reason is why a call failed, without what package net says about which call it was.
func reason(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if wrong, ok := errors.AsType[net.Error](err); ctx.Err() != nil || ok && wrong.Timeout() {
		return ErrTimeout
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}
