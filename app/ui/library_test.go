package ui

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/storage"
	"fyne.io/fyne/v2/test"

	"paddock/app/control"
)

func (r *rig) library() *library {
	r.t.Helper()
	r.ws.Show(control.Show{Window: control.WindowLibrary})
	l := r.frame(control.WindowLibrary).screen.(*library)
	r.until("the library", func() bool { return l.drawn })
	return l
}

func TestLibraryDrawsSnapshots(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	l := r.library()
	all := texts(l.frame)
	for _, s := range []string{"6 apps · 2 running", "Running", "Asleep", "Stopped: over its limit", "Waits for your answer", "Did not start", "Sky Now was stopped", "7\u00a0MB of 18\u00a0MB · 1.6\u00a0MB per second · 7 s left"} {
		if !strings.Contains(all, s) {
			t.Errorf("%q is missing in:\n%s", s, all)
		}
	}
	marks := map[string]bool{}
	for _, s := range []string{control.StateRunning, control.StateStarting, control.StateFrozen, control.StateStopped, control.StateNeedsPermission, control.StateOverBudget, control.StateFailed} {
		marks[markOf(s).icon] = true
	}
	if len(marks) != 7 {
		t.Errorf("states share shapes: %v", marks)
	}

	// A tile stays the same object, so the focus does too.
	tile := l.tiles["io.ledger"]
	l.win.Canvas().Focus(tile.act)
	s := sampleState()
	s.Seq, s.Apps[3].State = 8, control.StateRunning
	r.state(s)
	if l.tiles["io.ledger"] != tile || l.win.Canvas().Focused() != fyne.Focusable(tile.act) || !tile.stop.Visible() {
		t.Errorf("after a snapshot: focus %v, a button to stop it: %v", l.win.Canvas().Focused(), tile.stop.Visible())
	}
	s.Seq, s.Apps = 9, s.Apps[:2]
	r.state(s)
	if len(l.tiles) != 2 {
		t.Errorf("%d tiles", len(l.tiles))
	}
}

func TestLibrarySearch(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	l := r.library()
	l.win.Canvas().Focus(l.search)
	test.Type(l.search, "weather")
	if !slices.Equal(l.shown, []string{"com.example.fieldnotes", "net.sky.now"}) {
		t.Errorf("found %v", l.shown)
	}
	test.Type(l.search, "zzz")
	if !strings.Contains(texts(l.frame), "No app matches “weatherzzz”.") {
		t.Error(texts(l.frame))
	}
	key(l.frame, fyne.KeyEscape)
	if len(l.shown) != 6 {
		t.Errorf("Escape does not clear the search: %v", l.shown)
	}
}

func TestLibraryOpenAndStop(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	l := r.library()
	r.agent.reply(control.MethodOpen, control.OpenResult{URL: "http://127.0.0.1:7421/x", Handed: "file:///run/x.html"})
	test.Tap(l.tiles["io.ledger"].act)
	if !l.tiles["io.ledger"].act.disabled {
		t.Error("can be opened twice")
	}
	r.until("the browser", func() bool {
		r.openMu.Lock()
		defer r.openMu.Unlock()
		return len(r.opened) == 1 && r.opened[0] == "file:///run/x.html"
	})
	if o := got[control.Open](r.agent, control.MethodOpen); len(o) != 1 || !o[0].Ask || !o[0].Browse || o[0].App != "io.ledger" {
		t.Errorf("%+v", o)
	}
	r.until("the button", func() bool { return !l.tiles["io.ledger"].act.disabled })
	if l.tiles["io.ledger"].stop.Visible() {
		t.Error("what does not run can be stopped")
	}
	test.Tap(l.tiles["com.example.fieldnotes"].act) // a running app is opened too
	r.until("the browser again", func() bool { return len(got[control.Open](r.agent, control.MethodOpen)) == 2 })
	r.until("the button of the running app", func() bool { return l.tiles["com.example.fieldnotes"].stop.Visible() })
	test.Tap(l.tiles["com.example.fieldnotes"].stop)
	r.until("stop", func() bool { return len(got[control.AppRef](r.agent, control.MethodStop)) == 1 })

	r.agent.refuse(control.MethodOpen, control.NewError(control.ExitNotStarted, "start", "Ledger did not start.", "Look at its log.", nil))
	test.Tap(l.tiles["io.ledger"].act)
	r.until("the error", func() bool {
		return strings.Contains(texts(l.frame), "Ledger did not start.") && strings.Contains(texts(l.frame), "Look at its log.")
	})
}

