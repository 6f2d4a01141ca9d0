package main

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise"
	"github.com/reaper-init/reaper/pkg/supervise/health"
)

// The values of options: each parses itself, for package pflag, and says what is
// wrong and what it would have taken. Such an error is a [*usageError].

// The C library keeps 32 and 33 for itself, so SIGRTMIN is 34, as kill(1) and
// docker have it.
const (
	sigRTMin = 34
	sigRTMax = reap.NumSignals
)

const (
	hintSignal       = "use a name such as TERM, a number from 1 to 64, RTMIN+n or RTMAX-n"
	hintSignalOrNone = "use a name such as TERM, a number from 1 to 64, RTMIN+n, RTMAX-n or none"
	hintDuration     = "use seconds, or units as in 1m30s or 500ms"
	hintSize         = "use bytes, or units as in 10MiB, 10MB or 10m"
	hintRewrite      = "use FROM:TO, as in TERM:QUIT, or FROM:none"
	hintPattern      = "it is matched against the command line, as by pgrep -f; put a \\ before a character that is meant"
	hintHTTP         = "use http://HOST[:PORT][/PATH], as in http://localhost:8080/healthz"
	hintNoTLS        = "use --health-cmd 'curl -fsS URL', or another client that the image has"
	hintTCP          = "use HOST:PORT, as in localhost:6379 or [::1]:6379"
	hintExits        = "use codes from 0 to 255 and names of signals, as in 143,TERM"
)

var errSignal error = &usageError{"not a signal", hintSignal}

// parseSignal takes a name with or without SIG in any case, a number, RTMIN+n
// and RTMAX-n.
func parseSignal(text string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(text); err == nil {
		if n < 1 || n > reap.NumSignals || text[0] == '+' {
			return 0, errSignal
		}
		return syscall.Signal(n), nil
	}
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	base, offset := "", ""
	switch {
	case name == "RTMIN", name == "RTMAX":
		base, offset = name, "0"
	case strings.HasPrefix(name, "RTMIN+"), strings.HasPrefix(name, "RTMAX-"):
		base, offset = name[:5], name[6:]
	}
	if base != "" {
		n, err := strconv.ParseUint(offset, 10, 6)
		if err != nil || n > sigRTMax-sigRTMin {
			return 0, errSignal
		}
		if base == "RTMIN" {
			return sigRTMin + syscall.Signal(n), nil
		}
		return sigRTMax - syscall.Signal(n), nil
	}
	switch name { // second names, which signal(7) and docker know too
	case "IOT":
		return unix.SIGABRT, nil
	case "CLD":
		return unix.SIGCHLD, nil
	case "POLL":
		return unix.SIGIO, nil
	}
	if sig := unix.SignalNum("SIG" + name); sig != 0 {
		return sig, nil
	}
	return 0, errSignal
}

// signalName is TERM, RTMIN+3 or, for what has no name, the number.
func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	switch {
	case sig == sigRTMin:
		return "RTMIN"
	case sig > sigRTMin && sig <= sigRTMax:
		return "RTMIN+" + strconv.Itoa(int(sig-sigRTMin))
	default:
		return strconv.Itoa(int(sig))
	}
}

// signalValue is a signal, or none where that is allowed.
type signalValue struct {
	sig  *syscall.Signal
	none bool
}

func (v signalValue) Set(text string) error {
	if v.none && strings.EqualFold(text, "none") {
		*v.sig = 0
		return nil
	}
	sig, err := parseSignal(text)
	switch {
	case err == nil:
		*v.sig = sig
	case v.none:
		return &usageError{err.Error(), hintSignalOrNone}
	}
	return err
}

func (v signalValue) String() string { return "" }
func (v signalValue) Type() string   { return "signal" }

// parseDuration takes what Go writes and a bare number of seconds.
func parseDuration(text string) (time.Duration, error) {
	if strings.Trim(text, "+-.0123456789") == "" {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil && overflows(text):
		return 0, &usageError{"too long a duration", "292 years is the most"}
	case err != nil:
		return 0, &usageError{"not a duration", hintDuration}
	case d < 0:
		return 0, &usageError{"a duration cannot be negative", hintDuration}
	}
	return d, nil
}

// overflows reports whether a text that time.ParseDuration does not take would
// be a duration if its numbers were smaller.
func overflows(text string) bool {
	zero := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return '0'
		}
		return r
	}, text)
	_, err := time.ParseDuration(zero)
	return err == nil
}

type durationValue struct{ d *time.Duration }

func (v durationValue) Set(text string) error {
	d, err := parseDuration(text)
	if err == nil {
		*v.d = d
	}
	return err
}

func (v durationValue) String() string { return "" }
func (v durationValue) Type() string   { return "duration" }

