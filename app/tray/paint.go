package main

import (
	"strings"
	"sync/atomic"
)

// item is the part of a systray menu item that the painter uses. Setting a title or enabling an item
// also shows it (GTK's implementation does), so hiding comes last.
type item interface {
	SetTitle(string)
	Enable()
	Disable()
	Show()
	Hide()
}

// line is a menu item and what it shows now. Its action is read by the goroutine that waits for clicks.
type line struct {
	item   item
	shown  Entry
	action atomic.Pointer[Action]
}

func (l *line) paint(e Entry) {
	l.action.Store(&e.Action)
	was := l.shown
	l.shown = e
	if e.Label == "" {
		l.shown.Disabled = was.Disabled // a hidden item keeps its own
		if was.Label != "" {
			l.item.Hide()
		}
		return
	}
	if e.Label != was.Label {
		l.item.SetTitle(escape(e.Label))
	}
	if e.Disabled != was.Disabled {
		if e.Disabled {
			l.item.Disable()
		} else {
			l.item.Enable()
		}
	}
	if was.Label == "" {
		l.item.Show()
	}
}

// click returns what a click on the line means now.
func (l *line) click() Action {
	if a := l.action.Load(); a != nil {
		return *a
	}
	return Action{}
}

// painter keeps the items of a menu, made once and used again for whatever the menu shows next.
type painter struct {
	rows []*line
	subs [][]*line
}

// toolkit makes menu items. A new item is visible.
type toolkit interface {
	row(title string) item
	child(parent item, title string) item
	separator()
}

// newPainter creates the items for every row and child that m has, and paints m. onLine is told of each.
func newPainter(t toolkit, m Menu, onLine func(*line)) *painter {
	p := &painter{}
	start := func(it item, e Entry) *line {
		// The toolkit shows it; an empty first label has to be hidden explicitly.
		l := &line{item: it, shown: Entry{Label: e.Label}}
		if e.Label == "" {
			it.Hide()
		}
		l.paint(e)
		onLine(l)
		return l
	}
	for _, r := range m.Rows {
		if r.Separator {
			t.separator()
		}
		row := t.row(escape(r.Label))
		var subs []*line
		for _, c := range r.Children {
			subs = append(subs, start(t.child(row, escape(c.Label)), c))
		}
		p.rows = append(p.rows, start(row, r.Entry))
		p.subs = append(p.subs, subs)
	}
	return p
}

// paint changes what differs from what is shown. m has the shape the painter was made with.
func (p *painter) paint(m Menu) {
	for i, r := range m.Rows {
		for j, c := range r.Children {
			p.subs[i][j].paint(c)
		}
		p.rows[i].paint(r.Entry)
	}
}

// escapeMnemonics doubles the character that a menu takes as "underline the next letter".
func escapeMnemonics(label string, mnemonic string) string {
	return strings.ReplaceAll(label, mnemonic, mnemonic+mnemonic)
}
