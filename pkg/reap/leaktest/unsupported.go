//go:build !linux

package leaktest

import "github.com/reaper-init/reaper/pkg/reap"

func owned() (map[int]bool, error) { return nil, reap.ErrUnsupported }

func kill(reap.Proc) error { return reap.ErrUnsupported }
