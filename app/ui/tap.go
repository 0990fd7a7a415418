package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
)

// tap makes any object operable: tiles, disclosures, rows that lead somewhere.
type tap struct {
	operable
	content fyne.CanvasObject
	radius  float32
	hover   bool // tint it under the pointer
}

func newTap(name string, radius float32, content fyne.CanvasObject, press func()) *tap {
	t := &tap{content: content, radius: radius, hover: true}
	t.name, t.press = name, press
	t.extend(t)
	return t
}

func (t *tap) heightFor(width float32) float32 { return heightOf(t.content, width) }

// MinSize implements fyne.CanvasObject.
func (t *tap) MinSize() fyne.Size { return t.content.MinSize() }

func (t *tap) CreateRenderer() fyne.WidgetRenderer {
	r := &tapRenderer{t: t, focus: canvas.NewRectangle(nil), tint: canvas.NewRectangle(nil)}
	r.Refresh()
	return r
}

type tapRenderer struct {
	t           *tap
	focus, tint *canvas.Rectangle
}

func (r *tapRenderer) Destroy()           {}
func (r *tapRenderer) MinSize() fyne.Size { return r.t.MinSize() }
func (r *tapRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.tint, r.t.content, r.focus}
}

func (r *tapRenderer) Layout(s fyne.Size) {
	r.tint.Resize(s)
	r.t.content.Resize(s)
	place(r.focus, -2, -2, s.Width+4, s.Height+4)
}

func (r *tapRenderer) Refresh() {
	r.tint.CornerRadius, r.tint.FillColor = r.t.radius, named(colNone)
	if r.t.hover && r.t.hovered && !r.t.disabled {
		r.tint.FillColor = named(colQuiet)
	}
	r.t.ring(r.focus, r.t.radius+2)
	r.t.content.Refresh()
	canvas.Refresh(r.t)
}

// disclosure hides details behind a line of text with an arrow.
type disclosure struct {
	*fyne.Container
	head  *tap
	arrow *icon
	label *paragraph
	body  fyne.CanvasObject
	open  bool
	moved func(open bool)
}

// newDisclosure makes a closed disclosure; moved is told after each change so that the page is laid out again.
func newDisclosure(title string, body fyne.CanvasObject, moved func(open bool)) *disclosure {
	d := &disclosure{arrow: newIcon("right", 14, colMuted), label: smallText(title, colMuted), body: body, moved: moved}
	d.head = newTap(title, 8, pad(hflex(6, 1, d.arrow, d.label), 3, 6, 3, 4), d.toggle)
	body.Hide()
	d.Container = vbox(8, d.head, body)
	return d
}

func (d *disclosure) toggle() {
	d.open = !d.open
	if d.open {
		d.arrow.set("down", colMuted)
		d.body.Show()
	} else {
		d.arrow.set("right", colMuted)
		d.body.Hide()
	}
	if d.moved != nil {
		d.moved(d.open)
	}
}
