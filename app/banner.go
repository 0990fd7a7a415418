package app

import (
	"slices"
	"time"

	"paddock/app/control"
	"paddock/app/gateway"
	"paddock/store"
)

// slowStart is how long a start may take before the pages that wait for it say so.
const slowStart = 1500 * time.Millisecond

// banners keeps the bars above the apps' pages in step: why an app ended, that it is long in starting, or that it asks for a permission. The bar is
// drawn by the host outside the app's page, and can do no more than restart the app or bring up a window
// (security.md, rule 1).
func (a *App) banners() {
	wake, leave := a.subscribe()
	defer leave()
	shown := map[string]*gateway.Banner{}
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-wake:
		}
		next := a.bannersNow()
		for install := range shown {
			if next[install] == nil {
				a.front.SetBanner(install, nil)
			}
		}
		for install, b := range next {
			if !sameBanner(shown[install], b) {
				a.front.SetBanner(install, b)
			}
		}
		shown = next
	}
}

func (a *App) bannersNow() map[string]*gateway.Banner {
	notices, err := a.history.notices()
	if err != nil {
		a.log.Error("read the notices", "err", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	out := map[string]*gateway.Banner{}
	for install, app := range a.apps {
		if b := bannerOf(install, app, notices, a.now()); b != nil {
			out[install] = b
		}
	}
	return out
}

// bannerOf is what the pages of an app should say. The caller holds App.mu.
func bannerOf(install string, app *installed, notices []store.Notice, now time.Time) *gateway.Banner {
	if app.starting && now.Sub(app.began) >= slowStart {
		return &gateway.Banner{Title: app.rec.Name + " is starting.", Text: "It takes longer than most apps do."}
	}
	if app.inst == nil && !app.starting && app.last != nil {
		return &gateway.Banner{Title: app.last.title + ".", Text: app.last.text, Actions: app.last.buttons}
	}
	asks := slices.IndexFunc(notices, func(n store.Notice) bool { return n.Install == install && n.Code == control.NoticePermissionNeeded })
	if app.inst == nil || asks < 0 {
		return nil
	}
	return &gateway.Banner{Title: notices[asks].Title + ".", Text: notices[asks].Text, Actions: []gateway.Action{{Name: "ask_window", Label: "Review"}}}
}

func sameBanner(a, b *gateway.Banner) bool {
	return a != nil && b != nil && a.Title == b.Title && a.Text == b.Text && slices.Equal(a.Actions, b.Actions)
}
