package app_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"paddock/app"
	"paddock/app/control"
	"paddock/app/gateway"
)

// night is a clock that can be moved, a memory that can be short, and a count of the looks at all apps: what an idle
// life depends on.
type night struct {
	shift  atomic.Int64
	short  atomic.Bool
	passes atomic.Int64
	reads  atomic.Int64 // of the clock
}

func (n *night) tune(o *app.Options) {
	o.Now = func() time.Time {
		n.reads.Add(1)
		return n.time()
	}
	o.Idle = app.Idle{Pass: 10 * time.Millisecond, Memory: func() (uint64, uint64, error) {
		n.passes.Add(1)
		if n.short.Load() {
			return 1 << 20, 8 << 30, nil
		}
		return 4 << 30, 8 << 30, nil
	}}
}

func (n *night) time() time.Time { return time.Now().Add(time.Duration(n.shift.Load())) }

func (n *night) advance(d time.Duration) { n.shift.Add(int64(d)) }

// look waits until all apps were looked at after this call.
func (n *night) look(l *live) {
	l.t.Helper()
	seen := n.passes.Load()
	l.wait("two looks at all apps", func() bool { return n.passes.Load() >= seen+2 })
}

// ticks waits until the times of all apps were looked at after this call, also when none runs.
func (n *night) ticks(l *live) {
	l.t.Helper()
	seen := n.reads.Load()
	l.wait("the clock to be read", func() bool { return n.reads.Load() >= seen+20 })
}

func (l *live) state() string {
	l.t.Helper()
	all, err := l.List()
	if err != nil || len(all) != 1 {
		l.t.Fatalf("%+v %v", all, err)
	}
	return all[0].State
}

// sleeper never stops computing while it is awake; /events is a stream that stays open, and its memory is in /count.
const sleeper = `let n = 0, busy = 0;
setInterval(() => { for (let i = 0; i < 20000; i++) busy += i; }, 5);
export default { async fetch(r) {
	const path = new URL(r.url).pathname;
	if (path === "/pid") return new Response(String(Deno.pid));
	if (path === "/count") return new Response(String(++n));
	if (path === "/echo") return new Response(await r.text());
	if (path === "/slow") { await new Promise((done) => setTimeout(done, 20)); return new Response("slow"); }
	return new Response(new ReadableStream({ start(c) { c.enqueue(new TextEncoder().encode("data: 1\n\n")); } }), { headers: { "content-type": "text/event-stream" } });
} };`

// cpuTime is what /proc says that a process and its ended threads used, with its state.
func cpuTime(t *testing.T, pid string) (state, used string) {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	return fields[0], fields[11] + "+" + fields[12] // proc_pid_stat(5): 3, 14 and 15
}

