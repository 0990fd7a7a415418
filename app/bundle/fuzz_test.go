package bundle

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fuzzLimits keep a fuzzing round short.
var fuzzLimits = Limits{File: 1 << 20, Unpacked: 2 << 20, Entries: 200}

func FuzzReadSigned(f *testing.F) {
	content := sampleZip(f)
	f.Add(sampleBundle(f, content))
	key, sig := signedParts(testKeys()[0], content, "timestamp:1")
	f.Add(tarOf(f, key, sig, content))
	f.Add(tarOf(f, nil, nil, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		var out bytes.Buffer
		found, err := readSigned(bytes.NewReader(data), &out, fuzzLimits.withDefaults())
		if err != nil {
			var refused *RefusedError
			if !errors.As(err, &refused) {
				t.Fatalf("not a refusal: %v", err)
			}
			return
		}
		// What passes must be one of the few bytes that a reader may differ in: header fields nobody reads.
		again := newDigest(bytes.NewReader(out.Bytes()))
		if _, err := io.Copy(io.Discard, again); err != nil || again.sum() != found.comment.sha256 {
			t.Fatalf("content %s, comment %s, %v", again.sum(), found.comment.sha256, err)
		}
		if keyInfo(found.key).PublicKey == "" {
			t.Fatal("no key")
		}
		if !bytes.Equal(data[found.offset:found.offset+found.size], out.Bytes()) {
			t.Fatalf("the content does not lie at %d", found.offset)
		}
	})
}

// FuzzUnpack opens bare zips, and compares everything that passes with what archive/zip sees.
func FuzzUnpack(f *testing.F) {
	f.Add(sampleZip(f))
	f.Add(rawZip(sampleEntries(f, nil, rawEntry{name: "a/b", body: []byte("x"), streamed: true}, rawEntry{name: "dir/"})...))
	f.Add(stdZip(f, map[string]string{ManifestName: string(sampleManifest(f, nil)), "app.js": sampleApp, "icon.png": string(samplePNG())}))
	f.Add(rawZip(sampleEntries(f, nil, file("../x", "y"), rawEntry{name: "l", mode: 0o120777})...))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		source, staging, outside := filepath.Join(dir, "a.zip"), filepath.Join(dir, "s"), filepath.Join(dir, "outside")
		if err := errors.Join(os.WriteFile(source, data, 0o600), os.Mkdir(outside, 0o700)); err != nil {
			t.Fatal(err)
		}
		s, err := Open(context.Background(), source, Options{Dev: true, Staging: staging, Limits: fuzzLimits})
		if err != nil {
			var refused *RefusedError
			var manifest *ManifestError
			if !errors.As(err, &refused) && !errors.As(err, &manifest) {
				t.Fatalf("not a refusal: %T %v", err, err)
			}
			assertEmpty(t, staging)
			return
		}
		defer func() {
			if err := s.Discard(); err != nil {
				t.Error(err)
			}
		}()
		r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatalf("we take what archive/zip does not: %v", err)
		}
		files := 0
		for _, e := range r.File {
			if strings.HasSuffix(e.Name, "/") {
				continue
			}
			files++
			rc, err := e.Open()
			if err != nil {
				t.Fatal(err)
			}
			want, err := io.ReadAll(rc)
			if err != nil {
				t.Fatalf("archive/zip cannot read %s: %v", e.Name, err)
			}
			got, err := os.ReadFile(filepath.Join(s.Dir, filepath.FromSlash(e.Name)))
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s differs: %v", e.Name, err)
			}
		}
		err = filepath.WalkDir(s.Dir, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files--
				if !d.Type().IsRegular() {
					t.Errorf("%s is a %v", d.Name(), d.Type())
				}
			}
			return err
		})
		if err != nil || files != 0 {
			t.Fatalf("%d files more in the archive than on disk, %v", files, err)
		}
	})
}

func FuzzName(f *testing.F) {
	for _, name := range []string{"a/b.txt", "../x", "a\\b", "con.txt", "\u00e9", "a.", "a:b", "lpt\u00b2"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if checkName(name) != nil {
			return
		}
		if !fs.ValidPath(name) || !filepath.IsLocal(filepath.FromSlash(name)) || strings.ContainsAny(name, "\\:\x00\n") {
			t.Fatalf("%q passes", name)
		}
		set := newNameSet()
		if set.add(name, false) != nil {
			t.Fatalf("%q does not fit into an empty set", name)
		}
		if set.add(name, false) == nil || set.add(name+"/x", false) == nil {
			t.Fatalf("%q fits twice", name)
		}
	})
}
