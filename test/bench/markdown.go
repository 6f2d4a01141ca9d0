package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
)

// markdown is the report as tables: what reaper has to reach, and then everything.
func (r *report) markdown() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s, %s. %s %s, %d cores, Linux %s, %s; load average at the end %s. Each init as %s.\n",
		r.Date.Format("2006-01-02"), rounds(r.Rounds), r.Machine.CPU, r.Machine.Arch, r.Machine.Cores,
		r.Machine.Kernel, r.Machine.Go, r.Machine.Load, r.Place)
	r.targets(&text)
	r.everything(&text)
	if len(r.Notes) > 0 {
		text.WriteString("\nNot measured:\n\n")
		for _, note := range r.Notes {
			fmt.Fprintf(&text, "- %s\n", strings.ReplaceAll(strings.TrimSpace(note), "\n", " "))
		}
	}
	return text.String()
}

func rounds(n int) string {
	if n == 1 {
		return "1 round"
	}
	return fmt.Sprintf("%d rounds", n)
}

// targets is the table of what reaper is to reach.
func (r *report) targets(text *strings.Builder) {
	text.WriteString("\n| what | reaper | beside | ratio | to reach | |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, row := range r.Rows {
		own, ok := row.Figures[reaper]
		if row.Target == "" || !ok {
			continue
		}
		base, ratio, verdict := "", "", "not known"
		if f, ok := row.Figures[row.Base]; ok {
			base = row.Base + " " + f.cell(row.Unit)
		}
		if own.Ratio != nil {
			ratio = number(own.Ratio.Median) + own.Ratio.between()
		}
		if row.Met != nil {
			verdict = map[bool]string{true: "met", false: "**not met**"}[*row.Met]
		}
		fmt.Fprintf(text, "| %s | %s | %s | %s | %s | %s |\n", row.What, own.cell(row.Unit), base, ratio, row.Target, verdict)
	}
}

// everything is a table for each scenario.
func (r *report) everything(text *strings.Builder) {
	for rows := r.Rows; len(rows) > 0; {
		n := 1
		for n < len(rows) && rows[n].scenario == rows[0].scenario {
			n++
		}
		r.scenario(text, rows[:n])
		rows = rows[n:]
	}
}

// scenario is the table of one: a line for each init that it takes.
func (r *report) scenario(text *strings.Builder, rows []result) {
	s := rows[0].scenario
	fmt.Fprintf(text, "\n%s: %s.\n\n| init |", s.name, s.about)
	columns := 1
	for _, row := range rows {
		if row.row.head != "" {
			fmt.Fprintf(text, " %s |", row.row.head)
			columns++
		}
		fmt.Fprintf(text, " to %s |", row.Base)
		columns++
	}
	text.WriteString("\n|" + strings.Repeat(" --- |", columns) + "\n")
	for _, init := range r.Inits {
		line, measured := "| "+strings.TrimSpace(init.Name+" "+init.Version)+" |", false
		for _, row := range rows {
			f, ok := row.Figures[init.Name]
			cells := []string{f.ratio()}
			if row.row.head != "" {
				cells = []string{f.cell(row.Unit), f.ratio()}
			}
			line += " " + strings.Join(cells, " | ") + " |"
			measured = measured || ok
		}
		if measured {
			text.WriteString(line + "\n")
		}
	}
}

// ratio is that to the base, which itself has none.
func (f figure) ratio() string {
	if f.Ratio == nil {
		return ""
	}
	return "×" + number(f.Ratio.Median)
}

// cell is the median, and between which values the rounds were if they differ. It is empty
// if there were none.
func (f figure) cell(unit string) string {
	if len(f.Rounds) == 0 {
		return ""
	}
	return withUnit(f.Median, unit) + f.between()
}

func (s spread) between() string {
	low, high := number(s.Min), number(s.Max)
	if low == high {
		return ""
	}
	return " (" + low + "–" + high + ")"
}

func withUnit(value float64, unit string) string {
	return strings.TrimSpace(number(value) + " " + unit)
}

// number writes three digits that count, and never an exponent.
func number(value float64) string {
	digits := 2
	if size := math.Abs(value); size >= 1 {
		digits = max(0, 2-int(math.Log10(size)))
	}
	text := strconv.FormatFloat(value, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// The marks between which a document has the tables.
const (
	updateBegin = "<!-- make bench: begin -->\n"
	updateEnd   = "<!-- make bench: end -->"
)

// updateFile puts the text into a document, in the place of what is between the marks.
func updateFile(file, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("update document: %w", err)
	}
	updated, err := update(string(old), text)
	if err != nil {
		return fmt.Errorf("update %s: %w", file, err)
	}
	return os.WriteFile(file, []byte(updated), 0o644)
}

func update(document, text string) (string, error) {
	before, rest, begun := strings.Cut(document, updateBegin)
	_, after, ended := strings.Cut(rest, updateEnd)
	if !begun || !ended {
		return "", fmt.Errorf("the marks %q and %q are missing", strings.TrimSpace(updateBegin), updateEnd)
	}
	return before + updateBegin + "\n" + text + "\n" + updateEnd + after, nil
}