// TestIdleLife is a day in the life of an app that nobody looks at: frozen, thawed by a request, kept awake by a
// stream, frozen, stopped, started by a request. Its session lasts all the while.
func TestIdleLife(t *testing.T) {
	n := new(night)
	l := newLive(t, nil, n.tune)
	l.install(write(t, "org.example.test", 1, "{}", sleeper))
	c, origin := l.enter(control.Open{App: "test-dev"})
	get := func(path string) string {
		t.Helper()
		code, body := load(c, origin+path)
		if code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, code, body)
		}
		return body
	}
	pid := get("/pid")
	if get("/count") != "1" {
		t.Fatal("the count begins at one")
	}
	n.advance(50 * time.Second)
	n.look(l)
	if s := l.state(); s != control.StateRunning {
		t.Fatalf("after 50 seconds: %s", s)
	}

	n.advance(11 * time.Second)
	l.wait("frozen after a minute", func() bool { return l.state() == control.StateFrozen })
	if ps := l.Ps(); len(ps) != 1 || ps[0].State != control.StateFrozen || fmt.Sprint(ps[0].PID) != pid {
		t.Errorf("ps: %+v", ps)
	}
	var state, before string
	l.wait("the process stands still", func() bool { // a moment after the signal
		state, before = cpuTime(t, pid)
		return state == "T"
	})
	n.look(l)
	if again, after := cpuTime(t, pid); state != "T" || again != "T" || before != after {
		t.Errorf("a frozen app is %s, %s and used %s, then %s", state, again, before, after)
	}

	if get("/count") != "2" {
		t.Error("thawing lost the app's memory")
	}
	if s := l.state(); s != control.StateRunning {
		t.Errorf("after a request: %s", s)
	}

	stream, err := c.Get(origin + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	if line, err := bufio.NewReader(stream.Body).ReadString('\n'); err != nil || line != "data: 1\n" {
		t.Fatalf("%q %v", line, err)
	}
	n.advance(time.Hour)
	n.look(l)
	if s := l.state(); s != control.StateRunning {
		t.Fatalf("with an open stream: %s", s)
	}
	if err := l.Rest(t.Context(), control.Rest{App: "test-dev", Stop: true}); control.AsError(err).Code != "in_use" {
		t.Errorf("put to sleep with an open stream: %v", err)
	}
	stream.Body.Close()
	// The front door notices that the page is gone a moment later, and the app's rest counts from then.
	l.wait("frozen after its page was closed", func() bool {
		n.advance(5 * time.Second)
		n.look(l)
		return l.state() == control.StateFrozen
	})

	n.advance(10 * time.Minute)
	l.wait("stopped after ten minutes", func() bool { return l.state() == control.StateStopped })
	l.wait("its end is in the history", func() bool {
		h, err := l.History(t.Context(), control.AppRef{App: "test-dev"})
		return err == nil && len(h) == 1 && h[0].EndedAt != nil && h[0].Reason == "stopped"
	})
	for _, notice := range l.State().Notices {
		if notice.Code != "installed" {
			t.Errorf("a notice: %+v", notice)
		}
	}
	var crowd sync.WaitGroup // the session is still good, and all of its requests share one start
	var pids sync.Map
	for range 30 {
		crowd.Go(func() {
			code, body := load(c, origin+"/pid")
			if code != http.StatusOK {
				t.Errorf("one of many: %d %s", code, body)
			}
			pids.Store(body, true)
		})
	}
	crowd.Wait()
	now := get("/pid")
	pids.Range(func(got, _ any) bool {
		if got != now || got == pid {
			t.Errorf("process %s answered; the old one was %s, the new one is %s", got, pid, now)
		}
		return true
	})
	if get("/count") != "1" {
		t.Error("not a new process")
	}
	if h, err := l.History(t.Context(), control.AppRef{App: "test-dev"}); err != nil || len(h) != 2 {
		t.Errorf("%d launches, %v", len(h), err)
	}
}

// TestIdleBackground: an app that may work in the background is left awake, and stops being so with the grant.
func TestIdleBackground(t *testing.T) {
	n := new(night)
	l := newLive(t, nil, n.tune)
	l.install(write(t, "org.example.test", 1, `{"background":{"reason":"To work."}}`, sleeper))
	decide := func(decision string) {
		t.Helper()
		if err := l.Decide(t.Context(), control.Decide{App: "test-dev", Permission: "background", Decision: decision}); err != nil {
			t.Fatal(err)
		}
	}
	decide("allow")
	get := l.visit(control.Open{App: "test-dev"})
	get("/pid")
	n.short.Store(true)
	n.advance(24 * time.Hour)
	n.look(l)
	if s := l.state(); s != control.StateRunning {
		t.Errorf("with the grant: %s", s)
	}
	n.short.Store(false)
	decide("deny")
	l.wait("started again", func() bool { return l.state() == control.StateRunning })
	n.advance(2 * time.Minute)
	l.wait("frozen without the grant", func() bool { return l.state() == control.StateFrozen })
}

// TestIdleManifestAndMemory: a manifest names its own time, and short memory stops what could be frozen.
func TestIdleManifestAndMemory(t *testing.T) {
	n := new(night)
	l := newLive(t, nil, n.tune)
	dir := write(t, "org.example.test", 1, "{}", sleeper)
	manifest, err := os.ReadFile(dir + "/paddock.json")
	if err != nil {
		t.Fatal(err)
	}
	manifest = []byte(strings.Replace(string(manifest), `"memory_mb"`, `"idle_stop_s":40,"memory_mb"`, 1))
	if err := os.WriteFile(dir+"/paddock.json", manifest, 0o600); err != nil {
		t.Fatal(err)
	}
	l.install(dir)
	get := l.visit(control.Open{App: "test-dev"})
	get("/pid")
	n.advance(30 * time.Second)
	n.look(l)
	if s := l.state(); s != control.StateRunning {
		t.Errorf("before its time: %s", s)
	}
	n.advance(11 * time.Second)
	l.wait("stopped as the manifest says", func() bool { return l.state() == control.StateStopped })

	l.install(write(t, "org.example.test", 2, "{}", sleeper))
	get("/pid")
	n.advance(61 * time.Second)
	l.wait("frozen", func() bool { return l.state() == control.StateFrozen })
	n.short.Store(true)
	l.wait("stopped for its memory", func() bool { return l.state() == control.StateStopped })
}

