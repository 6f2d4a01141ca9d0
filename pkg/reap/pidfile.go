package reap

// PIDFile is a reading of a pid file.
type PIDFile struct {
	PID int
	// Made tells this file from one that is written later: two that are equal are
	// readings of one file that nobody has touched in between.
	Made FileMark
}

// FileMark is what the kernel tells of a file, as far as it changes when the file is
// written or replaced.
type FileMark struct {
	Dev, Ino      uint64
	Size          int64
	Mtime, Change int64 // nanoseconds
}
