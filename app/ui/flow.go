package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// flow is a layout whose height depends on the width it is given.
type flow interface {
	fyne.Layout
	height(objects []fyne.CanvasObject, width float32) float32
}

// flower is a widget whose height depends on the width it is given.
type flower interface{ heightFor(width float32) float32 }

// heightOf is how high o has to be at a width.
func heightOf(o fyne.CanvasObject, width float32) float32 {
	if c, ok := o.(*fyne.Container); ok {
		if f, ok := c.Layout.(flow); ok {
			return f.height(c.Objects, width)
		}
	}
	if f, ok := o.(flower); ok {
		return f.heightFor(width)
	}
	return o.MinSize().Height
}

func visible(objects []fyne.CanvasObject) []fyne.CanvasObject {
	out := make([]fyne.CanvasObject, 0, len(objects))
	for _, o := range objects {
		if o.Visible() {
			out = append(out, o)
		}
	}
	return out
}

func widest(objects []fyne.CanvasObject) (w float32) {
	for _, o := range objects {
		w = max(w, o.MinSize().Width)
	}
	return w
}

func place(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
}

// column stacks its objects, each as wide as the column.
type column struct {
	gap  float32
	last float32 // the width of the last layout: the best guess for MinSize, which is not told one
}

func (l *column) height(objects []fyne.CanvasObject, width float32) (h float32) {
	for i, o := range visible(objects) {
		if i > 0 {
			h += l.gap
		}
		h += heightOf(o, width)
	}
	return h
}

func (l *column) MinSize(objects []fyne.CanvasObject) fyne.Size {
	w := widest(visible(objects))
	return fyne.NewSize(w, l.height(objects, max(w, l.last)))
}

func (l *column) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.last = size.Width
	y := float32(0)
	for _, o := range visible(objects) {
		h := heightOf(o, size.Width)
		place(o, 0, y, size.Width, h)
		y += h + l.gap
	}
}

func vbox(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&column{gap: gap}, objects...)
}

// row puts its objects side by side. One of them takes the width that the others leave; -1 means none does.
type row struct {
	gap  float32
	flex int
	top  bool // align to the top rather than the middle
	last float32
}

// widths of all objects (hidden ones 0) at a total width.
func (l *row) widths(objects []fyne.CanvasObject, width float32) []float32 {
	out := make([]float32, len(objects))
	rest, shown := width, 0
	for i, o := range objects {
		if !o.Visible() {
			continue
		}
		if shown > 0 {
			rest -= l.gap
		}
		shown++
		if i != l.flex {
			out[i] = o.MinSize().Width
			rest -= out[i]
		}
	}
	if l.flex >= 0 && l.flex < len(objects) && objects[l.flex].Visible() {
		out[l.flex] = max(rest, 0)
	}
	return out
}

func (l *row) height(objects []fyne.CanvasObject, width float32) (h float32) {
	for i, w := range l.widths(objects, width) {
		if objects[i].Visible() {
			h = max(h, heightOf(objects[i], w))
		}
	}
	return h
}

func (l *row) MinSize(objects []fyne.CanvasObject) fyne.Size {
	w := float32(0)
	for i, o := range visible(objects) {
		if i > 0 {
			w += l.gap
		}
		w += o.MinSize().Width
	}
	return fyne.NewSize(w, l.height(objects, max(w, l.last)))
}

func (l *row) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.last = size.Width
	x := float32(0)
	for i, w := range l.widths(objects, size.Width) {
		o := objects[i]
		if !o.Visible() {
			continue
		}
		h, y := heightOf(o, w), float32(0)
		if !l.top {
			y = (size.Height - h) / 2
		}
		place(o, x, y, w, h)
		x += w + l.gap
	}
}

// hbox is a row in which nothing stretches.
func hbox(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&row{gap: gap, flex: -1}, objects...)
}

// hflex is a row in which the object with that index takes the rest of the width.
func hflex(gap float32, flex int, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&row{gap: gap, flex: flex}, objects...)
}

// hflexTop is hflex with the objects aligned to the top.
func hflexTop(gap float32, flex int, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&row{gap: gap, flex: flex, top: true}, objects...)
}

// choice lays out a mark (left), a switch (right) and what it is about (between), in this order: the focus then
// meets the switch before what hangs on it.
type choice struct{ gap, last float32 }

