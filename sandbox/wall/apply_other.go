//go:build !linux

package wall

import (
	"errors"
	"os"
	"runtime"
)

// LandlockABI is 0: Landlock is Linux's.
func LandlockABI() int { return 0 }

// Apply fails: only Linux has this wall so far. Windows would use a Job Object and macOS a Seatbelt profile.
func Apply(Plan, *os.File, error) error {
	return errors.New("the kernel wall is not available on " + runtime.GOOS + " yet")
}
