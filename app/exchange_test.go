package app

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"paddock/app/backup"
	"paddock/app/control"
	"paddock/sandbox/permission"
	"paddock/store"
)

// exchanging is an app with data "old", whose restore to "new" is under way.
type exchanging struct {
	*App
	t    *testing.T
	rec  store.Install
	next string
}

func newExchanging(t *testing.T) *exchanging {
	t.Helper()
	home := t.TempDir()
	if err := PrepareHome(home); err != nil {
		t.Fatal(err)
	}
	e := &exchanging{t: t}
	db, err := store.Open(filepath.Join(home, "store.db"), store.Options{Now: func() time.Time {
		if e.App == nil {
			return newClock().now()
		}
		return e.now()
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	e.rec = store.Install{Install: "abc", AppID: "org.example.test", VersionCode: 1, Name: "Test"}
	e.App = &App{home: home, store: db, now: newClock().now, log: slog.New(slog.DiscardHandler), apps: map[string]*installed{}}
	e.history = &history{store: db, log: e.log}
	if err := db.Commit(e.rec, nil); err != nil {
		t.Fatal(err)
	}
	e.folder(filepath.Join(e.installDir("abc"), "data"), "old")
	e.next = filepath.Join(e.stagingDir(), workPrefix+"1", "data")
	e.folder(e.next, "new")
	return e
}

func (e *exchanging) folder(dir, text string) {
	e.t.Helper()
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "note"), []byte(text), 0o600)); err != nil {
		e.t.Fatal(err)
	}
}

