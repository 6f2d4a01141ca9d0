package main

import (
	"math"
	"slices"
)

// quantile is the value below which the part q of them lies, interpolated; NaN of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low == len(sorted)-1 {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// spread is a median, and how far the values lie apart.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf is nil if there are no values.
func spreadOf(values []float64) *spread {
	if len(values) == 0 {
		return nil
	}
	return &spread{median(values), slices.Min(values), slices.Max(values)}
}

// series is the value of each round.
type series map[int]float64

// all are the values in the order of the rounds.
func (s series) all() []float64 {
	var all []float64
	for _, round := range s.rounds() {
		all = append(all, s[round])
	}
	return all
}

func (s series) rounds() []int {
	var rounds []int
	for round := range s {
		rounds = append(rounds, round)
	}
	slices.Sort(rounds)
	return rounds
}

// over is the ratio in each round that both have. What the machine does in a round meets
// both, so that its median wanders less than the ratio of the medians.
func (s series) over(base series) []float64 {
	var ratios []float64
	for _, round := range s.rounds() {
		if b, ok := base[round]; ok && b > 0 {
			ratios = append(ratios, s[round]/b)
		}
	}
	return ratios
}

// values is all that was measured: by row, by init, by round.
type values map[string]map[string]series

func (v values) add(round int, got map[string]figures) {
	for name, f := range got {
		for row, value := range f {
			if v[row] == nil {
				v[row] = make(map[string]series)
			}
			if v[row][name] == nil {
				v[row][name] = make(series)
			}
			v[row][name][round] = value
		}
	}
}
