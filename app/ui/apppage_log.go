package ui

import (
	"context"
	"strings"
	"sync"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"

	"paddock/app/control"
)

const (
	logFirst = 500  // lines asked for
	logKept  = 2000 // lines kept
	logWide  = 500  // characters of a line that are shown
	logHigh  = 380
)

// logTab shows the app's own output as it comes, with a search.
type logTab struct {
	p      *appPage
	view   *fyne.Container
	search *field
	grid   *widget.TextGrid
	area   *logArea
	note   *paragraph
	lines  []control.LogLine
	cancel func()

	mu      sync.Mutex
	waiting []control.LogLine // came in, not drawn yet
	posted  bool
}

func (p *appPage) newLogTab() *logTab {
	t := &logTab{p: p, grid: widget.NewTextGrid()}
	t.search = newField(tr("Search the log"), tr("Search the log"), 160, func(string) { t.draw() })
	t.note = mutedText(tr("What the app itself writes. Paddock does not check it."))
	t.area = newLogArea(t.grid)
	t.view = vbox(10, t.search, layered(newSurface(colCard, 12, 0, logHigh).edged(colLine), pad(t.area, 8, 4, 8, 10)), t.note)
	t.cancel = background(p.tasks, func(ctx context.Context) (control.Empty, error) {
		var out control.Empty
		return out, control.Events(ctx, p.ws.o.Client, control.MethodLogs, control.Logs{App: p.app, Lines: logFirst, Follow: true}, &out, t.take)
	}, func(_ control.Empty, err error) {
		if err != nil && p.log == t {
			p.fail(err)
		}
	})
	return t
}

// take collects lines on the background's side; many become one redraw.
func (t *logTab) take(l control.LogLine) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting = append(t.waiting, l)
	if len(t.waiting) > logKept {
		t.waiting = t.waiting[len(t.waiting)-logKept:]
	}
	if !t.posted {
		t.posted = true
		t.p.tasks.post(func() {
			t.mu.Lock()
			fresh := t.waiting
			t.waiting, t.posted = nil, false
			t.mu.Unlock()
			t.lines = append(t.lines, fresh...)
			if n := len(t.lines); n > logKept {
				t.lines = t.lines[n-logKept:]
			}
			t.draw()
		})
	}
	return nil
}

func (t *logTab) stop() { t.cancel() }

// draw shows the lines that the search finds.
func (t *logTab) draw() {
	q := strings.ToLower(strings.TrimSpace(t.search.Text))
	var rows []widget.TextGridRow
	for _, l := range t.lines {
		text := cut(strings.ToValidUTF8(l.Text, "�"), logWide)
		if q != "" && !strings.Contains(strings.ToLower(text), q) {
			continue
		}
		style := &widget.CustomTextGridStyle{FGColor: named(colText), TextStyle: fyne.TextStyle{Monospace: true}}
		stamp := &widget.CustomTextGridStyle{FGColor: named(colMuted), TextStyle: fyne.TextStyle{Monospace: true}}
		switch l.Stream {
		case "err":
			style.FGColor = named(colRisk)
		case "host":
			style.FGColor = named(colCalm)
		}
		var cells []widget.TextGridCell
		if !l.At.IsZero() {
			for _, r := range l.At.Local().Format("15:04:05 ") {
				cells = append(cells, widget.TextGridCell{Rune: r, Style: stamp})
			}
		}
		for _, r := range clean(text, logWide) {
			cells = append(cells, widget.TextGridCell{Rune: r, Style: style})
		}
		rows = append(rows, widget.TextGridRow{Cells: cells})
	}
	bottom := t.area.atBottom()
	t.grid.Rows = rows
	t.grid.Refresh()
	t.area.scroll.Refresh()
	if bottom {
		t.area.scroll.ScrollToBottom()
	}
	switch {
	case len(t.lines) == 0:
		t.note.setText(tr("It has written nothing yet."))
	case len(rows) == 0:
		t.note.setText(tr("No line matches."))
	case q != "":
		t.note.setText(trn("{{.N}} lines match.", len(rows)))
	default:
		t.note.setText(tr("What the app itself writes. Paddock does not check it."))
	}
}

func cut(s string, n int) string {
	if len(s) > 4*n {
		s = s[:4*n]
	}
	return s
}

// logArea scrolls by keyboard when it has the focus.
type logArea struct {
	operable
	scroll *container.Scroll
}

func newLogArea(grid *widget.TextGrid) *logArea {
	a := &logArea{scroll: container.NewScroll(grid)}
	a.extend(a)
	return a
}

func (a *logArea) atBottom() bool {
	return a.scroll.Offset.Y+a.scroll.Size().Height >= a.scroll.Content.MinSize().Height-20
}

// TypedKey implements fyne.Focusable.
func (a *logArea) TypedKey(e *fyne.KeyEvent) {
	dx, dy := float32(0), float32(0)
	switch e.Name {
	case fyne.KeyUp:
		dy = -40
	case fyne.KeyDown:
		dy = 40
	case fyne.KeyPageUp:
		dy = -a.Size().Height
	case fyne.KeyPageDown:
		dy = a.Size().Height
	case fyne.KeyLeft:
		dx = -60
	case fyne.KeyRight:
		dx = 60
	default:
		bubble(a, e)
		return
	}
	a.scroll.Scrolled(&fyne.ScrollEvent{Scrolled: fyne.Delta{DX: -dx, DY: -dy}})
}

func (a *logArea) MinSize() fyne.Size { return fyne.NewSize(100, logHigh-16) }

func (a *logArea) CreateRenderer() fyne.WidgetRenderer {
	frame := newSurface(colNone, 8, 0, 0)
	return &logRenderer{a: a, frame: frame}
}

type logRenderer struct {
	a     *logArea
	frame *surface
}

func (r *logRenderer) Destroy()           {}
func (r *logRenderer) MinSize() fyne.Size { return r.a.MinSize() }
func (r *logRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.a.scroll, r.frame}
}

func (r *logRenderer) Layout(s fyne.Size) {
	r.a.scroll.Resize(s)
	place(r.frame, -6, -4, s.Width+8, s.Height+8)
}

func (r *logRenderer) Refresh() {
	edge := colNone
	if r.a.focused {
		edge = colRing
	}
	r.frame.set(colNone, edge)
	r.a.scroll.Refresh()
}
