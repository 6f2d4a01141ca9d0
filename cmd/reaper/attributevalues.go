package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
)

// The values of the options of attributes.go; see values.go.

const (
	hintWord   = "if it comes from a variable, is that set?"
	hintUmask  = "use an octal number up to 777, as in 027"
	hintLimit  = "use NAME=SOFT or NAME=SOFT:HARD, as in nofile=1024:4096; unlimited is a number too"
	hintLimits = "use core, cpu, nofile or another name of getrlimit(2)"
)

// resources are the limits by the names that docker run and limits.conf(5) have.
func resources() map[string]int {
	return map[string]int{
		"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA,
		"fsize": unix.RLIMIT_FSIZE, "locks": unix.RLIMIT_LOCKS, "memlock": unix.RLIMIT_MEMLOCK,
		"msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE, "nofile": unix.RLIMIT_NOFILE,
		"nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO,
		"rttime": unix.RLIMIT_RTTIME, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
	}
}

// wordValue is a word that cannot be empty: who gives one means something by it.
type wordValue struct{ word *string }

func (v wordValue) Set(text string) error {
	if text == "" {
		return &usageError{"an empty word", hintWord}
	}
	*v.word = text
	return nil
}

func (v wordValue) String() string { return "" }
func (v wordValue) Type() string   { return "word" }

// words are such, one for each time that the option is given.
type words []string

func (w *words) Set(text string) error {
	var word string
	err := wordValue{&word}.Set(text)
	if err == nil {
		*w = append(*w, word)
	}
	return err
}

func (w *words) String() string { return "" }
func (w *words) Type() string   { return "word" }

// umaskValue is a file mode mask as umask(1) takes it.
type umaskValue struct{ mask **uint32 }

func (v umaskValue) Set(text string) error {
	const all = 0o777
	mask, err := strconv.ParseUint(text, 8, 32)
	if err != nil || mask > all {
		return &usageError{"not a file mode mask", hintUmask}
	}
	*v.mask = new(uint32(mask))
	return nil
}

func (v umaskValue) String() string { return "" }
func (v umaskValue) Type() string   { return "mask" }

// rangeValue is a whole number from least to most.
type rangeValue struct {
	n           **int
	least, most int
}

func (v rangeValue) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < v.least || n > v.most {
		return &usageError{"out of range", fmt.Sprintf("use a number from %d to %d", v.least, v.most)}
	}
	*v.n = &n
	return nil
}

func (v rangeValue) String() string { return "" }
func (v rangeValue) Type() string   { return "number" }

// limitValue is NAME=SOFT or NAME=SOFT:HARD, several of them with commas.
type limitValue struct{ limits *[]reap.ResourceLimit }

func (v limitValue) Set(text string) error {
	for one := range strings.SplitSeq(text, ",") {
		limit, err := parseLimit(one)
		if err != nil {
			return err
		}
		*v.limits = append(*v.limits, limit)
	}
	return nil
}

func (v limitValue) String() string { return "" }
func (v limitValue) Type() string   { return "limit" }

func parseLimit(text string) (limit reap.ResourceLimit, err error) {
	name, amounts, ok := strings.Cut(text, "=")
	if !ok {
		return limit, &usageError{quoted(text) + " has no =", hintLimit}
	}
	resource, ok := resources()[strings.ToLower(name)]
	if !ok {
		return limit, &usageError{quoted(name) + " is not a limit", hintLimits}
	}
	limit.Resource = resource
	soft, hard, two := strings.Cut(amounts, ":")
	if !two {
		hard = soft
	}
	if limit.Limit.Cur, err = parseAmount(soft); err != nil {
		return limit, err
	}
	if limit.Limit.Max, err = parseAmount(hard); err != nil {
		return limit, err
	}
	if limit.Limit.Cur > limit.Limit.Max {
		return limit, &usageError{"the soft limit is above the hard one", hintLimit}
	}
	return limit, nil
}

// parseAmount is a number in the unit of the kernel, or unlimited.
func parseAmount(text string) (uint64, error) {
	if text == "unlimited" || text == "-1" {
		return reap.Unlimited, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, &usageError{quoted(text) + " is not a number", hintLimit}
	}
	return n, nil
}

// limitText is what parseLimit reads.
func limitText(l reap.ResourceLimit) string {
	for _, name := range slices.Sorted(maps.Keys(resources())) {
		if resources()[name] == l.Resource {
			return fmt.Sprintf("%s=%s:%s", name, amountText(l.Limit.Cur), amountText(l.Limit.Max))
		}
	}
	return strconv.Itoa(l.Resource)
}

func amountText(n uint64) string {
	if n == reap.Unlimited {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}
