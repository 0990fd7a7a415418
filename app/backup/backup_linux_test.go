package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestRoundTrip: what goes in comes out, with names that only this file system has to like.
func TestRoundTrip(t *testing.T) {
	files := map[string]string{
		"notes.json": `{"a":1}`, "deep/er/x": strings.Repeat("x", 100_000), "empty": "", "folder/": "", "Ünï/cödé": "u",
		strings.Repeat("long/", 60) + strings.Repeat("n", 255): "long",
		"2026-01-01T10:00:00.json":                             "colons", "Why?.md": "a title", "dot.": "dot", "con": "device elsewhere", "line\nbreak": "control",
	}
	file, report := write(t, ourKey, files)
	if report.Missing != 0 || report.Excluded != 0 || report.Files != 10 {
		t.Fatalf("report: %+v", report)
	}
	got, err := read(t, file, ourKey)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Own() || string(got.bundle) != sampleBundle || got.Header().App != sampleHeader().App || len(got.Header().Grants) != 1 {
		t.Errorf("own %v, bundle %q, header %+v", got.Own(), got.bundle, got.Header())
	}
	out := listing(t, got.data)
	maps.DeleteFunc(out, func(name, _ string) bool { return strings.HasSuffix(name, "/") && name != "folder/" })
	if !maps.Equal(out, files) {
		t.Errorf("came out: %v", slices.Sorted(maps.Keys(out)))
	}
	for name, key := range map[string][]byte{"another machine": otherKey, "a machine without a key": nil} {
		if got, err := read(t, file, key); err != nil || got.Own() {
			t.Errorf("%s: own %v, %v", name, got.Own(), err)
		}
	}
}

func TestTimesAreKept(t *testing.T) {
	dir := t.TempDir()
	bundle, data := filepath.Join(dir, "b"), filepath.Join(dir, "data")
	at := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	if err := errors.Join(os.WriteFile(bundle, nil, 0o600), os.Mkdir(data, 0o700), os.WriteFile(filepath.Join(data, "x"), nil, 0o600),
		os.Chtimes(filepath.Join(data, "x"), at, at)); err != nil {
		t.Fatal(err)
	}
	file, _ := writeFrom(t, ourKey, bundle, data)
	got, err := read(t, file, ourKey)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(filepath.Join(got.data, "x")); err != nil || !st.ModTime().Equal(at) {
		t.Errorf("%v %v", st, err)
	}
}

