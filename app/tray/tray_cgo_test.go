//go:build cgo && linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paddock/app/control"
	"paddock/assets"
)

// These tests run the built program on a display and a session bus of their own, with a panel that reads
// the menu over com.canonical.dbusmenu, against a fake agent.

func TestTrayEndToEnd(t *testing.T) {
	t.Run("menu", testMenu)
	t.Run("attention", testAttention)
	t.Run("no panel", testNoPanel)
	t.Run("wait for a panel", testWaitForPanel)
	t.Run("waiting ends with the agent", testWaitEndsWithAgent)
	t.Run("signal", testSignal)
	t.Run("display goes away", testDisplayGoesAway)
}

func testMenu(t *testing.T) {
	s := startSession(t)
	p := s.panel(t, true)
	f := startFake(t, control.State{})
	f.reply = func(r request) (any, error) {
		return control.OpenResult{ID: "org.example.Notes", URL: "http://notes-abc.localhost:1/.paddock/open?t=1"}, nil
	}
	proc := s.tray(t, f.socket)
	icon := p.icon(t)
	footer := []string{"All apps…", "Activity", "Settings"}
	icon.shows(t, append(append([]string{"No app is running"}, footer...), "Quit Paddock"))
	if got := proc.stdout.String(); got != "ready\n" {
		t.Errorf("standard output %q", got)
	}

	// States appear as they come, with names drawn as they are.
	state := control.State{Apps: []control.AppState{app("Notes", control.StateRunning), app("my_app & _x__", control.StateFrozen)}}
	f.set(state)
	sub := []string{"  Open", "  Stop", "  Details and permissions…"}
	two := append([]string{"❄ my_app & _x__ – asleep"}, sub...)
	two = append(append(append(two, "● Notes"), sub...), footer...)
	two = append(two, "Quit Paddock…", "  2 apps are running: stop all and quit", "  Keep running")
	icon.shows(t, two)

	icon.click(t, "● Notes", "Open")
	if got := next[control.Open](t, f, control.MethodOpen); got.App != "org.example.Notes" || !got.Ask || got.Desktop.Display != s.display || got.Desktop.SessionBus != s.bus {
		t.Errorf("open %+v", got)
	}
	eventually(t, "the browser", func() (bool, any) {
		raw, _ := os.ReadFile(s.opened)
		return string(raw) == "http://notes-abc.localhost:1/.paddock/open?t=1 "+s.temp+"\n", string(raw)
	})
	icon.click(t, "❄ my_app & _x__ – asleep", "Stop")
	if got := next[control.AppRef](t, f, control.MethodStop); got.App != "org.example.my_app & _x__" {
		t.Errorf("stop %+v", got)
	}
	for label, window := range map[string]string{"All apps…": control.WindowLibrary, "Activity": control.WindowActivity, "Settings": control.WindowSettings} {
		icon.click(t, label)
		if got := next[control.Show](t, f, control.MethodShow); got.Window != window || got.Desktop.Display != s.display {
			t.Errorf("%s shows %+v", label, got)
		}
	}

	// Items that went are used again for others.
	f.set(control.State{Apps: []control.AppState{app("Feeds", control.StateOverBudget)}})
	icon.shows(t, append(append([]string{"▲ Feeds – over budget", "  Open", "  Details and permissions…"}, footer...), "Quit Paddock"))
	f.set(state)
	icon.shows(t, two)

	icon.click(t, "Quit Paddock…", "Keep running")
	icon.click(t, "Quit Paddock…", "2 apps are running: stop all and quit")
	next[control.Empty](t, f, control.MethodQuit) // the first call: keep running made none
	f.stop()
	if code := proc.exit(t); code != exitDone {
		t.Errorf("exit %d when the agent ended", code)
	}
	noIconLeft(t, s, f)
}

func testAttention(t *testing.T) {
	s := startSession(t)
	p := s.panel(t, true)
	f := startFake(t, control.State{})
	s.tray(t, f.socket)
	icon := p.icon(t)
	holds := func(want []byte) {
		t.Helper()
		eventually(t, "the icon", func() (bool, any) {
			raw, err := os.ReadFile(icon.file())
			return err == nil && bytes.Equal(raw, want), icon.file()
		})
	}
	holds(assets.Tray(assets.PanelUnknown, false))
	f.set(control.State{Prompts: []string{"p7"}, Notices: []control.Notice{{
		ID: "n1", Title: "Feeds used more memory than allowed", Severity: "warning",
		Actions: []control.NoticeChoice{{Action: "restart", Label: "Start again"}},
	}}})
	holds(assets.Tray(assets.PanelUnknown, true))
	icon.shows(t, []string{
		"◆ A question is waiting…", "▲ Feeds used more memory than allowed", "  Start again", "  Dismiss",
		"No app is running", "All apps…", "Activity", "Settings", "Quit Paddock",
	})
	icon.click(t, "◆ A question is waiting…")
	if got := next[control.Show](t, f, control.MethodShow); got.Window != control.WindowPrompt || got.Prompt != "p7" {
		t.Errorf("shown %+v", got)
	}
	icon.click(t, "▲ Feeds used more memory than allowed", "Start again")
	if got := next[control.NoticeAction](t, f, control.MethodNotice); got != (control.NoticeAction{ID: "n1", Action: "restart"}) {
		t.Errorf("took %+v", got)
	}
	f.set(control.State{})
	holds(assets.Tray(assets.PanelUnknown, false))
	if entries, _ := os.ReadDir(filepath.Dir(icon.file())); len(entries) != 1 {
		t.Errorf("%d icon files are kept, want 1", len(entries))
	}
}

