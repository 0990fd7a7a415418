package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"paddock/app/control"
)

// maxIcon is the largest icon that a bundle may carry, in bytes (bundle.md).
const maxIcon = 512 << 10

// Icon is an app's picture.
func (a *App) Icon(_ context.Context, in control.AppRef) (control.Icon, error) {
	app, err := a.find(in.App)
	if err != nil {
		return control.Icon{}, err
	}
	return a.readIcon(app)
}

// readIcon reads the largest icon for light backgrounds from the app's code folder. The bundle was checked
// to hold a true PNG or SVG under that name when it was unpacked.
func (a *App) readIcon(app *installed) (control.Icon, error) {
	a.mu.Lock()
	icons, dir := app.manifest.Icons, a.paths(app.id, app.rec.VersionCode).Code
	a.mu.Unlock()
	best := -1
	for i, ic := range icons {
		if ic.Theme != "dark" && (best < 0 || ic.Size > icons[best].Size) {
			best = i
		}
	}
	if best < 0 {
		return control.Icon{}, fmt.Errorf("%s has no icon", app.rec.AppID)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return control.Icon{}, err
	}
	defer root.Close()
	f, err := root.Open(icons[best].Src)
	if err != nil {
		return control.Icon{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxIcon))
	if err != nil {
		return control.Icon{}, err
	}
	mime := "image/png"
	if strings.HasSuffix(strings.ToLower(icons[best].Src), ".svg") {
		mime = "image/svg+xml"
	}
	return control.Icon{MIME: mime, Data: data}, nil
}
