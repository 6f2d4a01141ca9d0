//go:build linkruntime

package main

import (
	"math"
	_ "unsafe" // for go:linkname
)

// forcegcperiod is the runtime's: after so many nanoseconds it collects garbage even if
// there is next to none, and half of it is how long its monitor thread sleeps when nobody
// needs it. The linker allows this use with -checklinkname=0 alone, as make build has it.
// With a runtime that calls it by another name, nothing is changed, and TestNothingTicks
// fails.
//
//go:linkname forcegcperiod runtime.forcegcperiod
var forcegcperiod int64 //nolint:gochecknoglobals // the runtime's

// restUndisturbed has nothing wake this process up but what concerns it. It comes before
// anything that waits.
func restUndisturbed() { forcegcperiod = math.MaxInt64 }
