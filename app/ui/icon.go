package ui

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// Strokes of the icons in a 24 × 24 box. They are drawn in one colour with round ends.
var strokes = map[string]string{
	"camera":   `<path d="M14.5 5h-5L7.5 8H4a2 2 0 0 0-2 2v8a2 2 0 0 0 2 2h16a2 2 0 0 0 2-2v-8a2 2 0 0 0-2-2h-3.5z"/><circle cx="12" cy="13.5" r="3.5"/>`,
	"mic":      `<path d="M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3z"/><path d="M5 11v1a7 7 0 0 0 14 0v-1"/><path d="M12 19v3"/>`,
	"folder":   `<path d="M3 7a2 2 0 0 1 2-2h4l2.5 3H19a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z"/>`,
	"file":     `<path d="M14 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8z"/><path d="M14 3v5h5"/>`,
	"globe":    `<circle cx="12" cy="12" r="9"/><path d="M3 12h18"/><path d="M12 3c2.7 2.6 4 5.6 4 9s-1.3 6.4-4 9c-2.7-2.6-4-5.6-4-9s1.3-6.4 4-9z"/>`,
	"network":  `<path d="M9 3h6v5H9z"/><path d="M3 16h6v5H3z"/><path d="M15 16h6v5h-6z"/><path d="M12 8v4"/><path d="M6 16v-4h12v4"/>`,
	"computer": `<path d="M4 4h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1z"/><path d="M8 20h8"/><path d="M12 16v4"/>`,
	"moon":     `<path d="M12 3C7.200 3.200 3.300 7.200 3.300 12c0 4.900 4 8.800 8.900 8.800 4.100 0 7.500-2.800 8.500-6.500-1.200.8-2.600 1.200-4.200 1.200-4.100 0-7.300-3.300-7.300-7.300 0-2 .9-3.800 2.800-5.200z"/>`,
	"bell":     `<path d="M6 10a6 6 0 0 1 12 0c0 5 2 6.500 2 6.500H4S6 15 6 10z"/><path d="M10 20a2.200 2.200 0 0 0 4 0"/>`,
	"link":     `<path d="M10 14a4 4 0 0 0 6 .5l3-3a4 4 0 0 0-5.700-5.700L12 7"/><path d="M14 10a4 4 0 0 0-6-.5l-3 3a4 4 0 0 0 5.700 5.700L12 17"/>`,
	"pin":      `<path d="M12 21s-7-6.300-7-11.500a7 7 0 0 1 14 0C19 14.700 12 21 12 21z"/><circle cx="12" cy="9.500" r="2.500"/>`,
	"copy":     `<path d="M9 9h10a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H9a1 1 0 0 1-1-1V10a1 1 0 0 1 1-1z"/><path d="M4 15V4a1 1 0 0 1 1-1h10"/>`,
	"window":   `<path d="M4 4h16a1 1 0 0 1 1 1v14a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1z"/><path d="M3 9h18"/>`,
	"chip":     `<path d="M7 6h10a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H7a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1z"/><path d="M9 2v4M15 2v4M9 18v4M15 18v4M2 9h4M2 15h4M18 9h4M18 15h4"/>`,
	"gauge":    `<path d="M4 18a9 9 0 1 1 16 0"/><path d="M12 15l4-5"/>`,
	"disk":     `<path d="M3 13h18v6a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1z"/><path d="M3 13l3-8h12l3 8"/><path d="M16.500 16.700h.5"/>`,
	"right":    `<path d="M9 6l6 6-6 6"/>`,
	"down":     `<path d="M6 9l6 6 6-6"/>`,
	"badge":    `<path d="M12 2.500l2.600 1.900 3.200 0 1 3.100 2.600 1.900-1 3.100 1 3.100-2.600 1.900-1 3.100h-3.200L12 21.500l-2.600-1.900H6.200l-1-3.100-2.600-1.900 1-3.100-1-3.100 2.600-1.900 1-3.100h3.200z"/><path d="M8.500 12l2.500 2.500 4.500-5"/>`,
	"check":    `<path d="M4.500 12.500l5 5 10-11"/>`,
	"cross":    `<path d="M6 6l12 12M18 6L6 18"/>`,
	"plus":     `<path d="M12 5v14M5 12h14"/>`,
	"search":   `<circle cx="11" cy="11" r="6.500"/><path d="M20.500 20.500L16 16"/>`,
	"warning":  `<path d="M12 4L2.500 20h19z"/><path d="M12 10v4.500"/><path d="M12 17.300v.2"/>`,
	"info":     `<circle cx="12" cy="12" r="9"/><path d="M12 11v5"/><path d="M12 7.800v.2"/>`,
	"play":     `<path d="M7 4.500v15l12-7.500z"/>`,
	"stop":     `<path d="M7 7h10v10H7z"/>`,
	"again":    `<path d="M20 11.500a8 8 0 1 0-2.300 6"/><path d="M20.500 5.500v6h-6"/>`,
	"trash":    `<path d="M4 7h16"/><path d="M9 7V4h6v3"/><path d="M6 7l1 13h10l1-13"/><path d="M10 11v5M14 11v5"/>`,
	"gear":     `<circle cx="12" cy="12" r="3.200"/><path d="M12 2.500v3M12 18.500v3M2.500 12h3M18.500 12h3M5.300 5.300l2.100 2.100M16.600 16.600l2.100 2.100M18.700 5.300l-2.100 2.100M7.400 16.600l-2.100 2.100"/>`,
	"list":     `<path d="M8 6h13M8 12h13M8 18h13M3.500 6h.1M3.500 12h.1M3.500 18h.1"/>`,
	"shield":   `<path d="M12 3l8 3v6c0 4.700-3.300 7.800-8 9-4.700-1.200-8-4.300-8-9V6z"/>`,
	"download": `<path d="M12 4v11"/><path d="M7 11l5 5 5-5"/><path d="M4 20h16"/>`,
	"lock":     `<path d="M6 11h12a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H6a1 1 0 0 1-1-1v-8a1 1 0 0 1 1-1z"/><path d="M8 11V8a4 4 0 0 1 8 0v3"/>`,
	"person":   `<circle cx="12" cy="8" r="4"/><path d="M4.500 21a7.500 7.500 0 0 1 15 0"/>`,
	"code":     `<path d="M8 7l-5 5 5 5M16 7l5 5-5 5"/>`,
	"ring":     `<circle cx="12" cy="12" r="7.500"/>`,
	"dots":     `<path d="M5 12h.1M12 12h.1M19 12h.1"/>`,
	"pause":    `<path d="M8.500 6v12M15.500 6v12"/>`,
	"ask":      `<circle cx="12" cy="12" r="9"/><path d="M9.500 9.500a2.600 2.600 0 1 1 3.700 2.500c-.8.4-1.200.9-1.200 2"/><path d="M12 17v.2"/>`,
}

