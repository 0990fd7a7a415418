package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Breach is a budget that was crossed.
type Breach struct {
	Budget   string  `json:"budget"` // "memory", "cpu", "disk", "processes"
	Limit    float64 `json:"limit"`  // bytes, or core-seconds for cpu
	Measured float64 `json:"measured"`
}

// Run is one launch of an app and how it ended.
type Run struct {
	ID        uint64     `json:"-"` // set by Runs, else ignored
	StartedAt time.Time  `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at,omitempty"` // nil while it runs
	Reason    string     `json:"reason,omitempty"`
	Tail      string     `json:"tail,omitempty"` // the end of its output; the last 8 KiB are kept
	Breach    *Breach    `json:"breach,omitempty"`
	PID       int        `json:"pid,omitempty"`
}

const (
	maxRuns = 200     // per app
	maxTail = 8 << 10 // bytes
)

// StartRun records a launch and returns its id, which grows with each launch of the app. The oldest runs beyond 200
// are dropped.
func (db *DB) StartRun(install string, r Run) (uint64, error) {
	var id uint64
	err := db.update("record a start", func(tx *bolt.Tx) error {
		runs, err := part(tx, install, bucketRuns)
		if err != nil {
			return err
		}
		open, err := part(tx, install, bucketOpen)
		if err != nil {
			return err
		}
		if id, err = runs.NextSequence(); err != nil {
			return err
		}
		if err := writeRun(runs, open, id, r); err != nil {
			return err
		}
		dropped, err := dropOldest(runs, maxRuns)
		if err != nil {
			return err
		}
		for _, key := range dropped {
			if err := open.Delete(key); err != nil {
				return err
			}
		}
		return nil
	})
	return id, err
}

// EndRun replaces the record of a run, normally with one that has an end. With disk it also keeps
// that many bytes for DiskUse, in the same transaction. ErrNotFound when the run was dropped.
func (db *DB) EndRun(install string, id uint64, r Run, disk *int64) error {
	return db.update("record an end", func(tx *bolt.Tx) error {
		runs, err := part(tx, install, bucketRuns)
		if err != nil {
			return err
		}
		if runs.Get(number(id)) == nil {
			return fmt.Errorf("run %d: %w", id, ErrNotFound)
		}
		open, err := part(tx, install, bucketOpen)
		if err != nil {
			return err
		}
		if disk != nil {
			b, err := installBucket(tx, install)
			if err != nil {
				return err
			}
			if err := b.Put(keyDisk, number(uint64(max(*disk, 0)))); err != nil {
				return err
			}
		}
		return writeRun(runs, open, id, r)
	})
}

// Runs lists the launches of an app, newest first.
func (db *DB) Runs(install string) ([]Run, error) {
	var all []Run
	err := db.view("read the history", func(tx *bolt.Tx) error {
		b, err := installBucket(tx, install)
		if err != nil {
			return err
		}
		if b = b.Bucket(bucketRuns); b == nil {
			return nil
		}
		c := b.Cursor()
		for k, raw := c.Last(); k != nil; k, raw = c.Prev() {
			r, err := decode[Run](raw)
			if err != nil {
				return err
			}
			r.ID = binary.BigEndian.Uint64(k)
			all = append(all, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// CloseOpenRuns ends every run that an earlier agent left open, in one transaction, and returns how many there were.
func (db *DB) CloseOpenRuns(reason string, at time.Time) (int, error) {
	closed := 0
	err := db.update("close the runs of an earlier agent", func(tx *bolt.Tx) error {
		closed = 0
		installs := tx.Bucket(bucketInstalls)
		return installs.ForEachBucket(func(id []byte) error {
			app := installs.Bucket(id)
			open, runs := app.Bucket(bucketOpen), app.Bucket(bucketRuns)
			if open == nil || runs == nil {
				return nil
			}
			var ids [][]byte
			if err := open.ForEach(func(k, _ []byte) error { ids = append(ids, bytes.Clone(k)); return nil }); err != nil {
				return err
			}
			for _, key := range ids {
				if raw := runs.Get(key); raw != nil {
					r, err := decode[Run](raw)
					if err != nil {
						return err
					}
					ended := at
					r.EndedAt, r.Reason = &ended, reason
					if err := put(runs, key, r); err != nil {
						return err
					}
					closed++
				}
				if err := open.Delete(key); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return closed, err
}

func writeRun(runs, open *bolt.Bucket, id uint64, r Run) error {
	r.Tail = keepEnd(r.Tail, maxTail)
	if err := put(runs, number(id), r); err != nil {
		return err
	}
	if r.EndedAt == nil {
		return open.Put(number(id), []byte{})
	}
	return open.Delete(number(id))
}
