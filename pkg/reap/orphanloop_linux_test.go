package reap

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// fakeChildren is a fake kernel, in a synctest bubble.
type fakeChildren struct {
	*testing.T
	cancel func() // ends the loop

	chld chan os.Signal

	sync.Mutex
	on      bool
	turns   int             // how often the signal was turned on or off
	orphans []time.Time     // when those exited that are to be reaped
	owned   int             // how many have exited that are not
	cost    time.Duration   // of a look
	looks   []time.Time     // when each began
	waited  []time.Duration // how long each orphan was a zombie
	err     error
}

func (c *fakeChildren) exit(orphan bool) {
	c.Lock()
	defer c.Unlock()
	if orphan {
		c.orphans = append(c.orphans, time.Now())
	} else {
		c.owned++
	}
	if c.on {
		select {
		case c.chld <- unix.SIGCHLD:
		default:
		}
	}
}

// disown takes the owners away, of which nothing tells.
func (c *fakeChildren) disown() {
	c.Lock()
	defer c.Unlock()
	for range c.owned {
		c.orphans = append(c.orphans, time.Now())
	}
	c.owned = 0
}

// waitForOwned is what the owners do.
func (c *fakeChildren) waitForOwned() {
	c.Lock()
	defer c.Unlock()
	c.owned = 0
}

func (c *fakeChildren) fail(err error) {
	c.Lock()
	defer c.Unlock()
	c.err = err
}

func (c *fakeChildren) reap(exits []Exit) ([]Exit, bool, error) {
	c.Lock()
	defer c.Unlock()
	c.looks = append(c.looks, time.Now())
	if len(c.orphans)+c.owned == 0 {
		return exits, false, c.err
	}
	orphans := c.orphans
	c.orphans = nil
	if c.cost > 0 {
		c.Unlock()
		<-time.After(c.cost) // who exits meanwhile is missed
		c.Lock()
	}
	for _, at := range orphans {
		c.waited = append(c.waited, time.Since(at))
		exits = append(exits, Exit{})
	}
	return exits, len(c.orphans)+c.owned > 0, c.err
}

// inLoop runs the scene beside the loop, in which time passes only while all wait.
func inLoop(t *testing.T, cost time.Duration, scene func(c *fakeChildren)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &fakeChildren{T: t, chld: make(chan os.Signal, 1), cost: cost}
		turn := func(on bool) func() {
			return func() {
				c.Lock()
				defer c.Unlock()
				if c.on == on {
					t.Error("turned twice")
				}
				c.on = on
				c.turns++
			}
		}
		told := 0
		loop := orphanLoop{
			reap: c.reap, chld: c.chld, notify: turn(true), stop: turn(false),
			onExit: func(Exit) { told++ },
		}
		ctx, cancel := context.WithCancel(t.Context())
		c.cancel = cancel
		ended := make(chan error, 1)
		go func() { ended <- loop.run(ctx) }()
		c.pass(time.Minute)
		if len(c.looks) != 1 {
			t.Errorf("before anything exits it looks at %v", c.looks)
		}
		c.looks = nil
		scene(c)
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, c.err) {
			t.Errorf("it ended with %v", err)
		}
		if c.on || told != len(c.waited) || len(c.orphans) > 0 && c.err == nil {
			t.Errorf("at the end: %v, told %d, %d are left", c.on, told, len(c.orphans))
		}
	})
}

// pass lets time pass. What the scene reads between two passes it reads while the loop
// waits; the lock tells the race detector.
func (c *fakeChildren) pass(d time.Duration) {
	c.Lock()
	c.Unlock() //nolint:staticcheck // it orders, and guards nothing
	<-time.After(d)
	synctest.Wait()
}

// Where nothing exits nothing is done.
func TestOrphanLoopIdle(t *testing.T) {
	inLoop(t, 0, func(c *fakeChildren) {
		c.pass(time.Hour)
		if len(c.looks) > 0 {
			c.Errorf("looks at %v", c.looks)
		}
	})
}

// One exit is seen at once, and costs one look.
func TestOrphanLoopOne(t *testing.T) {
	inLoop(t, 0, func(c *fakeChildren) {
		began := time.Now()
		c.exit(true)
		c.pass(time.Hour)
		var looks []time.Duration
		for _, at := range c.looks {
			looks = append(looks, at.Sub(began))
		}
		if want := []time.Duration{0}; !slices.Equal(looks, want) {
			c.Errorf("looks after %v, want %v", looks, want)
		}
	})
}

// Under load the signal is off, and one look reaps many.
func TestOrphanLoopStorm(t *testing.T) {
	inLoop(t, 0, func(c *fakeChildren) {
		const exits = 10_000
		for range exits {
			c.exit(true)
			c.pass(300 * time.Microsecond)
		}
		c.pass(time.Second)
		if most := exits*300*time.Microsecond/shortestGap + 5; len(c.looks) > int(most) || c.turns != 3 {
			c.Errorf("%d looks, %d turns of the signal", len(c.looks), c.turns)
		}
		if longest := slices.Max(c.waited); longest > shortestGap || len(c.waited) != exits {
			c.Errorf("the longest of %d was a zombie for %v", len(c.waited), longest)
		}
	})
}

