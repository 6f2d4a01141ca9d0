// Package test runs the built reaper against the real kernel: as PID 1 of a pid
// namespace and as subreaper, with real terminals and real orphans. The probe
// directory has the programs that misbehave, demo the live demonstration.
package test
