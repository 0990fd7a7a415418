package main

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// gtkItem behaves as systray does on GTK: every change of an item shows it.
type gtkItem struct {
	title    string
	visible  bool
	disabled bool
	parent   *gtkItem
	calls    *int
}

func (i *gtkItem) SetTitle(s string) { i.title, i.visible = s, true; *i.calls++ }
func (i *gtkItem) Enable()           { i.disabled, i.visible = false, true; *i.calls++ }
func (i *gtkItem) Disable()          { i.disabled, i.visible = true, true; *i.calls++ }
func (i *gtkItem) Show()             { i.visible = true; *i.calls++ }
func (i *gtkItem) Hide()             { i.visible = false; *i.calls++ }

type gtkMenu struct {
	items []*gtkItem
	calls int
}

func (m *gtkMenu) add(parent item, title string) item {
	i := &gtkItem{title: title, visible: true, calls: &m.calls}
	if parent != nil {
		i.parent = parent.(*gtkItem)
	}
	m.items = append(m.items, i)
	return i
}
func (m *gtkMenu) row(title string) item                { return m.add(nil, title) }
func (m *gtkMenu) child(parent item, title string) item { return m.add(parent, title) }
func (m *gtkMenu) separator()                           {}

// seen is what the menu shows, in the order of lines(Menu).
func (m *gtkMenu) seen() (out []string) {
	for _, i := range m.items {
		if i.parent != nil || !i.visible {
			continue
		}
		out = append(out, i.title)
		for _, c := range m.items {
			if c.parent == i && c.visible {
				out = append(out, "  "+c.title)
			}
		}
	}
	return out
}

// After any sequence of states the items show exactly the last menu, and a click means what is shown.
func TestPaintShowsTheMenu(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		toolkit := &gtkMenu{}
		m := Compose(states().Draw(t, "first"), Menu{}, english)
		var made []*line
		p := newPainter(toolkit, m, func(l *line) { made = append(made, l) })
		items := len(toolkit.items)
		if items != len(made) {
			t.Fatalf("%d items, %d lines", items, len(made))
		}
		for range rapid.IntRange(0, 6).Draw(t, "steps") {
			m = Compose(states().Draw(t, "next"), m, english)
			p.paint(m)
		}
		var want []string
		for _, l := range lines(m) {
			want = append(want, escape(l))
		}
		if got := toolkit.seen(); !slices.Equal(got, want) {
			t.Fatalf("shown %q, want %q", got, want)
		}
		if len(toolkit.items) != items {
			t.Fatalf("items grew from %d to %d", items, len(toolkit.items))
		}
		for i, r := range m.Rows {
			if got := p.rows[i].click(); got != r.Action {
				t.Fatalf("a click on %q does %+v, want %+v", r.Label, got, r.Action)
			}
			if r.Label != "" && p.rows[i].item.(*gtkItem).disabled != r.Disabled {
				t.Fatalf("%q: disabled is not %v", r.Label, r.Disabled)
			}
			for j, c := range r.Children {
				if got := p.subs[i][j].click(); got != c.Action {
					t.Fatalf("a click on %q does %+v, want %+v", c.Label, got, c.Action)
				}
			}
		}
		before := toolkit.calls
		p.paint(m)
		if toolkit.calls != before {
			t.Fatalf("painting the same menu again made %d calls", toolkit.calls-before)
		}
	})
}

func TestEscapeMnemonics(t *testing.T) {
	if got := escapeMnemonics("my_app __x", "_"); got != "my__app ____x" {
		t.Errorf("got %q", got)
	}
	if got := escapeMnemonics("R&D", "&"); got != "R&&D" {
		t.Errorf("got %q", got)
	}
}

func TestUnmadeLineDoesNothing(t *testing.T) {
	if got := new(line).click(); got != (Action{}) {
		t.Errorf("click = %+v", got)
	}
}
