package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// target is what a text means, and must mean something.
func target(t *testing.T, parse func(string) (Target, error), text string) Target {
	t.Helper()
	target, err := parse(text)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return target
}

// What the ways are in which servers answer, or do not, and what is made of them: "" is a
// success, else it is one of the texts.
func TestProbeServers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for name, tt := range map[string]struct {
		serve func(*net.TCPConn)
		want  []string
	}{
		"200":              {answers(ok), []string{""}},
		"HTTP/1.0":         {answers("HTTP/1.0 200 OK\r\n\r\nok"), []string{""}},
		"204":              {answers("HTTP/1.1 204 No Content\r\n\r\n"), []string{""}},
		"a redirect":       {answers("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n"), []string{""}},
		"399":              {answers("HTTP/1.1 399 X\r\n\r\n"), []string{""}},
		"400":              {answers("HTTP/1.1 400 X\r\n\r\n"), []string{"status 400"}},
		"503":              {answers("HTTP/1.1 503 Unavailable\r\n\r\nsorry"), []string{"status 503"}},
		"101":              {answers("HTTP/1.1 101 Switching Protocols\r\n\r\n"), []string{"status 101"}},
		"100 before":       {answers("HTTP/1.1 100 Continue\r\n\r\n" + ok), []string{""}},
		"100 and no more":  {answers("HTTP/1.1 100 Continue\r\n\r\n"), []string{"the answer ends within its header"}},
		"a banner":         {answers("SSH-2.0-x\r\n"), []string{`the answer is not HTTP: "SSH-2.0-x\r\n"`}},
		"a banner, open":   {func(c *net.TCPConn) { says("220 smtp")(c); gone(c) }, []string{`the answer is not HTTP: "220 smtp"`}},
		"half a header":    {answers("HTTP/1.1 200 OK\r\nServer: x\r\n"), []string{"the answer ends within its header"}},
		"nothing":          {answers(""), []string{"closed without an answer"}},
		"closes":           {func(*net.TCPConn) {}, []string{"closed without an answer", "connection reset by peer"}},
		"resets":           {resets, []string{"closed without an answer", "connection reset by peer", "connect: connection reset by peer"}},
		"does not read":    {says(ok), []string{""}},
		"stays open":       {func(c *net.TCPConn) { answers(ok)(c); gone(c) }, []string{""}},
		"byte by byte":     {trickle(ok), []string{""}},
		"endless header":   {endless("HTTP/1.1 200 OK\r\n", "A: b\r\n"), []string{"the header of the answer is longer than 64 KiB"}},
		"endless line":     {endless("HTTP/1.1 200 ", "x"), []string{"the header of the answer is longer than 64 KiB"}},
		"endless announce": {endless("", "HTTP/1.1 100 Continue\r\n\r\n"), []string{"the header of the answer is longer than 64 KiB"}},
		"endless body":     {endless("HTTP/1.1 200 OK\r\n\r\n", "body"), []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			noTrace(t)
			url := "http://" + serve(t, "127.0.0.1:0", tt.serve) + "/"
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			got := ""
			if err := target(t, ParseHTTP, url).Probe(ctx); err != nil {
				got = strings.TrimPrefix(err.Error(), "probe "+url+": ")
			}
			if !slices.Contains(tt.want, got) {
				t.Errorf("got %q, want one of %q", got, tt.want)
			}
		})
	}
}