func TestNoticeActions(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	l := r.library()
	test.Tap(buttonNamed(t, l.frame, "Allow 512 MB"))
	r.until("the action", func() bool {
		n := got[control.NoticeAction](r.agent, control.MethodNotice)
		return len(n) == 1 && n[0] == control.NoticeAction{ID: "n1", Action: "raise"}
	})
}

func TestWhySentence(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	l := r.library()
	r.ws.Show(control.Show{Window: control.WindowLibrary, Why: "No tray here."})
	if r.ws.Open() != 1 || !strings.Contains(texts(l.frame), "No tray here.") {
		t.Fatal(texts(l.frame))
	}
	test.Tap(buttonNamed(t, l.frame, "Understood"))
	if strings.Contains(texts(l.frame), "No tray here.") {
		t.Error("still there")
	}
}

func TestDropAndLink(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	r.agent.reply(control.MethodStage, sampleStaged())
	l := r.library()
	l.drop([]fyne.URI{storage.NewFileURI("/tmp/x.txt")})
	if r.ws.Open() != 1 || !strings.Contains(texts(l.frame), "This is not an app.") {
		t.Error("a text file was taken for an app")
	}
	l.drop([]fyne.URI{storage.NewFileURI("/tmp/x.txt"), storage.NewFileURI("/tmp/Notes.PADDOCK")})
	if f := r.frame(control.WindowReview); f == nil || f.screen.(*review).source != "/tmp/Notes.PADDOCK" {
		t.Fatal("no review of the dropped file")
	}
	l.get()
	link := l.win.Canvas().Focused().(*field)
	test.Type(link, "ftp://x")
	link.OnSubmitted(link.Text)
	if len(l.sheets) != 1 || !strings.Contains(texts(l.frame), "not a link that Paddock understands") {
		t.Error(texts(l.frame))
	}
	link.SetText("https://apps.example/notes.paddock")
	link.OnSubmitted(link.Text)
	if len(l.sheets) != 0 || r.ws.Open() != 3 {
		t.Errorf("%d sheets, %d windows", len(l.sheets), r.ws.Open())
	}
}

func TestLinkHost(t *testing.T) {
	for source, want := range map[string]string{
		"https://apps.example/a.paddock":                          "apps.example",
		"https://Apps.Example.:443/a":                             "apps.example",
		"https://bücher.example/a":                                "xn--bcher-kva.example",
		"http://127.0.0.1:8080/a":                                 "127.0.0.1:8080",
		"https://[2001:db8::1]:8443/a":                            "[2001:db8::1]:8443",
		"paddock://install?url=https%3A%2F%2Fapps.example%2Fa":    "apps.example",
		"paddock://install?url=http%3A%2F%2Fapps.example%2Fa":     "",
		"paddock://other?url=https%3A%2F%2Fapps.example":          "",
		"https://apps.example@evil.example/a":                     "",
		"paddock://install?url=https%3A%2F%2Fu%3Ap%40evil.test%2": "",
		"javascript:alert(1)":                                     "",
		"/etc/passwd":                                             "",
		"":                                                        "",
	} {
		host, err := linkHost(source)
		if host != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", source, host, err)
		}
	}
}

// security.md 5: nothing is fetched before the user has confirmed the host.
func TestReviewOfALinkWaits(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	r.agent.reply(control.MethodStage, sampleStaged())
	for _, source := range []string{"https://apps.example/a.paddock", "HTTPS://apps.example/a.paddock", "paddock://install?url=https%3A%2F%2Fapps.example%2Fa", "http://127.0.0.1:9/a"} {
		r.ws.Show(control.Show{Window: control.WindowReview, Source: source})
		f := r.frame(control.WindowReview)
		host, _ := linkHost(strings.Replace(source, "HTTPS", "https", 1))
		if !strings.Contains(texts(f), host) {
			t.Errorf("%s: the host is not shown:\n%s", source, texts(f))
		}
		yes := buttonNamed(t, f, "Download")
		test.Tap(yes) // too early
		f.win.Canvas().Focus(yes)
		r.ready()
		key(f, fyne.KeyReturn)
		r.settle()
		if n := len(got[control.Stage](r.agent, control.MethodStage)); n != 0 {
			t.Fatalf("%s: fetched before it was confirmed", source)
		}
		key(f, fyne.KeyEscape)
		if r.ws.Open() != 0 {
			t.Errorf("Escape leaves the window open")
		}
	}
	r.ws.Show(control.Show{Window: control.WindowReview, Source: "https://apps.example/a.paddock"})
	f := r.frame(control.WindowReview)
	r.ready()
	test.Tap(buttonNamed(t, f, "Download"))
	r.until("the sheet", func() bool { return strings.Contains(texts(f), "Install Fieldnotes?") })
}