// restart is the next start, and tells what is there: the data, and what was set aside.
func (e *exchanging) restart() string {
	e.t.Helper()
	if err := e.recover(); err != nil {
		e.t.Fatal(err)
	}
	var out []string
	err := fs.WalkDir(os.DirFS(e.home), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() == "note" {
			raw, err := os.ReadFile(filepath.Join(e.home, name))
			out = append(out, filepath.Base(filepath.Dir(name))+": "+string(raw))
			return err
		}
		return err
	})
	if err != nil {
		e.t.Fatal(err)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (e *exchanging) exchange(next string) {
	e.t.Helper()
	if _, err := e.exchangeData(&e.rec, next, true); err != nil {
		e.t.Fatal(err)
	}
}

// commitRecord is the step after which the exchange has happened.
func (e *exchanging) commitRecord() {
	e.t.Helper()
	if err := e.store.PutInstall(e.rec); err != nil {
		e.t.Fatal(err)
	}
}

// TestRestoreSurvivesACrash: killed at any step, a restore or the way back from one has happened wholly or not at all.
func TestRestoreSurvivesACrash(t *testing.T) {
	data := func(e *exchanging) string { return filepath.Join(e.installDir("abc"), "data") }
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("before the first step", func(t *testing.T) {
		e := newExchanging(t)
		if got := e.restart(); got != "data: old" {
			t.Error(got)
		}
	})
	t.Run("after the first step", func(t *testing.T) {
		e := newExchanging(t)
		must(t, os.Rename(data(e), e.asideDir("abc", 1)))
		if got := e.restart(); got != "data: old" {
			t.Error(got)
		}
	})
	t.Run("after both", func(t *testing.T) {
		e := newExchanging(t)
		e.exchange(e.next)
		if got := e.restart(); got != "data: old" {
			t.Error(got)
		}
		if got := e.restart(); got != "data: old" {
			t.Error("and once more: ", got)
		}
	})
	t.Run("after the record", func(t *testing.T) {
		e := newExchanging(t)
		e.exchange(e.next)
		e.commitRecord()
		if got := e.restart(); got != "before-1: old, data: new" {
			t.Error(got)
		}
		if got := e.restart(); got != "before-1: old, data: new" {
			t.Error("and once more: ", got)
		}
	})
	second := func(t *testing.T) *exchanging {
		t.Helper()
		e := newExchanging(t)
		e.exchange(e.next)
		e.commitRecord()
		e.folder(e.next, "newest")
		return e
	}
	t.Run("a second restore unrecorded", func(t *testing.T) {
		e := second(t)
		e.exchange(e.next)
		if got := e.restart(); got != "before-1: old, data: new" {
			t.Error(got)
		}
	})
	t.Run("a second restore recorded before the older data went", func(t *testing.T) {
		e := second(t)
		e.exchange(e.next)
		e.commitRecord()
		if got := e.restart(); got != "before-2: new, data: newest" {
			t.Error(got)
		}
	})
	t.Run("the way back after its first step", func(t *testing.T) {
		e := second(t)
		must(t, os.Rename(data(e), e.asideDir("abc", 2)))
		if got := e.restart(); got != "before-1: old, data: new" {
			t.Error(got)
		}
	})
	t.Run("the way back unrecorded", func(t *testing.T) {
		e := second(t)
		e.exchange(e.asideDir("abc", 1))
		if got := e.restart(); got != "before-1: old, data: new" {
			t.Error(got)
		}
	})
	t.Run("the way back recorded", func(t *testing.T) {
		e := second(t)
		e.exchange(e.asideDir("abc", 1))
		e.commitRecord()
		if got := e.restart(); got != "before-2: new, data: old" {
			t.Error(got)
		}
	})
	t.Run("taken back without a crash", func(t *testing.T) {
		e := newExchanging(t)
		back, err := e.exchangeData(&e.rec, e.next, true)
		must(t, err)
		must(t, back())
		if got := e.restart(); got != "data: old" {
			t.Error(got)
		}
	})
}

// TestSetAsideExpires: what a restore set aside goes after 30 days, and not before.
func TestSetAsideExpires(t *testing.T) {
	for days, want := range map[int]string{29: "before-1: old, data: new", 31: "data: new"} {
		e := newExchanging(t)
		e.exchange(e.next)
		e.commitRecord()
		for day := range days + 1 { // a clock that leaps as far is not believed at once
			e.now = func() time.Time { return e.rec.SetAside.At.AddDate(0, 0, day) }
			if err := e.purgeExpired(); err != nil {
				t.Fatal(err)
			}
		}
		if got := e.restart(); got != want {
			t.Errorf("after %d days: %s, want %s", days, got, want)
		}
	}
}

// TestRestoredAnswers: what of a backup's answers comes back, and what is only suggested.
func TestRestoredAnswers(t *testing.T) {
	e := newExchanging(t)
	dir := t.TempDir()
	photos := filepath.Join(dir, "photos")
	if err := errors.Join(os.Mkdir(photos, 0o700), os.Symlink(photos, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(photos)
	if err != nil {
		t.Fatal(err)
	}
	asked := requests("net:a.example", "lan", "files:photos")
	grant := func(text string, d permission.Decision, l permission.Lifetime, path string) permission.Grant {
		p, err := permission.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return permission.Grant{Permission: p, Decision: d, Lifetime: l, Path: path, Access: permission.Read}
	}
	allow := func(text string) permission.Grant {
		return grant(text, permission.Allow, permission.Always, "")
	}
	deny := func(text string) permission.Grant { return grant(text, permission.Deny, permission.Always, "") }
	slot := func(path string) permission.Grant {
		return grant("files:photos", permission.Allow, permission.Always, path)
	}
	for name, c := range map[string]struct {
		own             bool
		backup, present []permission.Grant
		want, suggested string
	}{
		"own":                         {true, []permission.Grant{allow("net:a.example"), deny("lan")}, nil, "allow net:a.example, deny lan", ""},
		"a stranger's":                {false, []permission.Grant{allow("net:a.example"), deny("lan"), allow("net:b.example"), slot(photos)}, nil, "", "net:a.example, lan, files:photos"},
		"a session's":                 {true, []permission.Grant{grant("lan", permission.Allow, permission.Session, "")}, nil, "", ""},
		"a present no stays":          {true, []permission.Grant{allow("lan")}, []permission.Grant{deny("lan")}, "deny lan", ""},
		"a present yes goes":          {true, nil, []permission.Grant{allow("lan")}, "", ""},
		"a stranger's against my yes": {false, nil, []permission.Grant{allow("lan"), deny("net:a.example")}, "deny net:a.example", ""},
		"a folder":                    {true, []permission.Grant{slot(photos)}, nil, "allow files:photos=" + real, ""},
		"a link to one":               {true, []permission.Grant{slot(filepath.Join(dir, "link"))}, nil, "allow files:photos=" + real, ""},
		"a folder that is gone":       {true, []permission.Grant{slot(filepath.Join(dir, "gone"))}, nil, "", "files:photos"},
		"Paddock's own folder":        {true, []permission.Grant{slot(e.home)}, nil, "", "files:photos"},
		"the root":                    {true, []permission.Grant{slot("/")}, nil, "", "files:photos"},
		"no path":                     {true, []permission.Grant{slot("")}, nil, "", "files:photos"},
	} {
		s := staged(c.own, c.backup)
		var got, suggested []string
		for _, g := range e.restoredAnswers(s, asked, c.present) {
			text := g.Decision.String() + " " + g.Permission.String()
			if g.Path != "" {
				text += "=" + g.Path
			}
			got = append(got, text)
		}
		for _, g := range s.back.suggested {
			if g.Why == "" {
				t.Errorf("%s: no reason", name)
			}
			suggested = append(suggested, g.Permission)
		}
		if strings.Join(got, ", ") != c.want || strings.Join(suggested, ", ") != c.suggested {
			t.Errorf("%s: %q and suggested %q, want %q and %q", name, got, suggested, c.want, c.suggested)
		}
	}
}

func staged(own bool, grants []permission.Grant) *stage {
	return &stage{appID: "org.example.test", back: &returning{own: own, header: backup.Header{Grants: grants}}}
}

// TestRestoredBudget: limits come back from this machine's own backups only, and only as a user may set them.
func TestRestoredBudget(t *testing.T) {
	good := backup.Budget{MemoryBytes: 128 << 20, CPUPercent: 10, DiskBytes: 64 << 20}
	greedy := good
	greedy.MemoryBytes = 1 << 50
	for name, c := range map[string]struct {
		own  bool
		b    backup.Budget
		want int64
	}{"own": {true, good, 128 << 20}, "a stranger's": {false, good, 1}, "out of range": {true, greedy, 1}, "none": {true, backup.Budget{}, 1}} {
		rec := store.Install{Budget: store.Budget{MemoryBytes: 1}}
		(&returning{own: c.own, header: backup.Header{Budget: c.b}}).budget(&rec)
		if rec.Budget.MemoryBytes != c.want {
			t.Errorf("%s: %+v", name, rec.Budget)
		}
	}
	if err := checkBudget(store.Budget(good)); err != nil {
		t.Errorf("%v", control.AsError(err))
	}
}
