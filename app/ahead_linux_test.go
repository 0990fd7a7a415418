package app_test

import (
	"path/filepath"
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

	limit := func(bytes int64) {
		t.Helper()
		if _, err := l.SetBudget(t.Context(), control.SetBudget{App: "test-dev", Budget: control.Budget{MemoryBytes: bytes}}); err != nil {
			t.Fatal(err)
		}
	}
	limit(1<<30 + 1) // of the 4 GiB that are free
	ahead()
	if launches() != 0 {
		t.Fatal("started although its whole budget is more than a quarter of the free memory")
	}
	limit(96 << 20)

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

// TestAheadIsBounded: however many pages are looked at or restored, no more than two apps run that nobody has used yet.
func TestAheadIsBounded(t *testing.T) {
	n := new(night)
	l := newLive(t, nil, n.tune)
	installs := map[string]string{}
	for _, name := range []string{"one", "two", "three"} {
		l.install(write(t, "org.example."+name, 1, "{}", fetcher))
		info, err := l.Info(t.Context(), control.AppRef{App: name + "-dev"})
		if err != nil {
			t.Fatal(err)
		}
		installs[name] = filepath.Base(filepath.Dir(info.Paths.Data))
	}
	running := func() (all []string) {
		for _, r := range l.Ps() {
			if r.State == control.StateRunning {
				all = append(all, r.ID)
			}
		}
		return all
	}
	l.Expect(installs["one"]) // its tab is restored
	l.wait("the first runs", func() bool { return len(running()) == 1 })
	if err := l.Ahead(t.Context(), control.AppRef{App: "two-dev"}); err != nil {
		t.Fatal(err)
	}
	l.wait("the second runs", func() bool { return len(running()) == 2 })
	l.Expect(installs["three"])
	n.ticks(l)
	if got := running(); len(got) != 2 {
		t.Errorf("running: %q", got)
	}
	l.visit(control.Open{App: "one-dev"})("/pid") // is used now
	l.Expect(installs["three"])
	l.wait("the third runs", func() bool { return len(running()) == 3 })
	l.Expect("nobody")
}
