//go:build !linkruntime

package main

// restUndisturbed does nothing: in a binary of a plain go build, or with the race detector,
// the runtime wakes up once a minute.
func restUndisturbed() {}
