package ui

import (
	"fyne.io/fyne/v2"

	"paddock/app/control"
)

// newAbout says who made the app, what confines it and where it lives, and offers to remove it.
func (p *appPage) newAbout() fyne.CanvasObject {
	i := p.info
	now := p.ws.o.Clock.Now()
	body := vbox(0)
	body.Add(section(tr("About this app"), factCard([]fact{
		{tr("What it is"), clean(i.Summary, maxReason)},
		{tr("Publisher"), trustSentence(i.Publisher)},
		{tr("Key fingerprint"), fingerprint(i.Publisher.Key)},
		{tr("From"), clean(i.Source, maxLine)},
		{tr("Installed"), momentText(i.InstalledAt, now)},
		{tr("Updated"), momentText(i.UpdatedAt, now)},
		{tr("Licence"), clean(i.License, maxName)},
		{tr("Website"), clean(i.Homepage, maxLine)},
		{tr("App id"), clean(i.ID, maxLine)},
		{tr("Its data"), homely(i.Paths.Data, p.ws.o.Home)},
	})))
	body.Add(p.newBackup())
	body.Add(section(tr("What fences it in"), wallsCard(i.Walls.Walls)))
	lines := vbox(0)
	for _, l := range i.Flags {
		lines.Add(monoText(clean(l, 4000)))
	}
	details := newDisclosure(tr("Technical details"), well(pad(lines, 8, 12, 8, 12)), func(bool) { p.relayout() })
	body.Add(pad(details.Container, 0, 0, 16, 0))
	body.Add(hbox(0, newButton(tr("Remove this app…"), danger, p.uninstall).compact().marked("trash")))
	return body
}

// wallsCard lists the layers that enforce, with what they do here.
func wallsCard(walls []control.Wall) fyne.CanvasObject {
	rows := vbox(0)
	for i, w := range walls {
		if i > 0 {
			rows.Add(line(14))
		}
		word, t := wallState(w.State)
		text := vbox(2, newParagraph(13.5, 20, run{text: tr(w.Name), face: faceMedium, col: colText}, pill(word, t)))
		if w.Why != "" {
			text.Add(mutedText(w.Why))
		}
		rows.Add(pad(text, 10, 14, 10, 14))
	}
	if len(walls) == 0 {
		rows.Add(pad(mutedText(tr("Known once the app has run.")), 10, 14, 10, 14))
	}
	return card(rows)
}

// uninstall asks what shall happen to the data.
func (p *appPage) uninstall() {
	name := clean(p.info.Name, maxName)
	keep := tr("You can bring it back, with its data and your answers, for 30 days.")
	purge := tr("Everything it stored is deleted at once and cannot be brought back.")
	what := mutedText(keep).centred()
	var s *sheet
	choice := newSegmented(tr("Its data"), 0, func(i int) {
		what.setText(keep)
		if i == 1 {
			what.setText(purge)
		}
		s.relayout()
	}, tr("Keep data for 30 days"), tr("Delete data now"))
	s = p.confirm(confirmation{
		icon: "trash", tone: toneRisk,
		title: tr("Remove {{.Name}}?", "Name", name),
		text:  tr("It is stopped and taken off this computer. It holds {{.Size}} of data.", "Size", bytesText(p.info.DiskBytes)),
		extra: vbox(10, choice, what),
		yes:   tr("Remove"), weight: danger,
		no: tr("Cancel"),
		do: func() {
			purged := choice.sel == 1
			p.tell(control.MethodUninstall, control.Uninstall{App: p.app, Purge: purged}, func() {
				if !purged {
					p.ws.offerUndo(p.app, name)
				}
				p.close()
			})
		},
	})
}

// offerUndo shows in the library that an app was removed and can be brought back.
func (ws *Windows) offerUndo(app, name string) {
	ws.Show(control.Show{Window: control.WindowLibrary})
	l, ok := ws.frames[control.WindowLibrary].screen.(*library)
	if !ok {
		return
	}
	undo := newButton(tr("Undo"), quiet, func() {
		l.tell(control.MethodUninstall, control.Uninstall{App: app, Undo: true}, nil)
	}).compact()
	l.showBanner(strip("trash", toneCalm, tr("{{.Name}} was removed", "Name", name), tr("Its data is kept for 30 days."),
		undo, newButton(tr("Close"), plain, l.clearBanner).compact()))
}
