package app

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paddock/store"
)

// What was uninstalled is kept 30 days whatever the clock does meanwhile, and no longer for having been uninstalled
// while it was ahead.
func TestUndoWhenTheClockIsSet(t *testing.T) {
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	start := newClock().t
	for name, c := range map[string]struct {
		removed time.Duration   // when it was uninstalled, from the start
		looks   []time.Duration // when expired data is looked for; a move of hours is one of the clock alone
		kept    bool
	}{
		"within the 30 days":              {0, []time.Duration{day, 29 * day}, true},
		"the clock leaps ahead":           {0, []time.Duration{day, year}, true},
		"it leaps ahead, and back":        {0, []time.Duration{year, year + time.Hour, day}, true},
		"it is set back":                  {0, []time.Duration{-year, 0}, true},
		"31 days, day after day":          {0, days(31), false},
		"uninstalled while it was ahead":  {year, append([]time.Duration{0}, days(33)...), false},
		"the same, within the 30 days":    {year, append([]time.Duration{0}, days(29)...), true},
		"uninstalled while it was behind": {-year, days(3), true},
	} {
		t.Run(name, func(t *testing.T) {
			now := start
			home := t.TempDir()
			db, err := store.Open(filepath.Join(home, "store.db"), store.Options{Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, _, err := db.Aged(); err != nil { // it was used before
				t.Fatal(err)
			}
			now = start.Add(c.removed)
			_, removed, err := db.Aged() // as Uninstall does
			if err != nil {
				t.Fatal(err)
			}
			a := &App{home: home, store: db, now: func() time.Time { return now }, log: slog.New(slog.DiscardHandler)}
			if err := db.PutInstall(store.Install{Install: "app", AppID: "org.example.app", Manifest: []byte("{}"), RemovedAt: &removed, KeepData: keep30Days}); err != nil {
				t.Fatal(err)
			}
			note := filepath.Join(a.installDir("app"), "data", "note")
			if err := errors.Join(os.MkdirAll(filepath.Dir(note), 0o700), os.WriteFile(note, []byte("kept"), 0o600)); err != nil {
				t.Fatal(err)
			}
			for _, at := range c.looks {
				now = start.Add(at)
				if err := a.purgeExpired(); err != nil {
					t.Fatal(err)
				}
			}
			_, err = os.Stat(note)
			if kept := err == nil; kept != c.kept || err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("kept: %v (%v), want %v", kept, err, c.kept)
			}
		})
	}
}

func days(n int) (all []time.Duration) {
	for i := range n {
		all = append(all, time.Duration(i+1)*24*time.Hour)
	}
	return all
}

// An app that kept dying is not kept from its next start for longer than a minute, however far the clock is set back.
func TestBackoffWhenTheClockIsSet(t *testing.T) {
	now := newClock().t
	var deaths []time.Time
	for range 10 {
		deaths = append(deaths, now)
	}
	for _, by := range []time.Duration{-30 * time.Second, -time.Hour, -10000 * time.Hour, 10000 * time.Hour} {
		if wait := backoff(deaths, now.Add(by)); wait > maxBackoff || by.Abs() > deathWindow && wait > 0 {
			t.Errorf("the clock moves by %v: it waits %v", by, wait)
		}
	}
}
