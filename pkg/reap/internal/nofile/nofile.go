//go:build linux && (amd64 || arm64)

// Package nofile knows the RLIMIT_NOFILE that the program was started with. Package
// syscall raises the soft limit when it is initialized and tells nobody what it was,
// but a command is to find it.
//
// Of the packages whose imports are initialized the one with the least import path
// comes next (The Go Programming Language Specification, Program initialization). This
// one imports none, and so is initialized before syscall.
package nofile

// limits is a struct rlimit64 of the kernel.
type limits struct{ soft, hard uint64 }

//nolint:gochecknoglobals // it can be read once, when the program begins
var atStart = read()

func read() (l limits) {
	prlimit(&l)
	return l
}

// prlimit reads the limit. It cannot fail: it asks about the caller itself.
func prlimit(old *limits)

// AtStart is the limit that the program was started with.
func AtStart() (soft, hard uint64) { return atStart.soft, atStart.hard }
