package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"paddock/app/control"
)

// promptRowView draws one row of the prompt.
type promptRowView struct {
	p        *prompt
	row      *promptRow
	view     *fyne.Container
	toggle   *toggle
	lifetime *segmented
	pick     *button
	path     *paragraph
	why      *paragraph // of a risky path
	head     *paragraph
	chip     *fyne.Container
	foot     *fyne.Container
}

func (p *prompt) newRow(r *promptRow) *promptRowView {
	v := &promptRowView{p: p, row: r, chip: layered(), head: newParagraph(14, 21, run{face: faceRegular, col: colText})}
	words := ""
	for _, r := range sentenceRuns(r.PermissionRow) {
		words += r.text
	}
	v.toggle = newToggle(words, r.allow, v.switched)
	body := vbox(3, v.head, mutedText(reasonText(r.PermissionRow)).lineCap(4))
	if r.Required {
		body.Add(hflexTop(6, 1, pad(newIcon("info", 14, colWarn), 2, 0, 0, 0), smallText(tr("The app says it cannot start without this"), colWarn)))
	}
	if !r.Enforced {
		body.Add(hflexTop(6, 1, pad(newIcon("lock", 14, colMuted), 2, 0, 0, 0), newParagraph(12.5, 18, run{text: unenforcedText(r.PermissionRow), face: faceMedium, col: colMuted})))
		v.toggle.Disable()
	}
	if r.needsPath() {
		v.path = newParagraph(12.5, 18, run{face: faceMedium, col: colText})
		v.pick = newButton(pickText(r.Folder, false), quiet, func() { p.choose(v) }).compact().marked(iconOf(r.PermissionRow))
		v.why = newParagraph(12.5, 18, run{face: faceMedium, col: colRisk})
		body.Add(v.path)
		body.Add(v.why)
		if !r.Enforced {
			v.pick.Disable()
		}
	}
	sel := 1
	if r.session {
		sel = 0
	}
	v.lifetime = newSegmented(tr("How long"), sel, func(i int) {
		r.session = i == 0
		p.refreshPreview()
	}, tr("This session"), tr("Always")).small()
	v.foot = pad(least(80, wrap(10, 6, v.lifetime)), 5, 0, 0, 0)
	if v.pick != nil {
		v.foot = pad(least(80, wrap(10, 6, v.pick, v.lifetime)), 5, 0, 0, 0)
	}
	body.Add(v.foot)
	v.view = pad(container.New(&choice{gap: 14}, v.chip, v.toggle, body), 13, 14, 14, 14)
	v.refresh()
	return v
}

func pickText(folder, again bool) string {
	switch {
	case folder && again:
		return tr("Choose another folder…")
	case folder:
		return tr("Choose a folder…")
	case again:
		return tr("Choose another file…")
	}
	return tr("Choose a file…")
}

func unenforcedText(r control.PermissionRow) string {
	if r.Why == "" {
		return tr("cannot be enforced here")
	}
	return tr("cannot be enforced here: {{.Why}}", "Why", r.Why)
}

// switched is the user's hand on the switch.
func (v *promptRowView) switched(on bool) {
	if on && v.row.needsPath() && v.row.path == "" {
		v.toggle.show(false)
		v.p.choose(v)
		return
	}
	v.row.allow = on
	v.refresh()
	v.p.relayout()
	v.p.refreshPreview()
}

// refresh draws the row's present state.
func (v *promptRowView) refresh() {
	r := v.row
	t := toneOf(r.risk)
	runs := sentenceRuns(r.PermissionRow)
	if r.risk == riskHigh {
		runs = append(runs, pill(tr("High risk"), toneRisk))
	}
	if !r.Enforced {
		t = toneQuiet
		for i := range runs {
			if runs[i].back == "" {
				runs[i].col = colMuted
			}
		}
	}
	v.head.set(runs...)
	v.chip.Objects = []fyne.CanvasObject{chip(iconOf(r.PermissionRow), t, 38)}
	v.toggle.show(r.allow)
	if r.session {
		v.lifetime.show(0)
	} else {
		v.lifetime.show(1)
	}
	// How long matters only for what is on; a row that is off stays short.
	show(v.lifetime, r.allow)
	show(v.foot, r.allow || v.pick != nil)
	if v.path != nil {
		show(v.path, r.path != "")
		v.path.setText(homely(r.path, v.p.ws.o.Home))
		show(v.why, r.riskWhy != "" && r.path != "")
		if r.riskWhy != "" {
			v.why.setText(tr(r.riskWhy))
		}
		v.pick.setText(pickText(r.Folder, r.path != ""))
	}
	v.view.Refresh()
}

func show(o fyne.CanvasObject, on bool) {
	if on {
		o.Show()
	} else {
		o.Hide()
	}
}