// A probe that is not answered ends when its context does, wherever it is.
func TestProbeEnds(t *testing.T) {
	where := map[string]func(reached func()) func(*net.TCPConn){
		"no answer": func(reached func()) func(*net.TCPConn) {
			return func(c *net.TCPConn) { request(c); reached(); gone(c) }
		},
		"in the first line": func(reached func()) func(*net.TCPConn) {
			return func(c *net.TCPConn) { answers("HTTP/1.1 20")(c); reached(); gone(c) }
		},
		"in the header": func(reached func()) func(*net.TCPConn) {
			return func(c *net.TCPConn) { answers("HTTP/1.1 200 OK\r\nServer")(c); reached(); gone(c) }
		},
	}
	for name, server := range where {
		t.Run(name+", cancelled", func(t *testing.T) {
			noTrace(t)
			reached := make(chan struct{})
			url := "http://" + serve(t, "127.0.0.1:0", server(func() { close(reached) })) + "/"
			ctx, cancel := context.WithCancel(t.Context())
			result := target(t, ParseHTTP, url).Start(ctx)
			<-reached
			cancel()
			if err := <-result; !errors.Is(err, context.Canceled) || err.Error() != "probe "+url+": context canceled" {
				t.Errorf("got %v", err)
			}
		})
		t.Run(name+", out of time", func(t *testing.T) {
			noTrace(t)
			url := "http://" + serve(t, "127.0.0.1:0", server(func() {})) + "/"
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			err := <-target(t, ParseHTTP, url).Start(ctx)
			if !errors.Is(err, ErrTimeout) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("over before it begins", func(t *testing.T) {
		noTrace(t)
		address := serve(t, "127.0.0.1:0", gone)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, text := range []string{address, strings.Replace(address, "127.0.0.1", "localhost", 1)} {
			if err := target(t, ParseTCP, text).Probe(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", text, err)
			}
		}
	})
}

// A server that sends all at once and then waits for the other side is not disturbed: one
// that does not expect a reset would be killed by its own health check.
func TestProbeTakesTheBody(t *testing.T) {
	noTrace(t)
	result := make(chan error, 1)
	address := serve(t, "127.0.0.1:0", func(c *net.TCPConn) {
		answers("HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 20000))(c) // more than is buffered with the header
		err := c.CloseWrite()
		if err == nil {
			_, err = c.Read(make([]byte, 1))
		}
		result <- err
	})
	if err := target(t, ParseHTTP, "http://"+address).Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-result; !errors.Is(err, io.EOF) {
		t.Errorf("the server has met with %v", err)
	}
}

// Package net/http is on the other side: it gets what it needs.
func TestProbeHTTPServer(t *testing.T) {
	noTrace(t)
	var mu sync.Mutex
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		mu.Lock()
		seen = append(seen, fmt.Sprintf("%s %s %s %s:%s", r.Method, r.RequestURI, r.Host, user, password))
		mu.Unlock()
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/missing", http.StatusFound)
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNoContent)
		case "/chunked":
			for range 10 {
				fmt.Fprintf(w, "%01000d", 0) //nolint:errcheck // the probe tells
				w.(http.Flusher).Flush()
			}
		case "/missing":
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	for path, want := range map[string]string{
		"/": "", "/moved": "", "/hints": "", "/chunked": "", "/a%20b?c=d": "", "": "",
		"/missing": "status 404",
	} {
		got := ""
		if err := target(t, ParseHTTP, "http://u:p@"+address+path).Probe(t.Context()); err != nil {
			got = strings.TrimPrefix(err.Error(), "probe http://u:xxxxx@"+address+path+": ")
		}
		mu.Lock()
		if path == "" {
			path = "/"
		}
		if asked := []string{"GET " + path + " " + address + " u:p"}; got != want || !slices.Equal(seen, asked) {
			t.Errorf("%s: %q, want %q; it was asked %q, not %q", path, got, want, seen, asked)
		}
		seen = nil
		mu.Unlock()
	}
}

// A server that wants TLS is told from one that works.
func TestProbeTLSServer(t *testing.T) {
	noTrace(t)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	err := target(t, ParseHTTP, "http://"+server.Listener.Addr().String()).Probe(t.Context())
	if err == nil || !strings.HasSuffix(err.Error(), "status 400") {
		t.Errorf("got %v", err)
	}
}

func TestProbeTCP(t *testing.T) {
	noTrace(t)
	address := serve(t, "127.0.0.1:0", gone)
	_, port, _ := net.SplitHostPort(address)
	for _, text := range []string{address, "localhost:" + port, "0.0.0.0:" + port, "[::ffff:127.0.0.1]:" + port} {
		if err := target(t, ParseTCP, text).Probe(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestProbeIPv6(t *testing.T) {
	noTrace(t)
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("there is no IPv6 here: %v", err)
	} else {
		l.Close() //nolint:errcheck // it is open
	}
	address := serve(t, "[::1]:0", answers("HTTP/1.1 200 OK\r\n\r\n"))
	if err := target(t, ParseTCP, address).Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if err := target(t, ParseHTTP, "http://"+address).Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestProbeRefused(t *testing.T) {
	noTrace(t)
	port := bound(t, loopback, 0, -1)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	err := target(t, ParseTCP, address).Probe(t.Context())
	if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != "probe "+address+": connect: connection refused" {
		t.Errorf("got %v", err)
	}
	err = target(t, ParseHTTP, "http://"+address).Probe(t.Context())
	if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != "probe http://"+address+": connect: connection refused" {
		t.Errorf("got %v", err)
	}
}

// The goroutine of a probe does not depend on who waits for its result.
func TestStartAndForget(t *testing.T) {
	noTrace(t)
	port := bound(t, loopback, 0, -1)
	target(t, ParseTCP, fmt.Sprintf("127.0.0.1:%d", port)).Start(t.Context())
}

func TestProbeDropped(t *testing.T) {
	noTrace(t)
	address := fmt.Sprintf("127.0.0.1:%d", deaf(t, loopback, 0))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := target(t, ParseTCP, address).Probe(ctx); !errors.Is(err, ErrTimeout) || err.Error() != "probe "+address+": connect: timed out" {
		t.Errorf("got %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	result := target(t, ParseHTTP, "http://"+address).Start(ctx)
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
