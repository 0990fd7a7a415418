package ui

import (
	"path/filepath"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/storage"
)

// Pick says what the user shall choose.
type Pick struct {
	Folder bool
	Types  []string // file name endings with the dot; empty: any
}

// fynePick shows Fyne's own dialog. chosen gets an empty path when the user gives up.
func fynePick(w fyne.Window, what Pick, chosen func(path string, err error)) {
	var d *dialog.FileDialog
	if what.Folder {
		d = dialog.NewFolderOpen(func(u fyne.ListableURI, err error) {
			if u == nil || err != nil {
				chosen("", err)
				return
			}
			chosen(localPath(u))
		}, w)
	} else {
		d = dialog.NewFileOpen(func(r fyne.URIReadCloser, err error) {
			if r == nil || err != nil {
				chosen("", err)
				return
			}
			defer r.Close()
			chosen(localPath(r.URI()))
		}, w)
		if len(what.Types) > 0 {
			d.SetFilter(storage.NewExtensionFileFilter(what.Types))
		}
	}
	size := w.Canvas().Size()
	d.Resize(fyne.NewSize(min(size.Width-24, 760), min(size.Height-24, 560)))
	d.Show()
}

func localPath(u fyne.URI) (string, error) { return filepath.Clean(u.Path()), nil }

// homely shortens a path below the user's home folder for reading.
func homely(path, home string) string {
	if home == "" || home == string(filepath.Separator) {
		return path
	}
	if path == home {
		return "~"
	}
	if rest, ok := strings.CutPrefix(path, home+string(filepath.Separator)); ok {
		return "~" + string(filepath.Separator) + rest
	}
	return path
}

// dropped is the first path of a drop that is a bundle.
func dropped(uris []fyne.URI) (path string, ok bool) {
	i := slices.IndexFunc(uris, func(u fyne.URI) bool {
		return u.Scheme() == "file" && strings.EqualFold(filepath.Ext(u.Path()), ".paddock")
	})
	if i < 0 {
		return "", false
	}
	return filepath.Clean(uris[i].Path()), true
}
