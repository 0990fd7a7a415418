package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"paddock/app/control"
)

// Programs are the paths of the programs that belong to this one. Tray and Window are empty when they are not
// there, and the agent works on without. Launcher and Deno are named even then, beside this program: no app
// starts without them, and the refusal says where they are looked for.
type Programs struct {
	Tray, Window, Launcher, Deno string
}

// EnvLibexec names a folder that is searched before all others.
const EnvLibexec = "PADDOCK_LIBEXEC"

// FindPrograms looks beside the running program, then in ../lib/paddock from there. A link to the program
// is followed first: /usr/local/bin/paddock may be one.
func FindPrograms() (Programs, error) {
	self, err := os.Executable()
	if err != nil {
		return Programs{}, fmt.Errorf("find our own program: %w", err)
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	here := filepath.Dir(self)
	dirs := []string{here, filepath.Join(here, "..", "lib", "paddock")}
	if d := os.Getenv(EnvLibexec); d != "" {
		dirs = append([]string{d}, dirs...)
	}
	find := func(name string) string {
		if runtime.GOOS == "windows" {
			name += ".exe"
		}
		for _, d := range dirs {
			p := filepath.Join(d, name)
			if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
				if abs, err := filepath.Abs(p); err == nil {
					return abs
				}
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				continue // a folder that we may not look into holds nothing of ours
			}
		}
		return ""
	}
	need := func(name string) string {
		if p := find(name); p != "" {
			return p
		}
		return filepath.Join(here, name)
	}
	return Programs{Tray: find("paddock-tray"), Window: find("paddock-window"), Launcher: need("paddock-launch"), Deno: need("deno")}, nil
}

// errNoWindow says why no window can be opened.
func errNoWindow(why string) error {
	return control.NewError(control.ExitFailed, "no_window", "No window can be opened: "+why+".", "Everything that a window does, the command line does too: “paddock --help”.", nil)
}
