package output

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// oldFiles looks at what package lumberjack has made of the files that were put aside.
type oldFiles struct {
	dir         string
	prefix, ext string // of their names, around the time
	keep        int    // 0 is all
	compress    bool
	hopeless    bool // waiting for them was in vain, the last time
}

func newOldFiles(path string, keep int, compress bool) oldFiles {
	dir, base := filepath.Split(path)
	ext := filepath.Ext(base)
	return oldFiles{dir: dir, prefix: strings.TrimSuffix(base, ext) + "-", ext: ext, keep: keep, compress: compress}
}

// sight is what a look at them shows.
type sight struct {
	count int
	plain int   // are not, or not yet, compressed
	bytes int64 // of those that are
}

func (o *oldFiles) look() (sight, error) {
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return sight{}, err
	}
	var seen sight
	times := make(map[string]bool)
	for _, e := range entries {
		name, compressed := strings.CutSuffix(e.Name(), ".gz")
		name, ours := strings.CutPrefix(name, o.prefix)
		stamp, also := strings.CutSuffix(name, o.ext)
		if _, err := time.Parse("2006-01-02T15-04-05.000", stamp); !ours || !also || err != nil {
			continue
		}
		times[stamp] = true
		if !compressed {
			seen.plain++
		} else if info, err := e.Info(); err == nil { // or it has just been removed
			seen.bytes += info.Size()
		}
	}
	seen.count = len(times)
	return seen, nil
}

// few reports whether one more does no harm: at most as many are too many as are to
// be there, which are compressed before any more are removed.
func (o *oldFiles) few(s sight) bool { return o.keep == 0 || s.count <= 2*o.keep }

// done reports whether there is nothing left to do.
func (o *oldFiles) done(s sight) bool {
	return (o.keep == 0 || s.count <= o.keep) && (!o.compress || s.plain == 0)
}

// await waits until they are well, and is patient as long as something happens to them.
// After it has waited in vain it does not wait again before it has seen them well.
func (o *oldFiles) await(well func(sight) bool, enough <-chan struct{}) error {
	tick := time.NewTicker(oldPoll)
	defer tick.Stop()
	var last sight
	for looks := 0; ; looks++ {
		seen, err := o.look()
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", ErrOldFiles, err)
		case well(seen):
			o.hopeless = false
			return nil
		case seen != last:
			last, looks = seen, 0
		}
		if o.hopeless || looks > oldPatience {
			o.hopeless = true
			return ErrOldFiles
		}
		select {
		case <-tick.C:
		case <-enough:
			return ErrOldFiles
		}
	}
}
