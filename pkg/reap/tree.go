package reap

import "errors"

// ErrNoProc is what is returned where /proc is not mounted, or is that of
// another pid namespace, whose numbers mean other processes.
var ErrNoProc = errors.New("no /proc of this pid namespace")
