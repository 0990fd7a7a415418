package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// SchemaVersion is what this program reads and writes.
const SchemaVersion = 2

// Buckets and keys of the tree in the package comment.
var (
	bucketMeta     = []byte("meta")
	bucketInstalls = []byte("installs")
	bucketPins     = []byte("pins")
	bucketNotices  = []byte("notices")
	bucketSettings = []byte("settings")
	bucketRuntimes = []byte("runtimes")

	keySchema  = []byte("schema")
	keyCreated = []byte("created")
)

// Options of Open. The zero value is usable.
type Options struct {
	Timeout time.Duration    // how long to wait for the file lock; 0 is one second
	Now     func() time.Time // clock for bounds by age; nil is time.Now
}

// DB is an open store. Its methods may be called from several goroutines.
type DB struct {
	bolt *bolt.DB
	now  func() time.Time
	pace pacer
}

// Open opens the store at path and makes it (mode 0600) when there is none; the folder must exist. An older schema is
// migrated, after a copy was made. Errors: *LockedError, *NewerError, *DamagedError, or what the disk said.
func Open(path string, o Options) (*DB, error) {
	if o.Timeout <= 0 {
		o.Timeout = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	b, err := openFile(path, o.Timeout)
	if err != nil {
		return nil, err
	}
	db := &DB{bolt: b, now: o.Now, pace: newPacer()}
	if err := db.prepare(path); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return db, nil
}

// Close waits for running transactions and releases the file. Closing twice is fine.
func (db *DB) Close() error {
	if err := db.bolt.Close(); err != nil {
		return fmt.Errorf("close the store: %w", err)
	}
	return nil
}

// openFile is bolt.Open with our errors. bolt panics, or faults on the mapped file, when pages are damaged or missing;
// both become an error here.
func openFile(path string, timeout time.Duration) (b *bolt.DB, err error) {
	var opened *os.File
	options := *bolt.DefaultOptions
	options.Timeout = timeout
	options.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag, mode)
		opened = f
		return f, err
	}
	err = guard(path, func() error {
		b, err = bolt.Open(path, 0o600, &options)
		return err
	})
	switch {
	case err == nil:
		return b, nil
	case errors.Is(err, ErrDamaged):
		if opened != nil {
			err = errors.Join(err, ignoreClosed(abandon(opened)))
		}
		return nil, err
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, &LockedError{Path: path, Waited: timeout}
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum),
		errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, bolterrors.ErrInvalidMapping):
		return nil, &DamagedError{Path: path, Err: err}
	default:
		return nil, fmt.Errorf("open the store %s: %w", path, err)
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}

// guard turns a panic or a memory fault of f into a *DamagedError.
func guard(path string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // a file cut short faults where its pages were
	defer func() {
		if r := recover(); r != nil {
			err = &DamagedError{Path: path, Err: fmt.Errorf("%v", r)}
		}
	}()
	return f()
}

// prepare reads the whole tree once, so that damage is found now and not in the middle of work, then makes, accepts
// or migrates the schema.
func (db *DB) prepare(path string) error {
	var have uint64
	var fresh bool
	err := guard(path, func() error {
		return db.bolt.View(func(tx *bolt.Tx) error {
			if err := readAll(tx); err != nil {
				return &DamagedError{Path: path, Err: err}
			}
			have, fresh = schemaOf(tx)
			return nil
		})
	})
	switch {
	case err != nil:
		return err
	case fresh:
		return db.bolt.Update(func(tx *bolt.Tx) error { return makeTree(tx, db.now()) })
	case have == 0:
		return &DamagedError{Path: path, Err: errors.New("it is a database of another program")}
	case have > SchemaVersion:
		return &NewerError{Path: path, Have: have, Know: SchemaVersion}
	case have == SchemaVersion:
		return db.bolt.View(func(tx *bolt.Tx) error { return complete(tx, path) })
	}
	backup := fmt.Sprintf("%s.v%d.bak", path, have)
	if err := db.copyTo(backup); err != nil {
		return fmt.Errorf("copy the store before changing it from schema %d to %d: %w", have, SchemaVersion, err)
	}
	if err := db.bolt.Update(func(tx *bolt.Tx) error { return migrate(tx, have) }); err != nil {
		return fmt.Errorf("change the store from schema %d to %d (nothing was changed, a copy is in %s): %w", have, SchemaVersion, backup, err)
	}
	return nil
}

// readAll touches every page of the tree.
func readAll(tx *bolt.Tx) error {
	var walk func(b *bolt.Bucket) error
	walk = func(b *bolt.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			if v != nil {
				return nil
			}
			inner := b.Bucket(k)
			if inner == nil {
				return fmt.Errorf("the entry %q cannot be read", k)
			}
			return walk(inner)
		})
	}
	return tx.ForEach(func(_ []byte, b *bolt.Bucket) error { return walk(b) })
}

// schemaOf returns the stored version; fresh means that nothing was ever written. A tree without a version gives 0.
func schemaOf(tx *bolt.Tx) (version uint64, fresh bool) {
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		first, _ := tx.Cursor().First()
		return 0, first == nil
	}
	version, _ = readNumber(meta.Get(keySchema))
	return version, false
}

var topBuckets = [][]byte{bucketMeta, bucketInstalls, bucketPins, bucketNotices, bucketSettings, bucketRuntimes}

// complete checks that the buckets are there which every method takes for granted.
func complete(tx *bolt.Tx, path string) error {
	for _, name := range topBuckets {
		if tx.Bucket(name) == nil {
			return &DamagedError{Path: path, Err: fmt.Errorf("the bucket %s is missing", name)}
		}
	}
	return nil
}

// makeTree makes an empty tree of the present schema.
func makeTree(tx *bolt.Tx, now time.Time) error {
	for _, name := range topBuckets {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return fmt.Errorf("make bucket %s: %w", name, err)
		}
	}
	meta := tx.Bucket(bucketMeta)
	if err := meta.Put(keyCreated, []byte(now.UTC().Format(time.RFC3339))); err != nil {
		return err
	}
	return meta.Put(keySchema, number(SchemaVersion))
}

// copyTo writes a consistent copy to path: temp file, sync, rename.
func (db *DB) copyTo(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreClosed(f.Close()), os.Remove(f.Name()))
		}
	}()
	if err := db.bolt.View(func(tx *bolt.Tx) error { _, err := tx.WriteTo(f); return err }); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// number is the 8-byte form of keys and counters; its order is that of the numbers.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func readNumber(raw []byte) (uint64, bool) {
	if len(raw) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(raw), true
}
