package main

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"paddock/app/control"
)

// The tray's menu has a fixed shape, because systray can hide an item but not remove it: each row exists
// once, with a fixed number of children, and an empty label hides it. The rows that can be visible
// together never exceed MaxEntries.
const (
	MaxEntries   = 12
	appSlots     = 5  // apps in the menu itself; "and N more" leads to the library
	noticeSlots  = 4  // choices under a notice, dismissing included
	maxNameRunes = 40 // the manifest's own limit for a name
)

// Verb says what a click does.
type Verb string

// Verbs. The zero Verb does nothing.
const (
	DoOpen   Verb = "open"   // Action.App: launch and show in the browser
	DoStop   Verb = "stop"   // Action.App
	DoShow   Verb = "show"   // Action.Show: bring a window up
	DoNotice Verb = "notice" // Action.Notice
	DoQuit   Verb = "quit"   // stop every app and the agent
)

// Action is a click's meaning. It is comparable.
type Action struct {
	Verb   Verb
	App    string // app id
	Show   control.Show
	Notice control.NoticeAction
}

// Entry is one line of the menu. An empty Label hides it.
type Entry struct {
	Label    string // plain text; mnemonics are escaped where it is drawn
	Disabled bool
	Action   Action
}

// Row is a line of the top level with its submenu.
type Row struct {
	Entry
	Children  []Entry // always the same length for the same row
	Separator bool    // a line is drawn above the row
}

// Menu is everything the tray shows.
type Menu struct {
	Rows      []Row
	Attention bool   // something waits for the user: the icon carries a dot
	Tooltip   string // where the desktop shows one
	slots     [appSlots]string
}

// Compose makes the menu for a state. prev is the menu shown until now (zero at first): an app keeps its
// line while it is listed, so that a line does not become another app's under the user's pointer.
func Compose(s control.State, prev Menu, w wording) Menu {
	listed := listedApps(s.Apps)
	active := 0
	for _, a := range listed {
		if isActive(a.State) {
			active++
		}
	}
	m := Menu{Attention: len(s.Prompts) > 0, Tooltip: w.tooltip(active)}
	more := 0
	if len(listed) > appSlots {
		more = len(listed) - appSlots
		listed = listed[:appSlots]
	}
	m.slots = assign(prev.slots, listed)

	m.Rows = append(m.Rows, Row{Entry: promptEntry(s.Prompts, w)})
	notice, loud := noticeRow(s, w)
	m.Attention = m.Attention || loud
	m.Rows = append(m.Rows, notice)
	byID := map[string]control.AppState{}
	for _, a := range listed {
		byID[a.ID] = a
	}
	for i, id := range m.slots {
		row := Row{Children: make([]Entry, 3), Separator: i == 0}
		if a, ok := byID[id]; ok {
			row = appRow(a, w)
			row.Separator = i == 0
		}
		m.Rows = append(m.Rows, row)
	}
	// One line for two things that exclude each other: no app at all, or more than fit.
	extra := Row{}
	switch {
	case len(listed) == 0:
		extra.Label, extra.Disabled = w.NoApps, true
	case more > 0:
		extra.Entry = Entry{Label: w.more(more), Action: show(control.Show{Window: control.WindowLibrary})}
	}
	quit, ask := quitRows(active, w)
	m.Rows = append(m.Rows, extra,
		Row{Separator: true, Entry: Entry{Label: w.AllApps, Action: show(control.Show{Window: control.WindowLibrary})}},
		Row{Entry: Entry{Label: w.Activity, Action: show(control.Show{Window: control.WindowActivity})}},
		Row{Entry: Entry{Label: w.Settings, Action: show(control.Show{Window: control.WindowSettings})}},
		quit, ask)
	return m
}

func show(s control.Show) Action { return Action{Verb: DoShow, Show: s} }

func isActive(state string) bool {
	switch state {
	case control.StateStarting, control.StateRunning, control.StateFrozen:
		return true
	}
	return false
}

// listedApps picks the apps that have a line, the most useful first: active ones, then those that ended
// badly. Within a group the order is by name.
func listedApps(apps []control.AppState) []control.AppState {
	rank := func(a control.AppState) int {
		switch {
		case isActive(a.State):
			return 0
		case a.State == control.StateOverBudget:
			return 1
		}
		return 2
	}
	var out []control.AppState
	for _, a := range apps {
		if isActive(a.State) || a.State == control.StateOverBudget || a.State == control.StateFailed {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b control.AppState) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)),
			strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	return out
}

