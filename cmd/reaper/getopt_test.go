package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

var someOptions = []cOption{
	{'h', "help", false},
	{'v', "verbose", false},
	{'V', "version", false},
	{'r', "rewrite", true},
}

// seen is what getopt makes of a command line: the options, and what follows.
func seen(options []cOption, args []string) string {
	var words []string
	operands, wrong, end := getopt("name", options, args, func(letter byte, value string) *reply {
		words = append(words, fmt.Sprintf("%c%s", letter, value))
		if letter == 'h' {
			return &reply{}
		}
		return nil
	})
	switch {
	case wrong != "":
		words = append(words, wrong)
	case end != nil:
		words = append(words, "end")
	default:
		words = append(words, fmt.Sprintf("%q", operands))
	}
	return strings.Join(words, " ")
}

// The lines are those of the GNU C library; test/persona_test.go compares them with
// what the programs print.
func TestGetopt(t *testing.T) {
	var short []cOption
	for _, o := range someOptions {
		short = append(short, cOption{letter: o.letter, value: o.value})
	}
	for _, c := range []struct {
		args    string
		options []cOption
		want    string
	}{
		{"", someOptions, `[]`},
		{"a -v", someOptions, `["a" "-v"]`},
		{"- -v", someOptions, `["-" "-v"]`},
		{"-- -v", someOptions, `["-v"]`},
		{"-v -- --", someOptions, `v ["--"]`},
		{"-vV a", someOptions, `v V ["a"]`},
		{"-vra b", someOptions, `v ra ["b"]`},
		{"-vr a b", someOptions, `v ra ["b"]`},
		{"-r -- a", someOptions, `r-- ["a"]`},
		{"-vhx", someOptions, `v h end`},
		{"--help --bad", someOptions, `h end`},
		{"--verbose --rewrite=a --rewrite b c", someOptions, `v ra rb ["c"]`},
		{"--verb --rew=", someOptions, `v r []`},
		{"-vx", someOptions, "v name: invalid option -- 'x'\n"},
		{"-r", someOptions, "name: option requires an argument -- 'r'\n"},
		{"--ver", someOptions, "name: option '--ver' is ambiguous; possibilities: '--verbose' '--version'\n"},
		{"--bad=1", someOptions, "name: unrecognized option '--bad=1'\n"},
		{"--rewrite", someOptions, "name: option '--rewrite' requires an argument\n"},
		{"--verb=1", someOptions, "name: option '--verbose' doesn't allow an argument\n"},
		{"--verbose", short, "name: invalid option -- '-'\n"},
		{"-v -- a", short, `v ["a"]`},
	} {
		if got := seen(c.options, strings.Fields(c.args)); got != c.want {
			t.Errorf("%q: got %q, want %q", c.args, got, c.want)
		}
	}
}

// Whatever comes, the operands are the last words.
func FuzzGetopt(f *testing.F) {
	f.Add("-vr a b")
	f.Add("--ver=x -- y")
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, " ")
		operands, wrong, _ := getopt("name", someOptions, args, func(byte, string) *reply { return nil })
		if wrong == "" && !slices.Equal(operands, args[len(args)-len(operands):]) {
			t.Errorf("%q: %q", args, operands)
		}
	})
}
