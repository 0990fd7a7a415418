package store

import (
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// migrations[i] takes a tree from schema i+1 to i+2. A step is never changed once released, and does not use types or
// bounds of the present code that may change later.
var migrations = []func(tx *bolt.Tx) error{
	splitHistories,
}

// migrate runs every step that is missing, inside the caller's transaction.
func migrate(tx *bolt.Tx, have uint64) error {
	for from := have; from < SchemaVersion; from++ {
		if err := migrations[from-1](tx); err != nil {
			return fmt.Errorf("from schema %d: %w", from, err)
		}
	}
	for _, name := range topBuckets { // buckets that a later schema added
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return fmt.Errorf("make bucket %s: %w", name, err)
		}
	}
	return tx.Bucket(bucketMeta).Put(keySchema, number(SchemaVersion))
}

// splitHistories is schema 1 → 2. Schema 1 kept an app's runs in one value, "history", a JSON list with the oldest
// first, and the manifest inside the record (field "manifest"). Schema 2 keeps one entry per run, a list of those that
// have not ended, and the manifest beside the record. Schema 1 also had no bucket runtimes.
func splitHistories(tx *bolt.Tx) error {
	installs := tx.Bucket([]byte("installs"))
	if installs == nil {
		return fmt.Errorf("there is no bucket installs")
	}
	var ids [][]byte
	err := installs.ForEachBucket(func(id []byte) error {
		ids = append(ids, append([]byte(nil), id...)) // bolt forbids changes while it walks
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := splitHistory(installs.Bucket(id)); err != nil {
			return fmt.Errorf("app %s: %w", id, err)
		}
	}
	return nil
}

func splitHistory(app *bolt.Bucket) error {
	var record map[string]json.RawMessage
	if err := json.Unmarshal(app.Get([]byte("record")), &record); err != nil {
		return fmt.Errorf("read the record: %w", err)
	}
	var manifest []byte
	if raw, there := record["manifest"]; there {
		if err := json.Unmarshal(raw, &manifest); err != nil {
			return fmt.Errorf("read the manifest: %w", err)
		}
		delete(record, "manifest")
	}
	rest, err := json.Marshal(record)
	if err != nil {
		return err
	}
	if err := app.Put([]byte("record"), rest); err != nil {
		return err
	}
	if err := app.Put([]byte("manifest"), manifest); err != nil {
		return err
	}

	var history []json.RawMessage
	if raw := app.Get([]byte("history")); raw != nil {
		if err := json.Unmarshal(raw, &history); err != nil {
			return fmt.Errorf("read the history: %w", err)
		}
	}
	runs, err := app.CreateBucketIfNotExists([]byte("runs"))
	if err != nil {
		return err
	}
	open, err := app.CreateBucketIfNotExists([]byte("open"))
	if err != nil {
		return err
	}
	for _, raw := range history {
		var run struct {
			EndedAt *string `json:"ended_at"`
		}
		if err := json.Unmarshal(raw, &run); err != nil {
			return fmt.Errorf("read a run: %w", err)
		}
		n, err := runs.NextSequence()
		if err != nil {
			return err
		}
		if err := runs.Put(number(n), raw); err != nil {
			return err
		}
		if run.EndedAt == nil {
			if err := open.Put(number(n), []byte{}); err != nil {
				return err
			}
		}
	}
	return app.Delete([]byte("history"))
}
