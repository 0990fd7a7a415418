package store

import (
	"fmt"

	bolt "go.etcd.io/bbolt"
)

const (
	maxSettingKey   = 200      // bytes
	maxSettingValue = 64 << 10 // bytes
)

// Setting returns a value and whether it was ever set.
func (db *DB) Setting(key string) (value string, set bool, err error) {
	err = db.view("read a setting", func(tx *bolt.Tx) error {
		raw := tx.Bucket(bucketSettings).Get([]byte(key))
		value, set = string(raw), raw != nil
		return nil
	})
	return value, set, err
}

// SetSetting stores a value; an empty one is set too.
func (db *DB) SetSetting(key, value string) error {
	if key == "" || len(key) > maxSettingKey || len(value) > maxSettingValue {
		return fmt.Errorf("setting %q of %d bytes: %w", keepStart(key, maxSettingKey), len(value), ErrInvalid)
	}
	return db.update("write a setting", func(tx *bolt.Tx) error {
		return tx.Bucket(bucketSettings).Put([]byte(key), []byte(value))
	})
}

const maxRuntimes = 8 // binaries whose measurements are kept

// Runtime returns a fact that was measured about the Deno binary with that hash, and whether it was.
func (db *DB) Runtime(hash, key string) (value int64, known bool, err error) {
	err = db.view("read a measurement", func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketRuntimes).Bucket([]byte(hash))
		if b == nil {
			return nil
		}
		n, ok := readNumber(b.Get([]byte(key)))
		value, known = int64(n), ok
		return nil
	})
	return value, known, err
}

// SetRuntime keeps a measurement for Runtime. Only a few binaries are remembered: measuring again is cheap.
func (db *DB) SetRuntime(hash, key string, value int64) error {
	if hash == "" || key == "" || len(hash)+len(key) > 2*maxSettingKey {
		return fmt.Errorf("measurement %q of %q: %w", keepStart(key, maxSettingKey), keepStart(hash, maxSettingKey), ErrInvalid)
	}
	return db.update("write a measurement", func(tx *bolt.Tx) error {
		runtimes := tx.Bucket(bucketRuntimes)
		if runtimes.Bucket([]byte(hash)) == nil {
			if err := forgetDown(runtimes, maxRuntimes-1); err != nil {
				return err
			}
		}
		b, err := runtimes.CreateBucketIfNotExists([]byte(hash))
		if err != nil {
			return err
		}
		return b.Put([]byte(key), number(uint64(value)))
	})
}

// forgetDown deletes inner buckets until at most keep are left.
func forgetDown(b *bolt.Bucket, keep int) error {
	var names [][]byte
	if err := b.ForEachBucket(func(k []byte) error { names = append(names, append([]byte(nil), k...)); return nil }); err != nil {
		return err
	}
	for i := 0; i < len(names)-keep; i++ {
		if err := b.DeleteBucket(names[i]); err != nil {
			return err
		}
	}
	return nil
}
