package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paddock/app/control"
)

// lines is what the user sees: labels of visible rows, children indented.
func lines(m Menu) (out []string) {
	for _, r := range m.Rows {
		if r.Label == "" {
			continue
		}
		out = append(out, r.Label)
		for _, c := range r.Children {
			if c.Label != "" {
				out = append(out, "  "+c.Label)
			}
		}
	}
	return out
}

func TestCompose(t *testing.T) {
	footer := []string{"All apps…", "Activity", "Settings"}
	for _, tc := range []struct {
		name      string
		state     control.State
		want      []string
		attention bool
		tooltip   string
	}{
		{
			name: "nothing runs", state: control.State{Apps: []control.AppState{app("Notes", control.StateStopped), app("Feeds", control.StateNeedsPermission)}},
			want: append(append([]string{"No app is running"}, footer...), "Quit Paddock"), tooltip: "Paddock",
		},
		{
			name: "each state by shape and words",
			state: control.State{Apps: []control.AppState{
				app("Broken", control.StateFailed), app("Hungry", control.StateOverBudget), app("asleep", control.StateFrozen),
				app("Notes", control.StateRunning), app("Young", control.StateStarting),
			}},
			want: append(append([]string{
				"❄ asleep – asleep", "  Open", "  Stop", "  Details and permissions…",
				"● Notes", "  Open", "  Stop", "  Details and permissions…",
				"◌ Young – starting", "  Open", "  Stop", "  Details and permissions…",
				"▲ Hungry – over budget", "  Open", "  Details and permissions…",
				"✕ Broken – stopped unexpectedly", "  Open", "  Details and permissions…",
			}, footer...), "Quit Paddock…", "  3 apps are running: stop all and quit", "  Keep running"),
			tooltip: "Paddock: 3 apps are running",
		},
		{
			name: "one app, questions, a notice with choices",
			state: control.State{Apps: []control.AppState{app("Notes", control.StateRunning)}, Prompts: []string{"p1", "p2"}, Notices: []control.Notice{
				{ID: "n0", Title: "Installed", Severity: "info", At: time.Unix(9, 0)},
				{ID: "n1", Title: "Old", Severity: "error", At: time.Unix(1, 0)},
				{ID: "n2", Title: "Feeds was stopped", Severity: "warning", At: time.Unix(2, 0), Actions: []control.NoticeChoice{
					{Action: "dismiss", Label: "Keep stopped"}, {Action: "restart", Label: "Start again"}, {Action: "raise", Label: "Raise the limit"},
				}},
				{ID: "n3", Code: "permission_needed", Title: "Same as the prompt", Severity: "warning", At: time.Unix(3, 0)},
			}},
			want: append(append([]string{
				"◆ 2 questions are waiting…", "▲ Feeds was stopped", "  Start again", "  Raise the limit", "  Dismiss",
				"● Notes", "  Open", "  Stop", "  Details and permissions…",
			}, footer...), "Quit Paddock…", "  1 app is running: stop it and quit", "  Keep running"),
			attention: true, tooltip: "Paddock: 1 app is running",
		},
		{
			name: "more apps than lines", state: control.State{Apps: apps(8, control.StateRunning)[3:]},
			want: nil, tooltip: "Paddock: 5 apps are running",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := Compose(tc.state, Menu{}, english)
			if got := lines(m); tc.want != nil && !slices.Equal(got, tc.want) {
				t.Errorf("menu:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
			if m.Attention != tc.attention || m.Tooltip != tc.tooltip {
				t.Errorf("attention %v, tooltip %q; want %v, %q", m.Attention, m.Tooltip, tc.attention, tc.tooltip)
			}
		})
	}
}

func TestNoticesInGerman(t *testing.T) {
	notice := control.Notice{ID: "n", Code: control.NoticeOverBudget, Title: "Feeds was stopped", Severity: "warning", Facts: control.NoticeFacts{Name: "Feeds"}, Actions: []control.NoticeChoice{
		{Action: "restart", Label: "Restart"}, {Action: "raise", Label: "Raise the limit and restart"}, {Action: "dismiss", Label: "Keep stopped"},
	}}
	for _, row := range []struct {
		code, name string
		want       []string
	}{
		{control.NoticeOverBudget, "Feeds", []string{"▲ Feeds wurde gestoppt", "  Neu starten", "  Grenze anheben und neu starten", "  Verwerfen"}},
		{control.NoticeAppFailed, "Feeds", []string{"▲ Feeds wurde unerwartet beendet", "  Neu starten"}},
		{"of a later version", "Feeds", []string{"▲ Feeds was stopped"}},
		{control.NoticeOverBudget, "", []string{"▲ Feeds was stopped", "  Restart"}},
	} {
		notice.Code, notice.Facts.Name = row.code, row.name
		got := lines(Compose(control.State{Notices: []control.Notice{notice}}, Menu{}, german))
		for _, want := range row.want {
			if !slices.Contains(got, want) {
				t.Errorf("%s about %q: %q is not in %q", row.code, row.name, want, got)
			}
		}
	}
}

func TestMoreAppsThanLines(t *testing.T) {
	m := Compose(control.State{Apps: apps(9, control.StateFrozen), Prompts: []string{"p"}, Notices: []control.Notice{{ID: "n", Title: "!", Severity: "error"}}}, Menu{}, english)
	got := lines(m)
	if !slices.Contains(got, "and 4 more…") || slices.Contains(got, "No app is running") {
		t.Errorf("menu %q", got)
	}
	if visible(m) != MaxEntries {
		t.Errorf("a full menu has %d entries, want %d", visible(m), MaxEntries)
	}
}

// An app keeps its line when others come and go: the line under the pointer stays what it was.
func TestAppsKeepTheirLine(t *testing.T) {
	labels := func(m Menu) (out [appSlots]string) {
		for i := range out {
			out[i] = m.Rows[2+i].Label
		}
		return out
	}
	b := Compose(control.State{Apps: []control.AppState{app("b", control.StateRunning), app("c", control.StateRunning)}}, Menu{}, english)
	both := Compose(control.State{Apps: []control.AppState{app("a", control.StateRunning), app("c", control.StateRunning)}}, b, english)
	if got, want := labels(both), [appSlots]string{"● a", "● c"}; got != want {
		t.Errorf("lines %q, want %q", got, want)
	}
	gone := Compose(control.State{Apps: []control.AppState{app("c", control.StateRunning)}}, both, english)
	if got, want := labels(gone), [appSlots]string{"", "● c"}; got != want {
		t.Errorf("lines %q, want %q", got, want)
	}
}

func TestPlain(t *testing.T) {
	for in, want := range map[string]string{
		"Notes":                    "Notes",
		" a\t\nb  c ":              "a b c",
		"evil\u202egnp.exe":        "evilgnp.exe",
		"zero\u200bwidth\x00\x1b[": "zerowidth[",
		strings.Repeat("ä", 41):    strings.Repeat("ä", 39) + "…",
		"":                         "",
		"a_b & c":                  "a_b & c",
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
	if got := appRow(control.AppState{ID: "org.x", Name: "\u200b", State: control.StateRunning}, english).Label; got != "● org.x" {
		t.Errorf("a nameless app is called %q", got)
	}
}

func TestWordings(t *testing.T) {
	for locale, want := range map[string]string{"de_AT.UTF-8": "Alle Apps…", "DE": "Alle Apps…", "de-CH": "Alle Apps…", "de.UTF-8": "Alle Apps…", "en_GB": "All apps…", "": "All apps…", "C": "All apps…", "den": "All apps…"} {
		if got := wordingFor(locale).AllApps; got != want {
			t.Errorf("wordingFor(%q) says %q, want %q", locale, got, want)
		}
	}
	// Every text is there in every language, with its numbers.
	for _, w := range []wording{english, german} {
		v := reflect.ValueOf(w)
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if v.Field(i).IsZero() {
				t.Errorf("%s is empty", name)
			}
			if pair, ok := v.Field(i).Interface().([2]string); ok && (pair[0] == "" || !strings.Contains(pair[1], "%d")) {
				t.Errorf("%s lacks a form: %q", name, pair)
			}
		}
		if got := w.more(7); !strings.Contains(got, "7") || strings.Contains(got, "%") {
			t.Errorf("more: %q", got)
		}
	}
}

// states draws any state that an agent could send.
func states() *rapid.Generator[control.State] {
	return rapid.Custom(func(t *rapid.T) control.State {
		var s control.State
		kinds := []string{control.StateStopped, control.StateStarting, control.StateRunning, control.StateFrozen, control.StateNeedsPermission, control.StateOverBudget, control.StateFailed, "unheard of"}
		for i := range rapid.IntRange(0, 12).Draw(t, "apps") {
			s.Apps = append(s.Apps, control.AppState{ID: fmt.Sprintf("app%d", i), Name: rapid.String().Draw(t, "name"), State: rapid.SampledFrom(kinds).Draw(t, "state")})
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "prompts") {
			s.Prompts = append(s.Prompts, fmt.Sprintf("p%d", i))
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "notices") {
			n := control.Notice{ID: fmt.Sprintf("n%d", i), Title: rapid.String().Draw(t, "title"), Severity: rapid.SampledFrom([]string{"info", "warning", "error"}).Draw(t, "severity")}
			for j := range rapid.IntRange(0, 9).Draw(t, "choices") {
				n.Actions = append(n.Actions, control.NoticeChoice{Action: fmt.Sprintf("act%d", j), Label: rapid.String().Draw(t, "label")})
			}
			s.Notices = append(s.Notices, n)
		}
		return s
	})
}

// Whatever comes, the menu keeps its shape and bound, each line names one app, and Quit is there once.
func TestMenuShape(t *testing.T) {
	shape := func(m Menu) (out []int) {
		for _, r := range m.Rows {
			n := len(r.Children)
			if r.Separator {
				n += 100
			}
			out = append(out, n)
		}
		return out
	}
	want := shape(Compose(control.State{}, Menu{}, english))
	rapid.Check(t, func(t *rapid.T) {
		m := Menu{}
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			m = Compose(states().Draw(t, "state"), m, english)
			if got := shape(m); !slices.Equal(got, want) {
				t.Fatalf("shape %v, want %v", got, want)
			}
			if n := visible(m); n > MaxEntries {
				t.Fatalf("%d entries", n)
			}
			seen, quits := map[string]bool{}, 0
			for _, r := range m.Rows {
				if strings.HasPrefix(r.Label, english.Quit) {
					quits++
				}
				if len(r.Children) == 3 && r.Label != "" {
					id := r.Children[0].Action.App
					if id == "" || seen[id] {
						t.Fatalf("line %q names app %q", r.Label, id)
					}
					seen[id] = true
				}
			}
			if quits != 1 {
				t.Fatalf("%d ways to quit", quits)
			}
		}
	})
}

// visible counts the rows the user sees.
func visible(m Menu) int {
	n := 0
	for _, r := range m.Rows {
		if r.Label != "" {
			n++
		}
	}
	return n
}
