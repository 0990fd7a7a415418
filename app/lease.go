package app

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"time"
)

// sleeper is the part of a *sandbox.Instance that leases are about.
type sleeper interface {
	Freeze() error
	Thaw() error
	Frozen() bool
	Done() <-chan struct{}
}

// leases count what keeps one instance awake: requests and streams. Counting, freezing, thawing and the decision to
// end happen under one lock, so that no request ever meets a process that has just been put to sleep.
type leases struct {
	inst       sleeper
	background bool // the instance may work with no page open
	now        func() time.Time
	changed    func() // called after it was frozen or thawed, without the lock

	mu          sync.Mutex
	open        int
	since       time.Time // of the last use
	ending      bool      // somebody has decided to end it: nobody may use it any more
	unfreezable bool      // freezing failed once, so it is not tried again
	ahead       bool      // it was started before anybody asked for it, and nobody has since
}

func newLeases(inst sleeper, background bool, now func() time.Time, changed func()) *leases {
	return &leases{inst: inst, background: background, now: now, changed: changed, since: now()}
}

// use is the present use.
func (l *leases) use() use {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.useLocked()
}

func (l *leases) useLocked() use {
	u := use{open: l.open, background: l.background, frozen: l.unfreezable || l.inst.Frozen()}
	if l.open == 0 {
		u.idle = l.now().Sub(l.since)
	}
	return u
}

// startedAhead notes that nobody has asked for the instance yet.
func (l *leases) startedAhead() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ahead = l.open == 0
}

// isAhead reports whether still nobody has.
func (l *leases) isAhead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ahead
}

// touch wakes the instance and counts as a use. It reports whether the instance can be used; one that ends or has
// ended cannot.
func (l *leases) touch() bool {
	l.mu.Lock()
	usable, thawed := l.wakeLocked()
	l.mu.Unlock()
	if thawed {
		l.changed()
	}
	return usable
}

func (l *leases) wakeLocked() (usable, thawed bool) {
	if l.ending {
		return false, false
	}
	select {
	case <-l.inst.Done():
		return false, false
	default:
	}
	l.since, l.ahead = l.now(), false
	if !l.inst.Frozen() {
		return true, false
	}
	if err := l.inst.Thaw(); err != nil { // it was ended from outside while it slept
		return false, false
	}
	return true, true
}

// take keeps the instance awake until release is called, thawing it first if somebody froze it since it was asked
// for. When its end was decided since then, take waits for that end: connections to it then fail before anything of
// a request was sent, and the front door asks for the next instance.
func (l *leases) take() (release func()) {
	l.mu.Lock()
	if l.ending {
		l.mu.Unlock()
		<-l.inst.Done()
		return func() {}
	}
	_, thawed := l.wakeLocked()
	l.open++
	l.mu.Unlock()
	if thawed {
		l.changed()
	}
	var once sync.Once
	return func() { once.Do(l.release) }
}

func (l *leases) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	l.since = l.now()
}

// freeze freezes the instance if it has been unused for so long, and reports whether it sleeps now.
func (l *leases) freeze(after time.Duration) (bool, error) {
	l.mu.Lock()
	u := l.useLocked()
	if l.ending || next(u, idleLimits{freeze: after, stop: never}) != freezeIt {
		l.mu.Unlock()
		return u.frozen && !l.unfreezable, nil
	}
	err := l.inst.Freeze()
	l.unfreezable = err != nil && !errors.Is(err, os.ErrProcessDone)
	l.mu.Unlock()
	if errors.Is(err, os.ErrProcessDone) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("freeze: %w", err)
	}
	l.changed()
	return true, nil
}

// endUnused decides that the instance ends, if it has been unused for so long.
func (l *leases) endUnused(after time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ending || next(l.useLocked(), idleLimits{freeze: never, stop: after}) != stopIt {
		return false
	}
	l.ending = true
	return true
}

// end decides that the instance ends, whoever uses it.
func (l *leases) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ending = true
}

// never is longer than any app is unused.
const never = time.Duration(math.MaxInt64)