// parseSize takes a number of bytes, or of a unit in any case. One letter is binary,
// as docker run --memory and systemd have it; a B makes it decimal, as in GNU's programs.
func parseSize(text string) (int64, error) {
	unit := strings.TrimLeft(text, "0123456789")
	digits := strings.TrimSuffix(text, unit)
	bytes, ok := map[string]int64{
		"": 1, "B": 1,
		"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40,
		"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
		"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	}[strings.ToUpper(unit)]
	if !ok || digits == "" {
		return 0, &usageError{"not a size", hintSize}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/bytes {
		return 0, &usageError{"too large a size", "8 EiB is the most"}
	}
	return n * bytes, nil
}

// sizeValue is a number of bytes.
type sizeValue struct{ bytes *int64 }

func (v sizeValue) Set(text string) error {
	n, err := parseSize(text)
	if err == nil {
		*v.bytes = n
	}
	return err
}

func (v sizeValue) String() string { return "" }
func (v sizeValue) Type() string   { return "size" }

// rewriteValue is FROM:TO, several of them with commas.
type rewriteValue struct {
	to *map[syscall.Signal]syscall.Signal
}

func (v rewriteValue) Set(text string) error {
	for rule := range strings.SplitSeq(text, ",") {
		from, to, ok := strings.Cut(rule, ":")
		if !ok {
			return &usageError{quoted(rule) + " has no colon", hintRewrite}
		}
		var rw struct{ from, to syscall.Signal }
		var err error
		if rw.from, err = parseSignal(from); err != nil {
			return &usageError{quoted(from) + " is not a signal", hintSignal}
		}
		if err := (signalValue{&rw.to, true}).Set(to); err != nil {
			return &usageError{quoted(to) + " is not a signal", hintSignalOrNone}
		}
		if rw.from == unix.SIGKILL || rw.from == unix.SIGSTOP {
			return &usageError{signalName(rw.from) + " cannot be caught, so it cannot be rewritten", "leave it out"}
		}
		if rw.from == unix.SIGCHLD {
			return &usageError{"CHLD is never forwarded, so it cannot be rewritten", "leave it out"}
		}
		if old, ok := (*v.to)[rw.from]; ok && old != rw.to {
			return &usageError{signalName(rw.from) + " is rewritten twice, and differently", "give one rule for each signal"}
		}
		if *v.to == nil {
			*v.to = make(map[syscall.Signal]syscall.Signal)
		}
		(*v.to)[rw.from] = rw.to
	}
	return nil
}

func (v rewriteValue) String() string { return "" }
func (v rewriteValue) Type() string   { return "from:to" }

// exitsValue is a list of exit codes, as they would come out of reaper, and of signals
// that the command died by.
type exitsValue struct{ set *supervise.ExitSet }

func (v exitsValue) Set(text string) error {
	set := *v.set
	for item := range strings.SplitSeq(text, ",") {
		if code, err := strconv.Atoi(item); err == nil {
			if code < 0 || code > 255 {
				return &usageError{item + " is not an exit code", hintExits}
			}
			set = set.WithCode(code)
			continue
		}
		sig, err := parseSignal(item)
		if err != nil {
			return &usageError{quoted(item) + " is neither an exit code nor a signal", hintExits}
		}
		set = set.WithSignal(sig)
	}
	*v.set = set
	return nil
}

func (v exitsValue) String() string { return "" }
func (v exitsValue) Type() string   { return "list" }

// choiceValue is one word of several.
type choiceValue struct {
	word    *string
	choices []string
}

func (v choiceValue) Set(text string) error {
	for _, c := range v.choices {
		if text == c {
			*v.word = c
			return nil
		}
	}
	last := len(v.choices) - 1
	return &usageError{"not one of the choices", "use " + strings.Join(v.choices[:last], ", ") + " or " + v.choices[last]}
}

func (v choiceValue) String() string { return "" }
func (v choiceValue) Type() string   { return "word" }

// leftoversValue is a word of --leftovers.
type leftoversValue struct{ policy *supervise.LeftoverPolicy }

func (v leftoversValue) Set(text string) error {
	var word string
	if err := (choiceValue{&word, []string{"stop", "wait", "kill", "keep"}}).Set(text); err != nil {
		return err
	}
	*v.policy = map[string]supervise.LeftoverPolicy{
		"stop": supervise.StopLeftovers, "wait": supervise.WaitForLeftovers,
		"kill": supervise.KillLeftovers, "keep": supervise.KeepLeftovers,
	}[word]
	return nil
}

func (v leftoversValue) String() string { return "" }
func (v leftoversValue) Type() string   { return "word" }

// httpValue is a URL for a health check.
type httpValue struct{ target *health.Target }

func (v httpValue) Set(text string) error {
	target, err := health.ParseHTTP(text)
	switch {
	case errors.Is(err, health.ErrTLS):
		return &usageError{err.Error(), hintNoTLS}
	case err != nil:
		return &usageError{err.Error(), hintHTTP}
	}
	*v.target = target
	return nil
}

func (v httpValue) String() string { return "" }
func (v httpValue) Type() string   { return "url" }

// tcpValue is a host and a port for a health check.
type tcpValue struct{ target *health.Target }

func (v tcpValue) Set(text string) error {
	target, err := health.ParseTCP(text)
	if err != nil {
		return &usageError{err.Error(), hintTCP}
	}
	*v.target = target
	return nil
}

func (v tcpValue) String() string { return "" }
func (v tcpValue) Type() string   { return "host:port" }

// patterns are regular expressions, one for each time that the option is given.
type patterns []*regexp.Regexp

func (p *patterns) Set(text string) error {
	re, err := regexp.Compile(text)
	if err != nil {
		why := err.Error()
		if wrong, ok := errors.AsType[*syntax.Error](err); ok {
			why = fmt.Sprintf("%s: %s", wrong.Code, quoted(wrong.Expr))
		}
		return &usageError{"not a regular expression: " + why, hintPattern}
	}
	*p = append(*p, re)
	return nil
}

func (p *patterns) String() string { return "" }
func (p *patterns) Type() string   { return "pattern" }

// match reports whether one of them matches part of a text.
func (p *patterns) match(text string) bool {
	return slices.ContainsFunc(*p, func(re *regexp.Regexp) bool { return re.MatchString(text) })
}

// countValue is how often an option was given, or the number itself.
type countValue struct{ n *int }

// countOneMore is what package pflag sets where no number is given.
const countOneMore = "+1"

func (v countValue) Set(text string) error {
	if text == countOneMore {
		*v.n++
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return &usageError{"not a count", "use 1, as for -v, or 2, as for -vv"}
	}
	*v.n = n
	return nil
}

func (v countValue) String() string { return "" }
func (v countValue) Type() string   { return "count" }
