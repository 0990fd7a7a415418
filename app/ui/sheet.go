package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

const sheetWidth = 420

// sheet is a card over a dimmed window. While it is up, the window behind takes neither pointer nor keys;
// Escape closes it.
type sheet struct {
	f       *frame
	overlay *fyne.Container
	page    *page
	closed  func() // after Escape or close; may be nil
}

// scrim takes all pointer events that miss the card.
type scrim struct {
	widget.BaseWidget
	r *canvas.Rectangle
}

func newScrim() *scrim {
	s := &scrim{r: canvas.NewRectangle(nil)}
	s.ExtendBaseWidget(s)
	return s
}

func (s *scrim) Tapped(*fyne.PointEvent)        {}
func (s *scrim) MouseIn(*desktop.MouseEvent)    {}
func (s *scrim) MouseMoved(*desktop.MouseEvent) {}
func (s *scrim) MouseOut()                      {}
func (s *scrim) Refresh()                       { s.r.FillColor = named(colScrim); s.r.Refresh() }
func (s *scrim) CreateRenderer() fyne.WidgetRenderer {
	s.r.FillColor = named(colScrim)
	return widget.NewSimpleRenderer(s.r)
}

// sheetLayout centres the card and lets its content scroll when the window is low.
type sheetLayout struct{ s *sheet }

func (l sheetLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(0, 0) }
func (l sheetLayout) Layout(o []fyne.CanvasObject, s fyne.Size) {
	o[0].Resize(s)
	w := min(sheetWidth, s.Width-32)
	h := min(l.s.page.heightFor(w), s.Height-32)
	place(o[1], (s.Width-w)/2, (s.Height-h)/2, w, h)
}

// openSheet shows content over f's window and focuses first (which may be nil).
func (f *frame) openSheet(content fyne.CanvasObject, first fyne.Focusable) *sheet {
	s := &sheet{f: f}
	s.page = newPage(pad(content, 22, 22, 20, 22))
	s.overlay = container.New(sheetLayout{s}, newScrim(), card(s.page))
	f.sheets = append(f.sheets, s)
	c := f.win.Canvas()
	c.Overlays().Add(s.overlay)
	s.overlay.Resize(c.Size())
	if first != nil {
		c.Focus(first)
	}
	return s
}

func (s *sheet) relayout() {
	s.overlay.Layout.Layout(s.overlay.Objects, s.overlay.Size())
	s.page.relayout()
	s.overlay.Refresh()
}

func (s *sheet) close() {
	for i, o := range s.f.sheets {
		if o == s {
			s.f.sheets = append(s.f.sheets[:i], s.f.sheets[i+1:]...)
			s.f.win.Canvas().Overlays().Remove(s.overlay)
			if s.closed != nil {
				s.closed()
			}
			return
		}
	}
}

// confirmation asks before something that cannot be taken back lightly. The safe choice comes first and has
// the focus; Enter presses only what is focused.
type confirmation struct {
	icon        string
	tone        tone
	title, text string
	extra       fyne.CanvasObject // below the text; may be nil
	yes         string
	weight      weight
	no          string
	do          func()
}

func (f *frame) confirm(c confirmation) *sheet {
	var s *sheet
	no := newButton(c.no, quiet, func() { s.close() })
	yes := newButton(c.yes, c.weight, func() { s.close(); c.do() }).manual()
	body := vbox(0,
		centre(chip(c.icon, c.tone, 44)),
		pad(headText(c.title).centred(), 12, 0, 4, 0),
		newParagraph(13, 19, run{text: c.text, face: faceRegular, col: colMuted}).centred(),
	)
	if c.extra != nil {
		body.Add(pad(c.extra, 14, 0, 0, 0))
	}
	body.Add(pad(buttons(no, yes), 20, 0, 0, 0))
	s = f.openSheet(body, no)
	return s
}
