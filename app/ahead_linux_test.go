package app_test

import (
	"testing"
	"time"

	"paddock/app/control"
)

// TestAhead: an app whose page is looked at is started if nothing speaks against it, used by whoever comes, and stopped
// soon when nobody does.
func TestAhead(t *testing.T) {
	n := new(night)
	l := newLive(t, nil, n.tune)
	ahead := func() {
		t.Helper()
		if err := l.Ahead(t.Context(), control.AppRef{App: "test-dev"}); err != nil {
			t.Fatal(err)
		}
		n.ticks(l)
	}
	launches := func() int {
		t.Helper()
		h, err := l.History(t.Context(), control.AppRef{App: "test-dev"})
		if err != nil {
			t.Fatal(err)
		}
		return len(h)
	}
	l.install(write(t, "org.example.test", 1, asks, fetcher))
	ahead()
	if launches() != 0 {
		t.Fatal("started with rows that nobody has answered")
	}
	for _, p := range []string{"net:a.example:80", "net:b.example:80"} {
		if err := l.Decide(t.Context(), control.Decide{App: "test-dev", Permission: p, Decision: "deny"}); err != nil {
			t.Fatal(err)
		}
	}
	n.short.Store(true)
	ahead()
	n.short.Store(false)
	if launches() != 0 {
		t.Fatal("started while memory is short")
	}

	ahead()
	l.wait("started ahead", func() bool { return l.state() == control.StateRunning })
	ahead()
	n.advance(31 * time.Second)
	l.wait("stopped unused", func() bool { return l.state() == control.StateStopped })
	l.wait("started ahead again", func() bool {
		ahead() // a hint that comes while the end is still being noted is not taken
		return l.state() == control.StateRunning
	})
	get := l.visit(control.Open{App: "test-dev"})
	if _, body := get("/pid"); body == "" || launches() != 2 {
		t.Errorf("%d launches, process %s", launches(), body)
	}
	n.advance(45 * time.Second) // it was used: frozen after a minute, as others
	n.look(l)
	if s := l.state(); s != control.StateRunning {
		t.Errorf("in use it is %s", s)
	}

	get("/die")
	l.wait("its end", func() bool { return l.state() == control.StateFailed })
	before := launches()
	ahead()
	if launches() != before {
		t.Error("started ahead after it failed")
	}
}
