package ui

import (
	"time"

	"fyne.io/fyne/v2"

	"paddock/app/control"
)

// infoEvery is how often the page of a running app asks for counts again.
const infoEvery = 4 * time.Second

// Tabs of the app page.
const (
	tabRights = iota
	tabActivity
	tabHistory
	tabLog
	tabAbout
)

// appPage is the window of one app: what it does, what it may, what it did.
type appPage struct {
	*frame
	app     string
	info    control.Info
	known   bool
	asked   time.Time // when info was asked for last
	asking  bool
	state   string
	now     control.AppState
	picture *picture
	name    *paragraph
	by      *paragraph
	mark    *icon
	marked  *paragraph
	start   *button
	stop    *button
	restart *button
	busy    bool
	notices *noticeList
	meters  *meters
	tabs    *segmented
	tab     *fyne.Container
	rights  *rightsTab
	log     *logTab
	body    *fyne.Container
}

func (ws *Windows) newAppPage(key string, s control.Show) {
	f := ws.newFrame(key, tr("App"), fyne.NewSize(640, 690))
	p := &appPage{frame: f, app: s.App}
	f.screen, f.update, f.escape = p, p.refresh, f.close
	p.picture = f.newPicture(s.App, s.App, 60)
	p.name = newParagraph(20, 26, run{face: faceSemi, col: colText}).lineCap(2)
	p.by = mutedText("").lineCap(2)
	p.mark = newIcon("ring", 14, colMuted)
	p.marked = newParagraph(12.5, 18, run{face: faceMedium, col: colMuted}).lineCap(2)
	p.start = newButton(tr("Open"), primed, p.open).compact()
	p.stop = newButton(tr("Stop"), quiet, func() { p.tell(control.MethodStop, control.AppRef{App: p.app}, nil) }).compact().marked("stop")
	p.restart = newButton(tr("Restart"), quiet, func() { p.tell(control.MethodRestart, control.AppRef{App: p.app}, nil) }).compact().marked("again")
	p.notices = f.newNoticeList(s.App)
	p.meters = newMeters()
	p.tabs = newSegmented(tr("Part of this page"), tabRights, func(int) { p.showTab() },
		tr("Permissions"), tr("Activity"), tr("History"), tr("Log"), tr("About"))
	p.tab = vbox(0, centre(mutedText(tr("One moment…"))))

	head := hflexTop(16, 1, p.picture.Container, vbox(2, p.name, p.by,
		pad(hflex(6, 1, p.mark, p.marked), 2, 0, 0, 0),
		pad(wrap(8, 6, p.start, p.stop, p.restart), 8, 0, 0, 0)))
	p.body = vbox(0, f.banner, p.notices.view, head, pad(p.meters.view, 18, 0, 18, 0), p.tabs, gap(14), p.tab)
	f.page = newPage(pad(atMost(760, p.body), 22, 24, 26, 24))
	f.present(f.page)
	p.fetch()
}

// fetch asks for everything about the app again.
func (p *appPage) fetch() {
	if p.asking {
		return
	}
	p.asking, p.asked = true, p.ws.o.Clock.Now()
	call(p.frame, control.MethodInfo, control.AppRef{App: p.app}, func(i control.Info, err error) {
		p.asking = false
		if err != nil {
			p.fail(err)
			return
		}
		first := !p.known
		p.info, p.known = i, true
		name := clean(i.Name, maxName)
		p.win.SetTitle(name)
		p.name.setText(name)
		by := tr("Version {{.Version}}", "Version", clean(i.Version, maxName))
		if a := clean(i.Author, maxName); a != "" {
			by += " · " + a
		}
		p.by.setText(by)
		if first {
			p.app = i.ID
			call(p.frame, control.MethodAhead, control.AppRef{App: i.ID}, func(control.Empty, error) {}) // a hint
			p.notices.app = i.ID
			p.picture.app, p.picture.name = i.ID, i.Name
			p.meters.limits(i.Budget)
			if !p.ws.known {
				p.showState(control.AppState{ID: i.ID, State: i.State, Usage: i.Usage, Budget: i.Budget})
			} else {
				p.refresh(p.ws.state)
			}
			p.showTab()
			return
		}
		p.meters.limits(i.Budget)
		if p.rights != nil && p.tabs.sel == tabRights {
			p.rights.update(i.Permissions)
		}
	})
}

// refresh draws a snapshot.
func (p *appPage) refresh(s control.State) {
	if !p.known {
		return
	}
	moved := p.notices.update(s.Notices)
	if a, ok := p.ws.appState(p.app); ok {
		before := p.state
		p.showState(a)
		p.picture.update(a.IconVersion)
		stale := alive(a.State) && p.ws.o.Clock.Now().Sub(p.asked) >= infoEvery
		if before != "" && before != a.State || stale {
			p.fetch()
		}
	}
	if moved {
		p.relayout()
	}
}

func (p *appPage) showState(a control.AppState) {
	p.now, p.state = a, a.State
	m := markOf(a.State)
	text := m.text
	if alive(a.State) && a.Usage != nil && !a.Usage.StartedAt.IsZero() {
		text = tr("{{.State}} for {{.Time}}", "State", m.text, "Time", lastedText(p.ws.o.Clock.Now().Sub(a.Usage.StartedAt)))
		if a.State == control.StateFrozen {
			text = tr("Asleep: it wakes when you use it")
		}
	}
	p.mark.set(m.icon, m.col)
	p.marked.set(run{text: text, face: faceMedium, col: m.col})
	show(p.restart, alive(a.State))
	show(p.stop, alive(a.State))
	switch {
	case p.busy:
		p.start.setText(tr("Opening…"))
	case alive(a.State):
		p.start.setText(tr("Open in browser"))
	default:
		p.start.setText(tr("Open"))
	}
	p.start.setDisabled(p.busy)
	p.meters.update(a, p.info.DiskBytes)
	p.relayout()
}

func (p *appPage) open() {
	p.busy = true
	p.showState(p.now)
	p.frame.open(p.app, func(error) {
		p.busy = false
		p.showState(p.now)
	})
}

// showTab draws the chosen part of the page.
func (p *appPage) showTab() {
	if p.log != nil {
		p.log.stop()
		p.log = nil
	}
	if !p.known {
		return
	}
	var o fyne.CanvasObject
	switch p.tabs.sel {
	case tabRights:
		p.rights = p.newRightsTab()
		o = p.rights.view
	case tabActivity:
		o = p.newActivityList(p.app, p.ws.o.Clock.Now().Add(-activitySpan))
	case tabHistory:
		o = p.newHistory()
	case tabLog:
		p.log = p.newLogTab()
		o = p.log.view
	default:
		o = p.newAbout()
	}
	p.tab.Objects = []fyne.CanvasObject{o}
	p.relayout()
}
