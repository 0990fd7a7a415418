package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// operable is the part that everything operable shares: focus with a visible ring, hover, being disabled,
// scrolling into view, and handing keys that it does not use to the window.
type operable struct {
	widget.BaseWidget
	self     fyne.Widget
	name     string // what it is, in words; tests find it by this, and so may assistive tools one day
	focused  bool
	hovered  bool
	disabled bool
	reveal   func(fyne.CanvasObject) // set by the page that it lies on
	press    func()                  // what space, Enter and a tap do
	noEnter  bool                    // Enter does nothing
}

func (c *operable) extend(self fyne.Widget) {
	c.self = self
	c.ExtendBaseWidget(self)
}

// FocusGained implements fyne.Focusable.
func (c *operable) FocusGained() {
	c.focused = true
	if c.reveal != nil {
		c.reveal(c.self)
	}
	c.self.Refresh()
}

// FocusLost implements fyne.Focusable.
func (c *operable) FocusLost() { c.focused = false; c.self.Refresh() }

// TypedRune implements fyne.Focusable. Space arrives as a key too, and only the key counts.
func (c *operable) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (c *operable) TypedKey(e *fyne.KeyEvent) {
	switch {
	case e.Name == fyne.KeySpace:
		c.pressed()
	case (e.Name == fyne.KeyReturn || e.Name == fyne.KeyEnter) && !c.noEnter:
		c.pressed()
	default:
		bubble(c.self, e)
	}
}

// Tapped implements fyne.Tappable.
func (c *operable) Tapped(*fyne.PointEvent) { c.pressed() }

func (c *operable) pressed() {
	if c.press != nil && !c.disabled {
		c.press()
	}
}

// MouseIn implements desktop.Hoverable.
func (c *operable) MouseIn(*desktop.MouseEvent) { c.hovered = true; c.self.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (c *operable) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (c *operable) MouseOut() { c.hovered = false; c.self.Refresh() }

// Cursor implements desktop.Cursorable.
func (c *operable) Cursor() desktop.Cursor {
	if c.disabled {
		return desktop.DefaultCursor
	}
	return desktop.PointerCursor
}

// Enable implements fyne.Disableable.
func (c *operable) Enable() { c.setDisabled(false) }

// Disable implements fyne.Disableable.
func (c *operable) Disable() { c.setDisabled(true) }

// Disabled implements fyne.Disableable; what is disabled takes no focus.
func (c *operable) Disabled() bool { return c.disabled }

func (c *operable) setDisabled(d bool) {
	if c.disabled != d {
		c.disabled = d
		c.self.Refresh()
	}
}

func (c *operable) onPage(reveal func(fyne.CanvasObject)) { c.reveal = reveal }

// ring is the mark of the focused control.
func (c *operable) ring(r *canvas.Rectangle, radius float32) {
	r.CornerRadius, r.StrokeWidth, r.FillColor = radius, 3, named(colNone)
	r.StrokeColor = named(colNone)
	if c.focused && !c.disabled {
		r.StrokeColor = named(colRing)
	}
}

// bubble gives a key that a control does not use to its window: Escape and scrolling work from everywhere.
func bubble(o fyne.CanvasObject, e *fyne.KeyEvent) {
	if c := fyne.CurrentApp().Driver().CanvasForObject(o); c != nil && c.OnTypedKey() != nil {
		c.OnTypedKey()(e)
	}
}
