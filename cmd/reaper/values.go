package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// The values of options: each parses itself, for package pflag, and says in one
// phrase what it would have taken.

// The C library keeps 32 and 33 for itself, so SIGRTMIN is 34, as kill(1) and
// docker have it.
const (
	sigRTMin = 34
	sigRTMax = reap.NumSignals
)

var errSignal = errors.New("not a signal; use a name such as TERM, a number from 1 to 64, RTMIN+n or RTMAX-n")

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
	if err == nil {
		*v.sig = sig
	}
	return err
}

func (v signalValue) String() string { return "" }
func (v signalValue) Type() string   { return "signal" }

var errDuration = errors.New("not a duration; use seconds, or units as in 1m30s or 500ms")

// parseDuration takes what Go writes and a bare number of seconds.
func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(seconds) || strings.ContainsAny(text, "xXpP_") {
			return 0, errDuration
		}
		if math.Abs(seconds) > math.MaxInt64/float64(time.Second)-1 {
			return 0, errors.New("too long a duration; 292 years is the most")
		}
		d = time.Duration(seconds * float64(time.Second))
	}
	if d < 0 {
		return 0, errors.New("a duration cannot be negative")
	}
	return d, nil
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

// rewriteValue is FROM:TO, several of them with commas.
type rewriteValue struct {
	to *map[syscall.Signal]syscall.Signal
}

func (v rewriteValue) Set(text string) error {
	for rule := range strings.SplitSeq(text, ",") {
		from, to, ok := strings.Cut(rule, ":")
		if !ok {
			return errors.New("not a rewriting; use FROM:TO, as in TERM:QUIT, or FROM:none")
		}
		var rw struct{ from, to syscall.Signal }
		var err error
		if rw.from, err = parseSignal(from); err != nil {
			return fmt.Errorf("%q is %w", from, err)
		}
		if err := (signalValue{&rw.to, true}).Set(to); err != nil {
			return fmt.Errorf("%q is %w", to, err)
		}
		switch rw.from {
		case unix.SIGKILL, unix.SIGSTOP:
			return fmt.Errorf("%s cannot be caught, so it cannot be rewritten", signalName(rw.from))
		case unix.SIGCHLD:
			return errors.New("CHLD is never forwarded, so it cannot be rewritten")
		}
		if old, ok := (*v.to)[rw.from]; ok && old != rw.to {
			return fmt.Errorf("%s is rewritten twice, and differently", signalName(rw.from))
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

// okSet is what --ok-exit turns into 0: exit codes as they would come out of
// reaper, and signals that the command died by.
type okSet struct {
	codes   [4]uint64 // bit n%64 of word n/64
	signals reap.SignalSet
}

func (o *okSet) hasCode(code int) bool {
	return code >= 0 && code < 256 && o.codes[code/64]&(1<<(code%64)) != 0
}

func (o *okSet) Set(text string) error {
	for item := range strings.SplitSeq(text, ",") {
		if code, err := strconv.Atoi(item); err == nil {
			if code < 0 || code > 255 {
				return errors.New("an exit code is 0 to 255")
			}
			o.codes[code/64] |= 1 << (code % 64)
			continue
		}
		sig, err := parseSignal(item)
		if err != nil {
			return fmt.Errorf("%q is neither an exit code from 0 to 255 nor the name of a signal", item)
		}
		o.signals = o.signals.With(sig)
	}
	return nil
}

func (o *okSet) String() string { return "" }
func (o *okSet) Type() string   { return "list" }

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
	return errors.New("not known; use " + strings.Join(v.choices[:len(v.choices)-1], ", ") +
		" or " + v.choices[len(v.choices)-1])
}

func (v choiceValue) String() string { return "" }
func (v choiceValue) Type() string   { return "word" }
