package store_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"paddock/sandbox/permission"
	"paddock/store"
)

// crashEnv makes the test binary a writer: its value is the store's path.
const crashEnv = "PADDOCK_STORE_TEST_WRITER"

// writeUntilKilled commits version after version, and prints each number once it is stored.
func writeUntilKilled(path string) {
	db, err := store.Open(path, store.Options{Timeout: 5 * time.Second})
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	in, err := db.Install("crash")
	if err != nil {
		in = store.Install{Install: "crash", AppID: "org.example.crash", PublisherKey: "RWkey"}
	}
	for {
		in.VersionCode++
		in.Version = fmt.Sprint(in.VersionCode)
		in.Manifest = []byte(strings.Repeat(in.Version, 2000))
		// Two grants that always belong to the same version.
		a, b := grant("lan", permission.Allow), grant("links", permission.Deny)
		a.At = time.Unix(int64(in.VersionCode), 0)
		b.At = a.At
		if err := db.Commit(in, []permission.Grant{a, b}); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		if _, err := db.StartRun("crash", store.Run{StartedAt: a.At}); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		fmt.Println("stored", in.VersionCode)
	}
}

func TestStoreSurvivesKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	var stored uint32
	for round := range 6 {
		stored = killAfter(t, path, stored, 3+round*2)

		raw, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: 5 * time.Second})
		must(t, err)
		must(t, raw.View(func(tx *bolt.Tx) error {
			for err := range tx.Check() {
				t.Errorf("round %d: %v", round, err)
			}
			return nil
		}))
		must(t, raw.Close())

		db := openAt(t, path)
		in := value[store.Install](t)(db.Install("crash"))
		if in.VersionCode < stored {
			t.Fatalf("round %d: %d was stored, and %d is there", round, stored, in.VersionCode)
		}
		if string(in.Manifest) != strings.Repeat(fmt.Sprint(in.VersionCode), 2000) {
			t.Errorf("round %d: the manifest is of another version", round)
		}
		for _, g := range value[[]permission.Grant](t)(db.Grants("crash")) {
			if g.At.Unix() != int64(in.VersionCode) {
				t.Errorf("round %d: the answer about %s is of version %d, the app of %d", round, g.Permission, g.At.Unix(), in.VersionCode)
			}
		}
		if pins := value[[]store.Pin](t)(db.Pins("org.example.crash")); len(pins) != 1 || pins[0].Floor != in.VersionCode {
			t.Errorf("round %d: the pins are %+v, the version %d", round, pins, in.VersionCode)
		}
		open := value[int](t)(db.CloseOpenRuns("host_closed", noon))
		if open == 0 {
			t.Errorf("round %d: no run was left open by a killed writer", round)
		}
		must(t, db.Close())
	}
}

// killAfter lets a writer store n versions, kills it in the middle of what follows, and returns the last version that
// it reported.
func killAfter(t *testing.T, path string, from uint32, n int) uint32 {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+path)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	last := from
	lines := bufio.NewScanner(out)
	for i := 0; lines.Scan(); i++ {
		digits, ok := strings.CutPrefix(lines.Text(), "stored ")
		if !ok {
			t.Errorf("the writer says %q", lines.Text())
			break
		}
		v, err := strconv.ParseUint(digits, 10, 32)
		must(t, err)
		last = uint32(v)
		if i == n {
			must(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the writer ended by itself")
	}
	if last <= from {
		t.Fatalf("the writer stored nothing beyond %d", from)
	}
	return last
}
