package ui

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"paddock/app/control"
)

// TestShots draws every window in both looks. With PADDOCK_SHOTS=FOLDER the pictures are kept.
func TestShots(t *testing.T) {
	for _, look := range []string{LookLight, LookDark} {
		t.Run(look, func(t *testing.T) {
			shots(t, look, "")
		})
	}
}

func shots(t *testing.T, look, suffix string) {
	r := newRig(t, look)
	r.fill()
	r.agent.on(control.MethodIcon, func(raw json.RawMessage, s *control.Stream, _ *http.Request) {
		var ref control.AppRef
		_ = json.Unmarshal(raw, &ref)
		_ = s.Result(sampleIconOf(ref.App))
	})
	name := func(s string) string { return s + "-" + look + suffix }
	has := func(f *frame, s string) func() bool { return func() bool { return strings.Contains(texts(f), s) } }

	// Prompt.
	r.ws.Show(control.Show{Window: control.WindowPrompt, Prompt: "p1"})
	f := r.frame(control.WindowPrompt)
	p := f.screen.(*prompt)
	r.until("the prompt", func() bool { return p.allow != nil })
	r.clock.advance(armDelay)
	r.settle()
	r.shot(f, name("prompt"))
	r.pick = func() (string, error) { return "/home/ada/Documents/Notes", nil }
	p.rows[1].toggle.set(true)
	p.rows[3].toggle.set(true)
	p.budget.edit.toggle()
	p.details.toggle()
	r.until("the flags", has(f, "--allow-net=api.weather.gov:443"))
	f.win.Resize(fyne.NewSize(promptWidth, p.page.heightFor(promptWidth)+130))
	f.win.Canvas().Focus(p.rows[1].toggle)
	r.shot(f, name("prompt-details"))
	p.rows[0].toggle.set(false)
	p.answer(true)
	r.shot(f, name("prompt-refused"))
	f.sheets[0].close()
	f.win.Close()
	r.settle()

	// Library.
	r.ws.Show(control.Show{Window: control.WindowLibrary, Why: "This desktop shows no tray icons, so Paddock opens this window instead."})
	f = r.frame(control.WindowLibrary)
	l := f.screen.(*library)
	r.until("the library", func() bool {
		return len(l.tiles) == 6 && l.tiles["com.example.fieldnotes"].picture.hasIcon() &&
			l.tiles["org.paddock.feeds"].picture.hasIcon() && l.tiles["net.sky.now"].picture.hasIcon()
	})
	f.win.Resize(fyne.NewSize(860, 760))
	f.relayout()
	r.shot(f, name("library"))
	l.get()
	r.shot(f, name("get"))
	f.sheets[0].close()
	f.win.Resize(fyne.NewSize(820, 560))
	l.refresh(control.State{})
	l.whyBox.Objects = nil
	l.relayout()
	r.shot(f, name("library-empty"))
	f.win.Close()
	r.settle()

	// Review.
	hold := make(chan struct{})
	r.agent.on(control.MethodStage, func(_ json.RawMessage, s *control.Stream, _ *http.Request) {
		_ = s.Event(control.Progress{Step: "download", Bytes: 7 << 20, Total: 18 << 20, BytesPerS: 1.6 * (1 << 20), RedirectTo: "cdn.northwind.example"})
		<-hold
		_ = s.Result(sampleStaged())
	})
	r.agent.reply(control.MethodCommit, control.InstallResult{ID: "com.example.fieldnotes", Name: "Fieldnotes"})
	r.ws.Show(control.Show{Window: control.WindowReview, Source: "https://apps.northwind.example/fieldnotes.paddock"})
	f = r.frame(control.WindowReview)
	v := f.screen.(*review)
	r.clock.advance(armDelay)
	r.settle()
	r.shot(f, name("review-link"))
	v.stage()
	r.until("progress", has(f, "cdn.northwind.example"))
	r.shot(f, name("review-progress"))
	close(hold)
	r.until("the sheet", func() bool { return v.waiting })
	r.clock.advance(armDelay)
	r.settle()
	f.win.Resize(fyne.NewSize(reviewWidth, v.page.heightFor(reviewWidth)+heightOf(v.foot, reviewWidth)))
	r.shot(f, name("review"))
	v.failed(control.NewError(control.ExitRefused, "signature", "The bundle's signature does not fit its content.", "Get it again from its author; do not open this copy.", nil))
	r.shot(f, name("review-error"))
	v.done(control.InstallResult{Name: "Fieldnotes"})
	r.shot(f, name("review-done"))
	f.win.Close()
	r.settle()

	// App page.
	r.agent.on(control.MethodLogs, func(_ json.RawMessage, s *control.Stream, req *http.Request) {
		_ = s.Event(control.LogLine{At: noon, Stream: "out", Text: "listening"})
		_ = s.Event(control.LogLine{At: noon, Stream: "out", Text: "forecast loaded in 214 ms"})
		_ = s.Event(control.LogLine{At: noon, Stream: "err", Text: "PermissionDenied: net access to \"tracker.example:443\""})
		_ = s.Event(control.LogLine{At: noon, Stream: "host", Text: "restarted with a new set of permissions"})
		<-req.Context().Done()
	})
	r.ws.Show(control.Show{Window: control.WindowApp, App: "com.example.fieldnotes"})
	f = r.frame(control.WindowApp)
	a := f.screen.(*appPage)
	r.until("the app", func() bool { return a.known && a.picture.hasIcon() })
	for i := range 90 {
		x := float64(i%30) / 30
		a.meters.memory.show("118 MB", 0.25+x*0.4, true)
		a.meters.cpu.show("12.4 %", 0.1+0.8*x*x*x, true)
		a.meters.disk.show("340 MB", 0.332, true)
	}
	for i, tab := range []string{"rights", "activity", "history", "log", "about"} {
		a.tabs.set(i)
		want := map[string]string{"activity": "tracker.example", "history": "271\u00a0MB", "about": "Landlock", "rights": "api.weather.gov"}[tab]
		if tab == "log" {
			r.until("the log", func() bool { return len(a.log.lines) == 4 })
		} else {
			r.until(tab, has(f, want))
		}
		f.win.Resize(fyne.NewSize(660, max(a.page.heightFor(660), 300)))
		r.shot(f, name("app-"+tab))
	}
	a.uninstall()
	f.win.Resize(fyne.NewSize(660, 640))
	f.win.Canvas().Overlays().Top().Resize(fyne.NewSize(660, 640))
	r.shot(f, name("app-uninstall"))
	f.sheets[0].close()
	f.win.Close()
	r.settle()

	// Activity and settings.
	r.ws.Show(control.Show{Window: control.WindowActivity})
	f = r.frame(control.WindowActivity)
	r.until("activity", has(f, "tracker.example"))
	r.shot(f, name("activity"))
	f.win.Close()
	r.ws.Show(control.Show{Window: control.WindowSettings})
	f = r.frame(control.WindowSettings)
	r.until("settings", has(f, "Landlock"))
	r.settle()
	r.shot(f, name("settings"))
	f.win.Close()
}

// hasIcon reports that the app's own icon has come and is drawn, not its letter.
func (p *picture) hasIcon() bool {
	_, ok := p.Objects[0].(*canvas.Image)
	return ok
}
