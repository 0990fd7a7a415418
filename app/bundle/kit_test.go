package bundle

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"aead.dev/minisign"
)

// sampleManifest is a valid manifest; change edits it first.
func sampleManifest(t testing.TB, change func(m map[string]any)) []byte {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(`{
		"manifest_version": 1,
		"id": "org.example.notes",
		"version": "1.2.3",
		"version_code": 7,
		"name": "Notes",
		"summary": "Write things down.",
		"author": {"name": "Ada"},
		"license": "MIT",
		"icons": [{"src": "icon.png", "size": 128}],
		"serve": {"mode": "server", "entry": "app.js", "api": "fetch"},
		"resources": {"memory_mb": 128, "cpu_percent": 20, "disk_mb": 100}
	}`), &m); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(m)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var samplePNG = sync.OnceValue(func() []byte { return pngOf(128, 128) })

func pngOf(w, h int) []byte {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	img.Set(1, 1, color.NRGBA{R: 200, A: 255})
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

const sampleApp = "export default { fetch: () => new Response(\"hello\") };\n"

// A rawEntry is one entry of a zip made byte by byte. The zero value of every field but name means what
// an honest packer would write.
type rawEntry struct {
	name      string
	body      []byte
	deflate   bool
	mode      uint32  // Unix mode in the external attributes
	localName *string // another name in the local header
	size      *uint32 // declared unpacked size
	crc       *uint32
	flags     uint16
	streamed  bool // a data descriptor follows
	offset    *uint32
	tail      []byte // bytes after the compressed data, counted as compressed
	gap       []byte // bytes before the local header, counted nowhere
}

func deflated(b []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(b)
	_ = w.Close()
	return out.Bytes()
}

// rawZip writes entries as told, whether they make sense or not.
func rawZip(entries ...rawEntry) []byte {
	var out, dir bytes.Buffer
	le := binary.LittleEndian
	for _, e := range entries {
		out.Write(e.gap)
		offset := uint32(out.Len())
		if e.offset != nil {
			offset = *e.offset
		}
		data, method := e.body, uint16(methodStore)
		if e.deflate {
			data, method = deflated(e.body), methodDeflate
		}
		data = append(bytes.Clone(data), e.tail...)
		crc, size, packed := crc32.ChecksumIEEE(e.body), uint32(len(e.body)), uint32(len(data))
		if e.crc != nil {
			crc = *e.crc
		}
		if e.size != nil {
			size = *e.size
		}
		flags := e.flags | flagUTF8
		if e.streamed {
			flags |= flagDescriptor
		}
		local := e.name
		if e.localName != nil {
			local = *e.localName
		}
		h := make([]byte, localSize)
		le.PutUint32(h, sigLocal)
		le.PutUint16(h[4:], 20)
		le.PutUint16(h[6:], flags)
		le.PutUint16(h[8:], method)
		if !e.streamed {
			le.PutUint32(h[14:], crc)
			le.PutUint32(h[18:], packed)
			le.PutUint32(h[22:], size)
		}
		le.PutUint16(h[26:], uint16(len(local)))
		out.Write(h)
		out.WriteString(local)
		out.Write(data)
		if e.streamed {
			out.Write(le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, sigDescriptor), crc), packed), size))
		}
		d := make([]byte, directorySize)
		le.PutUint32(d, sigDirectory)
		le.PutUint16(d[4:], 3<<8|20)
		le.PutUint16(d[6:], 20)
		le.PutUint16(d[8:], flags)
		le.PutUint16(d[10:], method)
		le.PutUint32(d[16:], crc)
		le.PutUint32(d[20:], packed)
		le.PutUint32(d[24:], size)
		le.PutUint16(d[28:], uint16(len(e.name)))
		le.PutUint32(d[38:], e.mode<<16)
		le.PutUint32(d[42:], offset)
		dir.Write(d)
		dir.WriteString(e.name)
	}
	return append(append(out.Bytes(), dir.Bytes()...), endRecord(len(entries), dir.Len(), out.Len())...)
}

