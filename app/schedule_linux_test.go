package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"paddock/app"
	"paddock/app/control"
	"paddock/sandbox/permission"
	"paddock/store"
)

// diarist writes down when it was woken, and works for as long as a file named "busy" is there.
const diarist = `paddock.onSchedule(async ({ at }) => {
	Deno.writeTextFileSync("diary", at.toISOString() + "\n", { append: true });
	for (;;) { try { Deno.statSync("busy"); } catch { return; } await new Promise((r) => setTimeout(r, 5)); }
});
export default { fetch: () => new Response("page") };`

// TestSchedule: an app is woken at its times and at no others, whatever the clock does; without the grant never.
func TestSchedule(t *testing.T) {
	n := new(night)
	var db *store.DB
	l := newLive(t, nil, n.tune, func(o *app.Options) { db = o.Store })
	now := n.time
	l.install(write(t, "org.example.test", 1, `{"background":{"reason":"To sync.","schedule":"0 */2 * * *"}}`, diarist))
	info, err := l.Info(t.Context(), control.AppRef{App: "test-dev"})
	if err != nil {
		t.Fatal(err)
	}
	data := info.Paths.Data
	wakes := func() int {
		text, err := os.ReadFile(filepath.Join(data, "diary"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		count := 0
		for _, c := range text {
			if c == '\n' {
				count++
			}
		}
		return count
	}
	woken := func(want int) {
		t.Helper()
		l.wait(fmt.Sprintf("wake %d", want), func() bool { return wakes() >= want })
		l.wait("rest after the work", func() bool { return l.state() == control.StateFrozen })
		n.ticks(l)
		if got := wakes(); got != want {
			t.Fatalf("woken %d times, want %d", got, want)
		}
	}
	// The next full two hours, as the machine's clock shows them.
	toNext := func() time.Duration {
		at := now()
		next := time.Date(at.Year(), at.Month(), at.Day(), at.Hour()/2*2+2, 0, 1, 0, at.Location())
		if next.Sub(at) < 2*permission.MinInterval { // what was just granted or woken is not woken again so soon
			next = next.Add(2 * time.Hour)
		}
		return next.Sub(at)
	}

	n.advance(50 * time.Hour) // not allowed: never
	n.ticks(l)
	if wakes() != 0 || l.state() != control.StateStopped {
		t.Fatalf("woken without the grant: %s", l.state())
	}
	rows, err := l.Permissions(t.Context(), control.AppRef{App: "test-dev"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Permission == "background" && (r.Sentence != "Work when no page is open, %s" || r.Scope != "every 2 hours") {
			t.Errorf("the row says %q %q", r.Sentence, r.Scope)
		}
	}
	if err := l.Decide(t.Context(), control.Decide{App: "test-dev", Permission: "background", Decision: "allow"}); err != nil {
		t.Fatal(err)
	}
	n.ticks(l)
	if wakes() != 0 {
		t.Fatal("woken for a time before it was allowed")
	}
	n.advance(toNext())
	woken(1)

	// It is kept awake for as long as its handler works.
	busy := filepath.Join(data, "busy")
	if err := os.WriteFile(busy, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.advance(toNext())
	l.wait("wake 2", func() bool { return wakes() == 2 })
	n.advance(30 * time.Minute)
	n.ticks(l)
	if s := l.state(); s != control.StateRunning {
		t.Fatalf("while its handler works it is %s", s)
	}
	if err := os.Remove(busy); err != nil {
		t.Fatal(err)
	}
	woken(2)

	n.advance(30 * time.Hour) // asleep through fifteen times: one
	woken(3)
	n.advance(-20 * time.Hour) // the clock is set back
	n.ticks(l)
	if got := wakes(); got != 3 {
		t.Fatalf("woken %d times after the clock was set back", got)
	}
	n.advance(toNext())
	woken(4)

	// Allowed again while the clock was a year ahead, it is not forgotten for as long.
	n.advance(365 * 24 * time.Hour)
	woken(5)
	if err := l.Decide(t.Context(), control.Decide{App: "test-dev", Permission: "background", Decision: "allow"}); err != nil {
		t.Fatal(err)
	}
	n.advance(-365 * 24 * time.Hour)
	n.ticks(l)
	n.advance(toNext())
	woken(6)

	// Stopped for long, it is started; and so it is by an agent that was away, which is what the store tells.
	n.advance(20 * time.Minute)
	l.wait("stopped", func() bool { return l.state() == control.StateStopped })
	list, err := db.Installs()
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if at, err := db.Woken(list[0].Install); err != nil || at.After(now()) || now().Sub(at) > time.Hour {
		t.Errorf("the store knows the last wake as %v, %v", at, err)
	}
	n.advance(toNext())
	woken(7)

	act, err := l.Activity(t.Context(), control.ActivityQuery{App: "test-dev", Since: time.Now().Add(-1000 * time.Hour)})
	if err != nil || len(act) == 0 || act[0].Permission != "background" {
		t.Errorf("activity: %+v %v", act, err)
	}
	if err := l.Decide(t.Context(), control.Decide{App: "test-dev", Permission: "background", Decision: "deny"}); err != nil {
		t.Fatal(err)
	}
	l.wait("started again", func() bool { return l.state() == control.StateRunning })
	n.advance(50 * time.Hour)
	n.ticks(l)
	if got := wakes(); got != 7 {
		t.Errorf("woken %d times after the grant was taken", got)
	}
	get := l.visit(control.Open{App: "test-dev"})
	if code, body := get("/"); code != http.StatusOK || body != "page" {
		t.Errorf("its page: %d %s", code, body)
	}
}
