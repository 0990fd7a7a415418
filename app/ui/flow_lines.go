package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// cells puts objects into columns of equal width: as many as ask for at least least (or their own minimum
// where least is 0), never more than most, and no narrower than the widest object needs.
type cells struct {
	gap, least float32
	most       int
	last       float32
}

func (l *cells) columns(objects []fyne.CanvasObject, width float32) int {
	need := l.least
	if need == 0 {
		need = widest(objects)
	}
	n := int((width + l.gap) / (need + l.gap))
	if l.most > 0 {
		n = min(n, l.most)
	} else {
		n = min(n, max(len(objects), 1))
	}
	return max(n, 1)
}

func (l *cells) each(objects []fyne.CanvasObject, width float32, do func(o fyne.CanvasObject, x, y, w, h float32)) (total float32) {
	objects = visible(objects)
	n := l.columns(objects, width)
	w := (width - l.gap*float32(n-1)) / float32(n)
	for from := 0; from < len(objects); from += n {
		line := objects[from:min(from+n, len(objects))]
		h := float32(0)
		for _, o := range line {
			h = max(h, heightOf(o, w))
		}
		if from > 0 {
			total += l.gap
		}
		for i, o := range line {
			if do != nil {
				do(o, float32(i)*(w+l.gap), total, w, h)
			}
		}
		total += h
	}
	return total
}

func (l *cells) height(objects []fyne.CanvasObject, width float32) float32 {
	return l.each(objects, width, nil)
}

func (l *cells) MinSize(objects []fyne.CanvasObject) fyne.Size {
	w := max(l.least, widest(visible(objects)))
	return fyne.NewSize(w, l.height(objects, max(w, l.last)))
}

func (l *cells) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.last = size.Width
	l.each(objects, size.Width, place)
}

// buttons puts buttons side by side at equal width, or below each other where their text needs it.
func buttons(objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&cells{gap: 10}, objects...)
}

// grid is for tiles: as many columns of at least least as fit.
func grid(gap, least float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&cells{gap: gap, least: least, most: 64}, objects...)
}

// words lets objects of their own width flow like words of a text, centred on their line.
type words struct {
	gap, line float32
	apart     bool // the last of several objects on the first line goes to its far end
	last      float32
}

type word struct {
	o          fyne.CanvasObject
	x, w, high float32
}

func (l *words) each(objects []fyne.CanvasObject, width float32, do func(o fyne.CanvasObject, x, y, w, h float32)) float32 {
	var line []word
	y, h, first := float32(0), float32(0), true
	flush := func() {
		if n := len(line); l.apart && first && n > 1 {
			line[n-1].x = width - line[n-1].w
		}
		for _, w := range line {
			if do != nil {
				do(w.o, w.x, y+(h-w.high)/2, w.w, w.high)
			}
		}
		line, y, h, first = nil, y+h, 0, false
	}
	x := float32(0)
	for _, o := range visible(objects) {
		w := min(o.MinSize().Width, width)
		if len(line) > 0 && x+w > width+0.5 {
			flush()
			x, y = 0, y+l.line
		}
		high := heightOf(o, w)
		line = append(line, word{o, x, w, high})
		x, h = x+w+l.gap, max(h, high)
	}
	flush()
	return y
}

func (l *words) height(objects []fyne.CanvasObject, width float32) float32 {
	return l.each(objects, width, nil)
}

func (l *words) MinSize(objects []fyne.CanvasObject) fyne.Size {
	w := float32(0)
	for i, o := range visible(objects) {
		if i > 0 {
			w += l.gap
		}
		w += o.MinSize().Width
	}
	return fyne.NewSize(w, l.height(objects, max(w, l.last)))
}

func (l *words) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.last = size.Width
	l.each(objects, size.Width, place)
}

// apart is wrap with the last object at the far end, as long as all fit on one line.
func apart(gap, line float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&words{gap: gap, line: line, apart: true}, objects...)
}

// above gives the first object the height that the second, below it, leaves.
type above struct{ column }

func (l *above) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.last = size.Width
	h := heightOf(objects[1], size.Width)
	place(objects[0], 0, 0, size.Width, size.Height-h)
	place(objects[1], 0, size.Height-h, size.Width, h)
}

func wrap(gap, line float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&words{gap: gap, line: line}, objects...)
}
