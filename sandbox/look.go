package sandbox

import (
	"slices"
	"time"
)

// enqueue asks for a look at the app's file system, unless one is waiting or running.
func (w *watchdog) enqueue(t *target) {
	if t.disk.walking {
		return
	}
	t.disk.walking = true
	w.queue = append(w.queue, t)
	signal(w.queued)
}

// stop stops the process until a look that began afterwards has ended. It runs in the sampling goroutine: the mark is
// set after the process was stopped, so that whoever sees it and lets the process go on comes later.
func (w *watchdog) stop(t *target, limit int64) {
	t.in.hold(true)
	w.mu.Lock()
	defer w.mu.Unlock()
	t.disk.held = true
	if t.disk.lookDue(limit, t.last) {
		w.enqueue(t)
		w.hurry(t)
	}
}

// hurry lets a stopped process go first in the queue.
func (w *watchdog) hurry(t *target) {
	if i := slices.Index(w.queue, t); i > 0 {
		w.queue = slices.Insert(slices.Delete(w.queue, i, i+1), 0, t)
	}
}

func (w *watchdog) walkLoop() {
	for {
		w.mu.Lock()
		var t *target
		if len(w.queue) > 0 {
			t, w.queue = w.queue[0], w.queue[1:]
		}
		w.mu.Unlock()
		if t != nil && w.walkOne(t) {
			t.in.hold(false)
		}
		if t == nil || w.ctx.Err() != nil {
			select {
			case <-w.ctx.Done():
				return
			case <-w.queued:
			}
		}
	}
}

// walkOne looks at one app's file system and, if that calls for it, walks its folders. It says whether the process,
// stopped for that, may go on.
func (w *watchdog) walkOne(t *target) (resume bool) {
	w.mu.Lock()
	if t.gone || t.told {
		t.disk.walking = false
		resume, t.disk.held = t.disk.held && !t.told, false
		w.mu.Unlock()
		return resume
	}
	// What is written while we look may be missed, so growth counts from before it.
	before, held := t.last, t.disk.held
	if held { // what it wrote before it stopped is found by the walk, and must not count once more as growth
		if s, err := t.sampler.sample(); err == nil {
			before = s
		}
	}
	w.mu.Unlock()

	paths, limit := t.in.diskPaths(), t.in.budget().WithDefaults().DiskBytes
	sp := readSpace(paths)
	began := time.Now()

	w.mu.Lock()
	walk := t.disk.looked(sp, limit, before, began)
	w.mu.Unlock()
	var total int64
	var err error
	if walk {
		total, err = diskUse(w.ctx, t.pid, paths, limit)
	}
	ended := time.Now()

	w.mu.Lock()
	defer w.mu.Unlock()
	t.disk.walking = false
	if held {
		resume, t.disk.held = true, false
	}
	if w.ctx.Err() != nil || t.gone {
		return resume
	}
	if err != nil {
		w.log.Warn("part of an app's folders cannot be counted", "pid", t.pid, "error", err)
	}
	var breach *Breach
	if walk {
		breach = t.disk.walked(total, sp, limit, before, ended.Sub(began), ended)
		t.usage.DiskBytes = total
	}
	if breach != nil {
		w.tell(t, *breach)
		return false
	}
	t.due = time.Time{} // the new headroom decides when to sample next, and whether one stopped meanwhile is looked at
	signal(w.changed)
	return resume
}
