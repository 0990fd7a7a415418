package store

import (
	"time"

	bolt "go.etcd.io/bbolt"
)

// What is deleted for its age is judged by a clock of its own, which follows the machine's without haste: it never
// runs ahead of it, and falls behind rather than leap. Clocks do leap, where a battery is empty or a zone was set wrong,
// and are put right again; nothing may be lost by that. A machine that was off for long lags behind for as many hours of
// work as it was off days, in which things are kept a little longer.
const (
	ageLeap = 24 * time.Hour // what the clock may go ahead at once
	agePace = time.Hour      // between two such steps, of the agent's own time
	ageFar  = 200            // a lag of more than so many days is made up by that part of it with each step
	ageSave = time.Hour      // how far behind the stored time may lie
)

var keyAged = []byte("aged") // in bucketMeta: seconds since 1970

// pacer counts the steps of the clock in time that no clock of a wall can change.
type pacer struct {
	elapsed func() time.Duration // since the store was opened
	stepped time.Duration        // of the last step; guarded by the write lock of the store
	any     bool                 // there was one
}

func newPacer() pacer {
	opened := time.Now()
	return pacer{elapsed: func() time.Duration { return time.Since(opened) }} // by the monotonic clock
}

// Aged is the time by which the age of what is kept is to be judged before it is deleted: now, or before it. It cannot
// be later than latest, which is now, or after it where the clock was set back.
func (db *DB) Aged() (aged, latest time.Time, err error) {
	err = db.update("read the clock of what is kept", func(tx *bolt.Tx) error {
		aged, err = db.age(tx)
		latest = db.now()
		if stored, ok := readNumber(tx.Bucket(bucketMeta).Get(keyAged)); ok && latest.Before(time.Unix(int64(stored), 0)) {
			latest = time.Unix(int64(stored), 0)
		}
		return err
	})
	return aged, latest, err
}

// age is Aged within a write transaction.
func (db *DB) age(tx *bolt.Tx) (time.Time, error) {
	now := db.now()
	meta := tx.Bucket(bucketMeta)
	stored, known := readNumber(meta.Get(keyAged))
	at := time.Unix(int64(stored), 0)
	lag := now.Sub(at)
	switch {
	case !known:
		at = now
	case lag <= 0: // set back, or right again after a leap
		return now, nil
	case lag <= ageLeap+ageSave:
		at = now
	case !db.pace.any || db.pace.elapsed()-db.pace.stepped >= agePace:
		at = at.Add(stride(lag))
		db.pace.any, db.pace.stepped = true, db.pace.elapsed()
	}
	if known && at.Sub(time.Unix(int64(stored), 0)) < ageSave {
		return at, nil
	}
	return at, meta.Put(keyAged, number(uint64(max(at.Unix(), 0))))
}

// stride is how far the clock goes in one step when it is so far behind.
func stride(lag time.Duration) time.Duration { return max(ageLeap, lag/ageFar) }
