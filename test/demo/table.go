package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/reaper-init/reaper/pkg/reap"
)

// row is one line of the table: a process as ps(1) would print it.
type row struct {
	reap.Proc
	stat string
	cmd  string
}

// readRow reads one process. What makes up a row stands in several files; they
// are read again if the process has changed its state meanwhile.
func readRow(pid int) (row, error) {
	const tries = 100
	for range tries {
		first, err := reap.ReadProc(pid)
		if err != nil {
			return row{}, err
		}
		letters, err := statLetters(first)
		if err != nil {
			return row{}, err
		}
		args, err := reap.CommandLine(pid)
		if err != nil {
			return row{}, err
		}
		second, err := reap.ReadProc(pid)
		if err != nil {
			return row{}, err
		}
		if first == second {
			return row{first, string(first.State) + letters, cmdOf(first, args)}, nil
		}
	}
	return row{}, fmt.Errorf("read process %d: it never keeps its state", pid)
}

// cmdOf is the column CMD: the arguments, or, where there are none, the name.
func cmdOf(p reap.Proc, args []string) string {
	text := strings.Join(args, " ")
	if len(args) == 0 {
		text = "[" + p.Name + "]"
	}
	if p.Zombie() {
		text += " <defunct>"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return '?' // it would move the cursor
		}
		return r
	}, text)
}

// statLetters is what ps writes behind the state, in its order (ps(1), "PROCESS
// STATE CODES").
func statLetters(p reap.Proc) (string, error) {
	dir := "/proc/" + strconv.Itoa(p.PID)
	line, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return "", err
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return "", err
	}
	f, err := parseFields(line)
	if err != nil {
		return "", err
	}
	var letters strings.Builder
	for _, l := range []struct {
		letter byte
		holds  bool
	}{
		{'<', f.nice < 0},
		{'N', f.nice > 0},
		{'L', locked(status)},
		{'s', p.Session == p.PID},
		{'l', f.threads > 1},
		{'+', f.foreground == p.PGID},
	} {
		if l.holds {
			letters.WriteByte(l.letter)
		}
	}
	return letters.String(), nil
}

// fields is what reap.Proc leaves out of /proc/PID/stat.
type fields struct {
	foreground int // the process group that has the terminal; -1 without one
	nice       int
	threads    int
}

var errStat = errors.New("parse stat: malformed line")

func parseFields(line []byte) (fields, error) {
	rest := bytes.Fields(line[bytes.LastIndexByte(line, ')')+1:])
	const first = 3 // the number in proc(5) of the field that follows the name
	var f fields
	for _, field := range []struct {
		number int
		to     *int
	}{{8, &f.foreground}, {19, &f.nice}, {20, &f.threads}} {
		if field.number-first >= len(rest) {
			return fields{}, errStat
		}
		n, err := strconv.Atoi(string(rest[field.number-first]))
		if err != nil {
			return fields{}, errStat
		}
		*field.to = n
	}
	return f, nil
}

// locked tells whether the process holds pages in memory (mlock(2)).
func locked(status []byte) bool {
	for line := range bytes.Lines(status) {
		if size, ok := bytes.CutPrefix(line, []byte("VmLck:")); ok {
			words := bytes.Fields(size)
			return len(words) > 0 && string(words[0]) != "0"
		}
	}
	return false // a zombie has no memory
}

// columns is how wide a table may be: what is longer is cut, as ps does it on a
// terminal of that width.
const columns = 80

// format is the table with its header, as `ps -o stat,ppid,pid,cmd` prints it.
func format(rows []row) string {
	width := pidWidth()
	var out strings.Builder
	out.WriteString(formatLine(width, "STAT", "PPID", "PID", "CMD"))
	for _, r := range rows {
		out.WriteString(formatLine(width, r.stat, strconv.Itoa(r.PPID), strconv.Itoa(r.PID), r.cmd))
	}
	return out.String()
}

func formatLine(width int, stat, ppid, pid, cmd string) string {
	// A column that is too wide moves the next ones only as far as it must: each
	// number is set to end where it should, behind one space at least.
	end := len("STAT") + 1 + width
	line := stat + " " + fmt.Sprintf("%*s", end-len(stat)-1, ppid)
	end += 1 + width
	line += " " + fmt.Sprintf("%*s", end-len(line)-1, pid)
	runes := []rune(line + " " + cmd)
	return string(runes[:min(columns, len(runes))]) + "\n"
}

// pidWidth is the width of the columns PPID and PID: that of the number that no
// pid reaches here.
func pidWidth() int {
	const usual = 5
	text, err := os.ReadFile("/proc/sys/kernel/pid_max")
	if err != nil {
		return usual
	}
	return len(bytes.TrimSpace(text))
}
