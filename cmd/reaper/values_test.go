package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/reaper-init/reaper/pkg/reap"
	"github.com/reaper-init/reaper/pkg/supervise"
	"github.com/reaper-init/reaper/pkg/supervise/health"
)

// signalNames are the names that the kernel gives its standard signals on the
// machines that Go knows it on, as signal(7) lists them for x86 and ARM.
var signalNames = map[string]syscall.Signal{
	"HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8,
	"KILL": 9, "USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "STKFLT": 16,
	"CHLD": 17, "CONT": 18, "STOP": 19, "TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23, "XCPU": 24,
	"XFSZ": 25, "VTALRM": 26, "PROF": 27, "WINCH": 28, "IO": 29, "PWR": 30, "SYS": 31,
	"IOT": 6, "CLD": 17, "POLL": 29,
	"RTMIN": 34, "RTMAX": 64,
}

// titled is a word in mixed case.
func titled(word string) string { return word[:1] + strings.ToLower(word[1:]) }

// Every name is taken with and without SIG, in any case.
func TestParseSignalNames(t *testing.T) {
	for name, want := range signalNames {
		for _, text := range []string{
			name, strings.ToLower(name), titled(name),
			"SIG" + name, "sig" + strings.ToLower(name), "Sig" + titled(name), "sIG" + name,
		} {
			if got, err := parseSignal(text); err != nil || got != want {
				t.Errorf("parseSignal(%q) = %d, %v; want %d", text, got, err, want)
			}
		}
	}
}

func TestParseSignalNumbers(t *testing.T) {
	for n := syscall.Signal(1); n <= 64; n++ {
		if got, err := parseSignal(strconv.Itoa(int(n))); err != nil || got != n {
			t.Errorf("parseSignal(%d) = %d, %v", n, got, err)
		}
	}
	for n := range 31 {
		low, high := syscall.Signal(34+n), syscall.Signal(64-n)
		for _, prefix := range []string{"RTMIN", "SIGRTMIN", "rtmin", "SigRtMin"} {
			if got, err := parseSignal(fmt.Sprintf("%s+%d", prefix, n)); err != nil || got != low {
				t.Errorf("parseSignal(%s+%d) = %d, %v; want %d", prefix, n, got, err, low)
			}
		}
		for _, prefix := range []string{"RTMAX", "SIGRTMAX", "rtmax", "sigRTmax"} {
			if got, err := parseSignal(fmt.Sprintf("%s-%d", prefix, n)); err != nil || got != high {
				t.Errorf("parseSignal(%s-%d) = %d, %v; want %d", prefix, n, got, err, high)
			}
		}
	}
}

func TestParseSignalRefuses(t *testing.T) {
	for _, text := range []string{
		"", " ", "0", "-1", "+9", "65", "999999999999999999999", "0x9", "9 ", " TERM", "TERM ", "1.0",
		"SIG", "SIGSIGTERM", "SIG15", "TERMINATE", "T", "none", "EXIT", "TERM,INT", "TERM\x00",
		"RTMIN+", "RTMIN+31", "RTMIN-1", "RTMIN++1", "RTMIN+-1", "RTMIN+ 1", "RTMIN+0x1", "RTMIN1",
		"RTMAX-", "RTMAX-31", "RTMAX+1", "RTMAX--1", "RT", "RTMIN+64", "RTMIN+18446744073709551617",
	} {
		if got, err := parseSignal(text); err == nil || got != 0 {
			t.Errorf("parseSignal(%q) = %d, %v; want an error", text, got, err)
		}
	}
}

// What signalName says parseSignal takes, for all 64.
func TestSignalNameRoundTrip(t *testing.T) {
	seen := make(map[string]bool)
	for sig := syscall.Signal(1); sig <= reap.NumSignals; sig++ {
		name := signalName(sig)
		if got, err := parseSignal(name); err != nil || got != sig {
			t.Errorf("parseSignal(signalName(%d) = %q) = %d, %v", sig, name, got, err)
		}
		if strings.HasPrefix(name, "SIG") || name != strings.ToUpper(name) || seen[name] {
			t.Errorf("signalName(%d) = %q", sig, name)
		}
		seen[name] = true
	}
	for sig, want := range map[syscall.Signal]string{
		unix.SIGTERM: "TERM", unix.SIGABRT: "ABRT", unix.SIGCHLD: "CHLD", unix.SIGIO: "IO",
		32: "32", 33: "33", 34: "RTMIN", 35: "RTMIN+1", 64: "RTMIN+30", 65: "65", 0: "0", -1: "-1",
	} {
		if got := signalName(sig); got != want {
			t.Errorf("signalName(%d) = %q, want %q", sig, got, want)
		}
	}
}