// TestLeftOut: links, special files and unstorable names are left out and named; what the author excludes is not there.
func TestLeftOut(t *testing.T) {
	dir := t.TempDir()
	bundle, data := filepath.Join(dir, "b"), filepath.Join(dir, "data")
	name := func(s string) string { return filepath.Join(data, s) }
	if err := errors.Join(os.WriteFile(bundle, nil, 0o600), os.MkdirAll(name("cache/deep"), 0o700), os.WriteFile(name("cache/deep/x"), nil, 0o600), os.WriteFile(name("cache/y"), nil, 0o600),
		os.Mkdir(name("tmp"), 0o700), os.WriteFile(name("tmp/z"), nil, 0o600), os.WriteFile(name("a.log"), nil, 0o600), os.WriteFile(name("kept"), []byte("k"), 0o600),
		os.Symlink("/etc/passwd", name("link")), os.Symlink("cache", name("linked")), os.WriteFile(name("bad\xff"), nil, 0o600), os.WriteFile(name("run"), nil, 0o777)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfifo", name("pipe")).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	file, report := writeFrom(t, ourKey, bundle, data, "cache/*", "tmp/", "*.log")
	var left []string
	for _, l := range report.LeftOut {
		if l.Why == "" {
			t.Errorf("%s: no reason", l.Name)
		}
		left = append(left, l.Name)
	}
	if want := []string{"bad\uFFFD", "link", "linked", "pipe"}; !slices.Equal(left, want) || report.Missing != 4 {
		t.Errorf("left out %q", left)
	}
	got, err := read(t, file, ourKey)
	if err != nil {
		t.Fatal(err)
	}
	if out := slices.Sorted(maps.Keys(listing(t, got.data))); !slices.Equal(out, []string{"cache/", "kept", "run"}) {
		t.Errorf("came out: %v", out)
	}
}

// TestDamage: wherever a byte changes or the file ends, it is refused, and nobody takes it for this machine's.
func TestDamage(t *testing.T) {
	file, _ := write(t, ourKey, map[string]string{"a/b": "content", "c": strings.Repeat("y", 2000)})
	if _, err := read(t, file, ourKey); err != nil {
		t.Fatal(err)
	}
	end := bytes.Index(file, []byte(`{"sha256":`)) + len(`{"sha256":"","hmac":""}`) + 2*64 // after that only padding follows
	for i := 0; i < end; i += 37 {
		bad := slices.Clone(file)
		bad[i] ^= 0x20
		if got, err := read(t, bad, ourKey); ruleOf(err) == "" && !isPlaceError(err) && (err != nil || got.Own()) {
			t.Fatalf("byte %d of %d changed: %v", i, end, err)
		} else if err == nil && i < end-64 {
			t.Fatalf("byte %d of %d changed, and it was not noticed", i, end)
		}
	}
	for _, n := range []int{0, 1, 511, 512, 600, 1024, 2048, 4096, len(file) / 2, len(file) - 2000, end - 1} {
		if _, err := read(t, file[:n], ourKey); ruleOf(err) == "" {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
	}
	if _, err := read(t, append(slices.Clone(file), 0), ourKey); ruleOf(err) != RuleOrder {
		t.Errorf("a byte after the end: %v", err)
	}
	if _, err := read(t, append(slices.Clone(file), file...), ourKey); ruleOf(err) != RuleOrder {
		t.Errorf("two backups: %v", err)
	}
}

// isPlaceError: a changed name can be one that this file system refuses.
func isPlaceError(err error) bool {
	var pe *fs.PathError
	return errors.As(err, &pe)
}

// TestGrantsBelongToTheSeal: who changes an answer and makes the checksum anew has no seal of this machine.
func TestGrantsBelongToTheSeal(t *testing.T) {
	file := archive(t, ourKey)
	if got, err := read(t, file, ourKey); err != nil || !got.Own() {
		t.Fatalf("control: own %v, %v", got.Own(), err)
	}
	seal := sealOf(t, file)
	stranger := archive(t, otherKey)
	unkeyed := archive(t, nil)
	borrowed := archive(t, otherKey, plain("data/x", "y"))
	borrowed = bytes.Replace(borrowed, []byte(sealOf(t, borrowed).HMAC), []byte(seal.HMAC), 1)
	for name, forged := range map[string][]byte{
		"another machine's key": stranger, "no key": unkeyed, "this machine's seal of another file": borrowed,
	} {
		if got, err := read(t, forged, ourKey); err != nil || got.Own() {
			t.Errorf("%s: own %v, %v", name, got.Own(), err)
		}
	}
	if sealOf(t, stranger).HMAC == seal.HMAC || sealOf(t, unkeyed).HMAC != "" {
		t.Error("the seal does not depend on the key")
	}
}

func sealOf(t *testing.T, file []byte) Seal {
	t.Helper()
	i := bytes.Index(file, []byte(`{"sha256":`))
	if i < 0 {
		t.Fatal("no seal")
	}
	s, err := parseSeal(file[i : i+bytes.IndexByte(file[i:], '}')+1])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestForeignFiles(t *testing.T) {
	newer := strings.Replace(string(archive(t, ourKey)), `"format":1`, `"format":2`, 1)
	for name, c := range map[string]struct{ file, rule string }{
		"empty": {"", RuleFormat}, "text": {"hello", RuleFormat}, "a zip": {"PK\x03\x04" + strings.Repeat("\x00", 2000), RuleFormat},
		"zeroes":       {strings.Repeat("\x00", 4096), RuleFormat},
		"another tar":  {string(raw(t, ourKey, plain("publisher.pub", "key"))), RuleFormat},
		"a newer form": {newer, RuleNewer},
	} {
		_, err := read(t, []byte(c.file), ourKey)
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Rule != c.rule || refused.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, header := range map[string]string{
		"no JSON": "x", "a list": "[]", "no form": `{"app":{"id":"a"}}`, "unknown field": `{"format":1,"run":"sh"}`, "two documents": `{"format":1}{"format":1}`,
		"no app": `{"format":1}`, "a grant of nothing": `{"format":1,"app":{"id":"a","version_code":1,"publisher_key":"k"},"grants":[{"permission":"run:/bin/sh","decision":"allow","lifetime":"always"}]}`,
		"too long": `{"format":1,"paddock":"` + strings.Repeat("x", maxText+1) + `","app":{"id":"a","version_code":1,"publisher_key":"k"}}`,
		"too big":  `{"format":1}` + strings.Repeat(" ", maxHeader),
	} {
		if _, err := read(t, raw(t, ourKey, plain(entryHeader, header)), ourKey); ruleOf(err) != RuleHeader {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCancelled(t *testing.T) {
	file, _ := write(t, ourKey, map[string]string{"a": "b"})
	ctx, cancel := context.WithCancel(context.Background())
	r, err := Open(ctx, bytes.NewReader(file), Options{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := r.Bundle(filepath.Join(t.TempDir(), "b")); !errors.Is(err, context.Canceled) {
		t.Errorf("reading: %v", err)
	}
	if _, err := Write(ctx, io.Discard, Source{Header: sampleHeader(), Bundle: os.DevNull, Data: t.TempDir(), Key: ourKey}, nil); err == nil {
		t.Log("an empty folder is written at once")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(ctx, io.Discard, Source{Header: sampleHeader(), Bundle: os.DevNull, Data: dir, Key: ourKey}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("writing: %v", err)
	}
	failing := errors.New("the stick was pulled")
	if _, err := Open(context.Background(), io.MultiReader(bytes.NewReader(file[:700]), brokenReader{failing}), Options{}); !errors.Is(err, failing) && err != nil {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

func TestKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backup.key")
	if _, err := ReadKey(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none was made: %v", err)
	}
	key, err := MakeKey(path)
	if err != nil || len(key) != keySize {
		t.Fatalf("%d bytes, %v", len(key), err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
	if again, err := MakeKey(path); err != nil || !bytes.Equal(again, key) {
		t.Errorf("another key the second time: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := MakeKey(path); err == nil {
		t.Error("a key that others can read is used")
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := MakeKey(path); err == nil {
		t.Error("half a key is used, or replaced")
	}
}

// TestTarget: a file appears whole, for its owner alone, and never in the place of another one; with names for it until then
// and without.
func TestTarget(t *testing.T) {
	for name, hidden := range map[string]bool{"nameless": false, "hidden": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			begin := func(path string) (*Target, error) {
				if hidden {
					return newHidden(path)
				}
				return NewTarget(path)
			}
			there := filepath.Join(dir, "there")
			file, err := begin(there)
			if err != nil {
				t.Fatal(err)
			}
			if hidden == (file.hidden == "") {
				t.Skip("this file system has no files without a name")
			}
			if _, err := file.WriteString("whole"); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(there); err == nil {
				t.Error("it is there before it is whole")
			}
			if err := file.Commit(); err != nil {
				t.Fatal(err)
			}
			if raw, err := os.ReadFile(there); err != nil || string(raw) != "whole" {
				t.Errorf("%q %v", raw, err)
			}
			if st, err := os.Stat(there); err != nil || st.Mode() != 0o600 {
				t.Errorf("%v %v", st, err)
			}
			if _, err := NewTarget(there); !errors.Is(err, fs.ErrExist) {
				t.Errorf("over a file: %v", err)
			}
			late, err := begin(filepath.Join(dir, "late"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "late"), []byte("faster"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := late.Commit(); !errors.Is(err, fs.ErrExist) {
				t.Errorf("over a file that came meanwhile: %v", err)
			}
			if raw, err := os.ReadFile(filepath.Join(dir, "late")); err != nil || string(raw) != "faster" {
				t.Errorf("%q %v", raw, err)
			}
			gone, err := begin(filepath.Join(dir, "gone"))
			if err != nil {
				t.Fatal(err)
			}
			if err := gone.Discard(); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
				t.Errorf("in the folder: %v %v", left, err)
			}
		})
	}
}

// TestBounds: what is too big is refused before a byte of it is written, and memory does not grow with the data.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	bundle, data := filepath.Join(dir, "b"), filepath.Join(dir, "data")
	hole := filepath.Join(data, "hole")
	if err := errors.Join(os.WriteFile(bundle, nil, 0o600), os.Mkdir(data, 0o700), os.WriteFile(hole, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	source := Source{Header: sampleHeader(), Bundle: bundle, Data: data, Key: ourKey}
	if err := os.Truncate(hole, MaxBytes+1); err != nil {
		t.Skip("this file system has no files of that size: ", err)
	}
	var out bytes.Buffer
	if _, err := Write(t.Context(), &out, source, nil); ruleOf(err) != RuleSize || out.Len() != 0 {
		t.Errorf("more than may be saved: %v, %d bytes were written", err, out.Len())
	}
	if err := os.Truncate(hole, 1000); err != nil {
		t.Fatal(err)
	}
	full := errors.New("full")
	source.Fits = func(n int64) error {
		if n != 1000 {
			t.Errorf("asks for room for %d bytes", n)
		}
		return full
	}
	if _, err := Write(t.Context(), &out, source, nil); !errors.Is(err, full) || out.Len() != 0 {
		t.Errorf("without room: %v, %d bytes were written", err, out.Len())
	}

	lying := archive(t, ourKey, plain("data/x", "y"))
	at := bytes.Index(lying, []byte("data/x"))
	h := lying[at : at+block]
	copy(h[124:136], "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff") // its size, in base 256
	sum := 0
	copy(h[148:156], "        ")
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
	got, err := read(t, lying, ourKey)
	if ruleOf(err) == "" {
		t.Errorf("a size that cannot be: %v", err)
	}
	if left, err := os.ReadDir(got.data); err != nil || len(left) != 0 {
		t.Errorf("it was begun: %v %v", left, err)
	}

	const big = 64 << 20
	if err := os.Truncate(hole, big); err != nil {
		t.Fatal(err)
	}
	source.Fits = nil
	used := func(do func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		do()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	file, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if n := used(func() { _, err = Write(t.Context(), file, source, nil) }); err != nil || n > big/8 {
		t.Errorf("writing %d bytes takes %d of memory, %v", big, n, err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	n := used(func() {
		var r *Reader
		if r, err = Open(t.Context(), file, Options{Key: ourKey}); err == nil {
			err = errors.Join(r.Bundle(filepath.Join(dir, "b2")), r.Data(filepath.Join(dir, "back")))
		}
	})
	if err != nil || n > big/8 {
		t.Errorf("reading %d bytes takes %d of memory, %v", big, n, err)
	}
}

// FuzzOpen: any bytes are read to the end or refused, and nothing appears outside the folder.
func FuzzOpen(f *testing.F) {
	whole, _ := write(f, ourKey, map[string]string{"a/b": "x", "long/" + strings.Repeat("n", 120): "y"})
	f.Add(whole)
	f.Add(archive(f, otherKey, plain("data/x", "y"), plain("data/../z", "w")))
	for _, row := range attacks() {
		f.Add(archive(f, ourKey, row.entries("outside")...))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := read(t, file, ourKey)
		if err != nil {
			if ruleOf(err) == "" && !isPlaceError(err) {
				t.Fatalf("not a refusal: %v", err)
			}
			return
		}
		listing(t, got.data) // insists on the modes
		entries, err := os.ReadDir(filepath.Dir(got.data))
		if err != nil || len(entries) != 2 {
			t.Fatalf("beside the data: %v %v", entries, err)
		}
	})
}

// FuzzParseHeader: any bytes give a header within its bounds or a refusal, and what passes is read the same again.
func FuzzParseHeader(f *testing.F) {
	f.Add([]byte(`{"format":1,"app":{"id":"a","version_code":1,"publisher_key":"k"},"grants":[{"permission":"files:a","decision":"allow","lifetime":"always","access":"read","path":"/x"}]}`))
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`{"format":1,"format":3}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := ParseHeader(raw)
		if err != nil {
			if ruleOf(err) == "" {
				t.Fatalf("not a refusal: %v", err)
			}
			return
		}
		if h.Format != Format || h.App.ID == "" || len(h.Grants) > maxGrants {
			t.Fatalf("passed: %+v", h)
		}
		for _, g := range h.Grants {
			if !g.Permission.Valid() {
				t.Fatalf("passed: %+v", g)
			}
		}
	})
}
