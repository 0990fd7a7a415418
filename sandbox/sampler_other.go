//go:build !linux

package sandbox

import (
	"errors"
	"os"

	"github.com/shirou/gopsutil/v3/process"
)

func openSampler(pid int) (sampler, error) { return newPortableSampler(pid) }

// goneOr turns the ways in which the system says "no such process" into errGone.
func goneOr(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, process.ErrorProcessNotRunning) {
		return errGone
	}
	return err
}
