package output

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// benchSize is what a benchmark prints.
const benchSize = 1 << 30

// The producer is a process of its own, as a daemon is. It prints so many bytes of lines.
var produce = newRole("produce", func(args []string) error {
	size, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	text := productLines()
	for size > 0 {
		n, err := os.Stdout.Write(text[:min(len(text), size)])
		if err != nil {
			return err
		}
		size -= n
	}
	return nil
})

func productLines() []byte {
	var text []byte
	for n := 0; len(text) < 1<<20; n++ {
		text = fmt.Appendf(text, "%08d the quick brown fox jumps over the lazy dog, again and again, until it is tired\n", n)
	}
	return text
}

// produced is how many lines the producer prints; the last may have no end.
func produced(size int) int {
	text := productLines()
	rest := text[:size%len(text)]
	lines := size/len(text)*bytes.Count(text, []byte{'\n'}) + bytes.Count(rest, []byte{'\n'})
	if n := len(rest); n > 0 && rest[n-1] != '\n' {
		lines++
	}
	return lines
}

// What 1 GiB of lines costs on its way into files of 10 MiB of which five are kept,
// beside the loggers that other supervisors have it piped into, on the same file system
// (TMPDIR). Where a peer is not installed it is left out. For each: how much it takes in a
// second, and the processor time; and how many times faster this package is. What is lost
// is lost to the limit of the queue, when the command is faster than the disk.
func BenchmarkRotate(b *testing.B) {
	sums := make(map[string]cost)
	add := func(name string, c cost) {
		sum := sums[name]
		sums[name] = cost{sum.took + c.took, sum.cpu + c.cpu, sum.lost + c.lost}
	}
	for b.Loop() {
		add("reaper", benchCapture(b))
		for _, peer := range [][]string{{"svlogd"}, {"s6-log", "n5", "s10485760"}} {
			if _, err := exec.LookPath(peer[0]); err == nil {
				add(peer[0], benchPeer(b, peer[0], peer[1:]...))
			}
		}
	}
	mib := float64(benchSize) / (1 << 20) * float64(b.N)
	for name, sum := range sums {
		b.ReportMetric(mib/sum.took.Seconds(), name+"-MiB/s")
		b.ReportMetric(sum.cpu.Seconds()/float64(b.N), name+"-cpu-s")
		if name != "reaper" {
			b.ReportMetric(sum.took.Seconds()/sums["reaper"].took.Seconds(), "times-"+name)
		}
	}
	b.ReportMetric(100*float64(sums["reaper"].lost)/float64(b.N)/benchSize, "%lost")
}

type cost struct {
	took, cpu time.Duration
	lost      uint64
}

func benchCapture(b *testing.B) cost {
	b.Helper()
	c, err := Open(Config{File: filepath.Join(b.TempDir(), "log"), MaxSize: 10 << 20, Keep: 5})
	if err != nil {
		b.Fatal(err)
	}
	cmd := produce.command(b, strconv.Itoa(benchSize))
	cmd.Stdout, cmd.Stderr = c.ends[Stdout], c.ends[Stderr]
	begin, before := time.Now(), cpuTime(b)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	c.CloseWriters()
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	if err := c.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	stats := c.Stats().To[ToFile]
	lost := stats.lost().Bytes
	if stats.Written+lost != benchSize {
		b.Fatalf("%+v", stats)
	}
	return cost{time.Since(begin), cpuTime(b) - before, lost}
}

// benchPeer pipes the same into a peer, whose last argument is a directory.
func benchPeer(b *testing.B, name string, args ...string) cost {
	b.Helper()
	dir := b.TempDir()
	// svlogd reads this; s6-log does not mind it.
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("s10485760\nn5\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	peer, cmd := exec.Command(name, append(args, dir)...), produce.command(b, strconv.Itoa(benchSize))
	peer.Stdin, cmd.Stdout, peer.Stderr = r, w, os.Stderr
	begin := time.Now()
	for _, start := range []*exec.Cmd{peer, cmd} {
		if err := start.Start(); err != nil {
			b.Fatal(err)
		}
	}
	r.Close()
	w.Close()
	for _, wait := range []*exec.Cmd{cmd, peer} {
		if err := wait.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	return cost{time.Since(begin), peer.ProcessState.UserTime() + peer.ProcessState.SystemTime(), 0}
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
