package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNumber(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0", 0.714: "0.71", 1: "1", 1.5: "1.5", 9.996: "10", 12.34: "12.3", 123.4: "123", 99999.6: "100000", -2.345: "-2.35",
	} {
		if got := number(value); got != want {
			t.Errorf("%v is written %s, want %s", value, got, want)
		}
	}
}

func TestTargets(t *testing.T) {
	one := func(v float64) *spread { return &spread{v, v, v} }
	for _, c := range []struct {
		name         string
		row          row
		value, ratio *spread
		words        string
		met, known   bool
	}{
		{"a factor, met", row{base: tini, target: &target{factor: 0.8}}, one(9), one(0.8), "at most 0.8 of tini", true, true},
		{"a factor, not met", row{base: tini, target: &target{factor: 0.8}}, one(9), one(0.81), "at most 0.8 of tini", false, true},
		{"a factor of nothing", row{base: tini, target: &target{factor: 0.8}}, one(9), nil, "at most 0.8 of tini", false, false},
		{"a limit, met", row{unit: "MB", target: &target{limit: 5}}, one(5), nil, "at most 5 MB", true, true},
		{"a limit, not met", row{unit: "MB", target: &target{limit: 5}}, one(5.01), nil, "at most 5 MB", false, true},
		{"none at all", row{target: &target{}}, one(0), nil, "at most 0", true, true},
		{"none at all, not met", row{target: &target{}}, one(1), nil, "at most 0", false, true},
		{"under, not met", row{unit: "ms", target: &target{limit: 20, under: true}}, one(20), nil, "under 20 ms", false, true},
		{"without a target", row{}, one(20), one(20), "", false, false},
	} {
		if got := c.row.targetWords(); got != c.words {
			t.Errorf("%s: %q, want %q", c.name, got, c.words)
		}
		if met, known := c.row.met(c.value, c.ratio); met != c.met || known != c.known {
			t.Errorf("%s: met %v, known %v", c.name, met, known)
		}
	}
}

func testReport() *report {
	v := make(values)
	v.add(0, map[string]figures{reaper: {"storm": 9}, tini: {"storm": 10}})
	v.add(1, map[string]figures{reaper: {"storm": 7}, tini: {"storm": 10}})
	storm := scenarios()[0]
	return &report{
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Rounds: 2, Place: place{pid1: true}.String(),
		Machine: machine{CPU: "a CPU", Cores: 2, Kernel: "6.1", Arch: "amd64", Go: "go1.26", Load: "0 0 0"},
		Inits:   []tested{{Name: reaper}, {tini, "0.19"}, {Name: "not measured"}},
		Rows:    []result{v.result(storm, stormRows(&options{orphans: 10})[0]), v.result(storm, row{key: "pace", head: "pace", base: tini})},
		Notes:   []string{"runsv: not installed"},
	}
}

func TestMarkdown(t *testing.T) {
	const want = `2026-01-02, 2 rounds. a CPU amd64, 2 cores, Linux 6.1, go1.26; load average at the end 0 0 0. Each init as PID 1 of a pid namespace.

| what | reaper | beside | ratio | to reach | |
| --- | --- | --- | --- | --- | --- |
| CPU of the init per orphan, storm of 10 | 8 µs (7–9) | tini 10 µs | 0.8 (0.7–0.9) | at most 0.8 of tini | met |

storm: CPU per orphan, when they come one after another.

| init | CPU per orphan | to tini | pace | to tini |
| --- | --- | --- | --- | --- |
| reaper | 8 µs (7–9) | ×0.8 |  |  |
| tini 0.19 | 10 µs |  |  |  |

Not measured:

- runsv: not installed
`
	if got := testReport().markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestJSON(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	if err := testReport().writeJSON(file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Rows []struct {
			Key     string
			Met     *bool
			Figures map[string]struct {
				Median, Min, Max float64
				Ratio            *struct{ Median float64 }
				Rounds           []float64
			}
		}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	storm := got.Rows[0]
	own := storm.Figures[reaper]
	if storm.Met == nil || !*storm.Met || own.Median != 8 || own.Min != 7 || own.Max != 9 || own.Ratio.Median != 0.8 || len(own.Rounds) != 2 {
		t.Errorf("got %s", text)
	}
}

func TestUpdate(t *testing.T) {
	const document = "# Title\n\n" + updateBegin + "old\n" + updateEnd + "\n\nThe rest.\n"
	got, err := update(document, "new\n")
	if want := "# Title\n\n" + updateBegin + "\nnew\n\n" + updateEnd + "\n\nThe rest.\n"; got != want || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if again, err := update(got, "new\n"); again != got || err != nil {
		t.Errorf("updated again it is %q, %v", again, err)
	}
	for _, document := range []string{"", updateBegin, strings.TrimSpace(updateBegin) + " " + updateEnd} {
		if got, err := update(document, "new"); err == nil {
			t.Errorf("%q has no marks and becomes %q", document, got)
		}
	}
}
