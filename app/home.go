package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"paddock/app/control"
)

// PrepareHome makes the folder of all state with mode 0700, or checks the one that is there: it must be a
// real folder that this user owns. Its mode is narrowed to 0700 at every start (security.md, rule 11).
func PrepareHome(home string) error {
	if err := checkHomeName(home); err != nil {
		return err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return homeError(home, "cannot be made: "+plain(err))
	}
	st, err := os.Lstat(home)
	if err != nil {
		return homeError(home, "cannot be looked at: "+plain(err))
	}
	if st.Mode()&fs.ModeSymlink != 0 {
		real, err := filepath.EvalSymlinks(home)
		if err != nil {
			return homeError(home, "is a link that leads nowhere")
		}
		if st, err = os.Lstat(real); err != nil {
			return homeError(home, "cannot be looked at: "+plain(err))
		}
	}
	if !st.IsDir() {
		return homeError(home, "is not a folder")
	}
	if !control.OwnedByUs(st) {
		return homeError(home, "belongs to another user")
	}
	if err := os.Chmod(home, 0o700); err != nil {
		return homeError(home, "cannot be closed to other users: "+plain(err))
	}
	for _, d := range []string{"apps", "staging", "entry"} {
		if err := os.MkdirAll(filepath.Join(home, d), 0o700); err != nil {
			return homeError(home, "cannot be written: "+plain(err))
		}
	}
	return nil
}

// checkHomeName refuses names that the runtime's flags cannot carry: Deno splits path lists at commas and
// has no escape (security.md, rule 6).
func checkHomeName(home string) error {
	switch {
	case !filepath.IsAbs(home):
		return homeError(home, "is not an absolute path")
	case !utf8.ValidString(home):
		return homeError(home, "has a name that is not valid UTF-8")
	case strings.ContainsRune(home, ','):
		return homeError(home, "has a comma in its name, which the runtime would take for the end of a path")
	case strings.ContainsFunc(home, unicode.IsControl):
		return homeError(home, "has a control character in its name")
	}
	return nil
}

func homeError(home, why string) error {
	return control.NewError(control.ExitUnreachable, "home_refused",
		fmt.Sprintf("The folder for Paddock's data, %s, %s.", home, why),
		"Name another folder with --home or PADDOCK_HOME.", nil)
}

// plain is the cause of a file error without the path, which the sentence around it already names.
func plain(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

func (a *App) appsDir() string    { return filepath.Join(a.home, "apps") }
func (a *App) stagingDir() string { return filepath.Join(a.home, "staging") }

func (a *App) installDir(install string) string { return filepath.Join(a.appsDir(), install) }

// versionDir is the folder name of a version's code.
func versionDir(code uint32) string { return fmt.Sprintf("v%d", code) }

// keptBundle is the signed file that a version was installed from, for backups. A version that was installed unsigned, or
// before such files were kept, has none.
func keptBundle(p control.Paths) string { return p.Code + ".paddock" }

func (a *App) paths(install string, code uint32) control.Paths {
	dir := a.installDir(install)
	return control.Paths{
		Code: filepath.Join(dir, versionDir(code)), Data: filepath.Join(dir, "data"),
		Runtime: filepath.Join(dir, "runtime"), Log: filepath.Join(dir, "log"),
	}
}
