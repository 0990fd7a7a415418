package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Outcomes of an Activity.
const (
	OutcomeAllowed = "allowed"
	OutcomeRefused = "refused"
)

// OtherActivity stands for the permissions of an hour in which an app tried more different ones than are kept apart:
// what an app tries is its own choice, so their number is bounded.
const OtherActivity = "other"

// Activity is what an app used, or was refused, of one permission within one hour.
type Activity struct {
	At         time.Time `json:"at"` // the last time in that hour
	Permission string    `json:"permission"`
	Outcome    string    `json:"outcome"` // OutcomeAllowed or OutcomeRefused
	Side       string    `json:"side"`    // "process" or "page"
	Count      int64     `json:"count"`
	BytesIn    int64     `json:"bytes_in"`
	BytesOut   int64     `json:"bytes_out"`
	// Reported means that the app said so of itself. It is kept and shown, and never counted as Use: an app must not be
	// able to keep a permission alive, or to look harmless, by what it says.
	Reported bool `json:"reported,omitempty"`
}

// Use sums up one permission of an app since it was installed.
type Use struct {
	Last    time.Time `json:"last"`    // last allowed use; zero when there was none
	Count   int64     `json:"count"`   // allowed uses
	Refused int64     `json:"refused"` // refused tries
}

const (
	activityAge     = 7 * 24 * time.Hour
	maxActivity     = 2000 // entries per app
	maxActivityHour = 100  // different entries per app and hour; OtherActivity comes on top
	maxReportedHour = 40   // what an app reports of itself is kept apart only up to here, so that it crowds out nothing
	maxUse          = 500  // permissions per app
	maxPermission   = 300  // bytes of a permission's text: a DNS name has at most 253
)

// AddActivity adds to what is known of an app: entries of the same hour, permission, outcome and side are summed up.
// What is older than 7 days is dropped, by the clock of Aged.
func (db *DB) AddActivity(install string, all ...Activity) error {
	if len(all) == 0 {
		return nil
	}
	return db.update("store the activity", func(tx *bolt.Tx) error {
		activity, err := part(tx, install, bucketActivity)
		if err != nil {
			return err
		}
		use, err := part(tx, install, bucketUse)
		if err != nil {
			return err
		}
		for _, a := range all {
			if a.Outcome != OutcomeAllowed && a.Outcome != OutcomeRefused {
				return fmt.Errorf("activity with outcome %q: %w", a.Outcome, ErrInvalid)
			}
			a.Permission = plain(a.Permission)
			if a.Permission == "" {
				return fmt.Errorf("activity without a permission: %w", ErrInvalid)
			}
			if !a.Reported {
				if err := addUse(use, a); err != nil {
					return err
				}
			}
			if err := addHour(activity, a); err != nil {
				return err
			}
		}
		aged, err := db.age(tx)
		if err != nil {
			return err
		}
		if err := dropBefore(activity, hourOf(aged.Add(-activityAge))); err != nil {
			return err
		}
		_, err = dropOldest(activity, maxActivity)
		return err
	})
}

// Activity lists what happened at or after since, newest first.
func (db *DB) Activity(install string, since time.Time) ([]Activity, error) {
	var all []Activity
	err := db.view("read the activity", func(tx *bolt.Tx) error {
		return readPart(tx, install, bucketActivity, func(_, raw []byte) error {
			a, err := decode[Activity](raw)
			if err == nil && !a.At.Before(since) {
				all = append(all, a)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b Activity) int { return b.At.Compare(a.At) })
	return all, nil
}

// Use tells for each permission that the app ever tried when and how often.
func (db *DB) Use(install string) (map[string]Use, error) {
	all := map[string]Use{}
	err := db.view("read the use", func(tx *bolt.Tx) error {
		return readPart(tx, install, bucketUse, func(k, raw []byte) error {
			u, err := decode[Use](raw)
			all[string(k)] = u
			return err
		})
	})
	return all, err
}

// hourOf makes the first part of a key; hours sort by time.
func hourOf(t time.Time) []byte { return number(uint64(max(t.Unix(), 0) / 3600)) }

func activityKey(a Activity) []byte {
	parts := []string{a.Permission, a.Outcome, plain(a.Side)}
	if a.Reported {
		parts = append(parts, "reported")
	}
	return append(hourOf(a.At), strings.Join(parts, "\x00")...)
}

// plain keeps a text from reaching into the next part of a key, and from growing.
func plain(s string) string { return keepStart(strings.ReplaceAll(s, "\x00", ""), maxPermission) }

func addHour(b *bolt.Bucket, a Activity) error {
	key := activityKey(a)
	raw := b.Get(key)
	most := maxActivityHour
	if a.Reported {
		most = maxReportedHour
	}
	if raw == nil && entriesOf(b, key[:8], most) >= most {
		a.Permission = OtherActivity
		key = activityKey(a)
		raw = b.Get(key)
	}
	if raw != nil {
		sum, err := decode[Activity](raw)
		if err != nil {
			return err
		}
		a.Count += sum.Count
		a.BytesIn += sum.BytesIn
		a.BytesOut += sum.BytesOut
		if sum.At.After(a.At) {
			a.At = sum.At
		}
	}
	return put(b, key, a)
}

// entriesOf counts the entries of one hour, up to limit.
func entriesOf(b *bolt.Bucket, hour []byte, limit int) int {
	n := 0
	c := b.Cursor()
	for k, _ := c.Seek(hour); k != nil && bytes.HasPrefix(k, hour) && n < limit; k, _ = c.Next() {
		n++
	}
	return n
}

// dropBefore deletes the entries of earlier hours.
func dropBefore(b *bolt.Bucket, hour []byte) error {
	var old [][]byte
	err := b.ForEach(func(k, _ []byte) error {
		if bytes.Compare(k[:min(len(k), 8)], hour) >= 0 {
			return errStop
		}
		old = append(old, bytes.Clone(k))
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return err
	}
	for _, k := range old {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

func addUse(b *bolt.Bucket, a Activity) error {
	key := []byte(a.Permission)
	raw := b.Get(key)
	var u Use
	if raw != nil {
		var err error
		if u, err = decode[Use](raw); err != nil {
			return err
		}
	} else if full, err := makeRoom(b); err != nil || full {
		return err
	}
	if a.Outcome == OutcomeRefused {
		u.Refused += a.Count
	} else {
		u.Count += a.Count
		if a.At.After(u.Last) || u.Last.Sub(a.At) > ageLeap { // it was used while the clock was ahead
			u.Last = a.At
		}
	}
	return put(b, key, u)
}

// makeRoom drops a permission that was only ever refused when there are too many: an app can try any number of names,
// and must not be able to push out what it really used.
func makeRoom(b *bolt.Bucket) (full bool, err error) {
	n := 0
	var victim []byte
	err = b.ForEach(func(k, raw []byte) error {
		n++
		if victim != nil || n > maxUse {
			return nil
		}
		u, err := decode[Use](raw)
		if err == nil && u.Count == 0 {
			victim = bytes.Clone(k)
		}
		return err
	})
	if err != nil || n < maxUse {
		return false, err
	}
	if victim == nil {
		return true, nil
	}
	return false, b.Delete(victim)
}