// TestIdleNeverLosesARequest: an app that is put to sleep all the time, frozen and stopped, answers every request.
func TestIdleNeverLosesARequest(t *testing.T) {
	l := newLive(t, nil)
	l.install(write(t, "org.example.test", 1, "{}", sleeper))
	c, origin := l.enter(control.Open{App: "test-dev"})
	stop := make(chan struct{})
	var requests, sleep sync.WaitGroup
	var frozen, stopped int
	sleep.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			deep := i%50 == 49
			switch err := l.Rest(t.Context(), control.Rest{App: "test-dev", Stop: deep}); {
			case err == nil && deep:
				stopped++
			case err == nil:
				frozen++
			case control.AsError(err).Code != "in_use":
				t.Errorf("rest: %v", err)
				return
			}
		}
	})
	for range 2 {
		requests.Go(func() {
			for i := range 60 {
				if i%3 == 0 {
					if code, body := load(c, origin+"/slow"); code != http.StatusOK || body != "slow" {
						t.Errorf("request %d: %d %.200s", i, code, body)
					}
					continue
				}
				text := fmt.Sprint("body ", i)
				resp, err := c.Post(origin+"/echo", "text/plain", strings.NewReader(text))
				if err != nil {
					t.Errorf("upload %d: %v", i, err)
					continue
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK || string(body) != text {
					t.Errorf("upload %d: %d %.200q %v", i, resp.StatusCode, body, err)
				}
			}
		})
	}
	requests.Wait()
	close(stop)
	sleep.Wait()
	if frozen == 0 || stopped == 0 {
		t.Errorf("frozen %d times and stopped %d times", frozen, stopped)
	}
	t.Logf("frozen %d times, stopped %d times", frozen, stopped)
}

// barDoor is a front door that notes what it is to show in the bar above an app's page.
type barDoor struct {
	*gateway.Gateway
	mu    sync.Mutex
	shown []string
}

func (d *barDoor) SetBanner(install string, b *gateway.Banner) {
	d.Gateway.SetBanner(install, b)
	d.mu.Lock()
	defer d.mu.Unlock()
	if b != nil {
		d.shown = append(d.shown, b.Title)
	}
}

// TestFailedStartIsShared: a crowd that waits for a start that fails tries once, not one after the other. Its tabs are
// told that it takes long, and how it ended.
func TestFailedStartIsShared(t *testing.T) {
	var door *barDoor
	l := newLiveBehind(t, func(g *gateway.Gateway) app.FrontDoor {
		door = &barDoor{Gateway: g}
		return door
	}, nil)
	dir := write(t, "org.example.test", 1, "{}", `await new Promise((done) => setTimeout(done, 2000)); throw new Error("no");`)
	l.install(dir)
	info, err := l.Info(t.Context(), control.AppRef{App: "test-dev"})
	if err != nil {
		t.Fatal(err)
	}
	install := strings.Split(info.Paths.Data, "/")
	var crowd sync.WaitGroup
	for range 40 {
		crowd.Go(func() {
			if _, err := l.Wake(t.Context(), install[len(install)-2]); err == nil {
				t.Error("woken")
			}
		})
	}
	crowd.Wait()
	h, err := l.History(t.Context(), control.AppRef{App: "test-dev"})
	if err != nil || len(h) != 1 || h[0].Reason != "start_failed" {
		t.Errorf("%d starts: %+v %v", len(h), h, err)
	}
	l.wait("the bar says how it ended", func() bool {
		door.mu.Lock()
		defer door.mu.Unlock()
		return len(door.shown) > 0 && door.shown[len(door.shown)-1] == "Test did not start."
	})
	door.mu.Lock()
	defer door.mu.Unlock()
	if door.shown[0] != "Test is starting." {
		t.Errorf("the bar said %q", door.shown)
	}
}
