package notify

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	status := func(s string) *string { return &s }
	timeout := func(d time.Duration) *time.Duration { return &d }
	errno := func(e syscall.Errno) *syscall.Errno { return &e }
	number := func(n int) *int { return &n }
	for _, c := range []struct {
		text string
		want Message
	}{
		{"", Message{}},
		{"\n\n", Message{}},
		{"READY=1", Message{Ready: true}},
		{"READY=1\n", Message{Ready: true}},
		{"READY=1\x00", Message{Ready: true}},
		{"READY=1\nSTATUS=serving on port 80: a=b", Message{Ready: true, Status: status("serving on port 80: a=b")}},
		{"STATUS=", Message{Status: status("")}},
		{"STATUS=größer", Message{Status: status("größer")}},
		{"STATUS=first\nSTATUS=second", Message{Status: status("first")}},
		{"RELOADING=1\nMONOTONIC_USEC=1500000", Message{Reloading: true, Monotonic: 1500 * time.Millisecond}},
		{"STOPPING=1", Message{Stopping: true}},
		{"ERRNO=2\nBUSERROR=org.example.Failed\nEXIT_STATUS=7", Message{Errno: errno(syscall.ENOENT), BusError: "org.example.Failed", ExitStatus: number(7)}},
		{"ERRNO=0\nEXIT_STATUS=0", Message{Errno: errno(0), ExitStatus: number(0)}},
		{"MAINPID=4711\nMAINPIDFDID=18446744073709551615", Message{MainPID: 4711, MainPIDFDID: math.MaxUint64}},
		{"MAINPID=1\nMAINPID=2", Message{MainPID: 1}},
		{"WATCHDOG=1", Message{Watchdog: true}},
		{"WATCHDOG=trigger", Message{WatchdogTrigger: true}},
		{"WATCHDOG_USEC=20000000", Message{WatchdogTimeout: timeout(20 * time.Second)}},
		{"WATCHDOG_USEC=0", Message{WatchdogTimeout: timeout(0)}},
		{"WATCHDOG_USEC=18446744073709551615", Message{WatchdogTimeout: timeout(longest)}},
		{"EXTEND_TIMEOUT_USEC=30000000", Message{ExtendTimeout: 30 * time.Second}},
		{"NOTIFYACCESS=all", Message{Access: "all"}},
		{"BARRIER=1", Message{Barrier: true}},
		{"FDSTORE=1\nFDNAME=listener\nFDPOLL=0", Message{Store: true}},
		{"FDSTOREREMOVE=1\nFDNAME=listener", Message{}},
		{"X_SCORE=5\nVERSION=\nX_SCORE=6", Message{Unknown: []string{"X_SCORE=5", "VERSION=", "X_SCORE=6"}}},
		{strings.Repeat("\n", maxMessage-7) + "READY=1", Message{Ready: true}},
	} {
		if got := parse([]byte(c.text)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%.60q:\n got %+v\nwant %+v", c.text, got, c.want)
		}
	}
}

// What is wrong is told, and the rest is taken.
func TestParseWrong(t *testing.T) {
	for _, c := range []struct {
		text string
		want Message // without Err
		err  string
	}{
		{"READY", Message{}, `parse message: no name and = in "READY"`},
		{"=1\nREADY=1", Message{Ready: true}, `parse message: no name and = in "=1"`},
		{"READY=0\nREADY=1", Message{Ready: true}, `parse READY: not 1: "0"`},
		{"\xff\xfe\x01", Message{}, `parse message: no name and = in "\xff\xfe\x01"`},
		{"READY=1\x00\x00", Message{}, "parse message: a zero byte in it"},
		{"\x00", Message{}, ""},
		{"READY=1\x00STOPPING=1", Message{}, "parse message: a zero byte in it"},
		{strings.Repeat("\n", maxMessage) + "READY=1", Message{}, "parse message: longer than 4096 bytes"},
		{"STATUS=\xff\nREADY=1", Message{Ready: true}, `parse STATUS: not UTF-8: "\xff"`},
		{"MAINPID=0", Message{}, "parse MAINPID: not from 1 to 4194304: 0"},
		{"MAINPID=4194305", Message{}, "parse MAINPID: not from 1 to 4194304: 4194305"},
		{"MAINPID=-1", Message{}, `parse MAINPID: not a number: "-1"`},
		{"MAINPID=99999999999999999999", Message{}, `parse MAINPID: not a number: "99999999999999999999"`},
		{"MAINPID=", Message{}, `parse MAINPID: not a number: ""`},
		{"ERRNO=4096", Message{}, "parse ERRNO: not from 0 to 4095: 4096"},
		{"EXIT_STATUS=256", Message{}, "parse EXIT_STATUS: not from 0 to 255: 256"},
		{"WATCHDOG=yes", Message{}, `parse WATCHDOG: not 1: "yes"`},
		{"WATCHDOG_USEC=1s", Message{}, `parse WATCHDOG_USEC: not a number: "1s"`},
		{"NOTIFYACCESS=some", Message{}, `parse NOTIFYACCESS: not none, main, exec or all: "some"`},
		{"BARRIER=1\nREADY=1", Message{Barrier: true}, "parse BARRIER: other variables in the same message"},
		{"BARRIER=0\nREADY=1", Message{Ready: true}, `parse BARRIER: not 1: "0"`},
		{"FDSTORE=2\nWATCHDOG=1", Message{Watchdog: true}, `parse FDSTORE: not 1: "2"`},
		{"STATUS" + strings.Repeat("x", 100), Message{}, `parse message: no name and = in "STATUS` + strings.Repeat("x", 34) + `"`},
	} {
		got := parse([]byte(c.text))
		if text := fmt.Sprint(got.Err); got.Err != nil && text != c.err || got.Err == nil && c.err != "" {
			t.Errorf("%.60q: error %q, want %q", c.text, text, c.err)
		}
		if got.Err = nil; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%.60q:\n got %+v\nwant %+v", c.text, got, c.want)
		}
	}
}

