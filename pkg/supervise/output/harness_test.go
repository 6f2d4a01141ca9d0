package output

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	roleVariable = "OUTPUT_TEST_ROLE"
	// patience is how long a test waits for what happens at once on an idle machine.
	patience = 60 * time.Second
	// never is how long the beginning of a line waits where a test wants whole lines.
	never = time.Hour
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if name := os.Getenv(roleVariable); name != "" {
		if err := roles[name](os.Args[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "role %s: %v\n", name, err)
			return 1
		}
		return 0
	}
	return m.Run()
}

// A role is a program that the test binary can be.
type role string

var roles = make(map[string]func(args []string) error)

func newRole(name string, main func(args []string) error) role {
	roles[name] = main
	return role(name)
}

// command is the role as a program.
func (r role) command(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	tb.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+string(r), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// cannot skips a test that this machine has no means for, but in CI, where there must
// be every means.
func cannot(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("may not be skipped in CI: "+format, args...)
	}
	t.Skipf(format, args...)
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s\n%s", what, stacks())
		}
	}
}

// within fails if f still runs when every patience has an end.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("blocked: %s\n%s", what, stacks())
	}
}

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// run opens a capture that must be closed by the end of the test. Then no descriptor is
// left, and no goroutine but lumberjack's.
func run(t *testing.T, conf Config, idle time.Duration) *Capture {
	t.Helper()
	before := descriptors(t)
	t.Cleanup(func() {
		if t.Failed() {
			return // it is not closed, perhaps
		}
		eventually(t, "every goroutine of this package has ended", func() bool {
			for g := range strings.SplitSeq(stacks(), "\n\n") {
				if strings.Contains(g, "created by github.com/reaper-init/reaper/pkg/supervise/output.(*Capture).start") {
					return false
				}
			}
			return true
		})
		eventually(t, "every descriptor is closed", func() bool {
			return !slices.ContainsFunc(descriptors(t), func(d string) bool { return !slices.Contains(before, d) })
		})
	})
	c, err := open(conf, idle)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// descriptors are the open ones, but for the one that reads them and the poller's.
func descriptors(t *testing.T) []string {
	t.Helper()
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, entry := range dir {
		file, err := os.Readlink("/proc/self/fd/" + entry.Name())
		if err != nil || strings.HasPrefix(file, "anon_inode:[event") {
			continue
		}
		open = append(open, entry.Name()+" "+file)
	}
	return open
}

// print prints as the command would. It blocks as a command would.
func (c *Capture) print(t *testing.T, s Stream, text string) {
	t.Helper()
	if n, err := c.ends[s].WriteString(text); n != len(text) || err != nil {
		t.Errorf("print: %d of %d bytes, %v", n, len(text), err)
	}
}

// end closes the capture and wants it to be well.
func (c *Capture) end(t *testing.T) {
	t.Helper()
	within(t, "Close", func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	c.wantAccounts(t)
}

// wantAccounts checks that after Close whatever was read was written or lost.
func (c *Capture) wantAccounts(t *testing.T) {
	t.Helper()
	stats := c.Stats()
	for _, q := range c.hub.queues {
		to := stats.To[q.to]
		read := uint64(0)
		for s := range streams {
			if !q.elsewhere[s] {
				read += stats.Read[s]
			}
		}
		if got := to.Written + to.lost().Bytes; got != read {
			t.Errorf("%s: written %d, lost %+v: %d bytes of %d", q.to, to.Written, to.Lost, got, read)
		}
		if q.weight != 0 && to.lost().Bytes == 0 {
			t.Errorf("%s: a weight of %d is left", q.to, q.weight)
		}
	}
}

func (c *Capture) wantNoLoss(t *testing.T) {
	t.Helper()
	for to, stats := range c.Stats().To {
		if stats.lost() != (Count{}) || stats.Failures > 0 || stats.Err != nil {
			t.Errorf("%s: %+v", Destination(to), stats)
		}
	}
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// rotated is what is in the old files and the current one, the oldest first.
func rotated(t *testing.T, path string) (all []byte, files []string) {
	t.Helper()
	old := oldOnes(t, path)
	for _, name := range append(old, path) {
		data := contents(t, name)
		if strings.HasSuffix(name, ".gz") {
			data = unzip(t, data)
		}
		all = append(all, data...)
	}
	return all, append(old, path)
}

func unzip(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return data
}

func oldOnes(t *testing.T, path string) []string {
	t.Helper()
	ext := filepath.Ext(path)
	old, err := filepath.Glob(strings.TrimSuffix(path, ext) + "-*" + ext + "*")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(old) // by time
	return old
}

// wantSame compares what may be large.
func wantSame(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	around := func(b []byte) []byte { return b[max(at-40, 0):min(at+40, len(b))] }
	t.Errorf("%s: %d bytes, want %d; from %d on:\ngot  %q\nwant %q", what, len(got), len(want), at, around(got), around(want))
}

// gate is a destination that takes nothing before it is opened, and everything then.
type gate struct {
	opened chan struct{}
	bytes.Buffer
}

func newGate() *gate { return &gate{opened: make(chan struct{})} }

func (g *gate) Write(data []byte) (int, error) {
	<-g.opened
	return g.Buffer.Write(data)
}

var _ io.Writer = (*gate)(nil)
