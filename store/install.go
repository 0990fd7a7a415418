package store

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"paddock/sandbox/permission"
)

// Budget limits a running app; a zero field leaves the limit to the sandbox's default.
type Budget struct {
	MemoryBytes int64   `json:"memory_bytes"`
	CPUPercent  float64 `json:"cpu_percent"` // percent of one core
	DiskBytes   int64   `json:"disk_bytes"`
}

// Install is one installed app, or one that was removed and whose data is kept.
type Install struct {
	Install      string         `json:"install"` // random id, the name of its folder; never changes
	AppID        string         `json:"app_id"`
	Name         string         `json:"name"`
	Version      string         `json:"version"`
	VersionCode  uint32         `json:"version_code"`
	PublisherKey string         `json:"publisher_key"`     // minisign public key, base64; "" unsigned
	Label        string         `json:"label"`             // origin label, SHORT-xxxxxxxx
	Address      string         `json:"address,omitempty"` // own loopback address, once it was served under one
	Source       string         `json:"source"`            // where it came from
	Dev          bool           `json:"dev,omitempty"`
	Manifest     []byte         `json:"-"` // paddock.json; a key of its own
	Budget       Budget         `json:"budget"`
	Workers      int            `json:"workers,omitempty"`
	InstalledAt  time.Time      `json:"installed_at"`
	UpdatedAt    time.Time      `json:"updated_at"`
	Previous     []Version      `json:"previous,omitempty"` // newest first, at most 20 are kept
	CodeBytes    int64          `json:"code_bytes"`
	RemovedAt    *time.Time     `json:"removed_at,omitempty"` // uninstalled then; nil while installed
	KeepData     string         `json:"keep_data,omitempty"`  // "", "30d" or "forever"
	Asks         map[string]int `json:"asks,omitempty"`       // permission → times the user was asked
	Exchanges    uint64         `json:"exchanges,omitempty"`  // times that a restore put other data in the place of the app's
	SetAside     *SetAside      `json:"set_aside,omitempty"`  // the data before the last of them; nil when it is gone
}

// SetAside is data that is kept for a way back from a restore.
type SetAside struct {
	Exchange uint64    `json:"exchange"` // which one set it aside
	At       time.Time `json:"at"`
}

// Version names an earlier version of an app.
type Version struct {
	Version     string `json:"version"`
	VersionCode uint32 `json:"version_code"`
}

// Pin binds an app id to the publisher's key that installed it.
type Pin struct {
	Key     string `json:"key"`     // minisign public key, base64
	Floor   uint32 `json:"floor"`   // highest version code that was ever installed with this key
	Install string `json:"install"` // whose data the key may use
}

const (
	maxPrevious = 20
	maxPins     = 8
)

