// Hello is the server of the examples: it answers on a port, starts a helper of its
// own that it never waits for, and takes a moment to stop.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	addr := flag.String("listen", ":8080", "where to listen")
	helper := flag.Bool("helper", false, "be the helper")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if *helper {
		<-ctx.Done()
		log.Print("helper: stopped")
		return
	}
	if err := serve(ctx, *addr); err != nil {
		log.Fatal(err)
	}
	log.Print("hello: stopped")
}

func serve(ctx context.Context, addr string) error {
	// In a session of its own, where nothing that ends the server reaches it.
	_, err := os.StartProcess("/proc/self/exe", []string{"hello-helper", "-helper"}, &os.ProcAttr{
		Files: []*os.File{nil, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	server := &http.Server{Addr: addr, ReadHeaderTimeout: time.Second}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := fmt.Fprintln(w, "hello"); err != nil {
			log.Print(err)
		}
	})
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	log.Print("hello: listening on " + addr)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(server.Shutdown(patience))
}
