package store_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"paddock/sandbox/permission"
	"paddock/store"
)

func TestSecondOpenSaysWhichFileIsHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := openAt(t, path)
	_, err := store.Open(path, store.Options{Timeout: 50 * time.Millisecond})
	var locked *store.LockedError
	if !errors.Is(err, store.ErrLocked) || !errors.As(err, &locked) || locked.Path != path || !strings.Contains(err.Error(), path) {
		t.Fatalf("a second open gives %v", err)
	}
	must(t, db.Close())
	must(t, db.Close())
	openAt(t, path)
}

func TestOpenRefusesWhatIsNoStore(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, content, 0o600))
		return path
	}
	foreign := filepath.Join(dir, "foreign.db")
	b, err := bolt.Open(foreign, 0o600, nil)
	must(t, err)
	must(t, b.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err }))
	must(t, b.Close())
	hollow := filepath.Join(dir, "hollow.db")
	b, err = bolt.Open(hollow, 0o600, nil)
	must(t, err)
	must(t, b.Update(func(tx *bolt.Tx) error {
		meta, err := tx.CreateBucket([]byte("meta"))
		if err != nil {
			return err
		}
		return meta.Put([]byte("schema"), binary.BigEndian.AppendUint64(nil, store.SchemaVersion))
	}))
	must(t, b.Close())

	for name, path := range map[string]string{
		"text":             write("text", []byte("this is not a store")),
		"zeros":            write("zeros", make([]byte, 1<<16)),
		"another program":  foreign,
		"missing buckets":  hollow,
		"half a page":      write("half", bytes.Repeat([]byte{0xed, 0x0c, 0xda, 0xed}, 500)),
		"random long text": write("long", bytes.Repeat([]byte("lorem ipsum "), 10000)),
	} {
		before, err := os.ReadFile(path)
		must(t, err)
		db, err := store.Open(path, store.Options{})
		var damaged *store.DamagedError
		if !errors.Is(err, store.ErrDamaged) || !errors.As(err, &damaged) || damaged.Path != path {
			t.Errorf("%s: %v", name, err)
			if err == nil {
				must(t, db.Close())
			}
			continue
		}
		if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%s: the message has no next step: %v", name, err)
		}
		after, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(before, after) {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if _, err := store.Open(dir, store.Options{}); err == nil || errors.Is(err, store.ErrDamaged) {
		t.Errorf("a folder: %v", err)
	}
	if _, err := store.Open(filepath.Join(dir, "none", "store.db"), store.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}

// Every cut and every wiped page is either noticed when opening, or did not matter: nothing panics or faults.
func TestOpenSurvivesDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	db := openAt(t, path)
	for i := range 5 {
		in := notes()
		in.Install = fmt.Sprint("app", i)
		in.Manifest = bytes.Repeat([]byte{byte('a' + i)}, 20000)
		must(t, db.Commit(in, []permission.Grant{grant("lan", permission.Allow)}))
		for range 5 {
			_, err := db.StartRun(in.Install, store.Run{StartedAt: noon, Tail: strings.Repeat("t", 3000)})
			must(t, err)
		}
	}
	must(t, db.Close())
	whole, err := os.ReadFile(path)
	must(t, err)
	page := os.Getpagesize()

	noticed := 0
	try := func(what string, content []byte) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "store.db")
		must(t, os.WriteFile(path, content, 0o600))
		var last error
		for range 2 { // the second time tells whether the first released the lock
			db, err := store.Open(path, store.Options{Timeout: time.Millisecond})
			if err != nil {
				if !errors.Is(err, store.ErrDamaged) {
					t.Fatalf("%s: %v (before: %v)", what, err, last)
				}
				noticed++
				last = err
				continue
			}
			if _, err := db.Installs(); err != nil {
				noticed++
				last = err
			}
			must(t, db.Close())
		}
	}
	for size := page / 2; size < len(whole); size += 3 * page {
		try(fmt.Sprint("cut to ", size), whole[:size])
	}
	for offset := 0; offset+page <= len(whole); offset += page {
		wiped := bytes.Clone(whole)
		clear(wiped[offset : offset+page])
		try(fmt.Sprint("page at ", offset, " wiped"), wiped)
		noise := bytes.Clone(whole)
		for i := range page {
			noise[offset+i] ^= 0xa5
		}
		try(fmt.Sprint("page at ", offset, " overwritten"), noise)
	}
	if noticed == 0 {
		t.Error("no damage was noticed")
	}
	try("whole", whole)
	openAt(t, path)
}

func TestNewerSchemaIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	must(t, openAt(t, path).Close())
	setSchema(t, path, store.SchemaVersion+1)
	before, err := os.ReadFile(path)
	must(t, err)
	_, err = store.Open(path, store.Options{})
	var newer *store.NewerError
	if !errors.Is(err, store.ErrNewer) || !errors.As(err, &newer) || newer.Have != store.SchemaVersion+1 || newer.Know != store.SchemaVersion {
		t.Fatalf("a newer file gives %v", err)
	}
	after, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
}

func setSchema(t *testing.T, path string, version uint64) {
	t.Helper()
	b, err := bolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, b.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), binary.BigEndian.AppendUint64(nil, version))
	}))
	must(t, b.Close())
}

