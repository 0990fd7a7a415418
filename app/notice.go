package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"paddock/app/control"
	"paddock/sandbox"
	"paddock/store"
)

// notify stores a notice and shows it. One notice per app and code: a new one takes the old one's place, so
// an app that keeps dying does not fill the list.
func (a *App) notify(n control.Notice, install string) {
	sum := sha256.Sum256([]byte(n.Code + "\x00" + install))
	rec := store.Notice{ID: hex.EncodeToString(sum[:8]), At: a.now(), Code: n.Code, Title: n.Title, Text: n.Text, Severity: n.Severity, Install: install}
	for _, c := range n.Actions {
		rec.Actions = append(rec.Actions, c.Action+"\t"+c.Label)
	}
	if n.Facts.Name != "" {
		facts, err := json.Marshal(n.Facts)
		if err != nil {
			a.log.Error("write the facts of a notice", "code", n.Code, "err", err)
		}
		rec.Facts = facts
	}
	a.history.tell(rec)
	a.changed()
}

func (a *App) notices() []control.Notice {
	out := []control.Notice{}
	all, err := a.history.notices()
	if err != nil {
		a.log.Error("read the notices", "err", err)
		return out
	}
	for _, n := range all {
		w := control.Notice{ID: n.ID, At: n.At, Code: n.Code, Title: n.Title, Text: n.Text, Severity: n.Severity, Actions: []control.NoticeChoice{}}
		if len(n.Facts) > 0 {
			if err := json.Unmarshal(n.Facts, &w.Facts); err != nil {
				w.Facts = control.NoticeFacts{} // another version's: there is the text
			}
		}
		a.mu.Lock()
		if app := a.apps[n.Install]; app != nil {
			w.AppID = app.rec.AppID
		}
		a.mu.Unlock()
		for _, c := range n.Actions {
			action, label, _ := strings.Cut(c, "\t")
			w.Actions = append(w.Actions, control.NoticeChoice{Action: action, Label: label})
		}
		out = append(out, w)
	}
	return out
}

// NoticeAction does what a notice offers and takes the notice away.
func (a *App) NoticeAction(ctx context.Context, in control.NoticeAction) error {
	var notice *control.Notice
	for _, n := range a.notices() {
		if n.ID == in.ID {
			notice = &n
		}
	}
	if notice == nil {
		return control.NewError(control.ExitFailed, "notice_gone", "This notice is not there any more.", "", nil)
	}
	offered := in.Action == "dismiss"
	for _, c := range notice.Actions {
		offered = offered || c.Action == in.Action
	}
	if !offered {
		return control.NewError(control.ExitUsage, "bad_request", fmt.Sprintf("This notice does not offer %q.", in.Action), "", nil)
	}
	if err := a.history.untell(in.ID); err != nil {
		return fmt.Errorf("take the notice away: %w", err)
	}
	a.changed()
	switch in.Action {
	case "restart":
		return a.Restart(ctx, control.AppRef{App: notice.AppID})
	case "raise":
		return a.raise(ctx, notice.AppID)
	case "open_app", "review":
		return a.Show(ctx, control.Show{Window: control.WindowApp, App: notice.AppID})
	}
	return nil
}

// raise doubles the limit that the app was last stopped at, and starts it again.
func (a *App) raise(ctx context.Context, id string) error {
	app, err := a.find(id)
	if err != nil {
		return err
	}
	runs, err := a.history.runs(app.id)
	if err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	var next control.Budget
	most := sandbox.MaxBudget()
	for _, r := range runs {
		if r.Breach == nil {
			continue
		}
		switch r.Breach.Budget {
		case "memory":
			next.MemoryBytes = min(app.rec.Budget.MemoryBytes*2, most.MemoryBytes)
		case "cpu":
			next.CPUPercent = min(app.rec.Budget.CPUPercent*2, most.CPUPercent)
		case "disk":
			next.DiskBytes = min(app.rec.Budget.DiskBytes*2, most.DiskBytes)
		}
		break
	}
	if _, err := a.setBudget(app, next); err != nil {
		return err
	}
	return a.Restart(ctx, control.AppRef{App: id})
}