// Filled shapes; those of the states are told apart by shape alone, not only by colour.
var fills = map[string]string{
	"dot": `<circle cx="12" cy="12" r="7"/>`,
}

// icon is a stroke icon that follows the look.
type icon struct {
	widget.BaseWidget
	name string
	col  fyne.ThemeColorName
	size float32
}

func newIcon(name string, size float32, col fyne.ThemeColorName) *icon {
	i := &icon{name: name, col: col, size: size}
	i.ExtendBaseWidget(i)
	return i
}

func (i *icon) set(name string, col fyne.ThemeColorName) {
	if i.name == name && i.col == col {
		return
	}
	i.name, i.col = name, col
	i.Refresh()
}

// MinSize implements fyne.CanvasObject.
func (i *icon) MinSize() fyne.Size { return fyne.NewSquareSize(i.size) }

func (i *icon) resource() fyne.Resource {
	r, g, b, _ := named(i.col).RGBA()
	hex := fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
	style := `fill="none" stroke="` + hex + `" stroke-width="1.9" stroke-linecap="round" stroke-linejoin="round"`
	body, ok := strokes[i.name]
	if !ok {
		body, style = fills[i.name], `fill="`+hex+`"`
	}
	svg := `<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" viewBox="0 0 24 24" ` + style + `>` + body + `</svg>`
	return fyne.NewStaticResource("paddock-"+i.name+hex+".svg", []byte(svg))
}

func (i *icon) CreateRenderer() fyne.WidgetRenderer {
	im := canvas.NewImageFromResource(i.resource())
	im.FillMode = canvas.ImageFillContain
	return &iconRenderer{i, im}
}

type iconRenderer struct {
	i  *icon
	im *canvas.Image
}

func (r *iconRenderer) Destroy()                     {}
func (r *iconRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.im} }
func (r *iconRenderer) MinSize() fyne.Size           { return fyne.NewSquareSize(r.i.size) }
func (r *iconRenderer) Layout(s fyne.Size) {
	d := min(s.Width, s.Height)
	place(r.im, (s.Width-d)/2, (s.Height-d)/2, d, d)
}

func (r *iconRenderer) Refresh() {
	if res := r.i.resource(); r.im.Resource == nil || r.im.Resource.Name() != res.Name() {
		r.im.Resource = res
	}
	r.im.Refresh()
}

// chip is an icon on a rounded tile in the colours of a tone.
func chip(name string, t tone, size float32) fyne.CanvasObject {
	return layered(newSurface(t.bg, size*0.29, size, size), centre(newIcon(name, size*0.53, t.fg)))
}
