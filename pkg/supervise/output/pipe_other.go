//go:build !linux

package output

import (
	"errors"
	"os"
)

const pipeSize = 1 << 20

func newPipe(string) (r, w *os.File, err error) { return nil, nil, errors.ErrUnsupported }

func blockSignals() {}
