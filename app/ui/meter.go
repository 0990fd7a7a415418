package ui

import (
	"image"
	"image/color"
	"math"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// bar shows a part of a whole.
type bar struct {
	widget.BaseWidget
	part float64 // 0 to 1; negative: unknown, drawn as a faint full bar
	tone fyne.ThemeColorName
	high float32
}

func newBar(part float64, high float32) *bar {
	b := &bar{part: part, tone: colAccent, high: high}
	b.ExtendBaseWidget(b)
	return b
}

func (b *bar) set(part float64, tone fyne.ThemeColorName) {
	if b.part == part && b.tone == tone {
		return
	}
	b.part, b.tone = part, tone
	b.Refresh()
}

// MinSize implements fyne.CanvasObject.
func (b *bar) MinSize() fyne.Size { return fyne.NewSize(40, b.high) }

func (b *bar) CreateRenderer() fyne.WidgetRenderer {
	r := &barRenderer{b, canvas.NewRectangle(nil), canvas.NewRectangle(nil)}
	r.Refresh()
	return r
}

type barRenderer struct {
	b          *bar
	back, fill *canvas.Rectangle
}

func (r *barRenderer) Destroy()                     {}
func (r *barRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.back, r.fill} }
func (r *barRenderer) MinSize() fyne.Size           { return r.b.MinSize() }
func (r *barRenderer) Layout(s fyne.Size) {
	r.back.Resize(s)
	w := s.Width * float32(min(max(r.b.part, 0), 1))
	if r.b.part < 0 {
		w = s.Width
	}
	if w > 0 {
		w = max(w, s.Height)
	}
	r.fill.Resize(fyne.NewSize(w, s.Height))
}

func (r *barRenderer) Refresh() {
	r.back.CornerRadius, r.fill.CornerRadius = r.b.high/2, r.b.high/2
	r.back.FillColor, r.fill.FillColor = named(colQuiet), named(r.b.tone)
	if r.b.part < 0 {
		r.fill.FillColor = named(colCalmBg)
	}
	r.Layout(r.b.Size())
	canvas.Refresh(r.b)
}

// plotSamples is how many values a plot keeps: two minutes at one per second.
const plotSamples = 120

// plot is a small history of values between 0 and 1, newest right.
type plot struct {
	widget.BaseWidget
	values []float64
	tone   fyne.ThemeColorName
	high   float32
}

func newPlot(high float32) *plot {
	p := &plot{tone: colAccent, high: high}
	p.ExtendBaseWidget(p)
	return p
}

func (p *plot) add(v float64) {
	p.values = append(p.values, min(max(v, 0), 1))
	if len(p.values) > plotSamples {
		p.values = p.values[len(p.values)-plotSamples:]
	}
	p.Refresh()
}

// MinSize implements fyne.CanvasObject.
func (p *plot) MinSize() fyne.Size { return fyne.NewSize(40, p.high) }

func (p *plot) CreateRenderer() fyne.WidgetRenderer {
	r := &plotRenderer{p: p}
	r.r = canvas.NewRaster(func(w, h int) image.Image { return plotImage(p.values, w, h, named(p.tone)) })
	return r
}

type plotRenderer struct {
	p *plot
	r *canvas.Raster
}

func (r *plotRenderer) Destroy()                     {}
func (r *plotRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.r} }
func (r *plotRenderer) MinSize() fyne.Size           { return r.p.MinSize() }
func (r *plotRenderer) Layout(s fyne.Size)           { r.r.Resize(s) }
func (r *plotRenderer) Refresh()                     { r.r.Refresh() }

// plotImage draws values as a smooth line over a faint area.
func plotImage(values []float64, w, h int, c color.Color) image.Image {
	im := image.NewNRGBA(image.Rect(0, 0, w, h))
	if len(values) < 2 || w < 2 || h < 4 {
		return im
	}
	base := color.NRGBAModel.Convert(c).(color.NRGBA)
	thick := math.Max(float64(h)/28, 1)
	at := func(x int) float64 {
		i := float64(plotSamples-1)*float64(x)/float64(w-1) - float64(plotSamples-len(values))
		if i < 0 {
			return math.NaN()
		}
		lo := int(i)
		hi := min(lo+1, len(values)-1)
		v := values[lo] + (values[hi]-values[lo])*(i-float64(lo))
		return thick + (1-v)*(float64(h)-2*thick)
	}
	for x := range w {
		y := at(x)
		if math.IsNaN(y) {
			continue
		}
		// A steep line covers the rows between this column and the next.
		next := y
		if x+1 < w && !math.IsNaN(at(x+1)) {
			next = at(x + 1)
		}
		top, bottom := math.Min(y, next), math.Max(y, next)
		for row := range h {
			mid := float64(row) + .5
			near := math.Max(math.Max(top-mid, mid-bottom), 0)
			a := min(max(thick-near+.5, 0), 1)
			if mid > bottom {
				a = max(a, 0.16)
			}
			if a > 0 {
				im.SetNRGBA(x, row, color.NRGBA{base.R, base.G, base.B, uint8(float64(base.A) * a)})
			}
		}
	}
	return im
}
