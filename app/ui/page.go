package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// page scrolls its content vertically. It tells the content its width before asking for the height, and
// scrolls whatever gains the focus into view.
type page struct {
	widget.BaseWidget
	content fyne.CanvasObject
	held    *fyne.Container
	scroll  *container.Scroll
	fixed   *told
	min     fyne.Size
}

// told is the layout between the scroller and the content: as high as the content is at the page's width.
type told struct{ width float32 }

func (l *told) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(0, heightOf(o[0], l.width))
}
func (l *told) Layout(o []fyne.CanvasObject, s fyne.Size) { place(o[0], 0, 0, s.Width, s.Height) }

func newPage(content fyne.CanvasObject) *page {
	p := &page{content: content, fixed: &told{width: 400}, min: fyne.NewSize(120, 80)}
	p.held = container.New(p.fixed, content)
	p.scroll = container.NewVScroll(p.held)
	p.ExtendBaseWidget(p)
	p.adopt(content)
	return p
}

// heightFor is what the page would need to show everything at once.
func (p *page) heightFor(width float32) float32 { return heightOf(p.content, width) }

// MinSize implements fyne.CanvasObject.
func (p *page) MinSize() fyne.Size { return p.min }

// relayout is called after content was added, hidden or changed its text.
func (p *page) relayout() {
	p.adopt(p.content)
	p.fixed.width = p.Size().Width
	p.held.Resize(p.held.MinSize().Max(p.Size()))
	p.held.Refresh()
	p.scroll.Refresh()
	arrange(p.content)
}

// arrange lays out o and everything below it again.
func arrange(o fyne.CanvasObject) {
	c, ok := o.(*fyne.Container)
	if !ok {
		o.Refresh()
		return
	}
	if c.Layout != nil {
		c.Layout.Layout(c.Objects, c.Size())
	}
	for _, child := range c.Objects {
		if child.Visible() {
			arrange(child)
		}
	}
}

type onPage interface {
	onPage(reveal func(fyne.CanvasObject))
}

// adopt tells every control below o whom to ask to be scrolled into view.
func (p *page) adopt(o fyne.CanvasObject) {
	switch o := o.(type) {
	case onPage:
		o.onPage(p.show)
	case *fyne.Container:
		for _, c := range o.Objects {
			p.adopt(c)
		}
	}
}

// offsetOf finds o below from and sums the positions on the way.
func offsetOf(from, o fyne.CanvasObject) (y float32, ok bool) {
	if from == o {
		return 0, true
	}
	if c, is := from.(*fyne.Container); is {
		for _, child := range c.Objects {
			if y, ok := offsetOf(child, o); ok {
				return y + child.Position().Y, true
			}
		}
	}
	return 0, false
}

// show scrolls o into view with some air around it.
func (p *page) show(o fyne.CanvasObject) {
	y, ok := offsetOf(p.held, o)
	if !ok {
		return
	}
	const air = 24
	top, bottom := y-air, y+o.Size().Height+air
	at := p.scroll.Offset.Y
	switch {
	case top < at:
		at = top
	case bottom > at+p.scroll.Size().Height:
		at = bottom - p.scroll.Size().Height
	default:
		return
	}
	p.scroll.ScrollToOffset(fyne.NewPos(0, max(at, 0)))
}

// key scrolls by keyboard.
func (p *page) key(e *fyne.KeyEvent) {
	step := float32(0)
	switch e.Name {
	case fyne.KeyUp:
		step = -40
	case fyne.KeyDown:
		step = 40
	case fyne.KeyPageUp:
		step = -p.Size().Height * 0.9
	case fyne.KeyPageDown:
		step = p.Size().Height * 0.9
	case fyne.KeyHome:
		step = -1 << 20
	case fyne.KeyEnd:
		step = 1 << 20
	default:
		return
	}
	y := p.scroll.Offset.Y + step
	y = max(0, min(y, p.held.Size().Height-p.scroll.Size().Height))
	p.scroll.ScrollToOffset(fyne.NewPos(0, y))
}

func (p *page) CreateRenderer() fyne.WidgetRenderer { return &pageRenderer{p} }

type pageRenderer struct{ p *page }

func (r *pageRenderer) Destroy()                     {}
func (r *pageRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.p.scroll} }
func (r *pageRenderer) MinSize() fyne.Size           { return r.p.min }
func (r *pageRenderer) Refresh()                     { r.p.scroll.Refresh() }
func (r *pageRenderer) Layout(s fyne.Size) {
	r.p.fixed.width = s.Width
	r.p.scroll.Resize(s)
	r.p.held.Resize(r.p.held.MinSize().Max(s))
}

// withFoot puts buttons below a page; the page scrolls, they stay.
func withFoot(p *page, foot fyne.CanvasObject) *fyne.Container {
	return container.New(&footed{}, p, layered(newSurface(colCanvas, 0, 0, 0), foot))
}

// footed puts a foot of its own height below a page that takes the rest.
type footed struct{}

func (footed) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(320, 120+heightOf(o[1], 400))
}

func (footed) Layout(o []fyne.CanvasObject, s fyne.Size) {
	h := heightOf(o[1], s.Width)
	place(o[0], 0, 0, s.Width, s.Height-h)
	place(o[1], 0, s.Height-h, s.Width, h)
}
