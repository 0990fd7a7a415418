//go:build !linux

package cli

import (
	"errors"
	"os/exec"
	"time"
)

// endWithUs has no counterpart here: an agent whose bench was killed ends with “paddock quit”.
func endWithUs(*exec.Cmd) {}

// processorTime is known on Linux only.
func processorTime(int) (time.Duration, error) { return 0, errors.ErrUnsupported }

func residentMemory(int) (int64, error) { return 0, errors.ErrUnsupported }
