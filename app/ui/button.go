package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
)

// weight is how much a button stands out.
type weight int

const (
	quiet  weight = iota // grey
	primed               // filled with the accent colour: the expected next step
	even                 // bordered: for choices that must look equal
	danger               // destroys something
	plain                // text only
)

// button is a rounded button. Its text wraps where the width is short.
type button struct {
	operable
	weight weight
	small  bool
	mark   string // icon before the text; may be empty
	label  *paragraph
	icon   *icon
}

func newButton(text string, w weight, press func()) *button {
	b := &button{weight: w}
	b.name, b.press = text, press
	b.label = newParagraph(14, 20, run{text: text, face: faceSemi, col: colText}).centred()
	b.extend(b)
	return b
}

// compact makes a button for rows and toolbars.
func (b *button) compact() *button {
	b.small = true
	b.label = newParagraph(12.5, 18, run{text: b.name, face: faceSemi, col: colText}).centred()
	return b
}

func (b *button) marked(icon string) *button {
	b.mark = icon
	b.icon = newIcon(icon, 16, colText)
	return b
}

// manual keeps Enter from pressing the button: it takes space or a tap.
func (b *button) manual() *button { b.noEnter = true; return b }

func (b *button) setText(s string) {
	if b.name == s {
		return
	}
	b.name = s
	b.label.setText(s)
	b.Refresh()
}

func (b *button) paddings() (x, y float32) {
	switch {
	case b.weight == plain && b.small:
		return 0, 4
	case b.small:
		return 12, 6
	}
	return 18, 12
}

func (b *button) iconWidth() float32 {
	if b.icon == nil {
		return 0
	}
	if b.name == "" {
		return 16
	}
	return 22
}

func (b *button) heightFor(width float32) float32 {
	x, y := b.paddings()
	return b.label.heightFor(width-2*x-b.iconWidth()+1) + 2*y
}

// MinSize implements fyne.CanvasObject.
func (b *button) MinSize() fyne.Size {
	x, y := b.paddings()
	return fyne.NewSize(b.label.natural()+2*x+b.iconWidth(), b.label.lead+2*y)
}

func (b *button) colors() (fill, edge, text fyne.ThemeColorName) {
	hot := b.hovered && !b.disabled
	switch b.weight {
	case primed:
		if hot {
			return colAccentHi, colNone, colOnAccent
		}
		return colAccent, colNone, colOnAccent
	case even:
		if hot {
			return colCalmBg, colAccent, colText
		}
		return colCard, colTrack, colText
	case danger:
		if hot {
			return colRiskBg, colRisk, colRisk
		}
		return colRiskBg, colNone, colRisk
	case plain:
		if hot {
			return colNone, colNone, colText
		}
		return colNone, colNone, colCalm
	}
	if hot {
		return colQuietHi, colNone, colText
	}
	return colQuiet, colNone, colText
}

func (b *button) CreateRenderer() fyne.WidgetRenderer {
	r := &buttonRenderer{b: b, back: canvas.NewRectangle(nil), focus: canvas.NewRectangle(nil)}
	r.Refresh()
	return r
}

type buttonRenderer struct {
	b           *button
	back, focus *canvas.Rectangle
}

func (r *buttonRenderer) Destroy()           {}
func (r *buttonRenderer) MinSize() fyne.Size { return r.b.MinSize() }
func (r *buttonRenderer) Objects() []fyne.CanvasObject {
	out := []fyne.CanvasObject{r.focus, r.back, r.b.label}
	if r.b.icon != nil {
		out = append(out, r.b.icon)
	}
	return out
}

func (r *buttonRenderer) Layout(s fyne.Size) {
	x, _ := r.b.paddings()
	r.back.Resize(s)
	place(r.focus, -3, -3, s.Width+6, s.Height+6)
	iw := r.b.iconWidth()
	w := min(s.Width-2*x-iw, r.b.label.natural()) + 1
	h := r.b.label.heightFor(w)
	left := (s.Width - w - iw) / 2
	if r.b.icon != nil {
		place(r.b.icon, left, (s.Height-16)/2, 16, 16)
	}
	place(r.b.label, left+iw, (s.Height-h)/2, w, h)
}

func (r *buttonRenderer) Refresh() {
	b := r.b
	fill, edge, text := b.colors()
	radius := float32(12)
	if b.small {
		radius = 9
	}
	r.back.CornerRadius, r.back.FillColor = radius, named(fill)
	r.back.StrokeWidth, r.back.StrokeColor = 0, named(colNone)
	if edge != colNone {
		r.back.StrokeWidth, r.back.StrokeColor = 1.2, named(edge)
	}
	if b.disabled {
		text = colMuted
		if b.weight != plain && b.weight != even {
			r.back.FillColor = named(colQuiet)
		}
	}
	b.ring(r.focus, radius+3)
	b.label.set(run{text: b.name, face: faceSemi, col: text})
	b.label.Refresh()
	if b.icon != nil {
		b.icon.set(b.mark, text)
	}
	r.Layout(b.Size())
	canvas.Refresh(b)
}
