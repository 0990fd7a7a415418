package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
)

// Styles of terminal text (ECMA-48 SGR).
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// painted is text that was made harmless and may carry a style.
type painted string

// paint styles text where a person watches a terminal that shows colours (https://no-color.org).
func (p *program) paint(style, text string) painted {
	text = harmless(text)
	if style == "" || p.noColor || p.env.Getenv("NO_COLOR") != "" || p.env.Getenv("TERM") == "dumb" || !p.env.IsTerminal() {
		return painted(text)
	}
	return painted("\x1b[" + style + "m" + text + "\x1b[0m")
}

// document prints the one JSON document of a command.
func (p *program) document(v any) {
	enc := json.NewEncoder(p.env.Stdout)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // a reader that went away cannot be told
}

// ok is the document of commands that have none, and a sentence for people.
func (p *program) ok(format string, args ...any) {
	if p.json {
		p.document(map[string]bool{"ok": true})
		return
	}
	p.note(format, args...)
}

// say prints a line of the result for people, note one that is about it. Text arguments are made harmless; the format
// is ours.
func (p *program) say(format string, args ...any)  { printLine(p.env.Stdout, format, args) }
func (p *program) note(format string, args ...any) { printLine(p.env.Stderr, format, args) }

func printLine(w io.Writer, format string, args []any) {
	safe := make([]any, len(args))
	for i, arg := range args {
		safe[i] = arg
		if text, is := arg.(string); is {
			safe[i] = harmless(text)
		}
	}
	fmt.Fprintf(w, format+"\n", safe...)
}

// harmless keeps a stranger's text from steering the terminal: control characters, line ends and the marks that
// overrule the direction of text (UAX #9, sections 2.1 to 2.4) become visible.
func harmless(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	bad := func(r rune) bool {
		return unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}
	if !strings.ContainsFunc(s, bad) {
		return s
	}
	var out strings.Builder
	for _, r := range s {
		switch {
		case r == '\t':
			out.WriteByte(' ')
		case bad(r):
			fmt.Fprintf(&out, "\\u%04x", r)
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// ago says when something was, for people.
func (p *program) ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return humanize.RelTime(t, p.env.Now(), "ago", "from now")
}

// stamp is a time of day in the user's zone.
func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

func percent(v float64) string { return humanize.FtoaWithDigits(v, 1) + " %" }

// either is the first text that is not empty.
func either(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
