// Library is a web server that answers each request by a CGI script, and reaps what the
// scripts leave behind. It is the example of docs/library.md.
//
//	go run ./examples/library -listen 127.0.0.1:8080 examples/library/script.sh
//	curl http://127.0.0.1:8080/
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"os/signal"
	"syscall"
	"time"

	"github.com/reaper-init/reaper/pkg/reap"
)

func main() {
	log.SetFlags(0)
	addr := flag.String("listen", "127.0.0.1:8080", "where to listen")
	zombies := flag.Bool("zombies", false, "do not reap, to see what happens then")
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("usage: library [-listen ADDRESS] [-zombies] SCRIPT")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	// All that has to do with orphans. Everything below may use os/exec as it likes.
	reaping := make(chan error, 1)
	if *zombies {
		if err := reap.BecomeSubreaper(); err != nil {
			log.Fatal(err)
		}
		reaping <- nil
	} else {
		go func() { reaping <- reap.Orphans(ctx, reap.OrphanOptions{OnExit: report}) }()
	}

	err := serve(ctx, *addr, flag.Arg(0))
	stop()
	if err := errors.Join(err, <-reaping); err != nil {
		log.Fatal(err)
	}
}

func report(exit reap.Exit) { log.Printf("library: reaped %d: %v", exit.PID, exit.Status) }

func serve(ctx context.Context, addr, script string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	log.Print("library: listening on ", listener.Addr())
	server := &http.Server{Handler: &cgi.Handler{Path: script, Dir: "."}, ReadHeaderTimeout: time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(patience)
}
