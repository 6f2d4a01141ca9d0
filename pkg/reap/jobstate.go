package reap

// JobState is what job control has done to a child.
type JobState uint8

// The states of [JobChange].
const (
	JobUnchanged JobState = iota
	JobStopped
	JobContinued
)
