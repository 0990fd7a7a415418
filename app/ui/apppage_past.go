package ui

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"paddock/app/control"
	"paddock/sandbox/permission"
)

// activitySpan is how far back activity is shown; the agent keeps no more.
const activitySpan = 7 * 24 * time.Hour

// deed is everything of one permission with one outcome.
type deed struct {
	app               string // name, where several apps are shown together
	permission        string
	refused           bool
	count             int64
	bytesIn, bytesOut int64
	last              time.Time
	page, process     bool
	reported          bool // by the app itself
}

// deeds sums up activity: refused first, then by the last time.
func deeds(app string, list []control.Activity) []deed {
	sum := map[string]*deed{}
	for _, a := range list {
		key := a.Outcome + "\x00" + a.Permission
		if a.Reported {
			key += "\x00reported"
		}
		d := sum[key]
		if d == nil {
			d = &deed{app: app, permission: a.Permission, refused: a.Outcome == "refused", reported: a.Reported}
			sum[key] = d
		}
		d.count += a.Count
		d.bytesIn += a.BytesIn
		d.bytesOut += a.BytesOut
		if a.At.After(d.last) {
			d.last = a.At
		}
		d.page = d.page || a.Side == "page"
		d.process = d.process || a.Side != "page"
	}
	out := make([]deed, 0, len(sum))
	for _, d := range sum {
		out = append(out, *d)
	}
	sortDeeds(out)
	return out
}

func sortDeeds(list []deed) {
	slices.SortFunc(list, func(a, b deed) int {
		if a.refused != b.refused {
			if a.refused {
				return -1
			}
			return 1
		}
		if c := b.last.Compare(a.last); c != 0 {
			return c
		}
		return cmp.Or(strings.Compare(a.app, b.app), strings.Compare(a.permission, b.permission))
	})
}

// rowOf makes the row of a permission that is known by its text only.
func rowOf(text string) control.PermissionRow {
	r := control.PermissionRow{Permission: text, Sentence: "Use %s", Scope: text, Kind: "net", Risk: "normal", Enforced: true}
	p, err := permission.Parse(text)
	if err != nil {
		if sentence := neverGiven()[text]; sentence != "" {
			r.Sentence, r.Scope, r.Kind = sentence, "", "sys"
		}
		return r
	}
	q := permission.Request{Permission: p, Access: permission.ReadWrite, Folder: true}
	r.Kind = string(p.Kind)
	r.Sentence, r.Scope = permission.Sentence(q)
	r.Risk = permission.RiskOf(q).String()
	if p.Kind == permission.Files {
		r.Sentence, r.Scope, r.Folder = "Use the files that you chose for %s", p.Scope, true
	}
	return r
}

// neverGiven is what an app may try though no permission allows it, by what the agent calls it, and what it does to
// the reports about itself.
func neverGiven() map[string]string {
	return map[string]string{
		"read":             tr("Read files outside its own"),
		"write":            tr("Change files outside its own"),
		"net":              tr("Reach this computer or a private network"),
		"run":              tr("Start other programs"),
		"ffi":              tr("Load native code"),
		"env":              tr("Read environment variables"),
		"import":           tr("Load code from the internet"),
		"sys":              tr("Look at this computer"),
		"audit:ended":      tr("Stop reporting what it uses"),
		"audit:unreadable": tr("Write its own reports"),
		"audit:dropped":    tr("Report more than is read"),
	}
}

func deedRow(d deed, now time.Time) fyne.CanvasObject {
	r := rowOf(d.permission)
	runs := sentenceRuns(r)
	t, text := toneCalm, trn("Used {{.N}} times", int(d.count))
	if d.refused {
		t, text = toneRisk, trn("Refused {{.N}} times", int(d.count))
		runs = append(runs, pill(tr("Refused"), toneRisk))
	}
	parts := []string{text, tr("last {{.Ago}}", "Ago", agoText(d.last, now))}
	if d.bytesIn+d.bytesOut > 0 {
		parts = append(parts, tr("{{.In}} in, {{.Out}} out", "In", bytesText(d.bytesIn), "Out", bytesText(d.bytesOut)))
	}
	switch {
	case d.page && d.process:
		parts = append(parts, tr("by the app and its page"))
	case d.page:
		parts = append(parts, tr("by its page"))
	case d.reported:
		parts = append(parts, tr("reported by the app itself"))
	}
	body := vbox(2, newParagraph(14, 21, runs...), mutedText(strings.Join(parts, " · ")))
	if d.app != "" {
		body.Objects = append([]fyne.CanvasObject{smallText(d.app, colMuted)}, body.Objects...)
	}
	return pad(hflexTop(14, 1, pad(chip(iconOf(r), t, 38), 1, 0, 0, 0), body), 12, 14, 12, 14)
}

