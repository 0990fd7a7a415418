package gateway

import (
	"strings"
	"testing"
	"time"
)

// Whatever the clock does, a session lives no longer without use than it may, and comes back when the clock does.
func TestSessionsWhenTheClockIsSet(t *testing.T) {
	const year = 365 * 24 * time.Hour
	r := newRig(t, serveApp(t, hello("app")))
	status := func(want int, when string) {
		t.Helper()
		if res := r.get("/"); res.StatusCode != want {
			t.Errorf("%s: %s, want %d", when, res.Status, want)
		}
	}
	sweep := func() { r.g.saveSessions(); r.g.tidy() }
	status(200, "at first")
	r.clock.advance(year)
	sweep()
	status(401, "a year later, as it seems")
	r.clock.advance(-year)
	sweep()
	status(200, "when the clock is right again")

	r.clock.advance(year)
	r.cookie = r.letIn("i1", r.host) // a session of the future
	status(200, "let in while the clock is ahead")
	sweep()
	r.clock.advance(-year)
	status(200, "let in before the clock was set back")
	sweep()
	sweep() // the first takes it for used now, the second stores that
	for _, s := range r.store.sessions {
		if s.Used.After(r.clock.now()) {
			t.Errorf("stored as used at %v", s.Used)
		}
	}
	r.clock.advance(sessionAge + time.Hour)
	status(401, "a month later, unused")
	r.restart()
	status(401, "and after a restart")
}

// A restart may come between: what is read from the store is no younger than now.
func TestSessionsOfTheFutureAreRestoredAsOfNow(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	r.clock.advance(365 * 24 * time.Hour)
	r.cookie = r.letIn("i1", r.host)
	r.clock.advance(-365 * 24 * time.Hour)
	r.restart()
	if res := r.get("/"); res.StatusCode != 200 {
		t.Errorf("after the restart: %s", res.Status)
	}
	r.clock.advance(sessionAge + time.Hour)
	if res := r.get("/"); res.StatusCode != 401 {
		t.Errorf("a month later, unused: %s", res.Status)
	}
}

// Links and passes are good for half a minute, and no longer when the clock is set back.
func TestLinksWhenTheClockIsSet(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		moves []time.Duration // the clock, after the link was made
		good  bool
	}{
		"at once":              {nil, true},
		"in time":              {[]time.Duration{tokenAge - time.Second}, true},
		"too late":             {[]time.Duration{tokenAge}, false},
		"set back a little":    {[]time.Duration{-time.Second}, false},
		"set back a day":       {[]time.Duration{-24 * time.Hour}, false},
		"ahead, and swept":     {[]time.Duration{time.Hour, -time.Hour}, false},
		"set back, then later": {[]time.Duration{-24 * time.Hour, 24 * time.Hour}, false},
	} {
		var links tokens
		var passes framePasses
		at := now
		link, pass := links.mint(at), passes.issue("session", at)
		for _, by := range c.moves {
			at = at.Add(by)
			links.expire(at)
			passes.expire(at)
		}
		if got := links.spend(link, at); got != c.good {
			t.Errorf("a link, %s: good %v", name, got)
		}
		if s, got := passes.spend(pass, at); got != c.good || got && s != "session" {
			t.Errorf("a pass, %s: %q, good %v", name, s, got)
		}
		if links.spend(link, now) || strings.Contains(link, "session") {
			t.Errorf("a link, %s, is good twice", name)
		}
	}
}
