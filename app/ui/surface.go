package ui

import (
	"image"
	"image/color"
	"math"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// surface is a rounded rectangle with colours by name.
type surface struct {
	widget.BaseWidget
	fill, edge fyne.ThemeColorName
	radius     float32
	w, h       float32 // minimum
}

func newSurface(fill fyne.ThemeColorName, radius, w, h float32) *surface {
	s := &surface{fill: fill, edge: colNone, radius: radius, w: w, h: h}
	s.ExtendBaseWidget(s)
	return s
}

func (s *surface) edged(edge fyne.ThemeColorName) *surface { s.edge = edge; return s }

func (s *surface) set(fill, edge fyne.ThemeColorName) {
	if s.fill == fill && s.edge == edge {
		return
	}
	s.fill, s.edge = fill, edge
	s.Refresh()
}

// MinSize implements fyne.CanvasObject.
func (s *surface) MinSize() fyne.Size { return fyne.NewSize(s.w, s.h) }

func (s *surface) CreateRenderer() fyne.WidgetRenderer {
	r := &surfaceRenderer{s: s, r: canvas.NewRectangle(nil)}
	r.Refresh()
	return r
}

type surfaceRenderer struct {
	s *surface
	r *canvas.Rectangle
}

func (r *surfaceRenderer) Destroy()                     {}
func (r *surfaceRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.r} }
func (r *surfaceRenderer) MinSize() fyne.Size           { return r.s.MinSize() }
func (r *surfaceRenderer) Layout(s fyne.Size)           { r.r.Resize(s) }
func (r *surfaceRenderer) Refresh() {
	r.r.FillColor, r.r.CornerRadius = named(r.s.fill), r.s.radius
	r.r.StrokeWidth, r.r.StrokeColor = 0, color.Transparent
	if r.s.edge != colNone {
		r.r.StrokeWidth, r.r.StrokeColor = 1, named(r.s.edge)
	}
	r.r.Refresh()
}

// cardRadius is the radius of a card's corners, in Fyne units.
const cardRadius = 16

// shade is the soft shadow of a card. Fyne 2.7 has none to offer, so it is a raster computed from the
// distance to a rounded box: no banding, sharp at every scale. The part under the card is left out.
type shade struct {
	widget.BaseWidget
	spread, drop float32
}

func newShade(spread, drop float32) *shade {
	s := &shade{spread: spread, drop: drop}
	s.ExtendBaseWidget(s)
	return s
}

func (s *shade) MinSize() fyne.Size { return fyne.Size{} }

func (s *shade) CreateRenderer() fyne.WidgetRenderer {
	r := &shadeRenderer{s: s}
	r.r = canvas.NewRaster(func(w, h int) image.Image {
		px := float64(w) / float64(max(r.r.Size().Width, 1))
		return shadowImage(w, h, px, float64(s.spread), float64(s.drop), named(colShadow))
	})
	return r
}

type shadeRenderer struct {
	s *shade
	r *canvas.Raster
}

func (r *shadeRenderer) Destroy()                     {}
func (r *shadeRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.r} }
func (r *shadeRenderer) MinSize() fyne.Size           { return fyne.Size{} }
func (r *shadeRenderer) Refresh()                     { r.r.Refresh() }
func (r *shadeRenderer) Layout(s fyne.Size) {
	place(r.r, -r.s.spread, r.s.drop-r.s.spread, s.Width+2*r.s.spread, s.Height+2*r.s.spread)
}

// shadowImage computes one quarter and mirrors it. px is pixels per unit; spread and drop are in units.
func shadowImage(w, h int, px, spread, drop float64, c color.Color) image.Image {
	im := image.NewNRGBA(image.Rect(0, 0, w, h))
	base := color.NRGBAModel.Convert(c).(color.NRGBA)
	radius := cardRadius * px
	spread *= px
	bx, by := float64(w)/2-spread-radius, float64(h)/2-spread-radius
	if bx < 0 || by < 0 {
		return im
	}
	// Pixels deeper inside than this lie under the card even after the drop.
	hidden := -(drop*px + radius)
	for y := 0; y < (h+1)/2; y++ {
		dy := math.Abs(float64(y)+.5-float64(h)/2) - by
		for x := 0; x < (w+1)/2; x++ {
			dx := math.Abs(float64(x)+.5-float64(w)/2) - bx
			d := math.Hypot(math.Max(dx, 0), math.Max(dy, 0)) + math.Min(math.Max(dx, dy), 0) - radius
			if d < hidden {
				break // everything further right in this half is deeper still
			}
			t := min(1-(d+spread*.45)/(spread*1.45), 1)
			if t <= 0 {
				continue
			}
			p := color.NRGBA{base.R, base.G, base.B, uint8(float64(base.A)*t*t*(3-2*t) + .5)}
			im.SetNRGBA(x, y, p)
			im.SetNRGBA(w-1-x, y, p)
			im.SetNRGBA(x, h-1-y, p)
			im.SetNRGBA(w-1-x, h-1-y, p)
		}
	}
	return im
}

// card is a raised surface around o.
func card(o fyne.CanvasObject) *fyne.Container {
	return layered(newShade(24, 7), newSurface(colCard, cardRadius, 0, 0).edged(colLine), o)
}

// flatCard is a card with a short shadow, for many side by side.
func flatCard(o fyne.CanvasObject) *fyne.Container {
	return layered(newShade(10, 3), newSurface(colCard, cardRadius, 0, 0).edged(colLine), o)
}

// well is a sunken surface around o.
func well(o fyne.CanvasObject) *fyne.Container {
	return layered(newSurface(colQuiet, 10, 0, 0), o)
}

// line is a hairline that starts indent units from the left.
func line(indent float32) fyne.CanvasObject {
	return pad(newSurface(colLine, 0, 1, 1), 0, 0, 0, indent)
}

// gap is empty height.
func gap(h float32) fyne.CanvasObject { return newSurface(colNone, 0, 0, h) }

// backdrop fills a window behind its content.
func backdrop(o fyne.CanvasObject) *fyne.Container {
	return container.NewStack(newSurface(colCanvas, 0, 0, 0), o)
}
