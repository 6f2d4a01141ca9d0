// Package leaky has a test that passes and leaves a server running. Under
// `reaper test -- go test ./...` it fails.
package leaky

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
)

// TestMain lets the test binary be the server as well.
func TestMain(m *testing.M) {
	if os.Getenv("LEAKY_SERVER") != "" {
		serve()
	}
	os.Exit(m.Run())
}

func serve() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	for {
		conn, err := l.Accept()
		if err != nil {
			panic(err)
		}
		conn.Close()
	}
}

func TestServer(t *testing.T) {
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), "LEAKY_SERVER=1")
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("STOP_SERVER") != "" { // what the author has forgotten
		defer server.Wait()
		defer server.Process.Kill()
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address[:len(address)-1])
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
