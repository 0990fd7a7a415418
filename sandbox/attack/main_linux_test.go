package attack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// The test program plays five parts. A launcher is known by its file name, because it gets no environment; the others
// by one variable.
const (
	partVariable = "PADDOCK_ATTACK_PART"
	partWorker   = "worker"
	partVictim   = "victim"
	partStranger = "stranger"
	launcherName = "wall-" // and then the setting
)

func TestMain(m *testing.M) {
	var err error
	self, _ := os.Executable()
	name := filepath.Base(self)
	switch part := os.Getenv(partVariable); {
	case strings.HasPrefix(name, launcherName):
		err = actAsLauncher(filepath.Dir(self), setting(strings.TrimPrefix(name, launcherName)))
	case part == partWorker:
		err = actAsWorker(os.Stdin, os.Stdout)
	case part == partVictim:
		err = actAsVictim(os.Stdin, os.Stdout)
	case part == partStranger:
		err = actAsStranger(os.Stdin, os.Stdout)
	default:
		goleak.VerifyTestMain(m)
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}
