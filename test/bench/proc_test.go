package main

import (
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
)

func TestParseSchedstat(t *testing.T) {
	if got, err := parseSchedstat([]byte("239471 179603 3\n")); got != 239471 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	for _, text := range []string{"", "1 2", "x 2 3", "-1 2 3", "1 2 3 4"} {
		if got, err := parseSchedstat([]byte(text)); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestParseField(t *testing.T) {
	const status = "Name:\tvoluntary_ctxt_switches:\nThreads:\t1\nvoluntary_ctxt_switches:\t17\nnonvoluntary_ctxt_switches:\t4\n"
	if got, err := parseSwitches([]byte(status)); got != 17 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	const smaps = "00400000-7ffd [rollup]\nRss:                3892 kB\nAnonymous:           844 kB\n"
	if got, err := parseField([]byte(smaps), "Anonymous:"); got != 844 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := parseField([]byte(smaps), "Pss:"); err == nil {
		t.Errorf("what is not there is taken for %v", got)
	}
}

func TestParseChild(t *testing.T) {
	for text, want := range map[string]uint64{"": 0, "17 ": 17} {
		if got, err := parseChild([]byte(text)); got != want || err != nil {
			t.Errorf("%q is taken for %d, %v", text, got, err)
		}
	}
	if got, err := parseChild([]byte("17 18 ")); err == nil {
		t.Errorf("two children are taken for %d", got)
	}
}

func TestParseLine(t *testing.T) {
	if got, err := parseLine("times 1 2500\n", "times"); !slices.Equal(got, []float64{1, 2500}) || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
	for _, line := range []string{"", "took 1\n", "times x\n"} {
		if got, err := parseLine(line, "times"); err == nil {
			t.Errorf("%q is taken for %v", line, got)
		}
	}
}

// What is read of this very process: all of its threads, and what it does shows.
func TestReadingsOfThisProcess(t *testing.T) {
	self := os.Getpid()
	before, err := cpuTime(self)
	if err != nil {
		t.Fatal(err)
	}
	busy := make(chan struct{})
	go func() { // on a thread that ends only with the process, as it is not locked
		for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
			continue
		}
		close(busy)
	}()
	<-busy
	runtime.Gosched()
	after, err := cpuTime(self)
	if err != nil || after <= before {
		t.Errorf("%d ns of CPU before and %d after, %v", before, after, err)
	}
	if n, err := switches(self); err != nil || n == 0 {
		t.Errorf("%d switches, %v", n, err)
	}
	if f, err := readMemory(self); err != nil || f["memory anonymous"] == 0 || f["memory rss"] < f["memory anonymous"] {
		t.Errorf("memory %v, %v", f, err)
	}
	const nobody = 1 << 30
	if n, err := cpuTime(nobody); err == nil {
		t.Errorf("a process that is not there has used %d ns", n)
	}
}
