package entry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInstallRepairs(t *testing.T) {
	root := t.TempDir()
	files, err := Install(root)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(files.Dir) != Hash() {
		t.Errorf("installed into %s, want a folder named by the hash", files.Dir)
	}
	elsewhere := filepath.Join(root, "elsewhere.js")
	if err := os.WriteFile(elsewhere, source, 0o444); err != nil {
		t.Fatal(err)
	}
	damages := map[string]func(path string) error{
		"untouched": func(string) error { return nil },
		"missing":   os.Remove,
		"changed": func(path string) error {
			text := append([]byte(nil), source...)
			text[0] ^= 1
			_ = os.Remove(path)
			return os.WriteFile(path, text, 0o444)
		},
		"longer": func(path string) error {
			_ = os.Remove(path)
			return os.WriteFile(path, append(append([]byte(nil), source...), '\n'), 0o444)
		},
		"writable": func(path string) error { return os.Chmod(path, 0o644) },
		"a link": func(path string) error {
			_ = os.Remove(path)
			return os.Symlink(elsewhere, path)
		},
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			if err := damage(files.Entry); err != nil {
				t.Fatal(err)
			}
			again, err := Install(root)
			if err != nil {
				t.Fatal(err)
			}
			if again != files {
				t.Errorf("installed as %v, before as %v", again, files)
			}
			if !same(files.Entry, source) {
				t.Error("the entry module is not the embedded one")
			}
			left, err := filepath.Glob(filepath.Join(files.Dir, ".new-*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

// The order is the security boundary; the attacks in package sandbox prove it, this only catches a careless edit.
func TestOrder(t *testing.T) {
	text := string(source)
	last := -1
	for _, step := range []string{"Deno.serve({", "revokeSync, permissions", "await import(config.app)"} {
		at := strings.Index(text, step)
		if at <= last {
			t.Errorf("%q at %d comes before the step it must follow at %d", step, at, last)
		}
		last = at
	}
	if strings.Contains(text, "\nexport ") {
		t.Error("the entry module exports something: an app can import it")
	}
}
