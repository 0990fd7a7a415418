package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"paddock/app/control"
	"paddock/sandbox/egress"
	"paddock/store"
)

// maxLedger bounds the entries that wait for the next flush. An app that asks for ever new hosts costs
// itself its detail, not the host its memory: what does not fit is counted under one entry per app.
const maxLedger = 4096

// overflow stands for the permissions that did not fit, and for requests that name none.
const overflow = "net:(more)"

// ledger gathers what apps used and writes it once a second, so that a busy app costs one transaction a
// second and not one a request.
type ledger struct {
	app *App
	mu  sync.Mutex
	sum map[ledgerKey]*store.Activity
}

type ledgerKey struct {
	install, side, perm string
	allowed             bool
}

func newLedger(a *App) *ledger { return &ledger{app: a, sum: map[ledgerKey]*store.Activity{}} }

func (l *ledger) add(install, side, perm string, allowed bool, in, out int64) {
	if perm == "" {
		perm = overflow
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	k := ledgerKey{install, side, perm, allowed}
	if _, ok := l.sum[k]; !ok && len(l.sum) >= maxLedger {
		k.perm = overflow
	}
	e := l.sum[k]
	if e == nil {
		outcome := "refused"
		if allowed {
			outcome = "allowed"
		}
		e = &store.Activity{Permission: k.perm, Outcome: outcome, Side: side}
		l.sum[k] = e
	}
	e.At = l.app.now()
	e.Count++
	e.BytesIn += in
	e.BytesOut += out
}

// Egress takes note of one outgoing request of an app. It is the supervisor's callback.
func (a *App) Egress(install string, e egress.Event) {
	a.ledger.add(install, "process", e.Permission, e.Allowed, e.BytesIn, e.BytesOut)
}

func (l *ledger) run() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-l.app.ctx.Done():
			return
		case <-tick.C:
			if err := l.flush(); err != nil {
				l.app.log.Error("write the activity", "err", err)
			}
		}
	}
}

func (l *ledger) flush() error {
	l.mu.Lock()
	sum := l.sum
	l.sum = map[ledgerKey]*store.Activity{}
	l.mu.Unlock()
	byApp := map[string][]store.Activity{}
	for k, e := range sum {
		byApp[k.install] = append(byApp[k.install], *e)
	}
	var errs []error
	for install, all := range byApp {
		// An app that was purged meanwhile has no place for its entries any more.
		if err := l.app.store.AddActivity(install, all...); err != nil && !errors.Is(err, store.ErrNotFound) {
			errs = append(errs, fmt.Errorf("store the activity of %s: %w", install, err))
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
		out = append(out, control.Activity{At: e.At, Permission: e.Permission, Outcome: e.Outcome, Count: e.Count, BytesIn: e.BytesIn, BytesOut: e.BytesOut, Side: e.Side})
	}
	return out, nil
}
