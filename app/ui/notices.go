package ui

import (
	"slices"

	"fyne.io/fyne/v2"

	"paddock/app/control"
)

// noticesShown bounds the strips at the top of a window; the newest win.
const noticesShown = 4

// noticeList shows what the user should know of, with what can be done about it.
type noticeList struct {
	f    *frame
	app  string // only notices of this app; empty: all
	view *fyne.Container
	ids  []string
}

func (f *frame) newNoticeList(app string) *noticeList {
	return &noticeList{f: f, app: app, view: vbox(10)}
}

// update reports whether anything changed its place.
func (n *noticeList) update(all []control.Notice) bool {
	var list []control.Notice
	for _, x := range all {
		if n.app == "" || x.AppID == n.app {
			list = append(list, x)
		}
	}
	slices.SortStableFunc(list, func(a, b control.Notice) int { return b.At.Compare(a.At) })
	list = list[:min(len(list), noticesShown)]
	ids := make([]string, len(list))
	for i, x := range list {
		ids[i] = x.ID
	}
	if slices.Equal(ids, n.ids) {
		return false
	}
	n.ids = ids
	n.view.Objects = nil
	for _, x := range list {
		n.view.Add(n.strip(x))
	}
	if len(list) > 0 {
		n.view.Add(gap(6))
	}
	return true
}

func (n *noticeList) strip(x control.Notice) fyne.CanvasObject {
	icon, t := "info", toneCalm
	switch x.Severity {
	case "warning":
		icon, t = "warning", toneWarn
	case "error":
		icon, t = "warning", toneRisk
	}
	var actions []fyne.CanvasObject
	dismiss := false
	for _, a := range x.Actions {
		w := quiet
		if a.Action == "dismiss" {
			dismiss, w = true, plain
		}
		actions = append(actions, newButton(tr(a.Label), w, func() { n.take(x, a.Action) }).compact())
	}
	if !dismiss {
		actions = append(actions, newButton(tr("Dismiss"), plain, func() { n.take(x, "dismiss") }).compact())
	}
	title, text := noticeText(x)
	return strip(icon, t, title, text+" · "+agoText(x.At, n.f.ws.o.Clock.Now()), actions...)
}

// noticeText says a notice in the user's language, from what it is about. The agent's own words are for the kinds that
// this window does not know.
func noticeText(x control.Notice) (title, text string) {
	f := x.Facts
	name := clean(f.Name, maxName)
	if name == "" {
		return clean(x.Title, maxLine), clean(x.Text, maxLine)
	}
	switch x.Code {
	case control.NoticeInstalled, control.NoticeRestored:
		title = tr("{{.App}} is installed", "App", name)
		if x.Code == control.NoticeRestored {
			title = tr("{{.App}} is restored", "App", name)
		}
		return title, tr("Version {{.Version}}. It has no rights that you did not give it.", "Version", clean(f.Version, maxName))
	case control.NoticePermissionNeeded:
		return tr("{{.App}} asks for a permission", "App", name), tr("It would like to use {{.Permission}}.", "Permission", clean(f.Permission, maxLine))
	case control.NoticeAppFailed:
		title = tr("{{.App}} ended unexpectedly", "App", name)
		if f.Signal != "" {
			return title, tr("It ended by itself (signal {{.Signal}}).", "Signal", clean(f.Signal, maxName))
		}
		return title, tr("It ended by itself (exit code {{.Code}}).", "Code", f.ExitCode)
	case control.NoticeOverBudget:
		title = tr("{{.App}} was stopped", "App", name)
		if f.DiskFull {
			return title, tr("The disk is nearly full, and it went on writing. Free some space before you start it again.")
		}
		return title, breachText(f.Breach)
	}
	return clean(x.Title, maxLine), clean(x.Text, maxLine)
}

// take leaves the action to the agent; where that means a window, the agent asks for it.
func (n *noticeList) take(x control.Notice, action string) {
	n.f.tell(control.MethodNotice, control.NoticeAction{ID: x.ID, Action: action}, nil)
}