// writeSchema1 makes a file as the first version wrote it. It is the only description of schema 1 that runs, so it
// uses nothing of the package.
func writeSchema1(t *testing.T, path, history string) {
	t.Helper()
	b, err := bolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, b.Update(func(tx *bolt.Tx) error {
		for _, name := range []string{"meta", "installs", "pins", "notices", "settings"} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		if err := tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte{0, 0, 0, 0, 0, 0, 0, 1}); err != nil {
			return err
		}
		if err := tx.Bucket([]byte("settings")).Put([]byte("look"), []byte("dark")); err != nil {
			return err
		}
		record, err := json.Marshal(map[string]any{
			"install": "k3j4h5", "app_id": "org.example.notes", "name": "Notes", "version": "1.2.0", "version_code": 12,
			"publisher_key": "RWkey", "label": "notes-abcdefgh", "manifest": []byte(`{"id":"org.example.notes"}`),
			"budget": map[string]any{"memory_bytes": 1 << 28}, "installed_at": noon, "updated_at": noon,
		})
		if err != nil {
			return err
		}
		for _, id := range []string{"k3j4h5", "never-run"} {
			app, err := tx.Bucket([]byte("installs")).CreateBucket([]byte(id))
			if err != nil {
				return err
			}
			if err := app.Put([]byte("record"), bytes.ReplaceAll(record, []byte("k3j4h5"), []byte(id))); err != nil {
				return err
			}
			grants, err := app.CreateBucket([]byte("grants"))
			if err != nil {
				return err
			}
			if err := grants.Put([]byte("lan"), []byte(`{"permission":"lan","decision":"deny","lifetime":"always","at":"2026-11-22T12:00:00Z","by":"prompt"}`)); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte("installs")).Bucket([]byte("k3j4h5")).Put([]byte("history"), []byte(history))
	}))
	must(t, b.Close())
}

func TestMigrateSchema1(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	writeSchema1(t, path, `[{"started_at":"2026-11-20T10:00:00Z","ended_at":"2026-11-20T11:00:00Z","reason":"finished"},
		{"started_at":"2026-11-21T10:00:00Z","ended_at":"2026-11-21T11:00:00Z","reason":"over_budget","breach":{"budget":"cpu","limit":3,"measured":3.5}},
		{"started_at":"2026-11-22T10:00:00Z","pid":77}]`)

	db := openAt(t, path)
	in := value[store.Install](t)(db.Install("k3j4h5"))
	if in.Name != "Notes" || in.VersionCode != 12 || string(in.Manifest) != `{"id":"org.example.notes"}` || in.Budget.MemoryBytes != 1<<28 {
		t.Errorf("the app became %+v", in)
	}
	runs := value[[]store.Run](t)(db.Runs("k3j4h5"))
	if len(runs) != 3 || runs[0].PID != 77 || runs[1].Breach == nil || runs[1].Breach.Measured != 3.5 || runs[2].Reason != "finished" {
		t.Errorf("the history became %+v", runs)
	}
	if runs := value[[]store.Run](t)(db.Runs("never-run")); len(runs) != 0 {
		t.Errorf("an app that never ran has %+v", runs)
	}
	equal(t, "grants", value[[]permission.Grant](t)(db.Grants("k3j4h5")), []permission.Grant{grant("lan", permission.Deny)})
	if look, _, _ := db.Setting("look"); look != "dark" {
		t.Errorf("the setting became %q", look)
	}
	if closed := value[int](t)(db.CloseOpenRuns("host_closed", noon)); closed != 1 {
		t.Errorf("%d open runs came over", closed)
	}
	must(t, db.SetRuntime("deno", "idle", 1)) // a bucket that schema 1 did not have
	id := value[uint64](t)(db.StartRun("k3j4h5", store.Run{StartedAt: noon}))
	if id != 4 {
		t.Errorf("the next run has id %d", id)
	}
	must(t, db.Close())

	// The copy is the old file, whole and readable by the old program.
	backup := path + ".v1.bak"
	old, err := bolt.Open(backup, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second})
	must(t, err)
	must(t, old.View(func(tx *bolt.Tx) error {
		if v := tx.Bucket([]byte("meta")).Get([]byte("schema")); v[7] != 1 {
			t.Errorf("the copy has schema %v", v)
		}
		if tx.Bucket([]byte("installs")).Bucket([]byte("k3j4h5")).Get([]byte("history")) == nil {
			t.Error("the copy has no history")
		}
		return nil
	}))
	must(t, old.Close())

	must(t, os.Remove(backup))
	must(t, openAt(t, path).Close())
	if _, err := os.Stat(backup); err == nil {
		t.Error("the store was migrated twice")
	}
}

func TestFailedMigrationChangesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	writeSchema1(t, path, `{"not":"a list"}`)
	for range 2 { // trying again must not make it worse
		_, err := store.Open(path, store.Options{})
		if err == nil || !strings.Contains(err.Error(), path+".v1.bak") {
			t.Fatalf("a history that cannot be read gives %v", err)
		}
	}
	b, err := bolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, b.View(func(tx *bolt.Tx) error {
		app := tx.Bucket([]byte("installs")).Bucket([]byte("k3j4h5"))
		if app.Get([]byte("history")) == nil || app.Get([]byte("manifest")) != nil {
			t.Error("half of the migration stayed")
		}
		return nil
	}))
	must(t, b.Close())
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 2 {
		t.Errorf("files left: %v", left)
	}
}
