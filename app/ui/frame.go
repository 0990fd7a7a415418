package ui

import (
	"context"
	"errors"

	"fyne.io/fyne/v2"

	"paddock/app/control"
)

// frame is what all windows share: the Fyne window, its background work, its sheets and its error banner.
type frame struct {
	ws     *Windows
	win    fyne.Window
	tasks  *tasks
	sheets []*sheet
	page   *page
	banner *fyne.Container // a slot at the top of the page for what went wrong
	escape func()          // when no sheet is open; nil does nothing
	gone   func()          // the window was closed; may be nil
	update func(control.State)
	screen any // what is in the window; may want to know that it was raised again
}

// call asks the agent in the background and gives the answer to done on the main goroutine.
func call[T any](f *frame, method string, in any, done func(T, error)) (cancel func()) {
	return background(f.tasks, func(ctx context.Context) (T, error) {
		return control.Do[T](ctx, f.ws.o.Client, method, in)
	}, done)
}

// tell is call for methods with nothing to answer; failures go to the banner, then is called on success.
func (f *frame) tell(method string, in any, then func()) {
	call(f, method, in, func(_ control.Empty, err error) {
		if err != nil {
			f.fail(err)
			return
		}
		f.clearBanner()
		if then != nil {
			then()
		}
	})
}

// key gets what no control used.
func (f *frame) key(e *fyne.KeyEvent) {
	if n := len(f.sheets); n > 0 {
		if e.Name == fyne.KeyEscape {
			f.sheets[n-1].close()
		} else {
			f.sheets[n-1].page.key(e)
		}
		return
	}
	if top := f.win.Canvas().Overlays().Top(); top != nil { // Fyne's own dialog
		if e.Name == fyne.KeyEscape {
			top.Hide()
			f.win.Canvas().Overlays().Remove(top)
		}
		return
	}
	if e.Name == fyne.KeyEscape {
		if f.escape != nil {
			f.escape()
		}
		return
	}
	if f.page != nil {
		f.page.key(e)
	}
}

// sentence puts an error into words: what happened, and what to do about it.
func sentence(err error) (what, hint string) {
	var e *control.Error
	switch {
	case errors.As(err, &e):
		return e.Message, e.Hint
	case errors.Is(err, control.ErrUnreachable):
		return tr("Paddock does not answer."), tr("It may have been quit. Start Paddock again and try once more.")
	case errors.Is(err, context.Canceled):
		return tr("Cancelled."), ""
	}
	return err.Error(), ""
}

// fail shows an error in the window's banner.
func (f *frame) fail(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	what, hint := sentence(err)
	f.showBanner(strip("warning", toneRisk, what, hint, newButton(tr("Close"), plain, f.clearBanner).compact()))
}

func (f *frame) showBanner(o fyne.CanvasObject) {
	if f.banner == nil {
		return
	}
	f.banner.Objects = []fyne.CanvasObject{pad(o, 0, 0, 14, 0)}
	f.relayout()
	if f.page != nil {
		f.page.scroll.ScrollToTop()
	}
}

func (f *frame) clearBanner() {
	if f.banner != nil && len(f.banner.Objects) > 0 {
		f.banner.Objects = nil
		f.relayout()
	}
}

func (f *frame) relayout() {
	if f.page != nil {
		f.page.relayout()
	}
}

func (f *frame) close() { f.win.Close() }

// open launches an app and shows it in the browser.
func (f *frame) open(app string, done func(error)) {
	f.ws.openApp(app, func(err error) {
		if f.tasks.ctx.Err() != nil {
			return
		}
		if err != nil {
			f.fail(err)
		}
		if done != nil {
			done(err)
		}
	})
}

// strip is a coloured message with what can be done about it.
func strip(icon string, t tone, title, text string, actions ...fyne.CanvasObject) fyne.CanvasObject {
	lines := vbox(1, newParagraph(13.5, 19, run{text: title, face: faceSemi, col: colText}))
	if text != "" {
		lines.Add(newParagraph(12.5, 18, run{text: text, face: faceRegular, col: colMuted}))
	}
	if len(actions) > 0 {
		lines.Add(pad(wrap(8, 6, actions...), 8, 0, 0, 0))
	}
	return layered(newSurface(t.bg, 12, 0, 0).edged(t.bg),
		pad(hflexTop(12, 1, pad(newIcon(icon, 18, t.fg), 1, 0, 0, 0), lines), 12, 14, 12, 14))
}
