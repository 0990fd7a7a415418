package store

import (
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Buckets and keys of one install.
var (
	keyRecord      = []byte("record")
	keyManifest    = []byte("manifest")
	keyDisk        = []byte("disk")
	keyWoken       = []byte("woken")
	bucketGrants   = []byte("grants")
	bucketRuns     = []byte("runs")
	bucketOpen     = []byte("open")
	bucketActivity = []byte("activity")
	bucketUse      = []byte("use")
	bucketSessions = []byte("sessions")
)

// view runs f in a read transaction; an error says what was being done.
func (db *DB) view(what string, f func(tx *bolt.Tx) error) error {
	if err := db.bolt.View(f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// update runs f in a write transaction.
func (db *DB) update(what string, f func(tx *bolt.Tx) error) error {
	if err := db.bolt.Update(f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// installBucket is the bucket of one install, or ErrNotFound.
func installBucket(tx *bolt.Tx, install string) (*bolt.Bucket, error) {
	b := tx.Bucket(bucketInstalls).Bucket([]byte(install))
	if install == "" || b == nil {
		return nil, fmt.Errorf("install %q: %w", install, ErrNotFound)
	}
	return b, nil
}

// part is a bucket inside an install's; it is made when missing, so only for write transactions.
func part(tx *bolt.Tx, install string, name []byte) (*bolt.Bucket, error) {
	b, err := installBucket(tx, install)
	if err != nil {
		return nil, err
	}
	return b.CreateBucketIfNotExists(name)
}

// readPart calls f for each entry of a part, in key order. A missing part is an empty one. k and v are valid only
// inside f, which may return errStop.
func readPart(tx *bolt.Tx, install string, name []byte, f func(k, v []byte) error) error {
	b, err := installBucket(tx, install)
	if err != nil {
		return err
	}
	if b = b.Bucket(name); b == nil {
		return nil
	}
	return b.ForEach(f)
}

func put(b *bolt.Bucket, key []byte, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %T: %w", v, err)
	}
	return b.Put(key, raw)
}

// decode reads a value; json copies everything out of the transaction's memory.
func decode[T any](raw []byte) (T, error) {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, fmt.Errorf("decode %T: %w", v, err)
	}
	return v, nil
}

// dropOldest deletes entries from the start of b until at most keep are left, and tells which.
func dropOldest(b *bolt.Bucket, keep int) ([][]byte, error) {
	var keys [][]byte
	if err := b.ForEach(func(k, _ []byte) error {
		keys = append(keys, append([]byte(nil), k...))
		return nil
	}); err != nil {
		return nil, err
	}
	if len(keys) <= keep {
		return nil, nil
	}
	dropped := keys[:len(keys)-keep]
	for _, k := range dropped {
		if err := b.Delete(k); err != nil {
			return nil, err
		}
	}
	return dropped, nil
}

// keepEnd shortens a text to its last max bytes, the part that says how something ended.
func keepEnd(s string, max int) string {
	if len(s) <= max {
		return s
	}
	return "…" + s[len(s)-max:]
}

// keepStart shortens a text to its first max bytes.
func keepStart(s string, max int) string {
	if len(s) <= max {
		return s
	}
	return s[:max] + "…"
}