// assign gives each listed app a line: the one it had, else the first free one.
func assign(prev [appSlots]string, listed []control.AppState) (slots [appSlots]string) {
	var waiting []string
	for _, a := range listed {
		if i := slices.Index(prev[:], a.ID); i >= 0 {
			slots[i] = a.ID
		} else {
			waiting = append(waiting, a.ID)
		}
	}
	for i := range slots {
		if slots[i] == "" && len(waiting) > 0 {
			slots[i], waiting = waiting[0], waiting[1:]
		}
	}
	return slots
}

// appRow tells the state by shape and by words: colour alone would not do, and menus have none.
func appRow(a control.AppState, w wording) Row {
	name := plain(a.Name)
	if name == "" {
		name = plain(a.ID)
	}
	r := Row{Children: []Entry{
		{Label: w.Open, Action: Action{Verb: DoOpen, App: a.ID}},
		{},
		{Label: w.Details, Action: show(control.Show{Window: control.WindowApp, App: a.ID})},
	}}
	if isActive(a.State) {
		r.Children[1] = Entry{Label: w.Stop, Action: Action{Verb: DoStop, App: a.ID}}
	}
	switch a.State {
	case control.StateRunning:
		r.Label = "● " + name
	case control.StateStarting:
		r.Label = "◌ " + name + " – " + w.Starting
	case control.StateFrozen:
		r.Label = "❄ " + name + " – " + w.Frozen
	case control.StateOverBudget:
		r.Label = "▲ " + name + " – " + w.OverBudget
	default:
		r.Label = "✕ " + name + " – " + w.Failed
	}
	return r
}

func promptEntry(prompts []string, w wording) Entry {
	if len(prompts) == 0 {
		return Entry{}
	}
	return Entry{Label: "◆ " + w.questions(len(prompts)), Action: show(control.Show{Window: control.WindowPrompt, Prompt: prompts[0]})}
}

// noticeRow shows the newest notice that the user should act on, with its choices. Mere information
// ("installed") is left to the library and does not put a dot on the icon.
func noticeRow(s control.State, w wording) (Row, bool) {
	row := Row{Children: make([]Entry, noticeSlots)}
	var newest *control.Notice
	for i, n := range s.Notices {
		if n.Severity == "info" || n.Code == "permission_needed" && len(s.Prompts) > 0 {
			continue // the line above already says so
		}
		if newest == nil || n.At.After(newest.At) {
			newest = &s.Notices[i]
		}
	}
	if newest == nil {
		return row, false
	}
	row.Label = "▲ " + w.notice(*newest)
	i := 0
	for _, c := range newest.Actions {
		if c.Action == "dismiss" || i == noticeSlots-1 {
			continue
		}
		row.Children[i] = Entry{Label: w.choice(*newest, c), Action: Action{Verb: DoNotice, Notice: control.NoticeAction{ID: newest.ID, Action: c.Action}}}
		i++
	}
	row.Children[i] = Entry{Label: w.Dismiss, Action: Action{Verb: DoNotice, Notice: control.NoticeAction{ID: newest.ID, Action: "dismiss"}}}
	return row, true
}

// quitRows are two rows of which one is visible: a plain Quit, or one that asks first in its submenu.
func quitRows(active int, w wording) (plainQuit, ask Row) {
	plainQuit.Separator = true
	ask.Children = make([]Entry, 2)
	if active == 0 {
		plainQuit.Entry = Entry{Label: w.Quit, Action: Action{Verb: DoQuit}}
		return plainQuit, ask
	}
	ask.Label = w.QuitAsk
	ask.Children[0] = Entry{Label: w.stopAndQuit(active), Action: Action{Verb: DoQuit}}
	ask.Children[1] = Entry{Label: w.KeepRunning}
	return plainQuit, ask
}

// plain makes a stranger's text fit for one menu line: no control, bidirectional or invisible
// characters, single spaces, at most maxNameRunes.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxNameRunes {
		s = strings.TrimSpace(string(runes[:maxNameRunes-1])) + "…"
	}
	return s
}
