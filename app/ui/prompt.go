package ui

import (
	"errors"

	"fyne.io/fyne/v2"

	"paddock/app/control"
)

// Size of the prompt, in Fyne units. It is as high as it needs, within what fits a small laptop screen (768 pixels
// less panels); what is more scrolls, the buttons stay.
const (
	promptWidth   = 480
	promptHighest = 690
)

// prompt is the window that asks for permissions.
type prompt struct {
	*frame
	id       string
	model    *promptModel
	rows     []*promptRowView
	budget   *budgetView
	more     *button
	folded   *fyne.Container
	lines    *fyne.Container // technical details
	details  *disclosure
	allow    *button
	deny     *button
	body     *fyne.Container
	preview  func() // cancels the running one
	round    int    // of previews: only the last one is shown
	listed   bool   // the agent's state has named this prompt
	answered bool
}

func (ws *Windows) newPrompt(key string, s control.Show) {
	f := ws.newFrame(key, tr("Permissions"), fyne.NewSize(promptWidth, 420))
	p := &prompt{frame: f, id: s.Prompt, preview: func() {}}
	f.screen = p
	f.escape = p.cancel
	f.gone = p.cancelled
	f.update = p.follow
	// The window appears when it has its question and with it its size.
	call(f, control.MethodPrompt, control.PromptRef{Prompt: s.Prompt}, func(asked control.Prompt, err error) {
		if err != nil {
			p.answered = true // there is nothing to cancel
			p.failed(err)
			return
		}
		p.draw(asked)
	})
}

// failed shows that the question itself could not be had.
func (p *prompt) failed(err error) {
	what, hint := sentence(err)
	done := newButton(tr("Close"), quiet, p.close)
	p.win.SetContent(backdrop(pad(vbox(18, strip("warning", toneRisk, what, hint), centre(done)), 28, 24, 24, 24)))
	p.win.Resize(fyne.NewSize(promptWidth, 220))
	p.win.CenterOnScreen()
	p.win.Show()
}

func (p *prompt) draw(asked control.Prompt) {
	p.model = newPromptModel(asked, p.ws.o.Home)
	name := clean(asked.Name, maxName)
	p.win.SetTitle(tr("Permissions for {{.Name}}", "Name", name))

	title := tr("Allow {{.Name}} to use these?", "Name", name)
	switch {
	case asked.Update:
		title = tr("The new {{.Name}} asks for more", "Name", name)
	case len(asked.Rows) == 0:
		title = tr("{{.Name}} asks for nothing", "Name", name)
	}
	origin := bytesText(asked.Bytes)
	if o := clean(asked.Origin, maxLine); o != "" {
		origin = tr("from {{.Origin}} · {{.Size}}", "Origin", o, "Size", origin)
	}
	head := vbox(0,
		centre(appPicture(asked.Icon, asked.Name, 68)),
		pad(titleText(title).centred(), 12, 0, 4, 0),
		centre(publisherLine(asked.Author, asked.Publisher)),
		mutedText(origin).centred(),
	)

	shown, hidden := vbox(0), vbox(0)
	for i, r := range p.model.rows {
		v := p.newRow(r)
		p.rows = append(p.rows, v)
		to := shown
		if i >= promptRows {
			to = hidden
		}
		if i > 0 {
			to.Add(line(66))
		}
		to.Add(v.view)
	}
	p.folded = hidden
	hidden.Hide()
	if n := p.model.folded(); n > 0 {
		p.more = newButton(trn("and {{.N}} more, all off", n), plain, p.unfold).compact()
		shown.Add(line(66))
		shown.Add(pad(hbox(0, p.more), 8, 14, 8, 58))
	}
	shown.Add(hidden)

	p.budget = newBudgetView(p.model.budget, asked.Caps, func(b control.Budget) {
		p.model.budget = b
		p.refreshPreview()
	}, p.relayout)
	p.lines = vbox(0)
	p.details = newDisclosure(tr("Technical details"), well(pad(p.lines, 8, 12, 8, 12)), func(open bool) {
		p.relayout()
		p.refreshPreview()
	})

	p.body = vbox(0, p.banner, pad(head, 22, 0, 16, 0))
	if len(p.rows) > 0 {
		p.body.Add(card(shown))
		p.body.Add(gap(12))
	}
	p.body.Add(card(p.budget.view))
	if asked.PagesCan != "" {
		p.body.Add(pad(mutedText(clean(asked.PagesCan, maxReason)), 12, 6, 0, 6))
	}
	p.body.Add(pad(p.details.Container, 12, 0, 4, 0))
	p.page = newPage(pad(p.body, 0, 20, 10, 20))

	p.deny = newButton(tr("Don’t allow anything"), even, func() { p.answer(false) }).manual()
	p.allow = newButton(tr("Allow selected"), even, func() { p.answer(true) }).manual()
	if len(p.rows) == 0 {
		p.deny.setText(tr("Cancel"))
		p.deny.press = p.cancel
		p.allow.setText(tr("Start"))
	}
	foot := pad(vbox(8,
		buttons(p.deny, p.allow),
		mutedText(tr("You can change this any time on the page of {{.Name}} in Paddock.", "Name", name)).centred(),
	), 12, 20, 14, 20)
	p.win.SetContent(backdrop(withFoot(p.page, foot)))
	p.win.Resize(fyne.NewSize(promptWidth, min(p.page.heightFor(promptWidth)+heightOf(foot, promptWidth), promptHighest)))
	p.win.CenterOnScreen()
	p.win.Show()
	p.relayout()
	p.arm()
}

