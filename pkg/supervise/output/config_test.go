package output

import (
	"io"
	"strings"
	"testing"
)

func TestConfigWanted(t *testing.T) {
	for name, test := range map[string]struct {
		conf Config
		want bool
	}{
		"nothing":     {Config{}, false},
		"how, only":   {Config{MaxSize: 4096, Keep: 5, Compress: true, Name: "n", Queue: 1}, false},
		"a file":      {Config{File: "log"}, true},
		"lines":       {Config{Prefixed: io.Discard}, true},
		"stdout":      {Config{Stdout: io.Discard}, true},
		"stderr":      {Config{Stderr: io.Discard}, true},
		"their end":   {Config{Tail: 1}, true},
		"all of them": {Config{File: "log", Prefixed: io.Discard, Tail: 1}, true},
	} {
		if got := test.conf.Wanted(); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if c, err := Open(Config{Keep: 5}); c != nil || err == nil {
		t.Errorf("opened: %v", err)
	}
}

func TestConfigValidate(t *testing.T) {
	for name, test := range map[string]struct {
		conf Config
		want string
	}{
		"nothing":       {Config{}, ""},
		"the least":     {Config{MaxSize: minMaxSize, Queue: 1, Keep: 1, Tail: 1}, ""},
		"too small":     {Config{MaxSize: 4095}, "MaxSize: 4095 bytes are too few, 4096 is the least"},
		"negative size": {Config{MaxSize: -1}, "MaxSize: negative size -1"},
		"all negative":  {Config{Keep: -1, Tail: -2, Queue: -3}, "Keep: negative count -1\nTail: negative count -2\nQueue: negative size -3"},
	} {
		got := ""
		if err := test.conf.Validate(); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		test.conf.Tail = max(test.conf.Tail, 0) + 1
		if c, err := Open(test.conf); err != nil != (test.want != "") {
			t.Errorf("%s: opened %v", name, err)
		} else if err == nil {
			c.end(t)
		} else if !strings.HasPrefix(err.Error(), "check configuration: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
