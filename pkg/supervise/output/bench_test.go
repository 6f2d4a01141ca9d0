package output

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// What 1 GiB of lines costs on its way into a rotated file, beside the loggers that
// other supervisors pipe it into. All are given the same file system; the ratio is what
// counts.
func BenchmarkRotate(b *testing.B) {
	b.Run("reaper", func(b *testing.B) {
		b.SetBytes(benchSize)
		for b.Loop() {
			benchCapture(b, Config{File: filepath.Join(b.TempDir(), "log"), MaxSize: 10 << 20, Keep: 5})
		}
	})
	for name, command := range map[string]func(dir string) []string{
		"svlogd": func(dir string) []string { return []string{"svlogd", dir} },
		"s6-log": func(dir string) []string { return []string{"s6-log", "n5", "s10485760", dir} },
		"cat":    func(dir string) []string { return []string{"sh", "-c", "exec cat >" + dir + "/log"} },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(benchSize)
			for b.Loop() {
				benchPeer(b, command)
			}
		})
	}
}

func benchCapture(b *testing.B, conf Config) {
	b.Helper()
	c, err := Open(conf)
	if err != nil {
		b.Fatal(err)
	}
	cmd := produce.command(b, fmt.Sprint(benchSize))
	cmd.Stdout, cmd.Stderr = c.ends[Stdout], c.ends[Stderr]
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	c.CloseWriters()
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		b.Fatal(err)
	}
	stats := c.Stats()
	b.ReportMetric(float64(stats.To[ToFile].Lost[Stdout].Bytes)/benchSize*100, "%lost")
}

func benchPeer(b *testing.B, command func(dir string) []string) {
	b.Helper()
	dir := b.TempDir()
	args := command(dir)
	if _, err := exec.LookPath(args[0]); err != nil {
		b.Skip(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("s10485760\nn5\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	peer, cmd := exec.Command(args[0], args[1:]...), produce.command(b, fmt.Sprint(benchSize))
	peer.Stdin, cmd.Stdout, peer.Stderr = r, w, os.Stderr
	if err := peer.Start(); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	r.Close()
	w.Close()
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	if err := peer.Wait(); err != nil {
		b.Fatal(err)
	}
}
