package main

import (
	"fmt"
	"strings"
)

// cOption is an option of a program that reads its command line by getopt(3).
type cOption struct {
	letter byte
	long   string // "" if it has none
	value  bool
}

// getopt reads options as getopt_long(3) of the GNU C library does where its list
// of letters starts with a +: up to the first operand. Where no option has a long
// name two dashes mean nothing, as in getopt(3). each is called with the options as
// they come, and can end it by a reply. wrong is the line that the C library prints
// about a command line that it does not take, with name in front.
func getopt(name string, options []cOption, args []string, each func(letter byte, value string) *reply) (operands []string, wrong string, end *reply) {
	long := false
	for _, o := range options {
		long = long || o.long != ""
	}
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--":
			return args, "", nil
		case long && strings.HasPrefix(word, "--"):
			args, wrong, end = longOption(options, word, args, each)
		default:
			args, wrong, end = shortOptions(options, word[1:], args, each)
		}
		if wrong != "" {
			wrong = name + ": " + wrong + "\n"
		}
		if wrong != "" || end != nil {
			return nil, wrong, end
		}
	}
	return args, "", nil
}

// shortOptions reads a word of letters, and returns the words that are left.
func shortOptions(options []cOption, letters string, args []string, each func(byte, string) *reply) (rest []string, wrong string, end *reply) {
	for i := range len(letters) {
		letter, value := letters[i], ""
		option := findLetter(options, letter)
		switch {
		case option == nil:
			return nil, fmt.Sprintf("invalid option -- '%c'", letter), nil
		case option.value && i+1 < len(letters):
			value = letters[i+1:]
		case option.value && len(args) > 0:
			value, args = args[0], args[1:]
		case option.value:
			return nil, fmt.Sprintf("option requires an argument -- '%c'", letter), nil
		}
		if end := each(letter, value); end != nil || option.value {
			return args, "", end
		}
	}
	return args, "", nil
}

func findLetter(options []cOption, letter byte) *cOption {
	for i := range options {
		if options[i].letter == letter {
			return &options[i]
		}
	}
	return nil
}

// longOption reads a word with two dashes. The name may be cut short as long as it
// means one option.
func longOption(options []cOption, word string, args []string, each func(byte, string) *reply) (rest []string, wrong string, end *reply) {
	name, value, given := strings.Cut(word[2:], "=")
	var found []cOption
	for _, o := range options {
		if o.long == name {
			found = []cOption{o}
			break
		}
		if o.long != "" && strings.HasPrefix(o.long, name) {
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Sprintf("unrecognized option '%s'", word), nil
	case 1:
	default:
		var names []string
		for _, o := range found {
			names = append(names, "'--"+o.long+"'")
		}
		return nil, fmt.Sprintf("option '%s' is ambiguous; possibilities: %s", word, strings.Join(names, " ")), nil
	}
	option := found[0]
	switch {
	case given && !option.value:
		return nil, fmt.Sprintf("option '--%s' doesn't allow an argument", option.long), nil
	case option.value && !given && len(args) == 0:
		return nil, fmt.Sprintf("option '--%s' requires an argument", option.long), nil
	case option.value && !given:
		value, args = args[0], args[1:]
	}
	return args, "", each(option.letter, value)
}
