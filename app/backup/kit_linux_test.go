package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"paddock/sandbox/permission"
)

var (
	ourKey   = bytes.Repeat([]byte{7}, keySize)
	otherKey = bytes.Repeat([]byte{8}, keySize)
)

const sampleBundle = "the bundle, which this package does not look into"

func sampleHeader() Header {
	net, err := permission.Parse("net:a.example")
	if err != nil {
		panic(err)
	}
	return Header{
		Format: Format, Paddock: "0.1.0", MadeAt: time.Unix(1_700_000_000, 0).UTC(),
		App:    App{ID: "org.example.notes", Name: "Notes", Version: "1.2.3", VersionCode: 4, PublisherKey: "RWQkey"},
		Budget: Budget{MemoryBytes: 256 << 20, CPUPercent: 50, DiskBytes: 1 << 30},
		Grants: []permission.Grant{{Permission: net, Decision: permission.Allow, Lifetime: permission.Always, At: time.Unix(1_600_000_000, 0).UTC(), By: permission.ByPrompt}},
	}
}

// write makes a backup of files (name → content; a name with a final slash is a folder).
func write(t testing.TB, key []byte, files map[string]string, exclude ...string) ([]byte, Report) {
	t.Helper()
	dir := t.TempDir()
	bundle, data := filepath.Join(dir, "b"), filepath.Join(dir, "data")
	if err := errors.Join(os.WriteFile(bundle, []byte(sampleBundle), 0o400), os.Mkdir(data, 0o700)); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		p := filepath.Join(data, name)
		if name[len(name)-1] == '/' {
			if err := os.MkdirAll(p, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return writeFrom(t, key, bundle, data, exclude...)
}

func writeFrom(t testing.TB, key []byte, bundle, data string, exclude ...string) ([]byte, Report) {
	t.Helper()
	var out bytes.Buffer
	report, err := Write(context.Background(), &out, Source{Header: sampleHeader(), Bundle: bundle, Data: data, Exclude: exclude, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), report
}

// restored is what reading gave.
type restored struct {
	*Reader
	bundle []byte
	data   string // folder
}

func read(t testing.TB, file []byte, key []byte) (restored, error) {
	t.Helper()
	dir := t.TempDir()
	out := restored{data: filepath.Join(dir, "data")}
	var err error
	if out.Reader, err = Open(context.Background(), bytes.NewReader(file), Options{Key: key, Size: int64(len(file))}); err != nil {
		return out, err
	}
	if err = out.Bundle(filepath.Join(dir, "b")); err != nil {
		return out, err
	}
	if out.bundle, err = os.ReadFile(filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	return out, out.Data(out.data)
}

// listing tells what is below dir with contents.
func listing(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && info.Mode() == os.ModeDir|0o700:
			out[filepath.ToSlash(rel)+"/"] = ""
		case info.Mode() == 0o600:
			raw, err := os.ReadFile(name)
			out[filepath.ToSlash(rel)] = string(raw)
			return err
		default:
			t.Errorf("%s has the mode %v", rel, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// entry is one entry of an archive made by hand.
type entry struct {
	tar.Header
	body string
}

// archive makes a backup by hand, with a right checksum and the seal of key; shape may change its entries, before the
// seal is made.
func archive(t testing.TB, key []byte, data ...entry) []byte {
	t.Helper()
	header, err := json.Marshal(sampleHeader())
	if err != nil {
		t.Fatal(err)
	}
	return raw(t, key, slices.Concat([]entry{
		plain(entryHeader, string(header)), plain(entryBundle, sampleBundle), {Header: tar.Header{Typeflag: tar.TypeDir, Name: entryData}},
	}, data)...)
}

func plain(name, body string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600}, body}
}

// raw seals any entries.
func raw(t testing.TB, key []byte, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	seal := newSealer(key)
	w := tar.NewWriter(io.MultiWriter(&out, seal))
	add := func(e entry) {
		h := e.Header
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(e.body))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range entries {
		add(e)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(seal.seal())
	if err != nil {
		t.Fatal(err)
	}
	add(plain(entrySeal, string(text)))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func ruleOf(err error) string {
	var refused *RefusedError
	if errors.As(err, &refused) {
		return refused.Rule
	}
	return ""
}
