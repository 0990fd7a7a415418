package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Notice is a condition that the user should know of.
type Notice struct {
	ID       string    `json:"id"`
	At       time.Time `json:"at"`
	Code     string    `json:"code"`
	Title    string    `json:"title"`
	Text     string    `json:"text"` // the first 4 KiB are kept
	Severity string    `json:"severity"`
	Install  string    `json:"install,omitempty"`
	Actions  []string  `json:"actions,omitempty"`
	// Facts are what the notice is about, as its writer keeps them; more than 4 KiB are not.
	Facts json.RawMessage `json:"facts,omitempty"`
}

const (
	maxNotices    = 100
	maxNoticeText = 4 << 10 // bytes
)

// PutNotice adds a notice, or replaces the one with the same id. Beyond 100 the oldest are dropped.
func (db *DB) PutNotice(n Notice) error {
	if n.ID == "" {
		return fmt.Errorf("store a notice: an empty id: %w", ErrInvalid)
	}
	n.Text = keepStart(n.Text, maxNoticeText)
	if len(n.Facts) > maxNoticeText {
		n.Facts = nil
	}
	return db.update("store a notice", func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketNotices)
		if err := put(b, []byte(n.ID), n); err != nil {
			return err
		}
		all, err := readNotices(b)
		if err != nil {
			return err
		}
		for _, old := range all[min(len(all), maxNotices):] {
			if err := b.Delete([]byte(old.ID)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Notices lists all notices, newest first.
func (db *DB) Notices() ([]Notice, error) {
	var all []Notice
	err := db.view("read the notices", func(tx *bolt.Tx) (err error) {
		all, err = readNotices(tx.Bucket(bucketNotices))
		return err
	})
	return all, err
}

// DeleteNotice removes a notice; one that is gone already is no error.
func (db *DB) DeleteNotice(id string) error {
	return db.update("delete a notice", func(tx *bolt.Tx) error { return tx.Bucket(bucketNotices).Delete([]byte(id)) })
}

func readNotices(b *bolt.Bucket) ([]Notice, error) {
	var all []Notice
	err := b.ForEach(func(_, raw []byte) error {
		n, err := decode[Notice](raw)
		all = append(all, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b Notice) int { return b.At.Compare(a.At) })
	return all, nil
}

// dropNotices removes what is about an app that is being deleted.
func dropNotices(tx *bolt.Tx, install string) error {
	b := tx.Bucket(bucketNotices)
	var about [][]byte
	err := b.ForEach(func(k, raw []byte) error {
		n, err := decode[Notice](raw)
		if err == nil && n.Install == install {
			about = append(about, bytes.Clone(k))
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, k := range about {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
