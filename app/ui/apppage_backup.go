package ui

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"fyne.io/fyne/v2"

	"paddock/app/control"
)

// backupEnding is that of the files that this window makes.
const backupEnding = ".backup"

// newBackup offers to save the app in one file, and to bring it back from one.
func (p *appPage) newBackup() fyne.CanvasObject {
	return section(tr("Backup"), card(pad(vbox(10,
		mutedText(tr("One file holds the app with its data and your answers. It is not encrypted: keep it as safe as the data.")),
		wrap(8, 6,
			newButton(tr("Back up…"), quiet, p.backup).compact().marked("download"),
			newButton(tr("Restore…"), quiet, p.restore).compact().marked("again")),
	), 12, 14, 12, 14)))
}

// backup asks for a folder and saves the app there, under a name that says what it is and of when.
func (p *appPage) backup() {
	p.ws.o.Pick(p.win, Pick{Folder: true}, func(dir string, err error) {
		switch {
		case err != nil:
			p.fail(err)
		case dir != "":
			file := filepath.Join(dir, p.info.Short+p.ws.o.Clock.Now().Format("-2006-01-02-1504")+backupEnding)
			watched(p.frame, tr("Saving {{.Name}}…", "Name", clean(p.info.Name, maxName)), control.MethodBackup, control.Backup{App: p.app, File: file}, p.backedUp)
		}
	})
}

func (p *appPage) backedUp(b control.BackupResult) {
	text := tr("{{.Size}}, in {{.File}}", "Size", bytesText(b.Bytes), "File", homely(clean(b.File, maxLine), p.ws.o.Home))
	if n := b.LeftOutCount; n > 0 {
		names := make([]string, len(b.LeftOut))
		for i, l := range b.LeftOut {
			names[i] = clean(l.Name, maxName)
		}
		if n > len(names) {
			names = append(names, "…")
		}
		text += ". " + tr("Left out, because a backup cannot hold it: {{.Names}}", "Names", clean(strings.Join(names, ", "), maxReason))
	}
	p.showBanner(strip("check", toneCalm, tr("{{.Name}} is saved", "Name", clean(p.info.Name, maxName)), text,
		newButton(tr("Close"), plain, p.clearBanner).compact()))
}

// restore asks for a file, says what will happen, and does it.
func (p *appPage) restore() {
	p.ws.o.Pick(p.win, Pick{Types: []string{backupEnding}}, func(file string, err error) {
		if err != nil {
			p.fail(err)
			return
		}
		if file == "" {
			return
		}
		p.confirm(confirmation{
			icon: "again", tone: toneCalm,
			title: tr("Restore from this backup?"),
			text:  tr("The app in {{.File}} gets the data that is in it. What the app has stored until now is kept for 30 days.", "File", clean(filepath.Base(file), maxName)),
			yes:   tr("Restore"), weight: quiet,
			no: tr("Cancel"),
			do: func() {
				watched(p.frame, tr("Restoring…"), control.MethodRestore, control.Restore{File: file}, p.restored)
			},
		})
	})
}

func (p *appPage) restored(r control.RestoreResult) {
	text := tr("Your answers came back with it.")
	if !r.Trusted {
		text = tr("This computer did not make the backup, or it was changed since: every permission is asked anew.")
	}
	var actions []fyne.CanvasObject
	if r.Undo {
		text += " " + tr("The data of before is kept for 30 days.")
		actions = append(actions, newButton(tr("Undo"), quiet, func() {
			p.tell(control.MethodRestore, control.Restore{App: r.ID, Undo: true}, p.fetch)
		}).compact())
	}
	p.showBanner(strip("check", toneCalm, tr("{{.Name}} is restored", "Name", clean(r.Name, maxName)), text,
		append(actions, newButton(tr("Close"), plain, p.clearBanner).compact())...))
	p.fetch()
}

// watched calls a method that tells how far it is, on a sheet that shows it and can cancel it.
func watched[Out any](f *frame, what, method string, in any, done func(Out)) {
	b, text := newBar(0, 6), mutedText(tr("One moment…")).centred()
	var s *sheet
	no := newButton(tr("Cancel"), quiet, func() { s.close() })
	s = f.openSheet(vbox(0, centre(chip("download", toneCalm, 44)), pad(headText(what).centred(), 12, 0, 14, 0), b, pad(text, 10, 0, 0, 0), pad(buttons(no), 18, 0, 0, 0)), no)
	ended := false
	stop := background(f.tasks, func(ctx context.Context) (Out, error) {
		var out Out
		err := control.Events(ctx, f.ws.o.Client, method, in, &out, func(p control.Progress) error {
			f.tasks.post(func() {
				if !ended {
					b.set(partOf(p), colAccent)
					text.setText(progressText(p))
					s.relayout()
				}
			})
			return nil
		})
		return out, err
	}, func(out Out, err error) {
		ended = true
		s.closed = nil
		s.close()
		switch {
		case errors.Is(err, context.Canceled):
		case err != nil:
			f.fail(err)
		default:
			done(out)
		}
	})
	s.closed = stop
}
