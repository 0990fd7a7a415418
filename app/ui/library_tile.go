package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"paddock/app/control"
)

// tile is one app in the library.
type tile struct {
	l       *library
	app     control.AppState
	view    *fyne.Container
	picture *picture
	name    *paragraph
	summary *paragraph
	mark    *icon
	state   *paragraph
	foot    *fyne.Container
	page    *tap
	stop    *button // of a running app
	act     *button
	busy    bool // a request of ours is under way
}

func (l *library) newTile(a control.AppState) *tile {
	t := &tile{l: l, app: a, picture: l.newPicture(a.ID, a.Name, 46)}
	t.name = newParagraph(14.5, 20, run{face: faceSemi, col: colText}).oneLine()
	t.summary = mutedText("").lineCap(2)
	t.mark = newIcon("ring", 14, colMuted)
	t.state = newParagraph(12.5, 18, run{face: faceMedium, col: colMuted}).lineCap(2)
	t.act = newButton(tr("Open"), quiet, t.pressed).compact()
	t.page = newTap(clean(a.Name, maxName), cardRadius, pad(
		hflexTop(12, 1, t.picture.Container, least(60, vbox(1, t.name, t.summary))), 16, 14, 8, 16), t.details)
	t.stop = newButton(tr("Stop"), plain, t.halt).compact()
	t.foot = hflex(8, 1, t.mark, least(60, t.state), t.stop, t.act)
	foot := pad(t.foot, 2, 12, 12, 16)
	t.view = flatCard(container.New(&above{}, t.page, foot))
	return t
}

func (t *tile) update(a control.AppState) {
	t.app = a
	name := clean(a.Name, maxName)
	t.name.setText(name)
	t.page.name = name
	summary := clean(a.Summary, maxReason)
	if summary == "" {
		summary = clean(a.Publisher, maxName)
	}
	if summary == "" {
		summary = tr("Version {{.Version}}", "Version", clean(a.Version, maxName))
	}
	t.summary.setText(summary)
	m := markOf(a.State)
	t.mark.set(m.icon, m.col)
	t.state.set(run{text: m.text, face: faceMedium, col: m.col})
	t.picture.update(a.IconVersion)
	if t.busy {
		t.act.setText(tr("Opening…"))
	} else {
		t.act.setText(tr("Open"))
	}
	t.act.setDisabled(t.busy)
	show(t.stop, alive(a.State) && !t.busy)
	t.foot.Refresh()
	t.act.weight = quiet
	t.act.Refresh()
}

func (t *tile) details() {
	t.l.ws.Show(control.Show{Window: control.WindowApp, App: t.app.ID})
}

func (t *tile) halt() { t.l.tell(control.MethodStop, control.AppRef{App: t.app.ID}, nil) }

// pressed opens the app, a running one too: its page may have been closed, or be one of many in the browser.
func (t *tile) pressed() {
	t.busy = true
	t.update(t.app)
	t.l.relayout()
	t.l.open(t.app.ID, func(error) {
		t.busy = false
		t.update(t.app)
		t.l.relayout()
	})
}
