package ui

import (
	"slices"
	"strings"

	"fyne.io/fyne/v2"

	"paddock/app/control"
)

// library is the window with all apps.
type library struct {
	*frame
	search    *field
	tiles     map[string]*tile
	shown     []string // ids in the grid, in order
	body      *fyne.Container
	whyBox    *fyne.Container
	notices   *noticeList
	downloads *downloadList
	area      *fyne.Container // grid, empty state or "nothing found"
	count     *paragraph
	state     control.State
	drawn     bool
}

func (ws *Windows) newLibrary(key string, s control.Show) {
	f := ws.newFrame(key, tr("Paddock"), fyne.NewSize(820, 600))
	l := &library{frame: f, tiles: map[string]*tile{}}
	f.screen, f.update, f.escape = l, l.refresh, l.clearSearch
	l.search = newField(tr("Search"), tr("Search apps"), 200, func(string) { l.refresh(l.state) })
	l.count = mutedText("")
	get := newButton(tr("Get an app"), primed, l.get).compact().marked("plus")
	activity := newButton(tr("Activity"), quiet, func() { ws.Show(control.Show{Window: control.WindowActivity}) }).compact().marked("list")
	settings := newButton(tr("Settings"), quiet, func() { ws.Show(control.Show{Window: control.WindowSettings}) }).compact().marked("gear")
	l.whyBox = vbox(0)
	l.notices = f.newNoticeList("")
	l.downloads = f.newDownloadList()
	l.area = vbox(0, centre(mutedText(tr("One moment…"))))
	head := apart(16, 10,
		vbox(0, newParagraph(24, 32, run{text: tr("Apps"), face: faceSemi, col: colText}), l.count),
		wrap(8, 8, settings, activity, get))
	l.body = vbox(0, f.banner, head, pad(l.search, 14, 0, 16, 0), l.whyBox, l.notices.view, l.downloads.view, l.area)
	f.page = newPage(pad(atMost(1080, l.body), 22, 26, 26, 26))
	f.win.SetOnDropped(func(_ fyne.Position, uris []fyne.URI) { l.drop(uris) })
	l.raised(s)
	f.present(f.page)
}

// raised shows the sentence that came with the request, e.g. why there is no tray.
func (l *library) raised(s control.Show) {
	if s.Why == "" {
		return
	}
	l.whyBox.Objects = []fyne.CanvasObject{pad(strip("info", toneCalm, s.Why, "", newButton(tr("Understood"), plain, func() {
		l.whyBox.Objects = nil
		l.relayout()
	}).compact()), 0, 0, 14, 0)}
	l.relayout()
}

func (l *library) clearSearch() {
	if l.search.Text != "" {
		l.search.SetText("")
	}
}

// drop installs a bundle that was dropped on the window.
func (l *library) drop(uris []fyne.URI) {
	path, ok := dropped(uris)
	if !ok {
		l.fail(control.NewError(control.ExitUsage, "drop", tr("This is not an app."), tr("Apps are files whose name ends in .paddock."), nil))
		return
	}
	l.clearBanner()
	l.ws.Show(control.Show{Window: control.WindowReview, Source: path})
}

// matching lists the apps that the search finds, by name.
func (l *library) matching() []control.AppState {
	q := strings.ToLower(strings.TrimSpace(l.search.Text))
	var out []control.AppState
	for _, a := range l.state.Apps {
		if q == "" || strings.Contains(strings.ToLower(a.Name+" "+a.Summary+" "+a.ID+" "+a.Publisher), q) {
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b control.AppState) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return out
}

// refresh draws a snapshot. Tiles stay the same objects as long as their app is there, so that the focus stays
// where it is.
func (l *library) refresh(s control.State) {
	l.state = s
	apps := l.matching()
	ids := make([]string, len(apps))
	for i, a := range apps {
		ids[i] = a.ID
		t := l.tiles[a.ID]
		if t == nil {
			t = l.newTile(a)
			l.tiles[a.ID] = t
		}
		t.update(a)
	}
	for id := range l.tiles {
		if !slices.ContainsFunc(s.Apps, func(a control.AppState) bool { return a.ID == id }) {
			delete(l.tiles, id)
		}
	}
	sum := l.summary()
	l.count.setText(sum)
	counted := l.count.Visible()
	show(l.count, sum != "")
	moved := l.notices.update(s.Notices)
	moved = l.downloads.update(s.Downloads) || moved || counted != l.count.Visible()
	if !l.drawn || !slices.Equal(ids, l.shown) || len(ids) == 0 {
		l.drawn, l.shown, moved = true, ids, true
		l.area.Objects = []fyne.CanvasObject{l.fill(apps)}
	}
	if moved {
		l.relayout()
	}
}

func (l *library) summary() string {
	running := 0
	for _, a := range l.state.Apps {
		if alive(a.State) {
			running++
		}
	}
	if len(l.state.Apps) == 0 {
		return ""
	}
	all := trn("{{.N}} apps", len(l.state.Apps))
	if running == 0 {
		return all
	}
	return all + " · " + tr("{{.N}} running", "N", running)
}

func (l *library) fill(apps []control.AppState) fyne.CanvasObject {
	if len(l.state.Apps) == 0 {
		return l.empty()
	}
	if len(apps) == 0 {
		return pad(vbox(10,
			centre(chip("search", toneQuiet, 48)),
			bodyText(tr("No app matches “{{.Text}}”.", "Text", clean(l.search.Text, maxName))).centred(),
			centre(newButton(tr("Show all"), quiet, l.clearSearch).compact())), 40, 0, 0, 0)
	}
	g := grid(14, 232)
	for _, a := range apps {
		g.Add(l.tiles[a.ID].view)
	}
	return g
}

// empty is the library of somebody who has just started.
func (l *library) empty() fyne.CanvasObject {
	return card(pad(vbox(0,
		centre(chip("shield", toneCalm, 64)),
		pad(titleText(tr("No apps yet")).centred(), 16, 0, 6, 0),
		atMost(420, newParagraph(14, 21, run{
			text: tr("Apps run in a paddock of their own: each sees only what you allow, and you can look at and change that any time."),
			face: faceRegular, col: colMuted,
		}).centred()),
		pad(centre(newButton(tr("Get an app"), primed, l.get).marked("plus")), 20, 0, 10, 0),
		mutedText(tr("or drop a .paddock file on this window")).centred(),
	), 44, 30, 44, 30))
}
