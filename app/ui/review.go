package ui

import (
	"context"
	"path/filepath"
	"strings"

	"fyne.io/fyne/v2"

	"paddock/app/control"
)

const (
	reviewWidth   = 500
	reviewHighest = 690
)

// review is the window before an install: what a bundle is and what it will ask for.
type review struct {
	*frame
	source   string
	staged   control.Staged
	waiting  bool   // staged and not yet decided: closing the window must discard it
	stop     func() // cancels what is under way
	foot     *fyne.Container
	step     *paragraph
	progress *paragraph
	redirect *paragraph
	bar      *bar
	install  *button
}

func (ws *Windows) newReview(key string, s control.Show) {
	f := ws.newFrame(key, tr("Get an app"), fyne.NewSize(reviewWidth, 300))
	r := &review{frame: f, source: s.Source, stop: func() {}}
	f.screen, f.escape, f.gone = r, f.close, r.closed
	switch {
	case isLink(s.Source):
		r.ask()
	case !filepath.IsAbs(s.Source):
		r.failed(control.NewError(control.ExitUsage, "source", tr("This is not an app."), tr("Open a file whose name ends in .paddock, or a link to one."), nil))
	default:
		r.stage()
	}
	f.win.Show()
}

func isLink(source string) bool {
	for _, scheme := range []string{"http:", "https:", "paddock:"} {
		if len(source) >= len(scheme) && strings.EqualFold(source[:len(scheme)], scheme) {
			return true
		}
	}
	return false
}

// closed runs when the window is gone: a bundle that waits for a decision is forgotten.
func (r *review) closed() {
	if r.waiting {
		r.ws.discard(r.staged.Stage)
	}
}

// content replaces what the window shows: body scrolls, the buttons stay below.
func (r *review) content(body *fyne.Container, buttonRow fyne.CanvasObject) {
	r.banner = vbox(0)
	r.page = newPage(pad(vbox(0, r.banner, body), 24, 22, 12, 22))
	r.foot = pad(buttonRow, 12, 22, 18, 22)
	r.win.SetContent(backdrop(withFoot(r.page, r.foot)))
	h := r.page.heightFor(reviewWidth) + heightOf(r.foot, reviewWidth)
	r.win.Resize(fyne.NewSize(reviewWidth, min(h, reviewHighest)))
	r.win.CenterOnScreen() // it grew or shrank
	r.relayout()
}

// ask shows the host that a link leads to. Nothing has been fetched.
func (r *review) ask() {
	host, err := linkHost(r.source)
	if err != nil {
		r.failed(err)
		return
	}
	body := vbox(0,
		centre(chip("download", toneCalm, 52)),
		pad(titleText(tr("Get an app from this site?")).centred(), 14, 0, 10, 0),
		well(pad(newParagraph(16, 22, run{text: host, face: faceSemi, col: colText}).centred(), 12, 14, 12, 14)),
		pad(newParagraph(13, 19, run{text: tr("Nothing has been fetched yet. Go on only if you meant to get something from there."), face: faceRegular, col: colMuted}).centred(), 12, 0, 0, 0),
	)
	yes := newButton(tr("Download"), even, r.stage).manual()
	r.content(body, buttons(newButton(tr("Cancel"), even, r.close), yes))
	r.arm(yes)
}

// arm makes a button work after a delay: the window may have come up under the user's hand.
func (r *review) arm(b *button) {
	b.Disable()
	r.tasks.after(armDelay, b.Enable)
}

// stage fetches and checks the bundle.
func (r *review) stage() {
	r.step = titleText(tr("Getting {{.Source}}", "Source", sourceName(r.source))).centred()
	r.bar = newBar(-1, 8)
	r.progress = mutedText(tr("Connecting…")).centred()
	r.redirect = smallText(" ", colWarn).centred() // keeps its line, so that nothing jumps when it is needed
	body := vbox(0,
		centre(chip("download", toneCalm, 52)),
		pad(r.step, 14, 0, 16, 0), r.bar, pad(r.progress, 10, 0, 0, 0), pad(r.redirect, 4, 0, 0, 0))
	r.content(body, buttons(newButton(tr("Cancel"), quiet, r.close)))
	r.stop = background(r.tasks, func(ctx context.Context) (control.Staged, error) {
		var out control.Staged
		err := control.Events(ctx, r.ws.o.Client, control.MethodStage, control.Stage{Source: r.source}, &out, func(p control.Progress) error {
			r.tasks.post(func() { r.show(p) })
			return nil
		})
		if err == nil && ctx.Err() != nil {
			// The window closed while the answer was on its way: nobody will decide about this bundle.
			r.ws.discard(out.Stage)
		}
		return out, err
	}, func(s control.Staged, err error) {
		if err != nil {
			r.failed(err)
			return
		}
		r.staged, r.waiting = s, true
		r.sheet()
	})
}

func (r *review) show(p control.Progress) {
	r.bar.set(partOf(p), colAccent)
	r.progress.setText(progressText(p))
	if p.RedirectTo != "" {
		r.redirect.setText(tr("The site passes the download on to {{.Host}}", "Host", clean(p.RedirectTo, 300)))
	}
	r.relayout()
}

func (r *review) failed(err error) {
	what, hint := sentence(err)
	body := vbox(0,
		centre(chip("warning", toneRisk, 52)),
		pad(titleText(tr("This app was not installed")).centred(), 14, 0, 12, 0),
		well(pad(vbox(6, newParagraph(14, 20, run{text: what, face: faceMedium, col: colText}), hintText(hint)), 12, 14, 12, 14)),
	)
	again := newButton(tr("Try again"), quiet, func() {
		if isLink(r.source) {
			r.ask()
		} else {
			r.stage()
		}
	})
	r.content(body, buttons(newButton(tr("Close"), quiet, r.close), again))
}

func hintText(hint string) fyne.CanvasObject {
	p := mutedText(hint)
	show(p, hint != "")
	return p
}

// commit installs. Nothing is granted: the app asks when it is first opened.
func (r *review) commit() {
	r.waiting = false
	r.install.Disable()
	call(r.frame, control.MethodCommit, control.Commit{Stage: r.staged.Stage}, func(in control.InstallResult, err error) {
		if err != nil {
			r.failed(err)
			return
		}
		r.done(in)
	})
}

func (r *review) done(in control.InstallResult) {
	name := clean(in.Name, maxName)
	title := tr("{{.Name}} is installed", "Name", name)
	text := tr("It may do nothing yet. When you open it, it asks for what it needs.")
	if r.staged.Update {
		title = tr("{{.Name}} is up to date", "Name", name)
		text = tr("Your answers and your data are as they were.")
	}
	body := vbox(0,
		centre(appPicture(r.staged.Icon, in.Name, 72)),
		pad(titleText(title).centred(), 16, 0, 4, 0),
		newParagraph(13, 19, run{text: text, face: faceRegular, col: colMuted}).centred())
	open := newButton(tr("Open"), primed, nil)
	open.press = func() {
		open.Disable()
		open.setText(tr("Opening…"))
		r.open(in.ID, func(err error) {
			if err == nil {
				r.close()
				return
			}
			open.Enable()
			open.setText(tr("Open"))
		})
	}
	r.content(body, buttons(newButton(tr("Done"), quiet, r.close), open))
}

// discard forgets a staged bundle.
func (ws *Windows) discard(stage string) {
	if stage == "" {
		return
	}
	background(ws.root, func(ctx context.Context) (control.Empty, error) {
		return control.Do[control.Empty](ctx, ws.o.Client, control.MethodDiscard, control.Discard{Stage: stage})
	}, nil)
}
