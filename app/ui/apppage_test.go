package ui

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"paddock/app/control"
)

func (r *rig) page() *appPage {
	r.t.Helper()
	r.ws.Show(control.Show{Window: control.WindowApp, App: "com.example.fieldnotes"})
	p := r.frame(control.WindowApp).screen.(*appPage)
	r.until("the app page", func() bool { return p.known && p.state != "" })
	return p
}

func TestAppPageRevoke(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.page()
	all := texts(p.frame)
	for _, s := range []string{
		"Running for 2 h 14 min", "118\u00a0MB", "of 256\u00a0MB", "12.4\u00a0%", "Partly fenced in", "names of your files",
		"Used 214 times, last 3 min ago", "Never used · refused 2 times", "~/Documents/Notes", "last yesterday", "Not answered",
	} {
		if !strings.Contains(all, s) {
			t.Errorf("%q is missing in\n%s", s, all)
		}
	}
	hold := make(chan struct{})
	r.agent.on(control.MethodDecide, func(_ json.RawMessage, s *control.Stream, _ *http.Request) {
		<-hold
		_ = s.Result(control.Empty{})
	})
	after := sampleInfo()
	after.Permissions[0].Decision = "deny"
	r.agent.reply(control.MethodInfo, after)
	v := p.rights.rows["net:api.weather.gov"]
	test.Tap(v.toggle)
	if !strings.Contains(texts(p.frame), "Takes effect at once (restarting…)") {
		t.Error("nothing says that it takes effect at once")
	}
	close(hold)
	r.until("the answer", func() bool { return !v.busy && v.row.Decision == "deny" })
	d := got[control.Decide](r.agent, control.MethodDecide)
	if len(d) != 1 || d[0] != (control.Decide{App: "com.example.fieldnotes", Permission: "net:api.weather.gov", Decision: "deny"}) {
		t.Errorf("%+v", d)
	}
	if v.toggle.on || v.lifetime.Visible() {
		t.Error("a refused right still looks allowed")
	}

	test.Tap(v.forget)
	r.until("forget", func() bool {
		d := got[control.Decide](r.agent, control.MethodDecide)
		return len(d) == 2 && d[1].Decision == control.DecideForget
	})
}

func TestAppPageDecideFails(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.page()
	r.agent.refuse(control.MethodDecide, control.NewError(control.ExitRefused, "policy", "That is not asked for.", "", nil))
	v := p.rights.rows["net:api.weather.gov"]
	test.Tap(v.toggle)
	r.until("the error", func() bool { return strings.Contains(texts(p.frame), "That is not asked for.") })
	if !v.toggle.on {
		t.Error("the switch shows what was not stored")
	}
}

func TestAppPagePath(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.page()
	r.pick = func() (string, error) { return "/home/ada/Music", nil }
	test.Tap(p.rights.rows["files:notes"].pick)
	r.until("the path", func() bool {
		d := got[control.Decide](r.agent, control.MethodDecide)
		return len(d) == 1 && d[0].Path == "/home/ada/Music" && d[0].Decision == "allow"
	})
	r.pick = func() (string, error) { return "/home/ada/a\nb", nil }
	test.Tap(p.rights.rows["files:notes"].pick)
	if !strings.Contains(texts(p.frame), "control character") {
		t.Error(texts(p.frame))
	}
}

func TestAppPageBudget(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	r.agent.reply(control.MethodBudget, control.Budget{MemoryBytes: 512 << 20, CPUPercent: 50, DiskBytes: 1 << 30})
	p := r.page()
	test.Tap(findTap(t, p.frame, "Change the limits"))
	var mem *field
	walk(p.frame, func(o fyne.CanvasObject) {
		if f, ok := o.(*field); ok && f.name == "Memory" {
			mem = f
		}
	})
	save := buttonNamed(t, p.frame, "Save the limits")
	if !save.disabled {
		t.Error("can be saved unchanged")
	}
	mem.SetText("512")
	test.Tap(save)
	r.until("the budget", func() bool {
		b := got[control.SetBudget](r.agent, control.MethodBudget)
		return len(b) == 1 && b[0].Budget.MemoryBytes == 512<<20
	})
}

func findTap(t *testing.T, f *frame, name string) *tap {
	t.Helper()
	var found *tap
	walk(f, func(o fyne.CanvasObject) {
		if x, ok := o.(*tap); ok && x.name == name {
			found = x
		}
	})
	if found == nil {
		t.Fatalf("nothing called %q", name)
	}
	return found
}