// An exit between the last look and the turning on of the signal makes no signal.
func TestOrphanLoopTurnsOn(t *testing.T) {
	inLoop(t, 0, func(c *fakeChildren) {
		for range load {
			c.exit(true)
		}
		c.pass(shortestGap - 1)
		c.exit(false) // it is off
		if c.on {
			c.Error("the signal is on")
		}
		c.pass(1)
		if !c.on || len(c.looks) != 3 {
			c.Errorf("%v, looks at %v", c.on, c.looks)
		}
	})
}

// Children of others come and go: they are looked at once in a gap.
func TestOrphanLoopOwnedStorm(t *testing.T) {
	inLoop(t, 0, func(c *fakeChildren) {
		for range 1000 {
			c.exit(false)
			c.pass(time.Millisecond)
			c.waitForOwned()
		}
		if most := time.Second/shortestGap + 2; len(c.looks) > int(most) || c.turns != 1 {
			c.Errorf("%d looks, %d turns of the signal", len(c.looks), c.turns)
		}
	})
}

// Zombies that have owners are looked at less and less. When one has lost its owner, of
// which nothing tells, that is seen in about the time that it had been a zombie.
func TestOrphanLoopOwnedZombies(t *testing.T) {
	for _, age := range []time.Duration{10 * time.Millisecond, time.Second, time.Minute, 24 * time.Hour} {
		inLoop(t, 0, func(c *fakeChildren) {
			c.exit(false)
			c.pass(age)
			if most := 20 + int(age/longestRelook); len(c.looks) > most {
				c.Errorf("%v: %d looks", age, len(c.looks))
			}
			c.disown()
			c.pass(min(age, longestRelook) + 2*shortestGap)
			if len(c.waited) != 1 {
				c.Errorf("%v: it is not reaped; looks at %v", age, c.looks)
			}
		})
	}
}

// Looks that are costly take a small part of the time, and orphans wait a little. No gap
// is so long that they would wait longer than that.
func TestOrphanLoopCost(t *testing.T) {
	for _, cost := range []time.Duration{100 * time.Microsecond, 2 * time.Millisecond, 20 * time.Millisecond, time.Second} {
		inLoop(t, cost, func(c *fakeChildren) {
			const span = 10 * time.Second
			for range span / time.Millisecond {
				c.exit(rand.IntN(2) == 0)
				c.pass(time.Millisecond)
			}
			if spent := time.Duration(len(c.looks)) * cost; spent > span/5 && gapFactor*cost < longestGap {
				c.Errorf("%v: %v of %v are spent", cost, spent, span)
			}
			c.pass(10 * time.Minute)
			most := 2 * (cost + max(shortestGap, min(gapFactor*cost, longestGap)))
			if longest := slices.Max(c.waited); len(c.orphans) > 0 || longest > most {
				c.Errorf("%v: %d are left, the longest was a zombie for %v", cost, len(c.orphans), longest)
			}
		})
	}
}

// However exits fall, none is lost.
func TestOrphanLoopLosesNothing(t *testing.T) {
	for range 200 {
		inLoop(t, time.Duration(rand.IntN(3))*time.Millisecond, func(c *fakeChildren) {
			for range 200 {
				c.exit(rand.IntN(4) > 0)
				if rand.IntN(4) == 0 {
					c.waitForOwned()
				}
				c.pass(time.Duration(rand.IntN(4)) * time.Duration(rand.IntN(int(3*time.Millisecond))))
			}
			c.waitForOwned()
			c.pass(time.Second)
			if len(c.orphans) > 0 || !c.on {
				c.Fatalf("%d are left; %v", len(c.orphans), c.on)
			}
			looks := len(c.looks)
			c.pass(time.Hour)
			if len(c.looks) > looks+8 {
				c.Errorf("%d looks while nothing exits", len(c.looks)-looks)
			}
		})
	}
}

// Whatever it waits for, it ends with ctx, after one more look.
func TestOrphanLoopEnds(t *testing.T) {
	for name, scene := range map[string]func(c *fakeChildren){
		"idle": func(*fakeChildren) {},
		"one":  func(c *fakeChildren) { c.exit(true); synctest.Wait() },
		"load": func(c *fakeChildren) {
			for range load {
				c.exit(true)
			}
			synctest.Wait()
		},
		"zombies of others":    func(c *fakeChildren) { c.exit(false); synctest.Wait() },
		"gap of others":        func(c *fakeChildren) { c.exit(false); synctest.Wait(); c.exit(false); synctest.Wait() },
		"something has exited": func(c *fakeChildren) { c.exit(true) },
	} {
		inLoop(t, 0, func(c *fakeChildren) {
			began := time.Now()
			scene(c)
			c.exit(false)
			c.disown()
			c.cancel()
			synctest.Wait()
			if time.Since(began) > 0 || len(c.orphans) > 0 || c.on {
				c.Errorf("%s: after %v: %d, %v", name, time.Since(began), len(c.orphans), c.on)
			}
		})
	}
}

// An error ends it, after what was reaped has been told.
func TestOrphanLoopFails(t *testing.T) {
	inLoop(t, 0, func(c *fakeChildren) {
		c.fail(unix.ENOSYS)
		c.exit(true)
		synctest.Wait()
		if c.on || len(c.waited) != 1 {
			c.Errorf("%v, %v", c.on, c.waited)
		}
	})
}