func endRecord(count, dirSize, dirOffset int) []byte {
	le := binary.LittleEndian
	end := make([]byte, endSize)
	le.PutUint32(end, sigEnd)
	le.PutUint16(end[8:], uint16(count))
	le.PutUint16(end[10:], uint16(count))
	le.PutUint32(end[12:], uint32(dirSize))
	le.PutUint32(end[16:], uint32(dirOffset))
	return end
}

func file(name, body string) rawEntry { return rawEntry{name: name, body: []byte(body), deflate: true} }

// sampleEntries are those of a valid app, then more.
func sampleEntries(t testing.TB, change func(map[string]any), more ...rawEntry) []rawEntry {
	return append([]rawEntry{
		{name: ManifestName, body: sampleManifest(t, change), deflate: true},
		file("app.js", sampleApp),
		{name: "icon.png", body: samplePNG()},
	}, more...)
}

func sampleZip(t testing.TB, more ...rawEntry) []byte {
	return rawZip(sampleEntries(t, nil, more...)...)
}

// key pairs for tests; making one is cheap, sharing them keeps names short.
var testKeys = sync.OnceValue(func() [2]minisign.PrivateKey {
	var keys [2]minisign.PrivateKey
	for i := range keys {
		_, k, err := minisign.GenerateKey(nil)
		if err != nil {
			panic(err)
		}
		keys[i] = k
	}
	return keys
})

func publicOf(k minisign.PrivateKey) minisign.PublicKey {
	pub, ok := k.Public().(minisign.PublicKey)
	if !ok {
		panic("no public key")
	}
	return pub
}

// signedParts signs content by hand, so that tests can lie in the comment.
func signedParts(k minisign.PrivateKey, content []byte, comment string) (key, signature []byte) {
	r := minisign.NewReader(bytes.NewReader(content))
	if _, err := r.Read(make([]byte, len(content)+1)); err != nil && len(content) > 0 {
		panic(err)
	}
	return publicKeyFile(publicOf(k)), r.SignWithComments(k, comment, "test")
}

func honestComment(content []byte) string {
	d := newDigest(bytes.NewReader(content))
	buf := make([]byte, len(content)+1)
	_, _ = d.Read(buf)
	return trustedComment{id: "org.example.notes", code: 7, sha256: d.sum()}.String()
}

func sampleBundle(t testing.TB, content []byte) []byte {
	t.Helper()
	key, sig := signedParts(testKeys()[0], content, honestComment(content))
	return tarOf(t, key, sig, content)
}

func tarOf(t testing.TB, key, sig, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := writeTar(&b, key, sig, bytes.NewReader(content), int64(len(content))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeTemp(t testing.TB, name string, content []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// assertEmpty insists that nothing is left in a staging folder.
func assertEmpty(t testing.TB, staging string) {
	t.Helper()
	left, err := os.ReadDir(staging)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range left {
		t.Errorf("left behind in staging: %s", e.Name())
	}
}

// openBytes opens content as a file, and checks staging when that fails.
func openBytes(t testing.TB, content []byte, o Options) (*Staged, error) {
	t.Helper()
	return openSource(t, writeTemp(t, "sample.paddock", content), o)
}

func openSource(t testing.TB, source string, o Options) (*Staged, error) {
	t.Helper()
	o.Staging = filepath.Join(t.TempDir(), "staging")
	s, err := Open(context.Background(), source, o)
	if err != nil {
		assertEmpty(t, o.Staging)
		return nil, err
	}
	t.Cleanup(func() {
		if err := s.Discard(); err != nil {
			t.Error(err)
		}
		assertEmpty(t, o.Staging)
	})
	return s, nil
}

// assertRefused insists on a refusal under rule that names entry.
func assertRefused(t testing.TB, err error, rule, entry string) {
	t.Helper()
	var refused *RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("want a refusal under rule %q, got %T: %v", rule, err, err)
	}
	if refused.Rule != rule {
		t.Fatalf("want rule %q, got %q: %v", rule, refused.Rule, err)
	}
	if entry != "" && !strings.Contains(refused.Entry, entry) {
		t.Fatalf("want the entry %q named, got %q: %v", entry, refused.Entry, err)
	}
	if refused.Why == "" {
		t.Fatal("a refusal without a reason")
	}
}

// stdZip is a zip as archive/zip writes it.
func stdZip(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, body := range files {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ptr[T any](v T) *T { return &v }
