package ui

import (
	"os"
	"path/filepath"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/storage"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"
)

// TestFyneDialog uses the real file dialog: Escape closes it and nothing else.
func TestFyneDialog(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	r.ws.o.Pick = fynePick
	p := r.prompt(samplePrompt())
	r.ready()
	test.Tap(p.rows[1].pick)
	if p.win.Canvas().Overlays().Top() == nil {
		t.Fatal("no dialog")
	}
	p.win.Canvas().OnTypedKey()(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if p.win.Canvas().Overlays().Top() != nil || p.answered || p.rows[1].toggle.on {
		t.Error("Escape did not close just the dialog")
	}
	key(p.frame, fyne.KeyEscape)
	if !r.answered().Cancel {
		t.Error("not cancelled")
	}
}

func TestFynePickPath(t *testing.T) {
	r := newRig(t, LookLight)
	dir := filepath.Join(t.TempDir(), "Meine Notizen")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	u, err := storage.ListerForURI(storage.NewFileURI(dir))
	if err != nil {
		t.Fatal(err)
	}
	if path, err := localPath(u); err != nil || path != dir {
		t.Errorf("%q, %v", path, err)
	}
	w := r.app.NewWindow("")
	called := false
	fynePick(w, Pick{Types: []string{".paddock"}}, func(path string, err error) { called = path == "" && err == nil })
	test.Tap(findFyneButton(t, w, "Cancel"))
	if !called {
		t.Error("giving up is not told")
	}
}

func findFyneButton(t *testing.T, w fyne.Window, text string) *widget.Button {
	t.Helper()
	for _, o := range test.LaidOutObjects(w.Canvas().Overlays().Top()) {
		if b, ok := o.(*widget.Button); ok && b.Text == text {
			return b
		}
	}
	t.Fatalf("no button %q", text)
	return nil
}
