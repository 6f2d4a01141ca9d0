package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// report is what a run has found.
type report struct {
	Date    time.Time `json:"date"`
	Took    string    `json:"took"`
	Machine machine   `json:"machine"`
	Place   string    `json:"place"`
	Args    []string  `json:"args"` // of the bench
	Rounds  int       `json:"rounds"`
	Inits   []tested  `json:"inits"`
	Rows    []result  `json:"rows"`
	Notes   []string  `json:"notes,omitempty"`
}

type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Arch   string `json:"arch"`
	Go     string `json:"go"`
	Load   string `json:"load"` // how busy it was at the end, as /proc/loadavg tells it
}

type tested struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// result is one row with all its figures.
type result struct {
	row      row
	scenario *scenario
	Scenario string            `json:"scenario"`
	What     string            `json:"what"`
	Key      string            `json:"key"`
	Unit     string            `json:"unit,omitempty"`
	Base     string            `json:"base"`
	Target   string            `json:"target,omitempty"`
	Met      *bool             `json:"met,omitempty"`
	Figures  map[string]figure `json:"figures"` // by the name of the init
}

// figure is what one init has in a row. Ratio is to the base of the row: the median of the
// ratios of the rounds.
type figure struct {
	spread
	Ratio  *spread   `json:"ratio,omitempty"`
	Rounds []float64 `json:"rounds"`
}

func (b *bench) report() *report {
	r := &report{
		Date: b.began, Took: time.Since(b.began).Round(time.Second).String(),
		Machine: thisMachine(), Place: b.at.String(), Args: os.Args[1:], Rounds: b.rounds, Notes: b.notes,
	}
	for _, p := range b.peers {
		if p.missing == "" {
			r.Inits = append(r.Inits, tested{p.name, p.version})
		}
	}
	for _, s := range b.chosen() {
		for _, row := range s.rows(b.options) {
			r.Rows = append(r.Rows, b.values.result(s, row))
		}
	}
	return r
}

// result is the summary of a row.
func (v values) result(s *scenario, row row) result {
	r := result{
		row: row, scenario: s, Scenario: s.name, What: cmp.Or(row.what, row.head), Key: row.key, Unit: row.unit, Base: row.base,
		Target: row.targetWords(), Figures: make(map[string]figure),
	}
	for name, s := range v[row.key] {
		f := figure{spread: *spreadOf(s.all()), Rounds: s.all()}
		if name != row.base {
			f.Ratio = spreadOf(s.over(v[row.key][row.base]))
		}
		r.Figures[name] = f
	}
	if own, ok := r.Figures[reaper]; ok {
		if met, known := row.met(&own.spread, own.Ratio); known {
			r.Met = &met
		}
	}
	return r
}

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Arch: runtime.GOARCH, Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err == nil {
		m.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) > 3 {
			m.Load = strings.Join(fields[:3], " ")
		}
	}
	return m
}

func (r *report) writeJSON(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}
