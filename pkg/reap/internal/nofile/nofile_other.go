//go:build !linux || (!amd64 && !arm64)

// Package nofile is of use on the machines alone for which package reap has its own
// vfork.
package nofile