func deedCard(list []deed, now time.Time) fyne.CanvasObject {
	if len(list) == 0 {
		return card(pad(hflex(14, 1, chip("list", toneQuiet, 38), bodyText(tr("Nothing in the last seven days."))), 13, 14, 13, 14))
	}
	rows := vbox(0)
	for i, d := range list {
		if i > 0 {
			rows.Add(line(66))
		}
		rows.Add(deedRow(d, now))
	}
	return card(rows)
}

// newActivityList shows what one app did since a time.
func (f *frame) newActivityList(app string, since time.Time) fyne.CanvasObject {
	slot := vbox(0, centre(mutedText(tr("One moment…"))))
	call(f, control.MethodActivity, control.ActivityQuery{App: app, Since: since}, func(list []control.Activity, err error) {
		if err != nil {
			f.fail(err)
			return
		}
		slot.Objects = []fyne.CanvasObject{
			pad(mutedText(tr("The last seven days. Figures come from Paddock, unless a line says otherwise.")), 0, 0, 10, 4),
			deedCard(deeds("", list), f.ws.o.Clock.Now()),
		}
		f.relayout()
	})
	return slot
}

// historyShown bounds the list of runs.
const historyShown = 40

// newHistory shows the app's runs and how they ended.
func (p *appPage) newHistory() fyne.CanvasObject {
	slot := vbox(0, centre(mutedText(tr("One moment…"))))
	call(p.frame, control.MethodHistory, control.AppRef{App: p.app}, func(runs []control.Run, err error) {
		if err != nil {
			p.fail(err)
			return
		}
		rows := vbox(0)
		slices.SortStableFunc(runs, func(a, b control.Run) int { return b.StartedAt.Compare(a.StartedAt) })
		for i, r := range runs[:min(len(runs), historyShown)] {
			if i > 0 {
				rows.Add(line(66))
			}
			rows.Add(p.runRow(r))
		}
		if len(runs) == 0 {
			rows.Add(pad(hflex(14, 1, chip("again", toneQuiet, 38), bodyText(tr("It has never run."))), 13, 14, 13, 14))
		}
		slot.Objects = []fyne.CanvasObject{card(rows)}
		p.relayout()
	})
	return slot
}

func (p *appPage) runRow(r control.Run) fyne.CanvasObject {
	now := p.ws.o.Clock.Now()
	icon, t := "check", toneQuiet
	switch r.Reason {
	case "":
		icon, t = "play", toneGood
	case "over_budget":
		icon, t = "warning", toneWarn
	case "crashed", "start_failed":
		icon, t = "cross", toneRisk
	case "stopped", "host_closed":
		icon = "stop"
	}
	when := momentText(r.StartedAt, now)
	if r.EndedAt != nil {
		when += " · " + tr("for {{.Time}}", "Time", lastedText(r.EndedAt.Sub(r.StartedAt)))
	}
	body := vbox(2, newParagraph(14, 21, run{text: endText(r), face: faceMedium, col: colText}), mutedText(when))
	if tail := strings.TrimSpace(r.Tail); tail != "" {
		lines := vbox(0)
		split := strings.Split(tail, "\n")
		for _, l := range split[max(len(split)-12, 0):] {
			lines.Add(monoText(clean(l, 2000)))
		}
		d := newDisclosure(tr("Its last words"), well(pad(lines, 8, 12, 8, 12)), func(bool) { p.relayout() })
		body.Add(pad(d.Container, 2, 0, 0, -4))
	}
	return pad(hflexTop(14, 1, pad(chip(icon, t, 38), 1, 0, 0, 0), body), 12, 14, 12, 14)
}
