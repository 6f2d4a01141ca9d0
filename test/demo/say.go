package main

import (
	"fmt"
	"strings"
)

// say prints a paragraph, broken into lines.
func (s *show) say(format string, args ...any) {
	var out strings.Builder
	length := 0
	for i, word := range strings.Fields(fmt.Sprintf(format, args...)) {
		switch {
		case i == 0:
		case length+1+len(word) > columns-2:
			out.WriteByte('\n')
			length = 0
		default:
			out.WriteByte(' ')
			length++
		}
		out.WriteString(word)
		length += len(word)
	}
	s.print(out.String() + "\n\n")
}

// heading opens a step.
func (s *show) heading(number int, text string) {
	s.step = number
	line := fmt.Sprintf("%d. %s", number, text)
	s.print(line + "\n" + strings.Repeat("-", len(line)) + "\n\n")
}

// table prints what was read.
func (s *show) table(rows []row) {
	s.print(abridged(rows) + "\n")
}

// print keeps the first error; play finds it.
func (s *show) print(text string) {
	if s.err == nil {
		_, s.err = fmt.Fprint(s.out, text)
	}
}

// abridged is the table, where of many zombies of one parent only the first few
// are shown, and of the others their number.
func abridged(rows []row) string {
	const shown = 3
	zombies := make(map[int]int)
	for _, r := range rows {
		if r.Zombie() {
			zombies[r.PPID]++
		}
	}
	var short []row
	var more strings.Builder
	seen := make(map[int]int)
	for _, r := range rows {
		if r.Zombie() && zombies[r.PPID] > shown+1 {
			if seen[r.PPID]++; seen[r.PPID] > shown {
				continue
			}
			if seen[r.PPID] == shown {
				fmt.Fprintf(&more, "... and %d more zombies whose parent is %d\n", zombies[r.PPID]-shown, r.PPID)
			}
		}
		short = append(short, r)
	}
	return format(short) + more.String()
}
