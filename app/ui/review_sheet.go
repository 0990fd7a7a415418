package ui

import (
	"slices"

	"fyne.io/fyne/v2"

	"paddock/app/control"
)

// sheet shows the checked bundle and waits for the user's decision.
func (r *review) sheet() {
	s := r.staged
	name := clean(s.Name, maxName)
	title := tr("Install {{.Name}}?", "Name", name)
	if s.Update {
		title = tr("Update {{.Name}}?", "Name", name)
	}
	r.win.SetTitle(title)
	head := vbox(0,
		centre(appPicture(s.Icon, s.Name, 72)),
		pad(titleText(title).centred(), 14, 0, 4, 0),
		centre(publisherLine(s.Author, s.Publisher)),
	)
	if sum := clean(s.Summary, maxReason); sum != "" {
		head.Add(pad(newParagraph(13, 19, run{text: sum, face: faceRegular, col: colMuted}).centred(), 6, 0, 0, 0))
	}
	body := vbox(0, head, gap(18))
	if s.Publisher.Trust == "unsigned" || s.Publisher.Key == "" {
		body.Add(pad(strip("warning", toneWarn, tr("Not signed"), trustSentence(s.Publisher)), 0, 0, 14, 0))
	}
	body.Add(section(r.asksTitle(), r.asks()))
	body.Add(section(tr("What it may use up"), card(pad(hflexTop(14, 1, chip("gauge", toneQuiet, 38),
		pad(bodyText(budgetSentence(s.Budget)+" "+tr("Paddock ends it when it takes more.")), 2, 0, 0, 0)), 13, 14, 13, 14))))
	body.Add(section(tr("About this app"), r.facts()))

	label := tr("Install")
	if s.Update {
		label = tr("Update")
	}
	r.install = newButton(label, even, r.commit).manual()
	r.content(body, vbox(8, buttons(newButton(tr("Cancel"), even, r.close), r.install),
		mutedText(tr("Installing grants nothing. The app asks when you first open it.")).centred()))
	r.arm(r.install)
}

// section is a heading over a card.
func section(title string, o fyne.CanvasObject) fyne.CanvasObject {
	return pad(vbox(8, pad(smallText(title, colMuted), 0, 0, 0, 4), o), 0, 0, 18, 0)
}

// relevant lists the rows to show: of an update only what is new or wider.
func (r *review) relevant() []control.PermissionRow {
	if !r.staged.Update {
		return r.staged.Requests
	}
	var out []control.PermissionRow
	for _, q := range r.staged.Requests {
		if slices.Contains(r.staged.Wider, q.Permission) {
			out = append(out, q)
		}
	}
	return out
}

func (r *review) asksTitle() string {
	if r.staged.Update {
		return tr("New in this version: it will also ask to")
	}
	return tr("It will ask to")
}

func (r *review) asks() fyne.CanvasObject {
	rows := r.relevant()
	if len(rows) == 0 {
		text := tr("Nothing. It works with its own data only.")
		if r.staged.Update {
			text = tr("Nothing new: it asks for no more than the version you have.")
		}
		return card(pad(hflex(14, 1, chip("check", toneGood, 38), bodyText(text)), 13, 14, 13, 14))
	}
	list := vbox(0)
	for i, q := range rows {
		if i > 0 {
			list.Add(line(66))
		}
		list.Add(requestRow(q))
	}
	return card(list)
}

// requestRow is a right that is asked for, without a switch: deciding comes later.
func requestRow(q control.PermissionRow) fyne.CanvasObject {
	runs := sentenceRuns(q)
	t := toneOf(q.Risk)
	if q.Risk == riskHigh {
		runs = append(runs, pill(tr("High risk"), toneRisk))
	}
	if q.Required {
		runs = append(runs, pill(tr("Needed"), toneQuiet))
	}
	body := vbox(2, newParagraph(14, 21, runs...), mutedText(reasonText(q)).lineCap(4))
	if !q.Enforced {
		t = toneQuiet
		body.Add(newParagraph(12.5, 18, run{text: unenforcedText(q), face: faceMedium, col: colMuted}))
	}
	return pad(hflexTop(14, 1, pad(chip(iconOf(q), t, 38), 1, 0, 0, 0), body), 12, 14, 12, 14)
}

// facts is who made the bundle, where it came from and how big it is.
func (r *review) facts() fyne.CanvasObject {
	s := r.staged
	version := clean(s.Version, maxName)
	if s.Update && s.Installed != "" {
		version = tr("{{.New}} (you have {{.Old}})", "New", version, "Old", clean(s.Installed, maxName))
	}
	list := []fact{
		{tr("Publisher"), trustSentence(s.Publisher)},
		{tr("Key fingerprint"), fingerprint(s.Publisher.Key)},
		{tr("From"), clean(s.Origin, maxLine)},
		{tr("Version"), version},
		{tr("Size"), tr("{{.File}}, {{.Disk}} on disk", "File", bytesText(s.Bytes), "Disk", bytesText(s.Unpacked))},
		{tr("Licence"), clean(s.License, maxName)},
		{tr("Website"), clean(s.Homepage, maxLine)},
		{tr("App id"), clean(s.ID, maxLine)},
	}
	return factCard(list)
}

// fact is a name and what there is to say; facts with nothing to say are left out.
type fact struct{ name, text string }

func factCard(list []fact) fyne.CanvasObject {
	rows := vbox(0)
	for _, x := range list {
		if x.text == "" {
			continue
		}
		if len(rows.Objects) > 0 {
			rows.Add(line(14))
		}
		rows.Add(pad(hflexTop(12, 1, least(112, mutedText(x.name)), newParagraph(13, 18, run{text: x.text, face: faceRegular, col: colText})), 9, 14, 9, 14))
	}
	return card(rows)
}
