package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"paddock/app/control"
	"paddock/sandbox"
	"paddock/sandbox/egress"
	"paddock/store"
)

// maxLedger bounds the entries of one app that wait for the next flush. An app that asks for ever new hosts
// costs itself its detail, not the host its memory, nor another app its own: what does not fit is counted
// under one entry. What an app reports about itself gets at most half of the places, so that it cannot
// crowd out what is known of it.
const maxLedger = 256

// overflow stands for the permissions that did not fit, and for requests that name none.
const overflow = "net:(more)"

// ledger gathers what apps used and writes it once a second, so that a busy app costs one transaction a
// second and not one a request.
type ledger struct {
	app *App
	mu  sync.Mutex
	sum map[string]map[ledgerKey]*store.Activity // by install
}

type ledgerKey struct {
	side, perm        string
	allowed, reported bool
}

func newLedger(a *App) *ledger {
	return &ledger{app: a, sum: map[string]map[ledgerKey]*store.Activity{}}
}

// deed is one use of a permission, or several that are told at once.
type deed struct {
	side     string // sideProcess or sidePage
	perm     string
	allowed  bool
	reported bool // by the app itself
	count    int64
	in, out  int64 // bytes
}

const (
	sideProcess = "process"
	sidePage    = "page"
)

func (l *ledger) add(install string, d deed) {
	if d.perm == "" {
		d.perm = overflow
	}
	l.addAt(install, ledgerKey{d.side, d.perm, d.allowed, d.reported},
		store.Activity{At: l.app.now(), Count: d.count, BytesIn: d.in, BytesOut: d.out})
}

// addAt adds the figures of more, and its time when that is later, to what is gathered under k.
func (l *ledger) addAt(install string, k ledgerKey, more store.Activity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := l.sum[install]
	if sum == nil {
		sum = map[ledgerKey]*store.Activity{}
		l.sum[install] = sum
	}
	places := maxLedger
	if k.reported {
		places /= 2
	}
	if _, ok := sum[k]; !ok && len(sum) >= places {
		k.perm = overflow
	}
	e := sum[k]
	if e == nil {
		outcome := store.OutcomeRefused
		if k.allowed {
			outcome = store.OutcomeAllowed
		}
		e = &store.Activity{Permission: k.perm, Outcome: outcome, Side: k.side, Reported: k.reported}
		sum[k] = e
	}
	if more.At.After(e.At) {
		e.At = more.At
	}
	e.Count += more.Count
	e.BytesIn += more.BytesIn
	e.BytesOut += more.BytesOut
}

// Egress takes note of one outgoing request of an app. It is the supervisor's callback.
func (a *App) Egress(install string, e egress.Event) {
	a.ledger.add(install, deed{side: sideProcess, perm: e.Permission, allowed: e.Allowed, count: 1, in: e.BytesIn, out: e.BytesOut})
}

// Reported takes note of what an app's runtime says that it used or tried. It is the supervisor's callback. The app
// can write there what it likes, so this is shown and never counted as use: see store.Activity.
func (a *App) Reported(install string, u sandbox.Use) {
	a.ledger.add(install, deed{side: sideProcess, perm: u.Permission, allowed: u.Allowed, reported: true, count: u.Count})
}

func (l *ledger) run() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	failed := false
	for {
		select {
		case <-l.app.ctx.Done():
			return
		case <-tick.C:
			_ = l.app.history.retry() // logged when it was kept
			err := l.flush()
			if err != nil && !failed { // once: what fills a disk is often a log
				l.app.log.Error("write the activity, now kept for later", "err", err)
			}
			failed = err != nil
		}
	}
}

func (l *ledger) flush() error {
	l.mu.Lock()
	sum := l.sum
	l.sum = map[string]map[ledgerKey]*store.Activity{}
	l.mu.Unlock()
	var errs []error
	for install, entries := range sum {
		all := make([]store.Activity, 0, len(entries))
		for _, e := range entries {
			all = append(all, *e)
		}
		// An app that was purged meanwhile has no place for its entries any more.
		if err := l.app.store.AddActivity(install, all...); err != nil && !errors.Is(err, store.ErrNotFound) {
			errs = append(errs, fmt.Errorf("store the activity of %s: %w", install, err))
			if errors.Is(err, store.ErrInvalid) {
				continue
			}
			for k, e := range entries { // for the next time, in the same places as what has come since
				l.addAt(install, k, *e)
			}
		}
	}
	return errors.Join(errs...)
}

// Activity lists what an app used and what it was refused, newest first.
func (a *App) Activity(_ context.Context, in control.ActivityQuery) ([]control.Activity, error) {
	app, err := a.find(in.App)
	if err != nil {
		return nil, err
	}
	if err := a.ledger.flush(); err != nil {
		return nil, err
	}
	since := in.Since
	if since.IsZero() {
		since = a.now().Add(-7 * 24 * time.Hour)
	}
	all, err := a.store.Activity(app.id, since)
	if err != nil {
		return nil, fmt.Errorf("read the activity: %w", err)
	}
	out := make([]control.Activity, 0, len(all))
	for _, e := range all {
		out = append(out, control.Activity{At: e.At, Permission: e.Permission, Outcome: e.Outcome, Count: e.Count, BytesIn: e.BytesIn, BytesOut: e.BytesOut, Side: e.Side, Reported: e.Reported})
	}
	return out, nil
}