func (l *choice) middle(objects []fyne.CanvasObject, width float32) float32 {
	return max(width-objects[0].MinSize().Width-objects[1].MinSize().Width-2*l.gap, 0)
}

func (l *choice) height(objects []fyne.CanvasObject, width float32) float32 {
	return max(heightOf(objects[2], l.middle(objects, width)), objects[0].MinSize().Height, objects[1].MinSize().Height)
}

func (l *choice) MinSize(objects []fyne.CanvasObject) fyne.Size {
	w := objects[0].MinSize().Width + objects[1].MinSize().Width + objects[2].MinSize().Width + 2*l.gap
	return fyne.NewSize(w, l.height(objects, max(w, l.last)))
}

func (l *choice) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.last = size.Width
	mark, hand := objects[0].MinSize(), objects[1].MinSize()
	mid := l.middle(objects, size.Width)
	place(objects[0], 0, 1, mark.Width, mark.Height)
	place(objects[1], size.Width-hand.Width, 4, hand.Width, hand.Height)
	place(objects[2], mark.Width+l.gap, 0, mid, heightOf(objects[2], mid))
}

// inset keeps a distance around its objects, which lie on top of each other.
type inset struct{ top, right, bottom, left, last float32 }

func (l *inset) height(objects []fyne.CanvasObject, width float32) (h float32) {
	for _, o := range visible(objects) {
		h = max(h, heightOf(o, width-l.left-l.right))
	}
	return h + l.top + l.bottom
}

func (l *inset) MinSize(objects []fyne.CanvasObject) fyne.Size {
	w := widest(visible(objects)) + l.left + l.right
	return fyne.NewSize(w, l.height(objects, max(w, l.last)))
}

func (l *inset) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.last = size.Width
	for _, o := range visible(objects) {
		place(o, l.left, l.top, size.Width-l.left-l.right, size.Height-l.top-l.bottom)
	}
}

func pad(o fyne.CanvasObject, top, right, bottom, left float32) *fyne.Container {
	return container.New(&inset{top: top, right: right, bottom: bottom, left: left}, o)
}

// layered puts objects on top of each other at the same size.
func layered(objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&inset{}, objects...)
}

// centred keeps its object's own width (at most what there is) and centres it.
type centred struct{ last float32 }

func (l *centred) height(objects []fyne.CanvasObject, width float32) (h float32) {
	for _, o := range visible(objects) {
		h = max(h, heightOf(o, min(width, o.MinSize().Width)))
	}
	return h
}

func (l *centred) MinSize(objects []fyne.CanvasObject) fyne.Size {
	w := widest(visible(objects))
	return fyne.NewSize(w, l.height(objects, max(w, l.last)))
}

func (l *centred) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.last = size.Width
	for _, o := range visible(objects) {
		w := min(size.Width, o.MinSize().Width)
		h := heightOf(o, w)
		place(o, (size.Width-w)/2, (size.Height-h)/2, w, h)
	}
}

func centre(o fyne.CanvasObject) *fyne.Container { return container.New(&centred{}, o) }

// capped limits the width of its object and centres it in wider windows.
type capped struct{ most, last float32 }

func (l *capped) height(objects []fyne.CanvasObject, width float32) (h float32) {
	for _, o := range visible(objects) {
		h = max(h, heightOf(o, min(width, l.most)))
	}
	return h
}

func (l *capped) MinSize(objects []fyne.CanvasObject) fyne.Size {
	w := min(widest(visible(objects)), l.most)
	return fyne.NewSize(w, l.height(objects, max(w, l.last)))
}

func (l *capped) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.last = size.Width
	w := min(size.Width, l.most)
	for _, o := range visible(objects) {
		place(o, (size.Width-w)/2, 0, w, size.Height)
	}
}

func atMost(width float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(&capped{most: width}, o)
}

// loose hides the minimum width of its object, so that it may be the flexible part of anything.
type loose struct{ least, last float32 }

func (l *loose) height(objects []fyne.CanvasObject, width float32) (h float32) {
	for _, o := range visible(objects) {
		h = max(h, heightOf(o, width))
	}
	return h
}

func (l *loose) MinSize(objects []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(l.least, l.height(objects, max(l.least, l.last)))
}

func (l *loose) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.last = size.Width
	for _, o := range visible(objects) {
		place(o, 0, 0, size.Width, size.Height)
	}
}

// least gives o the minimum width w, whatever it says itself.
func least(w float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(&loose{least: w}, o)
}