func TestDeclined(t *testing.T) {
	for _, c := range []struct {
		m    Message
		want bool
	}{
		{Message{Ready: true}, false},
		{Message{Barrier: true, Descriptors: 1}, false},
		{Message{Descriptors: 1}, true},
		{Message{Store: true}, true},
		{Message{Store: true, Descriptors: 253}, true},
	} {
		if got := c.m.Declined(); got != c.want {
			t.Errorf("%+v: %v", c.m, got)
		}
	}
}

func TestUpward(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"READY=1", "READY=1"},
		{"STATUS=a b\nREADY=1\nMAINPID=77", "READY=1\nMAINPID=5\nSTATUS=a b"},
		{"MAINPID=77\nMAINPIDFDID=9", "MAINPID=5"},
		{"STATUS=", "STATUS="},
		{"RELOADING=1\nMONOTONIC_USEC=12", "RELOADING=1\nMONOTONIC_USEC=12"},
		{"STOPPING=1\nERRNO=2\nBUSERROR=a.b\nEXIT_STATUS=0", "STOPPING=1\nERRNO=2\nBUSERROR=a.b\nEXIT_STATUS=0"},
		{"WATCHDOG=1", "WATCHDOG=1"},
		{"WATCHDOG=trigger", ""},
		{"WATCHDOG_USEC=0\nEXTEND_TIMEOUT_USEC=5", "WATCHDOG_USEC=0\nEXTEND_TIMEOUT_USEC=5"},
		{"BARRIER=1", ""},
		{"FDSTORE=1\nFDNAME=x\nFDPOLL=0\nREADY=1", "READY=1"},
		{"NOTIFYACCESS=none", ""},
		{"X_A=1\nX_B=a=b", "X_A=1\nX_B=a=b"},
		{"nonsense\nREADY=1", "READY=1"},
	} {
		m := parse([]byte(c.text))
		if got := m.upward(5); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

// Without a number that means something to the manager nothing is said of it, even if
// nothing else is left to say.
func TestUpwardWithoutMainPID(t *testing.T) {
	for text, want := range map[string]string{"MAINPID=77": "", "READY=1\nMAINPID=77": "READY=1"} {
		m := parse([]byte(text))
		if got := m.upward(0); got != want {
			t.Errorf("%q: got %q", text, got)
		}
	}
}

// What the loop says for itself need not come from a datagram: a status of several
// lines says no more than that, and what is too long leaves room for the rest.
func TestUpwardOfItsOwn(t *testing.T) {
	lines := "restarting\nREADY=1"
	m := Message{Status: &lines}
	if got := m.upward(0); got != "STATUS=restarting READY=1" {
		t.Errorf("got %q", got)
	}
	long := strings.Repeat("x", maxMessage)
	m = Message{Ready: true, Status: &long, Unknown: []string{"A=b"}}
	if got := m.upward(0); got != "READY=1\nA=b" {
		t.Errorf("got %d bytes: %.60q", len(got), got)
	}
}

// Whatever comes, parsing ends, and what is passed on means the same to the one above.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"READY=1", "RELOADING=1\nMONOTONIC_USEC=18446744073709551615", "STOPPING=1\nSTATUS=bye\nERRNO=5", "MAINPID=1\nMAINPIDFDID=2",
		"WATCHDOG=trigger", "WATCHDOG_USEC=0\nEXTEND_TIMEOUT_USEC=9", "BARRIER=1", "FDSTORE=1\nFDNAME=x", "NOTIFYACCESS=exec",
		"\x00", "=", "==\n=", "X=\nX=\xff", "STATUS=\xff", "READY=1\x00", "EXIT_STATUS=300\nBUSERROR=é",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m := parse(text)
		if m.Barrier && !reflect.DeepEqual(m, Message{Barrier: true, Err: m.Err}) {
			t.Errorf("a barrier and more: %+v", m)
		}
		if errors.Is(m.Err, errTooLong) != (len(text) > maxMessage) {
			t.Errorf("%d bytes: %v", len(text), m.Err)
		}
		up := m.upward(m.MainPID)
		if len(up) > maxMessage {
			t.Errorf("%d bytes are passed on", len(up))
		}
		again := parse([]byte(up))
		if again.Err != nil {
			t.Errorf("%q is passed on as %q: %v", text, up, again.Err)
		}
		// What ends here.
		m.Barrier, m.Store, m.WatchdogTrigger, m.Access, m.MainPIDFDID, m.Err = false, false, false, "", 0, nil
		if !reflect.DeepEqual(again, m) {
			t.Errorf("%q is passed on as %q:\n got %+v\nwant %+v", text, up, again, m)
		}
	})
}
