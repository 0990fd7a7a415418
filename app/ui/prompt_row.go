package ui

import (
	"fyne.io/fyne/v2"

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
		body.Add(pad(vbox(4, v.path, v.why, hbox(0, v.pick)), 4, 0, 0, 0))
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
	body.Add(pad(hflex(0, 0, least(80, wrap(0, 0, v.lifetime))), 5, 0, 0, 0))
	v.view = pad(hflexTop(14, 1, pad(v.chip, 1, 0, 0, 0), body, pad(v.toggle, 4, 0, 0, 0)), 13, 14, 14, 14)
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
	v.lifetime.setDisabled(!r.allow)
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
