package ui

import (
	"context"
	"sync"
	"time"

	"fyne.io/fyne/v2"
)

// Clock is time as the windows see it; tests bring their own.
type Clock struct {
	Now   func() time.Time
	After func(d time.Duration, do func()) (stop func()) // do is called on any goroutine
}

func (c Clock) orReal() Clock {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.After == nil {
		c.After = func(d time.Duration, do func()) func() {
			t := time.AfterFunc(d, do)
			return func() { t.Stop() }
		}
	}
	return c
}

// tasks is the one door out to the background and back. Work started through it is cancelled by close,
// which waits; its results come back on the main goroutine, and no longer once it is closed.
type tasks struct {
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup
	enter  func(func()) // fyne.Do, or a test's queue
	clock  Clock
}

func newTasks(parent context.Context, enter func(func()), clock Clock) *tasks {
	if enter == nil {
		enter = fyne.Do
	}
	t := &tasks{enter: enter, clock: clock.orReal()}
	t.ctx, t.cancel = context.WithCancel(parent)
	return t
}

// post runs do on the main goroutine, unless t is closed by then.
func (t *tasks) post(do func()) {
	t.enter(func() {
		if t.ctx.Err() == nil {
			do()
		}
	})
}

// after runs do on the main goroutine after d.
func (t *tasks) after(d time.Duration, do func()) (stop func()) {
	return t.clock.After(d, func() { t.post(do) })
}

// close cancels all work and forgets its results. It does not wait: the main goroutine must not block on
// work that may be waiting for it. wait does.
func (t *tasks) close() { t.cancel() }

// wait returns when all work has ended; call it after close, never on the main goroutine.
func (t *tasks) wait() { t.group.Wait() }

// background runs work on a goroutine of its own and gives its result to done on the main goroutine.
// The returned function cancels this work alone; done is then called with context.Canceled.
func background[T any](t *tasks, work func(context.Context) (T, error), done func(T, error)) (cancel func()) {
	ctx, stop := context.WithCancel(t.ctx)
	t.group.Go(func() {
		defer stop()
		v, err := work(ctx)
		if done != nil {
			t.post(func() { done(v, err) })
		}
	})
	return stop
}
