package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// field is a text entry that scrolls into view, hands Escape to the window and keeps a width.
type field struct {
	widget.Entry
	name   string
	width  float32
	reveal func(fyne.CanvasObject)
}

func newField(name, placeholder string, width float32, changed func(string)) *field {
	f := &field{name: name, width: width}
	f.PlaceHolder = placeholder
	f.OnChanged = changed
	f.Scroll = fyne.ScrollHorizontalOnly
	f.ExtendBaseWidget(f)
	return f
}

func (f *field) onPage(reveal func(fyne.CanvasObject)) { f.reveal = reveal }

// FocusGained implements fyne.Focusable.
func (f *field) FocusGained() {
	if f.reveal != nil {
		f.reveal(f)
	}
	f.Entry.FocusGained()
}

// TypedKey implements fyne.Focusable.
func (f *field) TypedKey(e *fyne.KeyEvent) {
	if e.Name == fyne.KeyEscape || e.Name == fyne.KeyPageUp || e.Name == fyne.KeyPageDown {
		bubble(f, e)
		return
	}
	f.Entry.TypedKey(e)
}

// MinSize implements fyne.CanvasObject.
func (f *field) MinSize() fyne.Size {
	f.ExtendBaseWidget(f)
	return fyne.NewSize(f.width, f.Entry.MinSize().Height)
}