// Installs lists every app, removed ones included, sorted by app id and then by install.
func (db *DB) Installs() ([]Install, error) {
	var all []Install
	err := db.view("list the apps", func(tx *bolt.Tx) error {
		installs := tx.Bucket(bucketInstalls)
		return installs.ForEachBucket(func(id []byte) error {
			in, err := readInstall(installs.Bucket(id))
			all = append(all, in)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b Install) int {
		if c := strings.Compare(a.AppID, b.AppID); c != 0 {
			return c
		}
		return strings.Compare(a.Install, b.Install)
	})
	return all, nil
}

// Install returns one app by its install id, or ErrNotFound.
func (db *DB) Install(id string) (Install, error) {
	var in Install
	err := db.view("read an app", func(tx *bolt.Tx) error {
		b, err := installBucket(tx, id)
		if err != nil {
			return err
		}
		in, err = readInstall(b)
		return err
	})
	return in, err
}

// PutInstall adds or replaces the record of an app and leaves its grants, histories and pin alone.
func (db *DB) PutInstall(in Install) error {
	return db.update("write the app "+in.AppID, func(tx *bolt.Tx) error {
		_, err := writeInstall(tx, in)
		return err
	})
}

// Commit records an install or an update in one transaction: the record, the pin, and grants as the only answers.
// A development install pins nothing.
func (db *DB) Commit(in Install, grants []permission.Grant) error {
	return db.update("record the install of "+in.AppID, func(tx *bolt.Tx) error {
		b, err := writeInstall(tx, in)
		if err != nil {
			return err
		}
		if err := b.DeleteBucket(bucketGrants); err != nil && b.Bucket(bucketGrants) != nil {
			return err
		}
		if err := writeGrants(tx, in.Install, grants); err != nil {
			return err
		}
		if in.Dev || in.PublisherKey == "" {
			return nil
		}
		return pin(tx, in)
	})
}

// DeleteInstall removes an app and everything about it, its pins included, in one transaction.
func (db *DB) DeleteInstall(id string) error {
	return db.update("delete the app "+id, func(tx *bolt.Tx) error {
		b, err := installBucket(tx, id)
		if err != nil {
			return err
		}
		in, err := readInstall(b)
		if err == nil { // a damaged record must not keep its bucket alive
			if err := unpin(tx, in.AppID, func(p Pin) bool { return p.Install == id }); err != nil {
				return err
			}
		}
		if err := dropNotices(tx, id); err != nil {
			return err
		}
		return tx.Bucket(bucketInstalls).DeleteBucket([]byte(id))
	})
}

// Pins returns every pin of appID, the last used first: a key that was replaced after an uninstall keeps its floor.
func (db *DB) Pins(appID string) ([]Pin, error) {
	var pins []Pin
	err := db.view("read the pins of "+appID, func(tx *bolt.Tx) (err error) {
		pins, err = readPins(tx, appID)
		return err
	})
	return pins, err
}

// DiskUse is the number of bytes that the app's folders held when they were last measured; 0 when never.
func (db *DB) DiskUse(install string) (int64, error) {
	var bytes int64
	err := db.view("read the disk use", func(tx *bolt.Tx) error {
		b, err := installBucket(tx, install)
		if err != nil {
			return err
		}
		n, _ := readNumber(b.Get(keyDisk))
		bytes = int64(n)
		return nil
	})
	return bytes, err
}

// Woken is when the app was last woken by its schedule; the zero time when never.
func (db *DB) Woken(install string) (time.Time, error) {
	var at time.Time
	err := db.view("read the last wake", func(tx *bolt.Tx) error {
		b, err := installBucket(tx, install)
		if err != nil {
			return err
		}
		if n, ok := readNumber(b.Get(keyWoken)); ok {
			at = time.Unix(int64(n), 0)
		}
		return nil
	})
	return at, err
}

// SetWoken keeps a time for Woken, to the second.
func (db *DB) SetWoken(install string, at time.Time) error {
	return db.update("write the last wake", func(tx *bolt.Tx) error {
		b, err := installBucket(tx, install)
		if err != nil {
			return err
		}
		return b.Put(keyWoken, number(uint64(max(at.Unix(), 0))))
	})
}

func readInstall(b *bolt.Bucket) (Install, error) {
	in, err := decode[Install](b.Get(keyRecord))
	if err != nil {
		return Install{}, err
	}
	in.Manifest = slices.Clone(b.Get(keyManifest))
	return in, nil
}

func writeInstall(tx *bolt.Tx, in Install) (*bolt.Bucket, error) {
	if in.Install == "" || in.AppID == "" {
		return nil, fmt.Errorf("an app without an id: %w", ErrInvalid)
	}
	if len(in.Previous) > maxPrevious {
		in.Previous = in.Previous[:maxPrevious]
	}
	b, err := tx.Bucket(bucketInstalls).CreateBucketIfNotExists([]byte(in.Install))
	if err != nil {
		return nil, err
	}
	if err := put(b, keyRecord, in); err != nil {
		return nil, err
	}
	return b, b.Put(keyManifest, in.Manifest)
}

func readPins(tx *bolt.Tx, appID string) ([]Pin, error) {
	raw := tx.Bucket(bucketPins).Get([]byte(appID))
	if raw == nil {
		return nil, nil
	}
	return decode[[]Pin](raw)
}

// pin puts the key of in first. The floor of a key never falls.
func pin(tx *bolt.Tx, in Install) error {
	pins, err := readPins(tx, in.AppID)
	if err != nil {
		return err
	}
	next := Pin{Key: in.PublisherKey, Floor: in.VersionCode, Install: in.Install}
	pins = slices.DeleteFunc(pins, func(p Pin) bool {
		if p.Key == next.Key {
			next.Floor = max(next.Floor, p.Floor)
		}
		return p.Key == next.Key
	})
	pins = slices.Insert(pins, 0, next)
	return put(tx.Bucket(bucketPins), []byte(in.AppID), pins[:min(len(pins), maxPins)])
}

func unpin(tx *bolt.Tx, appID string, drop func(Pin) bool) error {
	pins, err := readPins(tx, appID)
	if err != nil {
		return err
	}
	pins = slices.DeleteFunc(pins, drop)
	if len(pins) == 0 {
		return tx.Bucket(bucketPins).Delete([]byte(appID))
	}
	return put(tx.Bucket(bucketPins), []byte(appID), pins)
}

// errStop ends a walk early.
var errStop = errors.New("stop")
