package main

import (
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// helpText is what `reaper help` prints on a topic.
func helpText(t *testing.T, topic string) string {
	t.Helper()
	p, stdout, stderr := fakeProcess("help", topic)
	if code, raise := p.main(); code != 0 || raise != 0 || stderr.Len() != 0 {
		t.Fatalf("help %s: code %d, raise %d, stderr %q", topic, code, raise, stderr)
	}
	return stdout.String()
}

// topics are those that the messages name.
func topics(t *testing.T) []string {
	t.Helper()
	list := regexp.MustCompile(`\[(.*)\]`).FindStringSubmatch(usageHelp)
	if list == nil {
		t.Fatalf("no topics in %q", usageHelp)
	}
	return strings.Split(list[1], "|")
}

func TestHelpFits(t *testing.T) {
	for _, topic := range append(topics(t), "") {
		text := helpText(t, topic)
		if !strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\n\n") {
			t.Errorf("help %s does not end with one line end", topic)
		}
		n := 0
		for line := range strings.Lines(text) {
			n++
			line = strings.TrimSuffix(line, "\n")
			if utf8.RuneCountInString(line) > 80 || strings.TrimRight(line, " ") != line {
				t.Errorf("help %s, line %d is longer than 80 columns or ends in blanks: %q", topic, n, line)
			}
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("help %s, line %d is not plain text: %q", topic, n, line)
			}
		}
	}
}

// helpLine is how help shows an option.
var helpLine = regexp.MustCompile(`(?m)^  (-(\w), |    )--([a-z-]+)( ([A-Z]+([:=][A-Z]+)*))? +\S`)

// Help lists every option and no other, with its letter, and with a value
// exactly where one is taken.
func TestHelpListsOptions(t *testing.T) {
	type form struct {
		letter string
		value  bool
	}
	declared := make(map[string]form)
	newFlags(&options{}).VisitAll(func(f *pflag.Flag) {
		declared[f.Name] = form{f.Shorthand, f.NoOptDefVal == ""}
	})
	listed := make(map[string]form)
	for _, m := range helpLine.FindAllStringSubmatch(helpText(t, ""), -1) {
		if _, twice := listed[m[3]]; twice {
			t.Errorf("--%s is listed twice", m[3])
		}
		listed[m[3]] = form{m[2], m[5] != ""}
	}
	if !maps.Equal(listed, declared) {
		t.Errorf("listed:   %v\ndeclared: %v", listed, declared)
	}
	// No line that looks like an option escapes the pattern above.
	for line := range strings.Lines(helpText(t, "")) {
		if strings.HasPrefix(strings.TrimSpace(line), "-") && !helpLine.MatchString(line) {
			t.Errorf("not read as an option: %q", line)
		}
	}
}

// The help of each topic names no option that is not there.
func TestHelpNamesNoOtherOption(t *testing.T) {
	flags := newFlags(&options{})
	for _, topic := range append(topics(t), "") {
		for _, name := range regexp.MustCompile(`--[a-z][a-z-]*`).FindAllString(helpText(t, topic), -1) {
			if flags.Lookup(name[2:]) == nil {
				t.Errorf("help %s names %s, which is no option", topic, name)
			}
		}
	}
}

func TestHelpNamesTopics(t *testing.T) {
	if !strings.HasSuffix(usage, "\nTopics: "+strings.Join(topics(t), ", ")+"\n") {
		t.Errorf("the usage does not name the topics %q", topics(t))
	}
	want := []string{"Daemons", "Exit codes", "Environment", "Leftovers", "The process it becomes", "Restart", "Signals"}
	var got []string
	for _, topic := range topics(t) {
		title, _, _ := strings.Cut(helpText(t, topic), "\n")
		got = append(got, title)
	}
	if !slices.Equal(got, want) {
		t.Errorf("titles %q, want %q", got, want)
	}
}

// The exit codes of the table are those of the constants, and help shows it.
func TestHelpShowsExitTable(t *testing.T) {
	if !strings.Contains(helpText(t, "exit-codes"), exitTable) {
		t.Error("help exit-codes lacks the table")
	}
	rows := regexp.MustCompile(`(?m)^  (\S.*?)  +\S.*$`).FindAllStringSubmatch(exitTable, -1)
	var got []string
	for _, row := range rows {
		got = append(got, row[1])
	}
	want := []string{
		"the command's own", fmt.Sprintf("%d+n", exitSignal),
		strconv.Itoa(exitNotFound), strconv.Itoa(exitNoExec), strconv.Itoa(exitFailed),
		strconv.Itoa(exitTimeout), strconv.Itoa(exitLeaks),
	}
	if !slices.Equal(got, want) || len(rows) != strings.Count(exitTable, "\n") {
		t.Errorf("the table has %q, want %q", got, want)
	}
	// The numbers are those of a shell, and of docker run and timeout for 125 and 124.
	if exitSignal != 128 || exitNotFound != 127 || exitNoExec != 126 || exitFailed != 125 || exitTimeout != 124 {
		t.Error("the exit codes have changed")
	}
}

// Every variable of an option is listed beside it, and no other.
func TestHelpListsVariables(t *testing.T) {
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^  (REAPER_[A-Z_]+) +--([a-z-]+)$`).FindAllStringSubmatch(helpText(t, "environment"), -1) {
		if m[1] != variableOf(m[2]) {
			t.Errorf("%s beside --%s", m[1], m[2])
		}
		got = append(got, m[2])
	}
	if want := optionNames(newFlags(&options{})); !slices.Equal(got, want) {
		t.Errorf("listed:   %q\ndeclared: %q", got, want)
	}
}

func TestVersionLine(t *testing.T) {
	line := func() string {
		p, stdout, _ := fakeProcess("version")
		if code, _ := p.main(); code != 0 {
			t.Fatalf("code %d", code)
		}
		return stdout.String()
	}
	machine := " " + runtime.GOOS + "/" + runtime.GOARCH + " " + runtime.Version() + "\n"
	if got := line(); !regexp.MustCompile(`^reaper \S+ `).MatchString(got) || !strings.HasSuffix(got, machine) {
		t.Errorf("got %q", got)
	}
	before := version
	t.Cleanup(func() { version = before })
	version = "v1.2.3-4-gabcdef"
	if got, want := line(), "reaper v1.2.3-4-gabcdef"+machine; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
