package egress

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSocketChanged(t *testing.T) {
	for _, replace := range []bool{false, true} {
		f := start(t, Options{})
		select {
		case <-f.Changed():
			t.Fatal("changed at once")
		default:
		}
		if err := os.Remove(f.Socket()); err != nil {
			t.Fatal(err)
		}
		if replace {
			if err := os.WriteFile(f.Socket(), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-f.Changed():
		case <-time.After(patience):
			t.Fatal("nobody notices")
		}
		if replace { // what is not ours stays, also at the end
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if err := os.Remove(f.Socket()); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestListenRefuses(t *testing.T) {
	private := func(t *testing.T, mode os.FileMode) string {
		dir, err := os.MkdirTemp("", "eg")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	open, crowded, stale := private(t, 0o755), private(t, 0o700), private(t, 0o700)
	if err := os.WriteFile(filepath.Join(crowded, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"relative": "s", "empty": "", "no folder": "/does/not/exist/s", "open folder": filepath.Join(open, "s"),
		"crowded": filepath.Join(crowded, "s"), "long": filepath.Join(private(t, 0o700), strings.Repeat("s", 120)),
	} {
		if p, err := Listen(Options{Socket: path}); err == nil {
			p.Close()
			t.Errorf("%s passes", name)
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(stale, "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	p, err := Listen(Options{Socket: filepath.Join(stale, "s")})
	if err != nil {
		t.Fatalf("a socket that was left behind: %v", err)
	}
	if info, err := os.Stat(p.Socket()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	p.Close()
}
