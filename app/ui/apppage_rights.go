package ui

import (
	"errors"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"paddock/app/control"
	"paddock/sandbox/permission"
)

// rightsTab is the permission review: every right with its answer, its use and the means to change it.
type rightsTab struct {
	p    *appPage
	view *fyne.Container
	rows map[string]*rightView
	ids  []string
	list *fyne.Container
}

func (p *appPage) newRightsTab() *rightsTab {
	t := &rightsTab{p: p, rows: map[string]*rightView{}, list: vbox(0)}
	title, text, tone, icon := wallsText(p.info.Walls)
	limits := newBudgetView(p.info.Budget, control.Budget{}, nil, p.relayout)
	save := newButton(tr("Save the limits"), primed, nil).compact()
	save.Disable()
	save.press = func() {
		if limits.wrong() {
			return
		}
		save.Disable()
		call(p.frame, control.MethodBudget, control.SetBudget{App: p.app, Budget: limits.budget}, func(b control.Budget, err error) {
			if err != nil {
				save.Enable()
				p.fail(err)
				return
			}
			p.clearBanner()
			p.info.Budget = b
			p.meters.limits(b)
			p.fetch()
		})
	}
	limits.changed = func(control.Budget) { save.Enable() }
	limits.extra.Add(pad(hbox(0, save), 10, 0, 2, 0))
	t.view = vbox(0, pad(strip(icon, tone, title, text), 0, 0, 14, 0), card(t.list), gap(14), card(limits.view))
	t.update(p.info.Permissions)
	return t
}

// update draws the answers; rows stay the same objects, so that the focus stays.
func (t *rightsTab) update(rows []control.PermissionRow) {
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.Permission
	}
	if !slices.Equal(ids, t.ids) || len(ids) == 0 {
		t.ids = ids
		t.list.Objects = nil
		t.rows = map[string]*rightView{}
		for i, r := range rows {
			if i > 0 {
				t.list.Add(line(66))
			}
			v := t.newRow(r)
			t.rows[r.Permission] = v
			t.list.Add(v.view)
		}
		if len(rows) == 0 {
			t.list.Add(pad(hflex(14, 1, chip("check", toneGood, 38), bodyText(tr("It asks for nothing. It works with its own data only."))), 13, 14, 13, 14))
		}
	}
	for _, r := range rows {
		t.rows[r.Permission].update(r)
	}
	t.p.relayout()
}

// rightView is one right.
type rightView struct {
	t        *rightsTab
	row      control.PermissionRow
	busy     bool
	view     *fyne.Container
	head     *paragraph
	chip     *fyne.Container
	toggle   *toggle
	lifetime *segmented
	use      *paragraph
	effect   *paragraph
	path     *paragraph
	pick     *button
	forget   *button
	foot     *fyne.Container
}

func (t *rightsTab) newRow(r control.PermissionRow) *rightView {
	v := &rightView{t: t, row: r, chip: layered(), head: newParagraph(14, 21, sentenceRuns(r)...)}
	v.toggle = newToggle(v.head.String(), r.Decision == control.DecideAllow, v.switched)
	v.use = newParagraph(12.5, 18, run{face: faceMedium, col: colMuted})
	v.effect = smallText("", colCalm)
	v.lifetime = newSegmented(tr("How long"), 1, func(i int) { v.decide(control.DecideAllow, i == 0, v.row.Path) },
		tr("This session"), tr("Always")).small()
	v.forget = newButton(tr("Ask me again"), plain, func() { v.decide(control.DecideForget, false, "") }).compact()
	body := vbox(3, v.head, mutedText(reasonText(r)).lineCap(4), v.use, v.effect)
	if !r.Enforced {
		body.Add(newParagraph(12.5, 18, run{text: unenforcedText(r), face: faceMedium, col: colMuted}))
	}
	if r.Kind == string(permission.Files) {
		v.path = newParagraph(12.5, 18, run{face: faceMedium, col: colText})
		v.pick = newButton(pickText(r.Folder, false), quiet, v.choose).compact().marked(iconOf(r))
		body.Add(v.path)
	}
	v.foot = pad(least(80, wrap(10, 6, v.lifetime, v.forget)), 5, 0, 0, 0)
	if v.pick != nil {
		v.foot = pad(least(80, wrap(10, 6, v.pick, v.lifetime, v.forget)), 5, 0, 0, 0)
	}
	body.Add(v.foot)
	v.view = pad(container.New(&choice{gap: 14}, v.chip, v.toggle, body), 13, 14, 13, 14)
	return v
}

