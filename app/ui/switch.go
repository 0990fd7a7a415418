package ui

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
)

// toggle is a switch that slides.
type toggle struct {
	operable
	on      bool
	pos     float32 // of the thumb, 0 to 1
	changed func(on bool)
}

func newToggle(name string, on bool, changed func(bool)) *toggle {
	t := &toggle{on: on, changed: changed}
	t.name = name
	t.press = func() { t.set(!t.on) }
	if on {
		t.pos = 1
	}
	t.extend(t)
	return t
}

// show moves the switch without telling anybody.
func (t *toggle) show(on bool) {
	if t.on == on {
		return
	}
	t.on = on
	from, to := t.pos, float32(0)
	if on {
		to = 1
	}
	fyne.NewAnimation(160*time.Millisecond, func(p float32) {
		t.pos = from + (to-from)*p
		t.Refresh()
	}).Start()
}

func (t *toggle) set(on bool) {
	if t.on == on {
		return
	}
	t.show(on)
	if t.changed != nil {
		t.changed(on)
	}
}

// MinSize implements fyne.CanvasObject.
func (t *toggle) MinSize() fyne.Size { return fyne.NewSize(44, 30) }

func (t *toggle) CreateRenderer() fyne.WidgetRenderer {
	r := &toggleRenderer{t: t, track: canvas.NewRectangle(nil), thumb: canvas.NewCircle(nil), focus: canvas.NewRectangle(nil)}
	r.Refresh()
	return r
}

type toggleRenderer struct {
	t            *toggle
	track, focus *canvas.Rectangle
	thumb        *canvas.Circle
}

func (r *toggleRenderer) Destroy()           {}
func (r *toggleRenderer) MinSize() fyne.Size { return r.t.MinSize() }
func (r *toggleRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.focus, r.track, r.thumb}
}

func (r *toggleRenderer) Layout(s fyne.Size) {
	x, y := s.Width-43, (s.Height-24)/2
	place(r.focus, x-4, y-4, 50, 32)
	place(r.track, x, y, 42, 24)
	place(r.thumb, x+2.5+18*r.t.pos, y+2.5, 19, 19)
}

func (r *toggleRenderer) Refresh() {
	r.track.CornerRadius = 12
	r.track.FillColor = mix(named(colTrack), named(colAccent), r.t.pos)
	r.thumb.FillColor = named(colThumb)
	if r.t.disabled {
		r.track.FillColor = named(colQuiet)
		r.thumb.FillColor = named(colTrack)
	}
	r.t.ring(r.focus, 16)
	r.Layout(r.t.Size())
	canvas.Refresh(r.t)
}