func TestReviewInstall(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	r.agent.reply(control.MethodStage, sampleStaged())
	r.agent.reply(control.MethodCommit, control.InstallResult{ID: "com.example.fieldnotes", Name: "Fieldnotes"})
	r.agent.reply(control.MethodOpen, control.OpenResult{URL: "http://x"})
	r.ws.Show(control.Show{Window: control.WindowReview, Source: "/tmp/a.paddock"})
	f := r.frame(control.WindowReview)
	r.until("the sheet", func() bool { return strings.Contains(texts(f), "Install Fieldnotes?") })
	for _, s := range []string{"new publisher", fingerprint(sampleStaged().Publisher.Key), "apps.northwind.example", "1.2\u00a0MB", "MIT", "1.4.0", "api.weather.gov", "Installing grants nothing.", "Up to 256\u00a0MB of memory"} {
		if !strings.Contains(texts(f), s) {
			t.Errorf("%q is missing in\n%s", s, texts(f))
		}
	}
	install := buttonNamed(t, f, "Install")
	test.Tap(install) // too early
	r.ready()
	f.win.Canvas().Focus(install)
	key(f, fyne.KeyReturn)
	r.settle()
	if n := len(got[control.Commit](r.agent, control.MethodCommit)); n != 0 {
		t.Fatal("installed by Enter or too early")
	}
	key(f, fyne.KeySpace)
	r.until("done", func() bool { return strings.Contains(texts(f), "Fieldnotes is installed") })
	if c := got[control.Commit](r.agent, control.MethodCommit); len(c) != 1 || c[0].GrantAll || len(c[0].Grant) != 0 {
		t.Fatalf("%+v", c)
	}
	test.Tap(buttonNamed(t, f, "Open"))
	r.until("closed after opening", func() bool { return r.ws.Open() == 0 && len(r.opened) == 1 })
	if n := len(got[control.Discard](r.agent, control.MethodDiscard)); n != 0 {
		t.Error("an installed bundle was discarded")
	}
}

func TestReviewCloseDiscards(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	r.agent.reply(control.MethodStage, sampleStaged())
	r.ws.Show(control.Show{Window: control.WindowReview, Source: "/tmp/a.paddock"})
	f := r.frame(control.WindowReview)
	r.until("the sheet", func() bool { return strings.Contains(texts(f), "Install Fieldnotes?") })
	key(f, fyne.KeyEscape)
	r.until("discard", func() bool {
		d := got[control.Discard](r.agent, control.MethodDiscard)
		return len(d) == 1 && d[0].Stage == "s1"
	})
}

func TestReviewUpdateAndErrors(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	s := sampleStaged()
	s.Update, s.Installed, s.Wider = true, "1.3.0", []string{"browser:camera"}
	r.agent.reply(control.MethodStage, s)
	r.ws.Show(control.Show{Window: control.WindowReview, Source: "/tmp/a.paddock"})
	f := r.frame(control.WindowReview)
	r.until("the sheet", func() bool { return strings.Contains(texts(f), "Update Fieldnotes?") })
	if all := texts(f); strings.Contains(all, "api.weather.gov") || !strings.Contains(all, "Use the camera") || !strings.Contains(all, "1.4.0 (you have 1.3.0)") {
		t.Errorf("an update shows more than what is wider:\n%s", all)
	}
	f.win.Close()
	r.agent.refuse(control.MethodStage, control.NewError(control.ExitRefused, "signature", "The signature does not fit.", "Get it again.", nil))
	r.ws.Show(control.Show{Window: control.WindowReview, Source: "/tmp/b.paddock"})
	f = r.frame(control.WindowReview)
	r.until("the error", func() bool {
		return strings.Contains(texts(f), "The signature does not fit.") && strings.Contains(texts(f), "Get it again.")
	})
	r.ws.Show(control.Show{Window: control.WindowReview, Source: "relative/name"})
	if r.ws.Open() != 2 {
		t.Error("a source that is neither file nor link has no window")
	}
}

func TestReviewCancelEndsTheDownload(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	ended := make(chan struct{})
	r.agent.on(control.MethodStage, func(_ json.RawMessage, s *control.Stream, req *http.Request) {
		_ = s.Event(control.Progress{Step: "download", Bytes: 1, Total: -1})
		<-req.Context().Done()
		close(ended)
	})
	r.ws.Show(control.Show{Window: control.WindowReview, Source: "/tmp/a.paddock"})
	f := r.frame(control.WindowReview)
	r.until("progress", func() bool { return strings.Contains(texts(f), "1\u00a0B") })
	test.Tap(buttonNamed(t, f, "Cancel"))
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the download goes on")
	}
}
