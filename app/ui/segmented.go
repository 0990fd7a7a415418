package ui

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
)

// segmented is a choice of one among a few, with a thumb that slides to it. Where the texts do not fit
// side by side, it takes more lines.
type segmented struct {
	operable
	options []string
	sel     int
	pos     float32 // of the thumb, in options
	compact bool
	changed func(int)
}

func newSegmented(name string, sel int, changed func(int), options ...string) *segmented {
	s := &segmented{options: options, sel: sel, pos: float32(sel), changed: changed}
	s.name = name
	s.extend(s)
	return s
}

func (s *segmented) small() *segmented { s.compact = true; return s }

func (s *segmented) textSize() float32 {
	if s.compact {
		return 11.5
	}
	return 12.5
}

func (s *segmented) cell() (w, h float32) {
	for _, o := range s.options {
		z, _ := fyne.CurrentApp().Driver().RenderedTextSize(o, s.textSize(), fyne.TextStyle{}, faceMedium)
		w = max(w, z.Width)
	}
	if s.compact {
		return w + 18, 22
	}
	return w + 22, 28
}

func (s *segmented) perLine(width float32) int {
	w, _ := s.cell()
	return min(max(int((width-4)/w), 1), len(s.options))
}

func (s *segmented) heightFor(width float32) float32 {
	_, h := s.cell()
	n := s.perLine(width)
	return h*float32((len(s.options)+n-1)/n) + 4
}

// MinSize implements fyne.CanvasObject.
func (s *segmented) MinSize() fyne.Size {
	w, h := s.cell()
	return fyne.NewSize(w*float32(len(s.options))+4, h+4)
}

// show moves the choice without telling anybody.
func (s *segmented) show(i int) {
	i = max(0, min(i, len(s.options)-1))
	if i == s.sel {
		return
	}
	from := s.pos
	s.sel = i
	fyne.NewAnimation(180*time.Millisecond, func(p float32) {
		s.pos = from + (float32(i)-from)*p
		s.Refresh()
	}).Start()
}

func (s *segmented) set(i int) {
	i = max(0, min(i, len(s.options)-1))
	if i == s.sel || s.disabled {
		return
	}
	s.show(i)
	if s.changed != nil {
		s.changed(i)
	}
}

// Tapped implements fyne.Tappable.
func (s *segmented) Tapped(e *fyne.PointEvent) {
	n := s.perLine(s.Size().Width)
	_, h := s.cell()
	i := int(e.Position.Y/h)*n + int(e.Position.X/(s.Size().Width/float32(n)))
	if i < len(s.options) {
		s.set(i)
	}
}

// TypedKey implements fyne.Focusable.
func (s *segmented) TypedKey(e *fyne.KeyEvent) {
	switch e.Name {
	case fyne.KeyLeft, fyne.KeyUp:
		s.set(s.sel - 1)
	case fyne.KeyRight, fyne.KeyDown:
		s.set(s.sel + 1)
	case fyne.KeySpace:
		s.set((s.sel + 1) % len(s.options))
	default:
		bubble(s, e)
	}
}

func (s *segmented) CreateRenderer() fyne.WidgetRenderer {
	r := &segmentedRenderer{s: s, back: canvas.NewRectangle(nil), thumb: canvas.NewRectangle(nil), focus: canvas.NewRectangle(nil)}
	for _, o := range s.options {
		t := canvas.NewText(o, nil)
		t.Alignment, t.FontSource = fyne.TextAlignCenter, faceMedium
		r.texts = append(r.texts, t)
	}
	r.Refresh()
	return r
}

type segmentedRenderer struct {
	s                  *segmented
	back, thumb, focus *canvas.Rectangle
	texts              []*canvas.Text
}

func (r *segmentedRenderer) Destroy()           {}
func (r *segmentedRenderer) MinSize() fyne.Size { return r.s.MinSize() }
func (r *segmentedRenderer) Objects() []fyne.CanvasObject {
	out := []fyne.CanvasObject{r.focus, r.back, r.thumb}
	for _, t := range r.texts {
		out = append(out, t)
	}
	return out
}

func (r *segmentedRenderer) Layout(z fyne.Size) {
	n := r.s.perLine(z.Width)
	_, h := r.s.cell()
	w := (z.Width - 4) / float32(n)
	at := func(i int) (x, y float32) { return 2 + w*float32(i%n), 2 + h*float32(i/n) }
	r.back.Resize(z)
	place(r.focus, -3, -3, z.Width+6, z.Height+6)
	lo := int(r.s.pos)
	hi := min(lo+1, len(r.texts)-1)
	t := r.s.pos - float32(lo)
	ax, ay := at(lo)
	bx, by := at(hi)
	place(r.thumb, ax+(bx-ax)*t, ay+(by-ay)*t, w, h)
	for i, o := range r.texts {
		x, y := at(i)
		place(o, x, y, w, h)
	}
}

func (r *segmentedRenderer) Refresh() {
	r.back.CornerRadius, r.back.FillColor = 9, named(colQuiet)
	r.thumb.CornerRadius, r.thumb.FillColor, r.thumb.StrokeColor, r.thumb.StrokeWidth = 7, named(colSegment), named(colLine), 1
	if r.s.disabled {
		r.thumb.FillColor, r.thumb.StrokeColor = named(colNone), named(colNone)
	}
	r.s.ring(r.focus, 12)
	for i, t := range r.texts {
		t.Text, t.TextSize, t.Color = r.s.options[i], r.s.textSize(), named(colMuted)
		if i == r.s.sel && !r.s.disabled {
			t.Color = named(colText)
		}
		if r.s.disabled {
			t.Color = mix(named(colMuted), named(colCard), 0.35)
		}
	}
	r.Layout(r.s.Size())
	canvas.Refresh(r.s)
}
