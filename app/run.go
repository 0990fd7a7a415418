package app

import (
	"time"

	"paddock/store"
)

// run is one launch in the history. The history is a file that is synced with each change, which takes longer than a
// start on a busy disk; so it is written while the app starts, and its first answer does not wait for it. Whoever reads
// the history or answers a command does. What a crash in that moment can cost is the record of a launch, and never more:
// an end is written only after its beginning.
type run struct {
	recorded chan struct{} // closed when the launch is in the history
	id       uint64        // in the store; 0 when it could not be written yet. The history's
}

// recordStart begins to write a launch to the history. The caller holds app.lifecycle.
func (a *App) recordStart(app *installed, at time.Time) *run {
	r := &run{recorded: make(chan struct{})}
	a.mu.Lock()
	app.run = r
	a.mu.Unlock()
	a.tasks.Go(func() {
		defer close(r.recorded)
		a.history.note(lateRun{install: app.id, run: r, record: store.Run{StartedAt: at}})
	})
	return r
}

// recordEnd writes how a launch ended, whole when its beginning could not be written, and the disk use if it is known.
func (a *App) recordEnd(app *installed, r *run, end store.Run, disk *int64) {
	<-r.recorded
	a.history.note(lateRun{install: app.id, run: r, record: end, disk: disk})
}

// untilRecorded waits until the last launch of an app is in the history.
func (a *App) untilRecorded(app *installed) {
	a.mu.Lock()
	r := app.run
	a.mu.Unlock()
	if r != nil {
		<-r.recorded
	}
}
