package store

import (
	"fmt"

	bolt "go.etcd.io/bbolt"

	"paddock/sandbox/permission"
)

// Grants lists the user's stored answers for an app, in the order of their permissions' texts.
func (db *DB) Grants(install string) ([]permission.Grant, error) {
	var grants []permission.Grant
	err := db.view("read the answers", func(tx *bolt.Tx) error {
		return readPart(tx, install, bucketGrants, func(_, raw []byte) error {
			g, err := decode[permission.Grant](raw)
			grants = append(grants, g)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return grants, nil
}

// PutGrants stores answers in one transaction; one about the same permission replaces the earlier one.
func (db *DB) PutGrants(install string, grants ...permission.Grant) error {
	return db.update("store the answers", func(tx *bolt.Tx) error { return writeGrants(tx, install, grants) })
}

// DeleteGrant forgets an answer, so that it is asked again. ErrNotFound when there was none.
func (db *DB) DeleteGrant(install string, p permission.Permission) error {
	return db.update("forget the answer", func(tx *bolt.Tx) error {
		b, err := part(tx, install, bucketGrants)
		if err != nil {
			return err
		}
		key := []byte(p.String())
		if b.Get(key) == nil {
			return fmt.Errorf("answer about %s: %w", p, ErrNotFound)
		}
		return b.Delete(key)
	})
}

func writeGrants(tx *bolt.Tx, install string, grants []permission.Grant) error {
	b, err := part(tx, install, bucketGrants)
	if err != nil {
		return err
	}
	for _, g := range grants {
		// A text that does not parse again would make every later read of this app fail.
		if !g.Permission.Valid() {
			return fmt.Errorf("answer about %q: %w", g.Permission, ErrInvalid)
		}
		if err := put(b, []byte(g.Permission.String()), g); err != nil {
			return err
		}
	}
	return nil
}
