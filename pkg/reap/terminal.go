package reap

// Terminal is the controlling terminal of the calling process. Only the
// goroutine that owns the process table uses it.
type Terminal struct{ fd int }
