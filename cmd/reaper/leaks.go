package main

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise"
)

// The table that --leaks=fail prints: a line for each leak with what is needed to
// recognize it, and below it what is needed to find out where it came from.

const (
	widestCommand = 120 // characters of a command line in the table
	longestTable  = 100 // leaks; the report has all of them
)

func leakTable(out *outcome, o *options) string {
	var text strings.Builder
	switch n := len(out.leaks); {
	case n > 0 && out.result.Blind:
		fmt.Fprintf(&text, "reaper: %s left behind, perhaps more; there is no /proc to tell what they are\n", processes(n))
	case n > 0:
		fmt.Fprintf(&text, "reaper: %s left behind by %s\n", processes(n), shorten(shellLine(out.command)))
	}
	if len(out.leaks) > 0 {
		text.WriteString("\n")
	}
	for i, l := range out.leaks {
		if i == longestTable {
			fmt.Fprintf(&text, "  ... and %d more; --report has them all\n", len(out.leaks)-i)
			break
		}
		describeLeak(&text, l, out)
	}
	describeRest(&text, out, o)
	return text.String()
}

// describeLeak writes one leak.
func describeLeak(text *strings.Builder, l *supervise.Leftover, out *outcome) {
	fmt.Fprintf(text, "  pid %d  %s\n", l.PID, shorten(commandOf(l)))
	rows := tabwriter.NewWriter(text, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(rows, "    %s\t%s\n", name, fmt.Sprintf(format, args...)) //nolint:errcheck // a Builder takes everything
	}
	if l.Start != 0 {
		row("state", "%s, %s old", stateName(l.State), seconds(l.Age))
		row("escape", "%s", escapeOf(l, out))
	}
	if parents := lineageOf(l); parents != "" {
		row("started by", "%s", parents)
	}
	if l.Details.Dir != "" {
		row("directory", "%s", shown(l.Details.Dir))
	}
	if len(l.Details.Listening) > 0 {
		row("listens on", "%s", strings.Join(l.Details.Listening, ", "))
	}
	if files := filesOf(&l.Details); files != "" {
		row("files", "%s", files)
	}
	row("fate", "%s", fateOf(l))
	rows.Flush() //nolint:errcheck // as above
	text.WriteString("\n")
}

// describeRest names zombies, and counts what is no leak.
func describeRest(text *strings.Builder, out *outcome, o *options) {
	late, ok, zombies := 0, 0, 0
	for i := range out.result.Leftovers {
		l := &out.result.Leftovers[i]
		switch {
		case l.Unreaped():
			if zombies++; zombies <= longestTable {
				describeZombie(text, l)
			}
		case l.Late:
			late++
		case excused(o, l):
			ok++
		}
	}
	if zombies > longestTable {
		fmt.Fprintf(text, "  ... and %d more zombies\n", zombies-longestTable)
	}
	if ok > 0 {
		fmt.Fprintf(text, "  excused by --leak-ok: %s\n", processes(ok))
	}
	if late > 0 {
		fmt.Fprintf(text, "  started by these while they were being stopped: %s\n", processes(late))
	}
}

func describeZombie(text *strings.Builder, l *supervise.Leftover) {
	who := fmt.Sprintf("pid %d", l.PPID)
	if parent, ok := parentOf(l); ok {
		who += " " + shorten(ancestorLine(parent))
	}
	fmt.Fprintf(text, "  zombie %d  %s, which %s never waited for\n", l.PID, shown(l.Name), who)
}

func processes(n int) string {
	if n == 1 {
		return "1 process"
	}
	return strconv.Itoa(n) + " processes"
}

// commandOf is the command line, or what there is instead.
func commandOf(l *supervise.Leftover) string {
	switch {
	case len(l.Details.Args) > 0:
		return shellLine(l.Details.Args)
	case l.Name != "":
		return "[" + shown(l.Name) + "]"
	default:
		return "(not known)"
	}
}

// escapeOf tells by what ways the process has got out of the command's reach.
func escapeOf(l *supervise.Leftover, out *outcome) string {
	var ways []string
	if l.Orphan {
		ways = append(ways, "orphan")
	} else {
		ways = append(ways, fmt.Sprintf("child of %d", l.PPID))
	}
	switch {
	case l.Session == l.PID:
		ways = append(ways, "a session of its own")
	case l.Session != out.session:
		ways = append(ways, fmt.Sprintf("session %d", l.Session))
	}
	switch {
	case l.Session == l.PID: // that includes the group
	case l.PGID == l.PID:
		ways = append(ways, "a process group of its own")
	case l.PGID == out.result.PID:
		ways = append(ways, "the command's process group")
	default:
		ways = append(ways, fmt.Sprintf("process group %d", l.PGID))
	}
	return strings.Join(ways, ", ")
}

// lineageOf is those who started it, the nearest first.
func lineageOf(l *supervise.Leftover) string {
	parents := make([]string, 0, len(l.Ancestors))
	for _, a := range l.Ancestors {
		parents = append(parents, fmt.Sprintf("%s (%d)", shorten(ancestorLine(a)), a.PID))
	}
	return strings.Join(parents, ", by ")
}

func ancestorLine(a supervise.Ancestor) string {
	if len(a.Args) == 0 {
		return "[" + shown(a.Name) + "]"
	}
	return shellLine(a.Args)
}

func filesOf(d *reap.Details) string {
	var files []string
	for _, f := range d.Files {
		file := fmt.Sprintf("%d %s", f.FD, shown(f.Path))
		switch {
		case f.Shared:
			file += " (shared with reaper)"
		case f.Write:
			file += " (writes)"
		}
		files = append(files, file)
	}
	if d.MoreFiles > 0 {
		files = append(files, fmt.Sprintf("%d more", d.MoreFiles))
	}
	return strings.Join(files, ", ")
}

// fateName is the fate as a word, for the log and the report.
func fateName(l *supervise.Leftover) string {
	switch l.Fate {
	case supervise.FateLeft:
		return "left"
	case supervise.FateEnded:
		return "ended"
	case supervise.FateStopped:
		return "stopped"
	case supervise.FateKilled:
		return "killed"
	case supervise.FateUnreaped:
		return "unreaped"
	}
	return "unknown"
}

// fateOf is the same as a phrase.
func fateOf(l *supervise.Leftover) string {
	switch l.Fate {
	case supervise.FateEnded:
		return "ended by itself after " + seconds(l.After)
	case supervise.FateStopped:
		return "ended on TERM after " + seconds(l.After)
	case supervise.FateKilled:
		return "killed after " + seconds(l.After)
	case supervise.FateUnreaped:
		return "never waited for"
	case supervise.FateLeft:
		if l.Err != nil {
			return "still there: " + l.Err.Error()
		}
	}
	return "still there"
}

func stateName(state byte) string {
	switch state {
	case 'R':
		return "running"
	case 'S', 'I':
		return "sleeping"
	case 'D':
		return "waiting for a device"
	case 'T':
		return "stopped"
	case 't':
		return "stopped by a debugger"
	case 'Z':
		return "its first thread has ended"
	default:
		return string(state)
	}
}

func seconds(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	default:
		return max(d.Round(time.Millisecond), time.Millisecond).String()
	}
}

// shown makes a text safe for a terminal.
func shown(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) || !utf8.ValidString(text) {
		return strconv.Quote(text)
	}
	return text
}

func shorten(line string) string {
	if utf8.RuneCountInString(line) <= widestCommand {
		return line
	}
	return string([]rune(line)[:widestCommand-3]) + "..."
}
