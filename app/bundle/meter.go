package bundle

import (
	"context"
	"io"
	"sync/atomic"
	"time"
)

// A meter counts what is read, tells about it, and ends a source that has no end.
type meter struct {
	ctx    context.Context
	r      io.Reader
	n      int64
	limit  int64
	total  int64
	shown  int64
	report func(Progress)
	tooBig func(int64) error
}

// reportEvery is how many bytes lie between two reports.
const reportEvery = 256 << 10

func (m *meter) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	if m.n > m.limit {
		return 0, m.tooBig(m.n)
	}
	if m.n-m.shown >= reportEvery || m.shown == 0 && n > 0 || err == io.EOF && m.shown != m.n {
		m.shown = m.n
		m.report(Progress{Step: StepDownload, Bytes: m.n, Total: m.total})
	}
	return n, err
}

// A stallWatch cancels a request that gets too little for too long. It needs no goroutine of its own: a
// timer looks at the end of each span, and stop waits for nothing.
type stallWatch struct {
	cancel context.CancelFunc
	limits Limits
	timer  *time.Timer
	bytes  atomic.Int64 // in the current span
	header atomic.Bool  // waiting for the header: any time up to Connect is fine
	fired  atomic.Bool
	over   atomic.Bool
}

func newStallWatch(cancel context.CancelFunc, l Limits) *stallWatch {
	w := &stallWatch{cancel: cancel, limits: l}
	w.header.Store(true)
	w.timer = time.AfterFunc(time.Hour, w.tick) // armed by waitHeader
	return w
}

func (w *stallWatch) waitHeader() {
	w.header.Store(true)
	w.timer.Reset(w.limits.Connect)
}

func (w *stallWatch) waitBody() {
	w.header.Store(false)
	w.bytes.Store(0)
	w.timer.Reset(w.limits.Stall)
}

func (w *stallWatch) got(n int) { w.bytes.Add(int64(n)) }

func (w *stallWatch) tick() {
	if w.over.Load() {
		return
	}
	if !w.header.Load() && w.bytes.Swap(0) >= w.limits.StallMin {
		w.timer.Reset(w.limits.Stall)
		return
	}
	w.fired.Store(true)
	w.cancel()
}

func (w *stallWatch) stalled() bool { return w.fired.Load() }

func (w *stallWatch) stop() {
	w.over.Store(true)
	w.timer.Stop()
}
