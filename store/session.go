package store

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Session is one browser that may use an app's origin.
type Session struct {
	Hash    [32]byte // SHA-256 of the cookie: the store cannot be used to make one
	Install string
	Created time.Time
	Used    time.Time
}

// sessionValue is the stored part; the hash is the key and the install is the bucket.
type sessionValue struct {
	Created time.Time `json:"created"`
	Used    time.Time `json:"used"`
}

const maxSessions = 64 // per app

// PutSession adds or replaces a session. Beyond 64 of an app the one that was used longest ago is dropped.
func (db *DB) PutSession(s Session) error {
	return db.update("store a session", func(tx *bolt.Tx) error {
		b, err := part(tx, s.Install, bucketSessions)
		if err != nil {
			return err
		}
		if err := put(b, s.Hash[:], sessionValue{Created: s.Created, Used: s.Used}); err != nil {
			return err
		}
		n := 0
		var oldest []byte
		var used time.Time
		err = b.ForEach(func(k, raw []byte) error {
			n++
			v, err := decode[sessionValue](raw)
			if !bytes.Equal(k, s.Hash[:]) && (oldest == nil || v.Used.Before(used)) {
				oldest, used = bytes.Clone(k), v.Used
			}
			return err
		})
		if err != nil || n <= maxSessions {
			return err
		}
		return b.Delete(oldest)
	})
}

// Sessions lists every session of every app.
func (db *DB) Sessions() ([]Session, error) {
	var all []Session
	err := db.view("read the sessions", func(tx *bolt.Tx) error {
		installs := tx.Bucket(bucketInstalls)
		return installs.ForEachBucket(func(id []byte) error {
			b := installs.Bucket(id).Bucket(bucketSessions)
			if b == nil {
				return nil
			}
			return b.ForEach(func(k, raw []byte) error {
				v, err := decode[sessionValue](raw)
				if err != nil {
					return err
				}
				if len(k) != 32 {
					return fmt.Errorf("session %s: %w", hex.EncodeToString(k), ErrInvalid)
				}
				all = append(all, Session{Hash: [32]byte(k), Install: string(id), Created: v.Created, Used: v.Used})
				return nil
			})
		})
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// DeleteSessions ends every session of an app. An app that is gone has none, which is no error.
func (db *DB) DeleteSessions(install string) error {
	return db.update("delete the sessions", func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketInstalls).Bucket([]byte(install))
		if install == "" || b == nil || b.Bucket(bucketSessions) == nil {
			return nil
		}
		return b.DeleteBucket(bucketSessions)
	})
}
