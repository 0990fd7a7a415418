package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paddock/app/control"
)

func forPeople(terminal bool) (*program, *bytes.Buffer) {
	var out bytes.Buffer
	return newProgram(Env{Stdout: &out, Stderr: &out, IsTerminal: func() bool { return terminal }, Getenv: func(string) string { return "" }}), &out
}

func TestHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                "plain",
		"Bücher 書 🎉":           "Bücher 書 🎉",
		"\x1b]0;owned\x07":     `\u001b]0;owned\u0007`,
		"\x1b[31mred":          `\u001b[31mred`,
		"two\nlines\r":         `two\u000alines\u000d`,
		"tab\there":            "tab here",
		"\u202egnp.exe":        `\u202egnp.exe`,
		"\u2066isolated\u2069": `\u2066isolated\u2069`,
		"\u009b31m":            `\u009b31m`,
		"not\xffUTF-8":         "not\uFFFDUTF-8",
		"":                     "",
	} {
		if got := harmless(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// Whatever an app is called or writes, nothing that steers a terminal is printed when nobody asked for colours.
func TestNothingSteersTheTerminal(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.String().Draw(rt, "text")
		p, out := forPeople(false)
		p.say("%s", s)
		p.note("%s %d", s, 1)
		tab := table{head: []string{"A", "B"}}
		tab.add(cell{text: s, style: red}, text(s))
		p.print(tab)
		if err := p.logLine(control.LogLine{Stream: "err", Text: s}); err != nil {
			rt.Fatal(err)
		}
		p.printError(control.NewError(1, "x", s, s, map[string]string{"tail": s}))
		printed := out.String()
		if strings.ContainsAny(printed, "\x1b\a\b\r\x7f\u009b\u202e") {
			rt.Fatalf("%q", printed)
		}
	})
}

func TestTable(t *testing.T) {
	p, out := forPeople(false)
	tab := table{head: []string{"NAME", "SIZE", "NOTE"}}
	tab.add(text("short"), number("1 B"), text("x"))
	tab.add(text("書籍"), number("10 MiB"), text(""))
	tab.add(text("e\u0301t\u0301e\u0301"), number("2 B"), text("combining"))
	p.print(tab)
	want := "NAME     SIZE  NOTE\nshort     1 B  x\n書籍   10 MiB\ne\u0301t\u0301e\u0301       2 B  combining\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

func TestColours(t *testing.T) {
	p, out := forPeople(true)
	p.say("%s", p.paint(red, "x\x1b"))
	if got := out.String(); got != "\x1b[31mx\\u001b\x1b[0m\n" {
		t.Errorf("%q", got)
	}
	p.noColor = true
	if got := p.paint(red, "x"); got != "x" {
		t.Errorf("--no-color gives %q", got)
	}
	p.noColor = false
	p.env.Getenv = func(name string) string { return map[string]string{"NO_COLOR": "1"}[name] }
	if got := p.paint(red, "x"); got != "x" {
		t.Errorf("NO_COLOR gives %q", got)
	}
}

func TestSentence(t *testing.T) {
	for in, want := range map[string]string{
		"it failed":               "It failed.",
		"It failed.":              "It failed.",
		"/etc/x: no such file":    "/etc/x: no such file.",
		"unknown flag: --x":       "Unknown flag: --x.",
		"écrit":                   "Écrit.",
		"":                        "",
		"a.b.c is not understood": "a.b.c is not understood.",
		"what now?":               "What now?",
	} {
		if got := sentence(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		31*time.Millisecond + 400*time.Microsecond: "31ms",
		83 * time.Second: "1m23s",
		26*time.Hour + 3*time.Minute + time.Second: "26h3m",
		-time.Hour: "?",
	} {
		if got := spanText(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestWhy(t *testing.T) {
	for want, run := range map[string]control.Run{
		"memory: 300 MiB, allowed were 256 MiB":               {Reason: "over_budget", Breach: &control.Breach{Budget: "memory", Limit: 256 << 20, Measured: 300 << 20}},
		"cpu: 3.25 core-seconds, allowed were 3 core-seconds": {Reason: "over_budget", Breach: &control.Breach{Budget: "cpu", Limit: 3, Measured: 3.25}},
		"processes: 1100 threads, allowed were 1024 threads":  {Reason: "over_budget", Breach: &control.Breach{Budget: "processes", Limit: 1024, Measured: 1100}},
		"error: Uncaught TypeError":                           {Reason: "crashed", Tail: "at app.js:3\n  error: Uncaught TypeError\n\n"},
		"":                                                    {Reason: "finished", Tail: "bye"},
	} {
		if got := whyText(run); got != want {
			t.Errorf("%+v: %q, want %q", run, got, want)
		}
	}
	if got := whyText(control.Run{Reason: "crashed", Tail: strings.Repeat("é", 200)}); len([]rune(got)) != maxWhy || !strings.HasSuffix(got, "…") {
		t.Errorf("a long line gives %q", got)
	}
}