func testNoPanel(t *testing.T) {
	for _, tc := range []struct {
		name    string
		watcher bool
		says    string
	}{
		{"no watcher", false, "nothing on this desktop shows tray icons"},
		{"a watcher without a host", true, "no panel has registered"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := startSession(t)
			if tc.watcher {
				s.panel(t, false)
			}
			f := startFake(t, control.State{})
			proc := s.tray(t, f.socket)
			code := proc.exit(t)
			took := time.Since(proc.started)
			if code != exitNoTray || !strings.Contains(proc.stderr.String(), tc.says) || strings.Count(proc.stderr.String(), "\n") != 1 {
				t.Errorf("exit %d, says %q; want %d and one sentence with %q", code, proc.stderr.String(), exitNoTray, tc.says)
			}
			if took > hang {
				t.Errorf("took %v; no tray is told at once", took)
			}
		})
	}
}

func testWaitForPanel(t *testing.T) {
	s := startSession(t)
	f := startFake(t, control.State{})
	proc := s.tray(t, f.socket, "--wait")
	// It is waiting once it watches the agent; a panel that comes at any moment after that is found.
	eventually(t, "the watch", func() (bool, any) { return f.watchers() > 0, f.watchers() })
	icon := s.panel(t, true).icon(t)
	icon.shows(t, []string{"No app is running", "All apps…", "Activity", "Settings", "Quit Paddock"})
	select {
	case <-proc.ended:
		t.Error("it ended")
	default:
	}
}

func testWaitEndsWithAgent(t *testing.T) {
	s := startSession(t)
	f := startFake(t, control.State{})
	proc := s.tray(t, f.socket, "--wait")
	eventually(t, "the watch", func() (bool, any) { return f.watchers() > 0, f.watchers() })
	f.stop()
	if code := proc.exit(t); code != exitDone {
		t.Errorf("exit %d", code)
	}
}

func testSignal(t *testing.T) {
	s := startSession(t)
	p := s.panel(t, true)
	f := startFake(t, control.State{})
	proc := s.tray(t, f.socket)
	icon := p.icon(t)
	eventually(t, "the icon file", func() (bool, any) { _, err := os.Stat(icon.file()); return err == nil, icon.file() })
	if err := proc.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := proc.exit(t); code != exitDone {
		t.Errorf("exit %d", code)
	}
	noIconLeft(t, s, f)
}

// GTK ends the process with its display. The icon file it leaves is gone after the next start and end.
func testDisplayGoesAway(t *testing.T) {
	s := startSession(t)
	p := s.panel(t, true)
	f := startFake(t, control.State{})
	proc := s.tray(t, f.socket)
	icon := p.icon(t)
	eventually(t, "the icon file", func() (bool, any) { _, err := os.Stat(icon.file()); return err == nil, icon.file() })
	if err := s.xserver.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if code := proc.exit(t); code == exitDone {
		t.Error("losing the display looks like a clean end")
	}

	again := startSession(t)
	p = again.panel(t, true)
	second := again.tray(t, f.socket)
	icon = p.icon(t)
	eventually(t, "the icon file", func() (bool, any) { _, err := os.Stat(icon.file()); return err == nil, icon.file() })
	if entries, _ := os.ReadDir(filepath.Dir(icon.file())); len(entries) != 1 {
		t.Errorf("%d icon files, want the new one only", len(entries))
	}
	f.stop()
	second.exit(t)
	noIconLeft(t, again, f)
}

// noIconLeft: neither our folder nor anything in the temporary folder stays behind.
func noIconLeft(t *testing.T, s *session, f *fakeAgent) {
	t.Helper()
	if entries, err := os.ReadDir(filepath.Dir(f.socket)); err != nil || len(entries) > 1 {
		t.Errorf("left beside the socket: %v %v", entries, err)
	}
	if entries, err := os.ReadDir(s.temp); err != nil || len(entries) > 0 {
		t.Errorf("left in the temporary folder: %v %v", entries, err)
	}
}