func (v *rightView) update(r control.PermissionRow) {
	if v.busy {
		return
	}
	v.row = r
	runs := sentenceRuns(r)
	t := toneOf(r.Risk)
	switch {
	case r.Risk == riskHigh:
		runs = append(runs, pill(tr("High risk"), toneRisk))
	case r.Decision == "ask" || r.Decision == "":
		runs = append(runs, pill(tr("Not answered"), toneWarn))
	}
	if r.Required && r.Decision == control.DecideDeny {
		runs = append(runs, pill(tr("Needed"), toneWarn))
	}
	if !r.Enforced {
		t = toneQuiet
	}
	v.head.set(runs...)
	v.chip.Objects = []fyne.CanvasObject{chip(iconOf(r), t, 38)}
	on := r.Decision == control.DecideAllow
	v.toggle.show(on)
	v.toggle.setDisabled(!r.Enforced && !on)
	if r.Lifetime == "session" {
		v.lifetime.show(0)
	} else {
		v.lifetime.show(1)
	}
	show(v.lifetime, on)
	show(v.forget, r.Decision == control.DecideAllow || r.Decision == control.DecideDeny)
	show(v.foot, v.pick != nil || v.lifetime.Visible() || v.forget.Visible())
	v.use.setText(useText(r, v.t.p))
	v.effect.Hide()
	if v.path != nil {
		show(v.path, r.Path != "")
		v.path.setText(homely(r.Path, v.t.p.ws.o.Home))
		v.pick.setText(pickText(r.Folder, r.Path != ""))
	}
}

// useText says how often a right was used and refused, and when last.
func useText(r control.PermissionRow, p *appPage) string {
	var s string
	switch {
	case r.Used == 0 && r.LastUsed == nil:
		s = tr("Never used")
	case r.LastUsed == nil:
		s = trn("Used {{.N}} times", int(r.Used))
	default:
		s = trn("Used {{.N}} times", int(r.Used)) + ", " + tr("last {{.Ago}}", "Ago", agoText(*r.LastUsed, p.ws.o.Clock.Now()))
	}
	if r.Refused > 0 {
		s += " · " + trn("refused {{.N}} times", int(r.Refused))
	}
	return s
}

// switched is the user's hand on the switch: it takes effect at once.
func (v *rightView) switched(on bool) {
	if !on {
		v.decide(control.DecideDeny, false, "")
		return
	}
	if v.row.Kind == string(permission.Files) && v.row.Path == "" {
		v.toggle.show(false)
		v.choose()
		return
	}
	v.decide(control.DecideAllow, v.row.Risk == riskHigh, v.row.Path)
}

// choose lets the user pick a path; picking allows.
func (v *rightView) choose() {
	p := v.t.p
	p.ws.o.Pick(p.win, Pick{Folder: v.row.Folder}, func(path string, err error) {
		if err == nil && path == "" {
			return
		}
		if err == nil {
			err = permission.CheckSlotPath(path, nil)
		}
		if err != nil {
			p.fail(pathError(err))
			return
		}
		access, perr := permission.ParseAccess(v.row.Access)
		if perr != nil {
			access = permission.ReadWrite
		}
		risk, _ := permission.RiskOfPath(path, p.ws.o.Home, access)
		v.decide(control.DecideAllow, risk == permission.High, path)
	})
}

// pathError says why a path cannot be given to an app.
func pathError(err error) error {
	var scope *permission.ScopeError
	if errors.As(err, &scope) {
		return control.NewError(control.ExitRefused, "path", tr("This cannot be given to an app: {{.Why}}.", "Why", scope.Rule), scope.Hint, nil)
	}
	return err
}

func (v *rightView) decide(decision string, session bool, path string) {
	p := v.t.p
	v.busy = true
	text := tr("Takes effect at once")
	if alive(p.state) {
		text = tr("Takes effect at once (restarting…)")
	}
	v.effect.setText(text)
	v.effect.Show()
	p.relayout()
	call(p.frame, control.MethodDecide, control.Decide{App: p.app, Permission: v.row.Permission, Decision: decision, Session: session, Path: path},
		func(_ control.Empty, err error) {
			v.busy = false
			if err != nil {
				v.update(v.row)
				p.fail(err)
				p.relayout()
				return
			}
			p.clearBanner()
			p.asking = false // what is under way may be older than this answer
			p.fetch()
		})
}
