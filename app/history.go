package app

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"paddock/sandbox"
	"paddock/store"
)

// What waits to be written is bounded: launches of one app (of at most some 10 KiB each), and notices of all.
const (
	maxUnwritten = 32
	maxUntold    = 100
)

// history writes launches, their ends and notices to the store. What the store refuses, because the disk is full or
// fails, it keeps in memory, shows as if it were written, and writes in the same order once that works again: retry is
// called every second, and when the agent ends.
type history struct {
	store *store.DB
	log   *slog.Logger

	mu     sync.Mutex     // held across writes, which keeps their order
	stale  *time.Time     // the runs of an earlier agent are open still; this one started then
	late   []lateRun      // oldest first
	untold []store.Notice // oldest first

	behind atomic.Bool // one of these is not empty: whoever reads does not wait for writes otherwise
}

// lock takes the lock; what it returns is to be called when the work is done.
func (h *history) lock() (unlock func()) {
	h.mu.Lock()
	return func() {
		h.behind.Store(h.stale != nil || len(h.late)+len(h.untold) > 0)
		h.mu.Unlock()
	}
}

// lateRun is a launch as the history should have it.
type lateRun struct {
	install string
	run     *run
	record  store.Run
	disk    *int64 // bytes, where they are known
}

// closeStale ends the runs that an earlier agent left open.
func (h *history) closeStale(at time.Time) error {
	defer h.lock()()
	h.stale = &at
	err := h.tryStale()
	if err != nil && noRoom(err) {
		h.log.Error("close the history of an earlier run, now kept for later", "err", err)
		return nil // apps cannot be started on a full disk, but the agent has to say so
	}
	return err
}

// tryStale does that when it is still to do. The lock is held, here and in all that begins with try.
func (h *history) tryStale() error {
	if h.stale == nil {
		return nil
	}
	_, err := h.store.CloseOpenRuns(string(sandbox.HostClosed), *h.stale)
	if err == nil {
		h.stale = nil
	}
	return err
}

// note writes how a launch stands: that it began, or how it ended.
func (h *history) note(one lateRun) {
	defer h.lock()()
	_ = h.tryAll() // it was logged when it was kept
	if i := slices.IndexFunc(h.late, func(l lateRun) bool { return l.run == one.run }); i >= 0 {
		h.late[i] = one // even its beginning is unwritten
		return
	}
	if !h.waits(one.install) {
		err := h.tryRun(&one)
		if err == nil {
			return
		}
		h.log.Error("write the history, now kept for later", "install", one.install, "err", err)
	}
	h.late = append(h.late, one)
	mine := func(l lateRun) bool { return l.install == one.install }
	n := 0
	for _, l := range h.late {
		if mine(l) {
			n++
		}
	}
	if n > maxUnwritten {
		i := slices.IndexFunc(h.late, mine)
		h.log.Error("a launch is lost to the history: too many could not be written", "install", one.install, "started", h.late[i].record.StartedAt)
		h.late = slices.Delete(h.late, i, i+1)
	}
}

// waits says whether launches of an app must be written before its next one. The lock is held.
func (h *history) waits(install string) bool {
	return h.stale != nil || slices.ContainsFunc(h.late, func(l lateRun) bool { return l.install == install })
}

// tryRun writes one launch; nil also when there is no place for it any more.
func (h *history) tryRun(one *lateRun) error {
	var err error
	written := one.run.id == 0
	if written {
		one.run.id, err = h.store.StartRun(one.install, one.record)
	}
	if err == nil && (!written || one.disk != nil) {
		err = h.store.EndRun(one.install, one.run.id, one.record, one.disk)
	}
	if errors.Is(err, store.ErrNotFound) { // uninstalled, or too many launches since
		return nil
	}
	return err
}

// retry writes what could not be written before. An error says that something still waits.
func (h *history) retry() error {
	if !h.behind.Load() {
		return nil
	}
	defer h.lock()()
	return h.tryAll()
}

func (h *history) tryAll() error {
	if h.stale == nil && len(h.late) == 0 && len(h.untold) == 0 {
		return nil
	}
	if err := h.tryStale(); err != nil {
		return err
	}
	var errs []error
	stuck := map[string]bool{} // apps of which one could not be written: the order stays
	h.late = slices.DeleteFunc(h.late, func(l lateRun) bool {
		if stuck[l.install] || len(errs) > 0 && noRoom(errs[len(errs)-1]) {
			return false
		}
		err := h.tryRun(&l)
		if err != nil {
			errs, stuck[l.install] = append(errs, err), true
		}
		return err == nil
	})
	h.untold = slices.DeleteFunc(h.untold, func(n store.Notice) bool {
		if len(errs) > 0 && noRoom(errs[len(errs)-1]) {
			return false
		}
		err := h.store.PutNotice(n)
		if err != nil {
			errs = append(errs, err)
		}
		return err == nil
	})
	if len(errs) == 0 {
		h.log.Info("the history is written again")
	}
	return errors.Join(errs...)
}

// runs are the launches of an app, newest first.
func (h *history) runs(install string) ([]store.Run, error) {
	if !h.behind.Load() {
		return h.store.Runs(install)
	}
	defer h.lock()()
	all, err := h.store.Runs(install)
	if err != nil {
		return nil, err
	}
	if h.stale != nil {
		for i := range all {
			if all[i].EndedAt == nil {
				all[i].EndedAt, all[i].Reason = h.stale, string(sandbox.HostClosed)
			}
		}
	}
	for _, l := range h.late {
		if l.install != install {
			continue
		}
		if i := slices.IndexFunc(all, func(r store.Run) bool { return l.run.id != 0 && r.ID == l.run.id }); i >= 0 {
			all[i] = l.record
		} else if l.run.id == 0 {
			all = slices.Insert(all, 0, l.record)
		}
	}
	return all, nil
}

// tell keeps a notice; a new one takes the place of the one with its id.
func (h *history) tell(n store.Notice) {
	defer h.lock()()
	h.untold = slices.DeleteFunc(h.untold, func(o store.Notice) bool { return o.ID == n.ID })
	_ = h.tryAll()
	err := h.store.PutNotice(n)
	if err == nil {
		return
	}
	h.log.Error("store a notice, now kept for later", "code", n.Code, "err", err)
	if h.untold = append(h.untold, n); len(h.untold) > maxUntold {
		h.untold = slices.Delete(h.untold, 0, 1)
	}
}

// untell takes a notice away.
func (h *history) untell(id string) error {
	defer h.lock()()
	if err := h.store.DeleteNotice(id); err != nil {
		return err
	}
	h.untold = slices.DeleteFunc(h.untold, func(n store.Notice) bool { return n.ID == id })
	return nil
}

// notices are all notices, newest first.
func (h *history) notices() ([]store.Notice, error) {
	if !h.behind.Load() {
		return h.store.Notices()
	}
	defer h.lock()()
	all, err := h.store.Notices()
	for _, n := range h.untold {
		all = slices.DeleteFunc(all, func(o store.Notice) bool { return o.ID == n.ID })
		all = slices.Insert(all, 0, n)
	}
	return all, err
}
