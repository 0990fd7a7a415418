package ui

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2/test"

	"paddock/app/control"
)

// TestBackUpAndRestore: the page saves the app under a name that says of when, shows how far it is, can cancel, and says what
// became of the answers after a restore, with a way back.
func TestBackUpAndRestore(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.page()
	p.tabs.set(tabAbout)
	reads := func(what string) {
		t.Helper()
		r.until(what, func() bool { return strings.Contains(texts(p.frame), what) })
	}

	r.pick = func() (string, error) { return "", nil } // closed without a choice
	test.Tap(buttonNamed(t, p.frame, "Back up…"))
	test.Tap(buttonNamed(t, p.frame, "Restore…"))
	if len(got[control.Backup](r.agent, control.MethodBackup)) != 0 || len(p.sheets) != 0 {
		t.Error("something is done though nothing was chosen")
	}

	// Cancelled on the way.
	gone := make(chan struct{})
	r.agent.on(control.MethodBackup, func(_ json.RawMessage, s *control.Stream, q *http.Request) {
		_ = s.Event(control.Progress{Step: control.StepCopy, Bytes: 512 << 10, Total: 1 << 20})
		<-q.Context().Done()
		close(gone)
	})
	r.pick = func() (string, error) { return "/home/ada/Saved", nil }
	test.Tap(buttonNamed(t, p.frame, "Back up…"))
	reads("Saving Fieldnotes…")
	reads(bytesText(512 << 10)) // so the agent works on it
	test.Tap(buttonNamed(t, p.frame, "Cancel"))
	<-gone
	r.until("the sheet is closed", func() bool { return len(p.sheets) == 0 })

	r.agent.reply(control.MethodBackup, control.BackupResult{OK: true, File: "/home/ada/Saved/x.backup", Bytes: 3 << 20, LeftOut: []control.LeftOut{{Name: "a\u202elink", Why: "it is a link"}}, LeftOutCount: 2})
	test.Tap(buttonNamed(t, p.frame, "Back up…"))
	reads("Fieldnotes is saved")
	if all := texts(p.frame); !strings.Contains(all, "~"+string(filepath.Separator)+"Saved") || !strings.Contains(all, "link, …") || strings.Contains(all, "\u202e") {
		t.Error(all)
	}
	want := control.Backup{App: "com.example.fieldnotes", File: filepath.Join("/home/ada/Saved", "fieldnotes-2026-03-14-1200.backup")}
	if all := got[control.Backup](r.agent, control.MethodBackup); !slices.Equal(all, []control.Backup{want, want}) {
		t.Errorf("%+v", all)
	}
	if !slices.ContainsFunc(r.picks, func(p Pick) bool { return p.Folder }) || !slices.ContainsFunc(r.picks, func(p Pick) bool { return slices.Equal(p.Types, []string{".backup"}) }) {
		t.Errorf("asked for %+v", r.picks)
	}

	// A restore is asked for once more, and a refusal is said.
	r.pick = func() (string, error) { return "/home/ada/Saved/old.backup", nil }
	r.agent.refuse(control.MethodRestore, control.NewError(control.ExitRefused, "backup_damaged", "The backup is damaged.", "Use another copy.", nil))
	test.Tap(buttonNamed(t, p.frame, "Restore…"))
	if all := texts(p.frame); !strings.Contains(all, "old.backup") || !strings.Contains(all, "kept for 30 days") {
		t.Error(all)
	}
	if len(got[control.Restore](r.agent, control.MethodRestore)) != 0 {
		t.Error("restored before it was confirmed")
	}
	test.Tap(buttonNamed(t, p.frame, "Restore"))
	reads("The backup is damaged.")

	r.agent.reply(control.MethodRestore, control.RestoreResult{OK: true, InstallResult: control.InstallResult{ID: "com.example.fieldnotes", Name: "Fieldnotes"}, Undo: true})
	test.Tap(buttonNamed(t, p.frame, "Restore…"))
	test.Tap(buttonNamed(t, p.frame, "Restore"))
	reads("Fieldnotes is restored")
	reads("every permission is asked anew")
	test.Tap(buttonNamed(t, p.frame, "Undo"))
	r.until("undo", func() bool {
		all := got[control.Restore](r.agent, control.MethodRestore)
		return slices.Contains(all, control.Restore{App: "com.example.fieldnotes", Undo: true}) && slices.Contains(all, control.Restore{File: "/home/ada/Saved/old.backup"})
	})
}