func TestAppPageTabs(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	logEnded := make(chan struct{})
	r.agent.on(control.MethodLogs, func(_ json.RawMessage, s *control.Stream, req *http.Request) {
		_ = s.Event(control.LogLine{Stream: "out", Text: "listening"})
		_ = s.Event(control.LogLine{Stream: "err", Text: "denied\x1b[31m"})
		<-req.Context().Done()
		close(logEnded)
	})
	p := r.page()
	p.win.Canvas().Focus(p.tabs)
	key(p.frame, fyne.KeyRight)
	r.until("activity", func() bool { return strings.Contains(texts(p.frame), "tracker.example") })
	all := texts(p.frame)
	if strings.Index(all, "tracker.example") > strings.Index(all, "api.weather.gov") {
		t.Error("refused does not come first")
	}
	key(p.frame, fyne.KeyRight)
	r.until("history", func() bool {
		return strings.Contains(texts(p.frame), "Ended: used 271\u00a0MB of memory, 256\u00a0MB were allowed")
	})
	key(p.frame, fyne.KeyRight)
	r.until("the log", func() bool { return len(p.log.lines) == 2 })
	if s := p.log.grid.Text(); !strings.Contains(s, "listening") || strings.Contains(s, "\x1b") {
		t.Errorf("log %q", s)
	}
	p.log.search.SetText("denied")
	if len(p.log.grid.Rows) != 1 || !strings.Contains(texts(p.frame), "1 line matches.") {
		t.Errorf("%d rows", len(p.log.grid.Rows))
	}
	key(p.frame, fyne.KeyRight)
	<-logEnded // leaving the tab ends the call
	r.until("about", func() bool { return strings.Contains(texts(p.frame), "Key fingerprint") })

	test.Tap(buttonNamed(t, p.frame, "Remove this app…"))
	if !strings.Contains(texts(p.frame), "for 30 days") || !strings.Contains(texts(p.frame), "340\u00a0MB") {
		t.Error(texts(p.frame))
	}
	var choice *segmented
	walk(p.frame, func(o fyne.CanvasObject) {
		if s, ok := o.(*segmented); ok && s.name == "Its data" {
			choice = s
		}
	})
	choice.set(1)
	if !strings.Contains(texts(p.frame), "cannot be brought back") {
		t.Error("nothing says that the data is gone")
	}
	test.Tap(buttonNamed(t, p.frame, "Remove"))
	r.until("gone", func() bool { return r.ws.Open() == 0 })
	if u := got[control.Uninstall](r.agent, control.MethodUninstall); len(u) != 1 || !u[0].Purge {
		t.Errorf("%+v", u)
	}
}

func TestUninstallOffersUndo(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.page()
	p.tabs.set(tabAbout)
	test.Tap(buttonNamed(t, p.frame, "Remove this app…"))
	test.Tap(buttonNamed(t, p.frame, "Remove"))
	r.until("the library", func() bool { return r.frame(control.WindowLibrary) != nil && r.ws.Open() == 1 })
	test.Tap(buttonNamed(t, r.frame(control.WindowLibrary), "Undo"))
	r.until("undo", func() bool {
		u := got[control.Uninstall](r.agent, control.MethodUninstall)
		return len(u) == 2 && !u[0].Purge && u[1].Undo
	})
}

func TestSettings(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	r.ws.Show(control.Show{Window: control.WindowSettings})
	f := r.frame(control.WindowSettings)
	r.until("the doctor", func() bool { return strings.Contains(texts(f), "bubblewrap is not installed.") })
	r.until("the version", func() bool { return strings.Contains(texts(f), "Paddock 0.1.0.") })
	var look, required *segmented
	r.until("the settings", func() bool { return strings.Contains(texts(f), "An app starts where both fences stand.") })
	walk(f, func(o fyne.CanvasObject) {
		switch s, _ := o.(*segmented); {
		case s == nil:
		case s.name == "Look":
			look = s
		default:
			required = s
		}
	})
	required.set(0)
	r.until("the agent to be told", func() bool {
		return slices.Equal(got[control.SetSetting](r.agent, control.MethodSetSetting), []control.SetSetting{{Key: "walls.require", Value: "full"}})
	})
	if !strings.Contains(texts(f), "no way around the fences") {
		t.Error(texts(f))
	}
	if look.sel != 1 {
		t.Errorf("look %d", look.sel)
	}
	look.set(2)
	if r.ws.look() != LookDark || named(colCanvas) != darkColors[colCanvas] {
		t.Error("dark is not dark")
	}
}

// TestSettingsNameOtherUsers: where the front door cannot tell other users apart, the settings say so, and only there.
func TestSettingsNameOtherUsers(t *testing.T) {
	for _, told := range []bool{true, false} {
		r := newRig(t, LookLight)
		r.fill()
		d := sampleDoctor()
		d.Gateway.Peers = told
		r.agent.reply(control.MethodDoctor, d)
		r.ws.Show(control.Show{Window: control.WindowSettings})
		f := r.frame(control.WindowSettings)
		r.until("the doctor", func() bool { return strings.Contains(texts(f), "bubblewrap is not installed.") })
		if got := strings.Contains(texts(f), "Other users of this computer cannot be told apart"); got == told {
			t.Errorf("told apart: %v, said: %v", told, got)
		}
	}
}

func TestAgentGone(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.page()
	_ = r.agent.srv.Close()
	test.Tap(p.restart)
	r.until("the sentence", func() bool { return strings.Contains(texts(p.frame), "Paddock does not answer.") })
}