func FuzzParseSignal(f *testing.F) {
	for name := range signalNames {
		f.Add(name)
	}
	for _, text := range []string{"", "15", "65", "+1", "RTMIN+3", "rtmax-0", "SIGRTMIN+30", "RTMIN+31", "sig", "ſigterm", "none"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sig, err := parseSignal(text)
		if err != nil {
			wantUsageError(t, err)
			return
		}
		if sig < 1 || sig > reap.NumSignals {
			t.Fatalf("parseSignal(%q) = %d", text, sig)
		}
		if again, err := parseSignal(signalName(sig)); err != nil || again != sig {
			t.Fatalf("parseSignal(%q) = %d, but parseSignal(%q) = %d, %v", text, sig, signalName(sig), again, err)
		}
	})
}

// wantUsageError checks that an error says what is wrong and what to do.
func wantUsageError(t *testing.T, err error) {
	t.Helper()
	var usage *usageError
	if !errors.As(err, &usage) || usage.what == "" || usage.hint == "" {
		t.Fatalf("%#v does not say what is wrong and what to do", err)
	}
	for _, line := range []string{usage.what, usage.hint} {
		if strings.HasSuffix(line, ".") || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' }) {
			t.Errorf("%q is not one line without a period", line)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "-0": 0, "-0.0": 0, "+0": 0,
		"90": 90 * time.Second, "1m30s": 90 * time.Second, "500ms": 500 * time.Millisecond,
		"2h45m": 165 * time.Minute, "1.5h": 90 * time.Minute, "3us": 3 * time.Microsecond, "3µs": 3 * time.Microsecond,
		"+5s": 5 * time.Second, "+5": 5 * time.Second, "05": 5 * time.Second,
		"1.5": 1500 * time.Millisecond, ".5": 500 * time.Millisecond, "5.": 5 * time.Second,
		"0.29": 290 * time.Millisecond, "1.001": 1001 * time.Millisecond, "0.000000001": 1,
		"9223372036": 9223372036 * time.Second, "2562047h": 2562047 * time.Hour,
		"9223372036.854775807s": math.MaxInt64,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("parseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
}

// A number of seconds is not cut down by what binary fractions cannot hold.
func TestParseDurationFractions(t *testing.T) {
	for ms := range 20000 {
		text := fmt.Sprintf("%d.%03d", ms/1000, ms%1000)
		if got, err := parseDuration(text); err != nil || got != time.Duration(ms)*time.Millisecond {
			t.Fatalf("parseDuration(%q) = %v, %v", text, int64(got), err)
		}
	}
}

func TestParseDurationRefuses(t *testing.T) {
	const not, negative, long = "not a duration", "a duration cannot be negative", "too long a duration"
	for text, want := range map[string]string{
		"": not, " ": not, "s": not, "soon": not, "1d": not, "1 s": not, "5 ": not, "1,5": not, ".": not, "1e": not,
		"NaN": not, "nan": not, "-nan": not, "+NaN": not, "Inf": not, "-Inf": not, "+Inf": not, "infinity": not,
		"1e3": not, "1e300": not, "1_000": not, "1s1": not, "1h30": not, "5n": not, "5µ": not,
		"0x10": not, "0X1P4": not, "0x1p-2": not, "-0x1p4": not, "--1": not, "1-": not, "1\n": not, "∞": not,
		"-1": negative, "-1s": negative, "-0.5": negative, "-9223372036.854775808": negative,
		"9223372037": long, "9223372036.854775808": long, "9223372037s": long, "9999999h": long,
		"99999999999999999999999": long, "99999999999999999999999h30m": long, "-9223372037": long,
	} {
		got, err := parseDuration(text)
		if err == nil || err.Error() != want || got != 0 {
			t.Errorf("parseDuration(%q) = %v, %v; want %q", text, got, err, want)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, text := range []string{
		"", "0", "90", "1m30s", "500ms", "1.5", "-1", "NaN", "Inf", "-Inf", "1e300", "1e-300", "0x1p-2", "1_0",
		"9223372036.854775807s", "9223372036.854775808s", "9223372035", "µs", "1µs",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parseDuration(text)
		if err != nil {
			wantUsageError(t, err)
			if d != 0 {
				t.Fatalf("parseDuration(%q) = %v, %v", text, d, err)
			}
			return
		}
		if d < 0 {
			t.Fatalf("parseDuration(%q) = %v", text, d)
		}
		if again, err := parseDuration(d.String()); err != nil || again != d {
			t.Fatalf("parseDuration(%q) = %v, which is read as %v, %v", text, d, again, err)
		}
		if goes, err := time.ParseDuration(text); err == nil && goes != d { // a bare 0 is both
			t.Fatalf("parseDuration(%q) = %v, Go has %v", text, d, goes)
		}
	})
}

func TestParseSize(t *testing.T) {
	const kib, mib, gib, tib = int64(1) << 10, int64(1) << 20, int64(1) << 30, int64(1) << 40
	for text, want := range map[string]int64{
		"0": 0, "0k": 0, "1": 1, "00010": 10, "4096": 4096, "10B": 10, "10b": 10,
		"10MiB": 10 * mib, "10mib": 10 * mib, "10MIB": 10 * mib,
		"10MB": 10e6, "10mb": 10e6, "10Mb": 10e6,
		"10m": 10 * mib, "10M": 10 * mib,
		"3k": 3 * kib, "3KiB": 3 * kib, "3kB": 3e3, "2g": 2 * gib, "2GiB": 2 * gib, "2GB": 2e9,
		"1t": tib, "1TiB": tib, "1TB": 1e12,
		"9223372036854775807": math.MaxInt64, "8388607t": 8388607 * tib, "9223372TB": 9223372e12,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestParseSizeRefuses(t *testing.T) {
	const not, large = "not a size", "too large a size"
	for text, want := range map[string]string{
		"": not, " ": not, "k": not, "MiB": not, "B": not, "ten": not, "10 MiB": not, "10MiB ": not, " 10": not,
		"-1": not, "+1": not, "-1m": not, "1.5m": not, ".5g": not, "1e6": not, "0x10": not, "1_000": not, "1,000": not,
		"10p": not, "10MiBs": not, "10MM": not, "10Bm": not, "10i": not, "10mi": not, "10\n": not, "1m1k": not, "\u0661": not,
		"9223372036854775808": large, "8388608t": large, "9223373TB": large, "99999999999999999999999": large,
		"99999999999999999999999k": large,
	} {
		got, err := parseSize(text)
		if err == nil || err.Error() != want || got != 0 {
			t.Errorf("parseSize(%q) = %d, %v; want %q", text, got, err, want)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, text := range []string{"", "0", "10MiB", "10MB", "10m", "8388608t", "9223372036854775807", "k", "-1", "ſ", "1K", "1\u212a", "\u0250"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		size := int64(-1)
		if err := (sizeValue{&size}).Set(text); err != nil {
			wantUsageError(t, err)
			if size != -1 {
				t.Fatalf("%q is refused and sets %d", text, size)
			}
			return
		}
		if size < 0 {
			t.Fatalf("parseSize(%q) = %d", text, size)
		}
		if again, err := parseSize(strconv.FormatInt(size, 10)); err != nil || again != size {
			t.Fatalf("parseSize(%q) = %d, which is read as %d, %v", text, size, again, err)
		}
	})
}

func TestRewrite(t *testing.T) {
	type rules = map[syscall.Signal]syscall.Signal
	for text, want := range map[string]rules{
		"TERM:QUIT":                  {15: 3},
		"sigterm:Sigquit":            {15: 3},
		"15:3":                       {15: 3},
		"TERM:none":                  {15: 0},
		"TERM:NONE":                  {15: 0},
		"HUP:USR1,INT:TERM,WINCH:no": nil,
		"HUP:USR1,INT:TERM":          {1: 10, 2: 15},
		"TERM:INT,TERM:INT":          {15: 2},
		"TERM:INT,15:2":              {15: 2},
		"TERM:TERM":                  {15: 15},
		"TERM:KILL,HUP:STOP":         {15: 9, 1: 19},
		"TERM:CHLD":                  {15: 17},
		"RTMIN+3:RTMAX-1,32:33":      {37: 63, 32: 33},
		"":                           nil,
		",":                          nil,
		"TERM":                       nil,
		"TERM:":                      nil,
		":TERM":                      nil,
		"TERM:INT,":                  nil,
		"TERM:INT:QUIT":              nil,
		"TERM :INT":                  nil,
		"none:TERM":                  nil,
		"0:TERM":                     nil,
		"TERM:0":                     nil, // "none" it is; dumb-init alone has 0
		"KILL:TERM":                  nil,
		"STOP:TERM":                  nil,
		"CHLD:TERM":                  nil,
		"9:none":                     nil,
		"TERM:INT,TERM:QUIT":         nil,
		"TERM:INT,TERM:none":         nil,
	} {
		var got rules
		err := rewriteValue{&got}.Set(text)
		switch {
		case want == nil && err == nil:
			t.Errorf("rewrite %q: got %v, want an error", text, got)
		case want != nil && (err != nil || !maps.Equal(got, want)):
			t.Errorf("rewrite %q: got %v, %v; want %v", text, got, err, want)
		}
	}
	t.Run("repeated", func(t *testing.T) {
		var got rules
		for _, text := range []string{"TERM:QUIT", "HUP:none", "TERM:QUIT"} {
			if err := (rewriteValue{&got}).Set(text); err != nil {
				t.Fatalf("rewrite %q: %v", text, err)
			}
		}
		if want := (rules{15: 3, 1: 0}); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func FuzzRewrite(f *testing.F) {
	for _, text := range []string{"", "TERM:QUIT", "TERM:none,HUP:USR1", "9:1", "CHLD:1", "TERM:INT,TERM:QUIT", "RTMIN+1:RTMAX-1", ":", "a:b:c"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var rules map[syscall.Signal]syscall.Signal
		if err := (rewriteValue{&rules}).Set(text); err != nil {
			wantUsageError(t, err)
			return
		}
		var spelled []string
		for from, to := range rules {
			if from < 1 || from > reap.NumSignals || from == unix.SIGKILL || from == unix.SIGSTOP || from == unix.SIGCHLD {
				t.Errorf("rewrite %q: %d cannot be rewritten", text, from)
			}
			if to < 0 || to > reap.NumSignals {
				t.Errorf("rewrite %q: to %d", text, to)
			}
			name := "none"
			if to != 0 {
				name = signalName(to)
			}
			spelled = append(spelled, signalName(from)+":"+name)
		}
		var again map[syscall.Signal]syscall.Signal
		if err := (rewriteValue{&again}).Set(strings.Join(spelled, ",")); err != nil || !maps.Equal(again, rules) {
			t.Errorf("rewrite %q: %v is read as %v, %v", text, spelled, again, err)
		}
	})
}

// exits is the set of these codes and signals.
func exits(codes []int, sigs ...syscall.Signal) (set supervise.ExitSet) {
	for _, code := range codes {
		set = set.WithCode(code)
	}
	for _, sig := range sigs {
		set = set.WithSignal(sig)
	}
	return set
}

func TestExits(t *testing.T) {
	for text, want := range map[string]supervise.ExitSet{
		"0":                exits([]int{0}),
		"255":              exits([]int{255}),
		"143,TERM":         exits([]int{143}, 15),
		"1,2,64,sigint":    exits([]int{1, 2, 64}, 2),
		"15":               exits([]int{15}), // a number is always a code
		"RTMIN+1,rtmax":    exits(nil, 35, 64),
		"KILL,KILL,137,37": exits([]int{137, 37}, 9),
	} {
		var got supervise.ExitSet
		if err := (exitsValue{&got}).Set(text); err != nil || got != want {
			t.Errorf("--ok-exit %s: got %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ",", "143,", "256", "-1", "1.5", "TERMS", "none", "143, 1", "1-3", "99999999999999999999"} {
		if err := (exitsValue{new(supervise.ExitSet)}).Set(text); err == nil {
			t.Errorf("--ok-exit %q: taken", text)
		} else {
			wantUsageError(t, err)
		}
	}
	t.Run("repeated", func(t *testing.T) {
		var got supervise.ExitSet
		for _, text := range []string{"1", "TERM", "200"} {
			if err := (exitsValue{&got}).Set(text); err != nil {
				t.Fatal(err)
			}
		}
		if want := exits([]int{1, 200}, 15); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	t.Run("has every code that it was given, and no other", func(t *testing.T) {
		for code := range 256 {
			var set supervise.ExitSet
			if err := (exitsValue{&set}).Set(strconv.Itoa(code)); err != nil {
				t.Fatal(err)
			}
			for other := -1; other <= 256; other++ {
				if set.HasCode(other) != (other == code) {
					t.Fatalf("of %d: HasCode(%d) = %v", code, other, set.HasCode(other))
				}
			}
		}
	})
}

// The same variable may have both: who reads it knows by the option which it was.
func TestHealthTargets(t *testing.T) {
	target := health.Target{}
	asHTTP, asTCP := httpValue{&target}, tcpValue{&target}
	if err := asHTTP.Set("http://localhost:8080/healthz"); err != nil || target.String() != "http://localhost:8080/healthz" {
		t.Errorf("a URL: %v, target %v", err, target)
	}
	if err := asTCP.Set("[::1]:6379"); err != nil || target.String() != "[::1]:6379" {
		t.Errorf("an address: %v, target %v", err, target)
	}
	before := target
	for text, want := range map[string]struct {
		value pflag.Value
		what  string
		hint  string
	}{
		"https://localhost/":    {asHTTP, "https needs TLS, which reaper does not have", hintNoTLS},
		"localhost:8080":        {asHTTP, "not an http:// URL", hintHTTP},
		"http://":               {asHTTP, "no host", hintHTTP},
		"http://localhost:http": {asHTTP, `invalid port ":http" after host`, hintHTTP},
		"http://localhost/a b":  {asHTTP, "a space, or a character that is not ASCII", hintHTTP},
		"localhost":             {asTCP, "no port", hintTCP},
		":6379":                 {asTCP, "no host", hintTCP},
		"::1:6379":              {asTCP, "the host is neither a name nor an address", hintTCP},
		"localhost:0":           {asTCP, "the port is not a number from 1 to 65535", hintTCP},
	} {
		err := want.value.Set(text)
		wantUsageError(t, err)
		if usage, _ := errors.AsType[*usageError](err); usage.what != want.what || usage.hint != want.hint || target != before {
			t.Errorf("%q: %v, %q; target %v", text, err, usage.hint, target)
		}
	}
}

func TestChoice(t *testing.T) {
	word := "before"
	v := choiceValue{&word, []string{"auto", "console", "json"}}
	for _, c := range v.choices {
		if err := v.Set(c); err != nil || word != c {
			t.Errorf("Set(%q): %v, word %q", c, err, word)
		}
	}
	for _, text := range []string{"", "JSON", "jso", "json ", "auto,json"} {
		if err := v.Set(text); err == nil || word != "json" {
			t.Errorf("Set(%q): %v, word %q", text, err, word)
		} else {
			wantUsageError(t, err)
		}
	}
}

func TestCount(t *testing.T) {
	n := 0
	v := countValue{&n}
	for i, text := range []string{countOneMore, countOneMore, "5", countOneMore, "0"} {
		if err := v.Set(text); err != nil || n != []int{1, 2, 5, 6, 0}[i] {
			t.Errorf("Set(%q): %v, n %d", text, err, n)
		}
	}
	for _, text := range []string{"", "-1", "x", "1.5", "0x2", "99999999999999999999"} {
		if err := v.Set(text); err == nil || n != 0 {
			t.Errorf("Set(%q): %v, n %d", text, err, n)
		} else {
			wantUsageError(t, err)
		}
	}
}
