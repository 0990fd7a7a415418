package ui

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"image/png"
	"strings"
	"unicode"
	"unicode/utf8"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"paddock/app/control"
)

// maxIconSide bounds the pixels of a PNG from a bundle, on each side.
const maxIconSide = 2048

// appPicture is an app's icon, or its first letter on a tile when it has none that can be drawn.
func appPicture(icon control.Icon, name string, size float32) fyne.CanvasObject {
	if im := safePicture(icon, size); im != nil {
		im.FillMode = canvas.ImageFillContain
		im.SetMinSize(fyne.NewSquareSize(size))
		return im
	}
	first, _ := utf8.DecodeRuneInString(strings.TrimSpace(clean(name, maxName)))
	if first == utf8.RuneError {
		first = '?'
	}
	letter := newParagraph(size*0.42, size*0.6, run{text: string(unicode.ToUpper(first)), face: faceSemi, col: colCalm})
	return layered(newSurface(colCalmBg, size*0.24, size, size), centre(letter))
}

// safePicture draws a stranger's image once, now, so that a decoder's panic or refusal costs the picture and
// not the window. The SVG renderer is not hardened; the agent has already limited size and content.
func safePicture(icon control.Icon, size float32) (im *canvas.Image) {
	if len(icon.Data) == 0 {
		return nil
	}
	defer func() {
		if recover() != nil {
			im = nil
		}
	}()
	switch icon.MIME {
	case "image/png":
		c, err := png.DecodeConfig(bytes.NewReader(icon.Data))
		if err != nil || c.Width < 1 || c.Height < 1 || c.Width > maxIconSide || c.Height > maxIconSide {
			return nil
		}
		decoded, err := png.Decode(bytes.NewReader(icon.Data))
		if err != nil {
			return nil
		}
		return canvas.NewImageFromImage(decoded)
	case "image/svg+xml":
		// Fyne keeps drawn SVGs by name: the name must tell two apps apart.
		drawn := canvas.NewImageFromResource(fyne.NewStaticResource(fmt.Sprintf("app-%x.svg", sha256.Sum256(icon.Data)), icon.Data))
		drawn.Resize(fyne.NewSquareSize(size * 2)) // rasterises at once
		if drawn.Image == nil {
			return nil
		}
		return canvas.NewImageFromImage(drawn.Image)
	}
	return nil
}

// picture is an app's icon that is fetched when it is first shown and when its version changes.
type picture struct {
	*fyne.Container
	f       *frame
	app     string
	name    string
	size    float32
	version string
}

func (f *frame) newPicture(app, name string, size float32) *picture {
	p := &picture{Container: layered(), f: f, app: app, name: name, size: size, version: "?"}
	p.Objects = []fyne.CanvasObject{appPicture(control.Icon{}, name, size)}
	return p
}

func (p *picture) update(version string) {
	if version == p.version {
		return
	}
	p.version = version
	background(p.f.tasks, func(ctx context.Context) (control.Icon, error) {
		return p.f.ws.icon(ctx, p.app, version)
	}, func(i control.Icon, err error) {
		if err == nil && p.version == version {
			p.Objects = []fyne.CanvasObject{appPicture(i, p.name, p.size)}
			p.Refresh()
			p.Layout.Layout(p.Objects, p.Size())
		}
	})
}
