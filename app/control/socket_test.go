package control

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRuntimeDirIsShortAndPerHome(t *testing.T) {
	short, err := os.MkdirTemp("", "run")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	t.Setenv("XDG_RUNTIME_DIR", short)
	deep := "/home/" + strings.Repeat("somebody/", 100)
	a, err := SocketPath(deep)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(a, short+"/") || len(a) > MaxSocketPath {
		t.Errorf("the socket of a deep home: %s", a)
	}
	if b, err := SocketPath(deep + "other"); err != nil || a == b {
		t.Errorf("two homes share %s (%v)", b, err)
	}
	if c, err := SocketPath(deep + "/x/.."); err != nil || c != a {
		t.Errorf("the same home written otherwise: %s, want %s (%v)", c, a, err)
	}

	// A runtime folder too deep for sockets is passed over; a temp folder too deep is an error that says so.
	long := filepath.Join(short, strings.Repeat("x", 100))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", long)
	t.Setenv("TMPDIR", short)
	if p, err := SocketPath(deep); err != nil || !strings.HasPrefix(p, short+"/paddock-") {
		t.Errorf("with a deep runtime folder: %s %v", p, err)
	}
	t.Setenv("TMPDIR", long)
	if _, err := SocketPath(deep); err == nil || !strings.Contains(err.Error(), "107") || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("with a deep temp folder: %v", err)
	}
}

func TestMakeRuntimeDirTrustsOnlyItsOwn(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	for range 2 { // made, then found
		if err := MakeRuntimeDir(good); err != nil {
			t.Fatal(err)
		}
	}
	link, open, file := filepath.Join(dir, "link"), filepath.Join(dir, "open"), filepath.Join(dir, "file")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o770); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{link, open, file} {
		if err := MakeRuntimeDir(p); !errors.Is(err, ErrForeignRuntimeDir) {
			t.Errorf("%s: %v", filepath.Base(p), err)
		}
	}
	if os.Geteuid() == 0 {
		foreign := filepath.Join(dir, "foreign")
		if err := os.Mkdir(foreign, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(foreign, 4242, 4242); err != nil {
			t.Fatal(err)
		}
		if err := MakeRuntimeDir(foreign); !errors.Is(err, ErrForeignRuntimeDir) {
			t.Errorf("another user's folder: %v", err)
		}
	}
}
