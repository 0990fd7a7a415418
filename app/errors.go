package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/dustin/go-humanize"

	"paddock/app/bundle"
	"paddock/app/control"
	"paddock/sandbox"
	"paddock/sandbox/permission"
	"paddock/store"
)

// Texts for people are made here, from typed errors, with a next step.

var errClosing = control.NewError(control.ExitUnreachable, "closing", "Paddock is ending.", "Start it again.", nil)

const codeNoSuchApp = "no_such_app"

func noSuchApp(ref string) error {
	return control.NewError(control.ExitNoApp, codeNoSuchApp, fmt.Sprintf("No installed app is called “%s”.", ref), "“paddock list” shows the installed apps.", nil)
}

func errCancelled(name string) error {
	return control.NewError(control.ExitRefused, "cancelled", "The question was closed without an answer.", fmt.Sprintf("Nothing was allowed and nothing was stored. Open %s again to answer.", name), nil)
}

// requiredError refuses a launch whose required rows are not allowed, and names them.
func requiredError(app *installed, missing []permission.Request) error {
	type row struct {
		Permission string `json:"permission"`
		Reason     string `json:"reason"`
	}
	var rows []row
	var names []string
	for _, r := range missing {
		rows = append(rows, row{r.Permission.String(), r.Reason})
		names = append(names, r.Permission.String())
	}
	return control.NewError(control.ExitRefused, "permission_required",
		fmt.Sprintf("%s says it cannot start without %s.", app.rec.Name, strings.Join(names, ", ")),
		fmt.Sprintf("Allow it with “paddock grant %s %s”, or start it anyway with --insist.", app.rec.AppID, names[0]),
		map[string]any{"rows": rows})
}

// noRoom says that err comes from a disk without space.
func noRoom(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// installError explains why a bundle could not be had or is not accepted.
func installError(source string, err error) error {
	var refused *bundle.RefusedError
	var manifest *bundle.ManifestError
	var download *bundle.DownloadError
	var known *control.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.Canceled):
		return control.NewError(control.ExitFailed, "cancelled", "The download was cancelled.", "Nothing was installed.", nil)
	case noRoom(err):
		return control.NewError(control.ExitFailed, "disk_full", "There is not enough room on the disk for this bundle.", "Free some space and try again. Nothing was installed.", nil)
	case errors.Is(err, fs.ErrNotExist) && !errors.As(err, &refused) && !errors.As(err, &download):
		return control.NewError(control.ExitFailed, "no_file", fmt.Sprintf("There is no file or folder called %s.", source), "Check the name. Nothing was installed.", nil)
	case errors.As(err, &manifest):
		return control.NewError(control.ExitRefused, "manifest", sentence(err), "Tell the author: “paddock manifest check” shows each field.", manifest.Problems)
	case errors.As(err, &refused):
		return control.NewError(control.ExitRefused, refused.Rule, sentence(err), hintOr(refused.Hint, "Nothing was installed. Get the bundle again, or ask its author."), map[string]string{"entry": refused.Entry})
	case errors.As(err, &download):
		return control.NewError(control.ExitFailed, "download", sentence(err), hintOr(download.Hint, "Check the address and the connection, then try again. Nothing was installed."), nil)
	}
	return control.NewError(control.ExitFailed, "install", sentence(err), "Nothing was installed.", nil)
}

// permissionError explains why a text is not a permission that can be had.
func permissionError(err error) *control.Error {
	var scope *permission.ScopeError
	if errors.Is(err, permission.ErrNeverGrantable) {
		return control.NewError(control.ExitRefused, "never_grantable", sentence(err), "No app can have this right.", nil)
	}
	if errors.As(err, &scope) {
		return control.NewError(control.ExitUsage, "bad_permission", sentence(err), scope.Hint, nil)
	}
	return control.NewError(control.ExitRefused, "bad_permission", sentence(err), "", nil)
}

// startError explains why an app did not start, with the end of its output.
func startError(app *installed, err error) *control.Error {
	var known *control.Error
	if errors.As(err, &known) {
		return known
	}
	var se *sandbox.StartError
	if !errors.As(err, &se) {
		return control.NewError(control.ExitNotStarted, "start_failed", fmt.Sprintf("%s did not start: %s", app.rec.Name, sentence(err)), "", nil)
	}
	msg, hint, code := "", "“paddock logs "+app.rec.AppID+"” shows its output.", "start_failed"
	switch se.Reason {
	case "exited":
		msg = fmt.Sprintf("%s ended while starting (%s).", app.rec.Name, exitText(se.Exit))
		if se.Exit.Breach != nil {
			code, msg, hint = "over_budget", breachText(storeBreach(se.Exit.Breach)), "Raise the limit with “paddock budget "+app.rec.AppID+"”."
		}
	case "deadline":
		msg = fmt.Sprintf("%s did not answer in time.", app.rec.Name)
	case "runtime_missing":
		code, msg, hint = se.Reason, "The Deno runtime is missing.", "Reinstall Paddock, or run “make headless” in its source folder."
	case "runtime_altered":
		code, msg, hint = se.Reason, "The Deno runtime is not the one that Paddock was tested with, so no app is started with it.", "Reinstall Paddock."
	case "no_space":
		code, msg, hint = "disk_full", fmt.Sprintf("%s was not started: %s", app.rec.Name, sentence(se)), "Free some space on the disk and try again. What apps have stored is whole."
	case "refused":
		code, msg, hint = "wall_missing", fmt.Sprintf("%s was not started: %s", app.rec.Name, sentence(se)), "“paddock doctor” shows what this machine can enforce; “paddock settings set "+settingWalls+" basic” starts apps with less."
	default:
		msg = fmt.Sprintf("%s did not start: %s", app.rec.Name, sentence(se))
	}
	detail := startFailure{Tail: se.Tail, Reason: se.Reason}
	if se.Exit.Breach != nil {
		detail.Budget = se.Exit.Breach.Budget
	}
	return control.NewError(control.ExitNotStarted, code, msg, hint, detail)
}

// breachText says which budget was crossed and by how much.
func breachText(b *store.Breach) string {
	if b == nil {
		return "It went over one of its limits."
	}
	size := func(v float64) string { return humanize.IBytes(uint64(max(v, 0))) }
	switch b.Budget {
	case "memory":
		return fmt.Sprintf("It used %s of memory; its limit is %s.", size(b.Measured), size(b.Limit))
	case "disk":
		return fmt.Sprintf("It used %s of disk space; its limit is %s.", size(b.Measured), size(b.Limit))
	case "cpu":
		return fmt.Sprintf("It used the processor for %.1f s of computing; its limit allowed %.1f s.", b.Measured, b.Limit)
	case "processes": // the kernel counts threads as processes; an app has only one process
		return fmt.Sprintf("It ran %.0f threads at once; %.0f are allowed.", b.Measured, b.Limit)
	}
	return fmt.Sprintf("It went over its limit of %s: %.0f of %.0f.", b.Budget, b.Measured, b.Limit)
}

func exitText(e sandbox.Exit) string {
	if e.Signal != "" {
		return "signal " + e.Signal
	}
	return fmt.Sprintf("exit code %d", e.Code)
}

// sentence makes one sentence of an error: a capital first, a full stop last.
func sentence(err error) string {
	s := strings.TrimSpace(strings.ReplaceAll(err.Error(), "\n", "; "))
	if s == "" {
		return ""
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "!") && !strings.HasSuffix(s, "?") {
		s += "."
	}
	return s
}

func hintOr(hint, otherwise string) string {
	if hint != "" {
		return hint
	}
	return otherwise
}