// arm makes the buttons work, after a delay.
func (p *prompt) arm() {
	p.deny.Disable()
	p.allow.Disable()
	p.tasks.after(armDelay, func() {
		p.deny.Enable()
		p.allow.Enable()
	})
}

// raised is called when the window is brought to the front: it appears anew.
func (p *prompt) raised(control.Show) {
	if p.allow != nil {
		p.arm()
	}
}

func (p *prompt) unfold() {
	p.folded.Show()
	p.more.Hide()
	p.relayout()
	p.win.Canvas().Focus(p.rows[promptRows].toggle)
}

// answer sends the choice. selected false refuses every row.
func (p *prompt) answer(selected bool) {
	if p.answered {
		return
	}
	a := control.Answer{Prompt: p.id, Rows: p.model.answers(selected), Budget: p.model.budget}
	if selected && p.budget.wrong() {
		p.fail(errors.New(tr("One of the limits is not a number in its range.")))
		return
	}
	refused := p.model.refused(a.Rows)
	if len(refused) == 0 {
		p.send(a)
		return
	}
	list := vbox(6)
	for _, r := range refused {
		list.Add(hflexTop(8, 1, pad(newIcon(iconOf(r.PermissionRow), 16, colMuted), 1, 0, 0, 0), newParagraph(13, 19, sentenceRuns(r.PermissionRow)...)))
	}
	p.confirm(confirmation{
		icon: "warning", tone: toneWarn,
		title: tr("{{.Name}} may not work", "Name", clean(p.model.Name, maxName)),
		text:  trn("The app says it cannot start without {{.N}} of the rights that you refuse:", len(refused)),
		extra: well(pad(list, 10, 12, 10, 12)),
		yes:   tr("Start anyway"), weight: even,
		no: tr("Back"),
		do: func() {
			a.Insist = true
			p.send(a)
		},
	})
}

func (p *prompt) send(a control.Answer) {
	p.answered = true
	p.deny.Disable()
	p.allow.Disable()
	call(p.frame, control.MethodAnswer, a, func(_ control.Empty, err error) {
		if err != nil {
			p.answered = false
			p.deny.Enable()
			p.allow.Enable()
			p.fail(err)
			return
		}
		p.close()
	})
}

// cancel grants nothing and stores nothing.
func (p *prompt) cancel() { p.close() }

// cancelled runs when the window is gone, however that came.
func (p *prompt) cancelled() {
	if p.answered {
		return
	}
	p.answered = true
	// The window's own work has ended with it; this must still go out.
	p.ws.cancelPrompt(p.id)
}

// follow closes the window when its question was answered elsewhere or nobody waits for it any more.
func (p *prompt) follow(s control.State) {
	for _, id := range s.Prompts {
		if id == p.id {
			p.listed = true
			return
		}
	}
	if p.listed && !p.answered {
		p.answered = true
		p.close()
	}
}

// refreshPreview asks for the exact technical lines of the present choice, while they are shown.
func (p *prompt) refreshPreview() {
	p.preview()
	if p.details == nil || !p.details.open {
		return
	}
	p.round++
	round := p.round
	p.preview = call(p.frame, control.MethodPreview, control.Preview{Prompt: p.id, App: p.model.App, Rows: p.model.answers(true), Budget: p.model.budget},
		func(lines []string, err error) {
			if round != p.round {
				return
			}
			if err != nil {
				what, hint := sentence(err)
				lines = []string{what + " " + hint}
			}
			p.lines.Objects = nil
			for _, l := range lines {
				p.lines.Add(monoText(clean(l, 4000)))
			}
			p.relayout()
		})
}

// choose lets the user pick the path of a file row.
func (p *prompt) choose(v *promptRowView) {
	p.ws.o.Pick(p.win, Pick{Folder: v.row.Folder}, func(path string, err error) {
		if err == nil && path == "" {
			v.refresh()
			return
		}
		if err == nil {
			err = p.model.pick(v.row, path)
		}
		if err != nil {
			p.fail(pathError(err))
		} else {
			p.clearBanner()
		}
		v.refresh()
		p.relayout()
		p.refreshPreview()
	})
}
