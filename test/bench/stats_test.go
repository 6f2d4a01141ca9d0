package main

import (
	"math"
	"slices"
	"testing"
)

func TestQuantile(t *testing.T) {
	values := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 0.25: 1.75, 0.99: 3.97, 1: 4} {
		if got := quantile(values, q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if !slices.Equal(values, []float64{4, 1, 3, 2}) {
		t.Error("the values have been moved")
	}
	if got := median([]float64{7}); got != 7 {
		t.Errorf("the median of one value is %v", got)
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("the median of none is %v", got)
	}
}

// The ratio is that of each round: a machine that was ten times slower in one does not
// show. Rounds that one of both has missed do not count.
func TestRatioIsOfRounds(t *testing.T) {
	v := make(values)
	v.add(0, map[string]figures{reaper: {"storm": 10}, tini: {"storm": 20}})
	v.add(1, map[string]figures{reaper: {"storm": 150}, tini: {"storm": 200}})
	v.add(2, map[string]figures{reaper: {"storm": 12}})
	v.add(3, map[string]figures{reaper: {"storm": 14}, tini: {"storm": 20}})
	v.add(4, map[string]figures{reaper: {"storm": 14}, tini: {"storm": 0}})
	got := v.result(scenarios()[0], row{key: "storm", base: tini}).Figures
	if want := (spread{0.7, 0.5, 0.75}); *got[reaper].Ratio != want {
		t.Errorf("ratio %v, want %v", *got[reaper].Ratio, want)
	}
	if want := (spread{14, 10, 150}); got[reaper].spread != want {
		t.Errorf("spread %v, want %v", got[reaper].spread, want)
	}
	if want := []float64{10, 150, 12, 14, 14}; !slices.Equal(got[reaper].Rounds, want) {
		t.Errorf("rounds %v, want %v", got[reaper].Rounds, want)
	}
	if got[tini].Ratio != nil {
		t.Errorf("the base has the ratio %v to itself", *got[tini].Ratio)
	}
}

func TestOverAlone(t *testing.T) {
	got := map[string]figures{reaper: {"start": 5}, alone: {"start": 2}}
	overAlone(got)
	if f := got[reaper]["start over"]; f != 3 {
		t.Errorf("over the command alone: %v, want 3", f)
	}
	if _, ok := got[alone]["start over"]; ok {
		t.Error("the command alone has something over itself")
	}
	got = map[string]figures{reaper: {"start": 5}} // the command alone could not be measured
	overAlone(got)
	if _, ok := got[reaper]["start over"]; ok {
		t.Error("over the command alone, which is not known")
	}
}

func TestRotated(t *testing.T) {
	a, b, c := &peer{name: "a"}, &peer{name: "b"}, &peer{name: "c"}
	if got := rotated([]*peer{a, b, c}, 4); !slices.Equal(got, []*peer{b, c, a}) {
		t.Errorf("got %v", got)
	}
	if got := rotated(nil, 4); got != nil {
		t.Errorf("got %v of none", got)
	}
}
