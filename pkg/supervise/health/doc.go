// Package health tells whether a daemon does its work: it says when to probe it, what
// follows from how the probes end, and does those that go over the network.
//
// [Tracker] decides. It is a value without a clock and without goroutines: the time and
// the end of a probe are told to it, and it answers with what is to be done. Its words
// and its timing are those of a Dockerfile's HEALTHCHECK:
//
//	 Started
//	    v
//	Starting ── a success ──────────> Healthy
//	    │                              │   ^
//	    │ as many failures in a row    │   │ a success
//	    │ as there are retries         v   │
//	    └───────────────────────────> Unhealthy
//
// The first probe begins an interval after the start, and each other one an interval
// after the last has ended. In the start period failures do not count; the first
// success ends it.
//
// [Target] is what is asked over the network, an HTTP URL or a TCP port. A probe that
// is a process is started, and killed, by whoever owns the process table; the
// tracker serves both in the same way.
package health
