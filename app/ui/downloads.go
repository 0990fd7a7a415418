package ui

import (
	"net/url"
	"path/filepath"
	"slices"

	"fyne.io/fyne/v2"

	"paddock/app/control"
)

// downloadList shows the installs under way, whoever started them.
type downloadList struct {
	f     *frame
	view  *fyne.Container
	shown []string
	lines map[string]*downloadLine
}

type downloadLine struct {
	view fyne.CanvasObject
	text *paragraph
	bar  *bar
}

func (f *frame) newDownloadList() *downloadList {
	return &downloadList{f: f, view: vbox(10), lines: map[string]*downloadLine{}}
}

// update reports whether anything changed its place.
func (d *downloadList) update(all []control.Progress) bool {
	sources := make([]string, len(all))
	for i, p := range all {
		sources[i] = p.Source
	}
	moved := !slices.Equal(sources, d.shown)
	if moved {
		d.shown = sources
		d.view.Objects = nil
		kept := map[string]*downloadLine{}
		for _, p := range all {
			l := d.lines[p.Source]
			if l == nil {
				l = d.line(p)
			}
			kept[p.Source] = l
			d.view.Add(l.view)
		}
		if len(all) > 0 {
			d.view.Add(gap(6))
		}
		d.lines = kept
	}
	for _, p := range all {
		d.lines[p.Source].text.setText(progressText(p))
		d.lines[p.Source].bar.set(partOf(p), colAccent)
	}
	return moved
}

func (d *downloadList) line(p control.Progress) *downloadLine {
	l := &downloadLine{text: mutedText(progressText(p)), bar: newBar(0, 6)}
	show := newButton(tr("Show"), quiet, func() {
		d.f.ws.Show(control.Show{Window: control.WindowReview, Source: p.Source})
	}).compact()
	parts := []fyne.CanvasObject{
		chip("download", toneCalm, 38),
		least(80, vbox(4, newParagraph(13.5, 19, run{text: tr("Getting {{.Source}}", "Source", sourceName(p.Source)), face: faceSemi, col: colText}).oneLine(), l.bar, l.text)),
	}
	// The review window of a download that we started has the button to cancel it; others are somebody else's.
	if _, ours := d.f.ws.frames[control.WindowReview+"\x00"+p.Source]; ours {
		parts = append(parts, show)
	}
	l.view = flatCard(pad(hflex(14, 1, parts...), 12, 14, 12, 14))
	return l
}

// sourceName is a short name of a file, link or address.
func sourceName(source string) string {
	if u, err := url.Parse(source); err == nil && u.Scheme == "paddock" {
		source = u.Query().Get("url")
	}
	if u, err := url.Parse(source); err == nil && u.Host != "" {
		return clean(u.Host, maxName)
	}
	return clean(filepath.Base(source), maxName)
}

func partOf(p control.Progress) float64 {
	switch {
	case p.Step == "verify" || p.Step == "unpack":
		return 1
	case p.Total <= 0:
		return -1
	}
	return float64(p.Bytes) / float64(p.Total)
}
