package app

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestNext(t *testing.T) {
	limits := idleLimits{freeze: time.Minute, stop: 10 * time.Minute}
	short := idleLimits{freeze: time.Minute, stop: 30 * time.Second} // a manifest may ask for less than the host's
	for _, c := range []struct {
		name   string
		use    use
		limits idleLimits
		want   rest
	}{
		{"just used", use{}, limits, stayAwake},
		{"almost a minute", use{idle: time.Minute - 1}, limits, stayAwake},
		{"a minute", use{idle: time.Minute}, limits, freezeIt},
		{"frozen already", use{idle: time.Minute, frozen: true}, limits, stayAwake},
		{"frozen for long", use{idle: 10 * time.Minute, frozen: true}, limits, stopIt},
		{"never frozen, for whatever reason", use{idle: 10 * time.Minute}, limits, stopIt},
		{"a stream is open", use{open: 1, idle: time.Hour}, limits, stayAwake},
		{"works in the background", use{background: true, idle: time.Hour}, limits, stayAwake},
		{"stops sooner than it freezes", use{idle: 30 * time.Second}, short, stopIt},
		{"memory is short", use{idle: time.Minute}, limits.tight(), stopIt},
		{"memory is short, frozen", use{idle: 2 * time.Minute, frozen: true}, limits.tight(), stopIt},
		{"memory is short, in use lately", use{idle: 59 * time.Second}, limits.tight(), stayAwake},
		{"memory is short, a stream is open", use{open: 1}, limits.tight(), stayAwake},
		{"memory is short, works in the background", use{background: true, idle: time.Hour}, limits.tight(), stayAwake},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := next(c.use, c.limits); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

func TestMemoryTight(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		available, total uint64
		want             bool
	}{
		{200 << 20, 2 * gib, true},
		{300 << 20, 2 * gib, false}, // a small machine runs nearly full all the time
		{700 << 20, 16 * gib, true},
		{900 << 20, 16 * gib, false},
		{gib + 1, 256 * gib, false}, // a gigabyte is enough for any app
	} {
		if got := memoryTight(c.available, c.total); got != c.want {
			t.Errorf("%d MB of %d MB: %v", c.available>>20, c.total>>20, got)
		}
	}
}

// fakeProcess is a process that can be frozen; it notes nothing but its state.
type fakeProcess struct {
	frozen atomic.Bool
	done   chan struct{}
	fail   error
}

func (p *fakeProcess) Freeze() error {
	if p.fail == nil {
		p.frozen.Store(true)
	}
	return p.fail
}

func (p *fakeProcess) Thaw() error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
	}
	p.frozen.Store(false)
	return nil
}
func (p *fakeProcess) Frozen() bool          { return p.frozen.Load() }
func (p *fakeProcess) Done() <-chan struct{} { return p.done }

// TestLeasesModel: whatever happens in whatever order, an instance with a lease runs, and one that ends takes none.
func TestLeasesModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := newClock()
		p := &fakeProcess{done: make(chan struct{})}
		changes := 0
		l := newLeases(p, rapid.Bool().Draw(t, "background"), clock.now, func() { changes++ })
		var held []func()
		idle, ended := time.Duration(0), false
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				if !ended {
					held, idle = append(held, l.take()), 0
				}
			},
			"touch": func(t *rapid.T) {
				if usable := l.touch(); usable == ended {
					t.Fatalf("usable %v, ended %v", usable, ended)
				}
				idle = 0
			},
			"release": func(t *rapid.T) {
				if len(held) > 0 {
					held[0]()
					held[0]() // twice is once
					held, idle = held[1:], 0
				}
			},
			"wait": func(t *rapid.T) {
				d := time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds")) * time.Second
				clock.t, idle = clock.t.Add(d), idle+d
			},
			"freeze": func(t *rapid.T) {
				may := !ended && len(held) == 0 && !l.background && idle >= time.Minute
				got, err := l.freeze(time.Minute)
				if err != nil || got != p.Frozen() || may && !got {
					t.Fatalf("frozen %v (%v), may be %v", got, err, may)
				}
			},
			"stop": func(t *rapid.T) {
				may := !ended && len(held) == 0 && !l.background && idle >= 2*time.Minute
				if got := l.endUnused(2 * time.Minute); got != may {
					t.Fatalf("ends %v, want %v", got, may)
				}
				ended = ended || may
			},
			"": func(t *rapid.T) {
				if len(held) > 0 && p.Frozen() {
					t.Fatal("frozen with a request open")
				}
				if u := l.use(); u.open != len(held) || u.open > 0 && u.idle != 0 {
					t.Fatalf("%+v with %d open", u, len(held))
				}
			},
		})
	})
}

// TestLeasesRace: nobody who holds a lease ever sees the instance frozen, however the two race.
func TestLeasesRace(t *testing.T) {
	p := &fakeProcess{done: make(chan struct{})}
	l := newLeases(p, false, time.Now, func() {})
	var users, sleepers sync.WaitGroup
	var seen, slept atomic.Int64
	stop := make(chan struct{})
	sleepers.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if ok, err := l.freeze(0); err != nil {
				t.Error(err)
				return
			} else if ok {
				slept.Add(1)
			}
		}
	})
	for range 4 {
		users.Go(func() {
			// On a busy machine one side may run alone for a while.
			for i, end := 0, time.Now().Add(20*time.Second); i < 2000 || slept.Load() < 100 && time.Now().Before(end); i++ {
				if !l.touch() {
					t.Error("not usable")
				}
				release := l.take()
				if p.Frozen() {
					seen.Add(1)
				}
				release()
			}
		})
	}
	users.Wait()
	close(stop)
	sleepers.Wait()
	if seen.Load() > 0 || slept.Load() < 100 {
		t.Errorf("%d requests met a frozen process; it was frozen %d times", seen.Load(), slept.Load())
	}
}

// TestLeasesEnd: a request that comes after the end was decided waits for it, and is then told by the closed socket.
func TestLeasesEnd(t *testing.T) {
	p := &fakeProcess{done: make(chan struct{})}
	l := newLeases(p, false, time.Now, func() {})
	if !l.endUnused(0) || l.endUnused(0) {
		t.Fatal("an unused instance is ended, once")
	}
	taken := make(chan func())
	go func() { taken <- l.take() }()
	select {
	case <-taken:
		t.Fatal("a lease on a process that is ending")
	default:
	}
	if ok, err := l.freeze(0); ok || err != nil || l.touch() {
		t.Fatalf("an ending process is frozen: %v %v", ok, err)
	}
	close(p.done)
	(<-taken)()
}

// TestLeasesCannotFreeze: where freezing does not work it is tried once, and stopping still works.
func TestLeasesCannotFreeze(t *testing.T) {
	p := &fakeProcess{done: make(chan struct{}), fail: os.ErrInvalid}
	l := newLeases(p, false, time.Now, func() { t.Error("nothing changed") })
	if ok, err := l.freeze(0); ok || err == nil {
		t.Errorf("%v %v", ok, err)
	}
	if ok, err := l.freeze(0); ok || err != nil {
		t.Errorf("tried again: %v %v", ok, err)
	}
	if !l.endUnused(0) {
		t.Error("not stopped")
	}
}
