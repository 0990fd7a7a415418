package ui

import (
	"context"

	"fyne.io/fyne/v2"

	"paddock/app/control"
)

// activity is the window with what all apps, or one, did in the last seven days.
type activity struct {
	*frame
	app  string // id; empty: all
	slot *fyne.Container
	seen map[string]bool // the apps that the list covers
}

func (ws *Windows) newActivity(key string, s control.Show) {
	f := ws.newFrame(key, tr("Activity"), fyne.NewSize(600, 620))
	a := &activity{frame: f, app: s.App, slot: vbox(0, centre(mutedText(tr("One moment…"))))}
	f.screen, f.escape, f.update = a, f.close, a.follow
	again := newButton(tr("Refresh"), quiet, a.fetch).compact().marked("again")
	f.page = newPage(pad(atMost(760, vbox(0, f.banner,
		hflex(12, 0, newParagraph(24, 32, run{text: tr("Activity"), face: faceSemi, col: colText}), again),
		pad(mutedText(tr("The last seven days, refused first. Figures come from Paddock, unless a line says otherwise.")), 2, 0, 16, 0),
		a.slot)), 22, 24, 26, 24))
	f.present(f.page)
	a.fetch()
}

// follow fetches again when an app came or went.
func (a *activity) follow(s control.State) {
	if a.seen == nil || a.app != "" {
		return
	}
	same := len(s.Apps) == len(a.seen)
	for _, x := range s.Apps {
		same = same && a.seen[x.ID]
	}
	if !same {
		a.fetch()
	}
}

type appDeeds struct {
	ids  map[string]bool
	list []deed
}

func (a *activity) fetch() {
	since := a.ws.o.Clock.Now().Add(-activitySpan)
	background(a.tasks, func(ctx context.Context) (appDeeds, error) {
		out := appDeeds{ids: map[string]bool{}}
		apps, err := control.Do[[]control.ListEntry](ctx, a.ws.o.Client, control.MethodList, nil)
		if err != nil {
			return out, err
		}
		for _, x := range apps {
			if a.app != "" && x.ID != a.app && x.Short != a.app {
				continue
			}
			list, err := control.Do[[]control.Activity](ctx, a.ws.o.Client, control.MethodActivity, control.ActivityQuery{App: x.ID, Since: since})
			if err != nil {
				return out, err
			}
			out.ids[x.ID] = true
			out.list = append(out.list, deeds(clean(x.Name, maxName), list)...)
		}
		sortDeeds(out.list)
		return out, nil
	}, func(d appDeeds, err error) {
		if err != nil {
			a.fail(err)
			return
		}
		a.clearBanner()
		a.seen = d.ids
		a.slot.Objects = []fyne.CanvasObject{deedCard(d.list, a.ws.o.Clock.Now())}
		a.relayout()
	})
}
