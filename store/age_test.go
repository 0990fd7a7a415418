package store

import (
	"path/filepath"
	"testing"
	"time"
)

// The clock by which age is judged follows the machine's, but one that leaps and comes back deletes nothing.
func TestAged(t *testing.T) {
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	type step struct {
		clock time.Duration // what the machine's clock moves by
		works time.Duration // how long the agent has run meanwhile
		lag   time.Duration // how far behind the clock is then, to the hour
	}
	for name, steps := range map[string][]step{
		"an ordinary day":                        {{0, 0, 0}, {time.Hour, time.Hour, 0}, {8 * time.Hour, 8 * time.Hour, 0}},
		"asleep over a night":                    {{0, 0, 0}, {12 * time.Hour, time.Second, 0}},
		"a week off":                             {{0, 0, 0}, {7 * day, time.Minute, 6 * day}, {0, time.Minute, 6 * day}, {0, time.Hour, 5 * day}, {0, 5 * time.Hour, 4 * day}},
		"a year ahead and back":                  {{0, 0, 0}, {year, time.Second, year - day - 19*time.Hour - 48*time.Minute}, {-year, time.Minute, 0}, {time.Hour, time.Hour, 0}},
		"ahead and back again and again":         {{0, 0, 0}, {20 * day, 1, 19 * day}, {-20 * day, 1, 0}, {20 * day, 1, 19 * day}, {-20 * day, 1, 0}, {20 * day, 1, 19 * day}},
		"set back, and right again":              {{0, 0, 0}, {-50 * year, time.Hour, 0}, {50 * year, time.Hour, 0}},
		"made in 1970, then right: not for ever": {{-56 * year, 0, 0}, {56 * year, time.Hour, 56*year - 56*year/ageFar}},
	} {
		t.Run(name, func(t *testing.T) {
			now, works := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), time.Duration(0)
			db, err := Open(filepath.Join(t.TempDir(), "store.db"), Options{Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			db.pace.elapsed = func() time.Duration { return works }
			for i, s := range steps {
				now, works = now.Add(s.clock), works+s.works
				aged, latest, err := db.Aged()
				if err != nil {
					t.Fatal(err)
				}
				if latest.Before(now) || latest.Before(aged) {
					t.Errorf("step %d: it is %v, and %v at the latest", i, now, latest)
				}
				if lag := now.Sub(aged); (lag-s.lag).Abs() > time.Hour || lag < 0 {
					t.Errorf("step %d: it is %v behind, want %v", i, lag, s.lag)
				}
			}
		})
	}
}

// A lag of any length is made up in a few weeks of work.
func TestAgedCatchesUp(t *testing.T) {
	lag, hours := 56*365*24*time.Hour, 0
	for ; lag > ageLeap; hours++ {
		lag -= stride(lag)
	}
	if hours > 1500 {
		t.Errorf("56 years are made up in %d hours", hours)
	}
}

// What an app did is kept through a leap of the clock, and the time of a use that was noted meanwhile is put right by
// the next one.
func TestActivityOutlivesALeap(t *testing.T) {
	now, works := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), time.Duration(0)
	db, err := Open(filepath.Join(t.TempDir(), "store.db"), Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.pace.elapsed = func() time.Duration { return works }
	if err := db.PutInstall(Install{Install: "app", AppID: "org.example.app", Manifest: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	deed := func() {
		t.Helper()
		if err := db.AddActivity("app", Activity{At: now, Permission: "net:a.example", Outcome: OutcomeAllowed, Side: "process", Count: 1}); err != nil {
			t.Fatal(err)
		}
	}
	kept := func() int {
		t.Helper()
		all, err := db.Activity("app", time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	for range 4 { // four days of use
		deed()
		now, works = now.Add(24*time.Hour), works+24*time.Hour
	}
	now = now.Add(365 * 24 * time.Hour)
	for range 100 { // a while, at one write a second
		deed()
		works += time.Second
	}
	now = now.Add(-365 * 24 * time.Hour)
	deed()
	if n := kept(); n != 6 { // four days, the hour in the future, and now
		t.Errorf("%d entries are left, want 6", n)
	}
	use, err := db.Use("app")
	if err != nil || !use["net:a.example"].Last.Equal(now) {
		t.Errorf("the last use is %+v, %v", use, err)
	}
	now, works = now.Add(10*24*time.Hour), works+10*24*time.Hour // and what is old goes as ever
	for range 12 {
		deed()
		works += time.Hour
	}
	if n := kept(); n != 2 {
		t.Errorf("%d entries are left after ten days, want 2", n)
	}
}
