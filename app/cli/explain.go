package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"

	"paddock/app/bundle"
	"paddock/app/control"
)

// explain makes words for people from an error: what, why, next step. The agent's own errors come with theirs.
func (p *program) explain(err error) *control.Error {
	var known *control.Error
	var refused *bundle.RefusedError
	var manifest *bundle.ManifestError
	var file *fs.PathError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, control.ErrUnreachable):
		return control.NewError(control.ExitUnreachable, "unreachable", sentence(err.Error()), "Start it with “paddock agent”, or run the command again.", nil)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return control.NewError(control.ExitFailed, "cancelled", "The command was cancelled.", "", nil)
	case errors.Is(err, bundle.ErrPassword):
		return control.NewError(control.ExitFailed, "password", sentence(err.Error()), "Set PADDOCK_KEY_PASSWORD, or type the password when asked.", nil)
	case errors.As(err, &manifest):
		return control.NewError(control.ExitFailed, "manifest", "The manifest is not valid.", "“paddock manifest schema” prints the full description.", manifest.Problems)
	case errors.As(err, &refused):
		return control.NewError(control.ExitRefused, refused.Rule, sentence(err.Error()), refused.Hint, map[string]string{"entry": refused.Entry})
	case errors.As(err, &file):
		return control.NewError(control.ExitFailed, "file", sentence(file.Path+": "+file.Err.Error()), "", nil)
	}
	return control.NewError(control.ExitFailed, "failed", sentence(err.Error()), "", nil)
}

// errorDocument is what programs read.
type errorDocument struct {
	Error struct {
		Code    string          `json:"code"`
		Message string          `json:"message"`
		Hint    string          `json:"hint"`
		Detail  json.RawMessage `json:"detail"`
	} `json:"error"`
}

func (p *program) printError(e *control.Error) {
	if p.json {
		var d errorDocument
		d.Error.Code, d.Error.Message, d.Error.Hint, d.Error.Detail = e.Code, e.Message, e.Hint, e.Detail
		if len(d.Error.Detail) == 0 {
			d.Error.Detail = json.RawMessage("null")
		}
		p.document(d)
		return
	}
	p.note("%s %s", p.paint(red, "paddock:"), e.Message)
	for _, line := range detailLines(e.Detail) {
		p.note("  %s", line)
	}
	if e.Hint != "" {
		p.note("%s", e.Hint)
	}
}

// detailLines shows the details that are meant for people: the end of an app's output, the fields of a manifest.
func detailLines(detail json.RawMessage) []string {
	var output struct {
		Tail string `json:"tail"`
	}
	if json.Unmarshal(detail, &output) == nil && strings.TrimSpace(output.Tail) != "" {
		return strings.Split(strings.TrimRight(output.Tail, "\n"), "\n")
	}
	var problems []bundle.Problem
	if json.Unmarshal(detail, &problems) != nil {
		return nil
	}
	var lines []string
	for _, problem := range problems {
		if problem.Expected != "" {
			lines = append(lines, problem.String())
		}
	}
	return lines
}

// sentence makes an error's text start with a capital and end with a stop.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return s
	}
	first, size := utf8.DecodeRuneInString(s)
	if word, _, _ := strings.Cut(s, " "); !strings.ContainsAny(word, "/._-=") { // a path or a flag stays as it is
		s = string(unicode.ToUpper(first)) + s[size:]
	}
	if strings.ContainsRune(".!?", rune(s[len(s)-1])) {
		return s
	}
	return s + "."
}
