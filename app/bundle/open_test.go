package bundle

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOpenSigned(t *testing.T) {
	content := sampleZip(t, file("assets/deep/er/text.txt", "hi"), rawEntry{name: "empty/"}, rawEntry{name: "zero"})
	whole := sampleBundle(t, content)
	s, err := openBytes(t, whole, Options{Paddock: "0.1.0"})
	if err != nil {
		t.Fatal(err)
	}
	want := keyInfo(publicOf(testKeys()[0]))
	if !s.Signed || s.PublicKey != want.PublicKey || s.KeyID != want.KeyID {
		t.Errorf("signed %v by %s (%s), want %s (%s)", s.Signed, s.PublicKey, s.KeyID, want.PublicKey, want.KeyID)
	}
	if s.Manifest.ID != "org.example.notes" || s.IconMIME != mimePNG || !bytes.Equal(s.Icon, samplePNG()) {
		t.Errorf("manifest %+v, icon %s of %d bytes", s.Manifest, s.IconMIME, len(s.Icon))
	}
	if !filepath.IsAbs(s.Source) || s.Origin != "" {
		t.Errorf("source %q, origin %q", s.Source, s.Origin)
	}
	dst, kept := filepath.Join(t.TempDir(), "1.2.3"), filepath.Join(t.TempDir(), "1.2.3.paddock")
	if err := errors.Join(s.KeepBundle(kept), s.Commit(dst)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = RemoveTree(dst) })
	if got, err := os.ReadFile(kept); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("the kept bundle has %d bytes (%v), want the %d that came", len(got), err, len(whole))
	}
	if signed, err := CheckSignature(bytes.NewReader(whole)); err != nil || signed.PublicKey != want.PublicKey || signed.ID != "org.example.notes" {
		t.Errorf("signature: %+v, %v", signed, err)
	}
	if _, err := CheckSignature(bytes.NewReader(whole[:len(whole)-2000])); err == nil {
		t.Error("half a bundle has a signature")
	}
	modes := map[string]fs.FileMode{}
	err = filepath.WalkDir(dst, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dst, name)
		modes[filepath.ToSlash(rel)] = info.Mode()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{
		".": fs.ModeDir | 0o555, "app.js": 0o444, "assets/deep/er": fs.ModeDir | 0o555, "assets/deep/er/text.txt": 0o444,
		"empty": fs.ModeDir | 0o555, "zero": 0o444, "icon.png": 0o444, ManifestName: 0o444,
	} {
		if modes[name] != want {
			t.Errorf("%s has mode %v, want %v", name, modes[name], want)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dst, "app.js")); err != nil || string(got) != sampleApp {
		t.Errorf("app.js is %q, %v", got, err)
	}
	if err := s.Commit(dst + "2"); !errors.Is(err, ErrClosed) {
		t.Errorf("a second commit: %v", err)
	}
}

func TestCommitKeepsWhatIsThere(t *testing.T) {
	s, err := openBytes(t, sampleBundle(t, sampleZip(t)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	dst := t.TempDir()
	if err := s.Commit(dst); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("commit over a folder: %v", err)
	}
	if err := s.Commit(filepath.Join(dst, "no", "parent")); err == nil {
		t.Fatal("commit without a parent folder worked")
	}
	if err := s.Commit(filepath.Join(dst, "fine")); err != nil {
		t.Fatalf("commit after failed ones: %v", err)
	}
	if err := RemoveTree(filepath.Join(dst, "fine")); err != nil {
		t.Fatal(err)
	}
}

// TestUnprivileged runs the tests about read-only folders again as a user for whom modes count: as root
// everything could be renamed and removed.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		return // the tests themselves run so
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "bundle-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	copied := filepath.Join(dir, "bundle.test")
	if err := errors.Join(os.WriteFile(copied, body, 0o755), os.Chmod(dir, 0o777)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(copied, "-test.run", "^(TestOpenSigned|TestCommitKeepsWhatIsThere|TestRefusedArchives|TestClean|TestOpenFolder)$")
	cmd.Dir = dir
	cmd.Env = []string{"TMPDIR=" + dir, "PATH=" + os.Getenv("PATH")}
	asNobody(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestClean(t *testing.T) {
	staging := t.TempDir()
	if err := Clean(filepath.Join(staging, "missing")); err != nil {
		t.Fatal(err)
	}
	_, err := Open(context.Background(), writeTemp(t, "a.paddock", sampleBundle(t, sampleZip(t, file("a/b/c", "x")))), Options{Staging: staging})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(staging, "other"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Clean(staging); err != nil { // the crash: neither committed nor discarded
		t.Fatal(err)
	}
	left, err := os.ReadDir(staging)
	if err != nil || len(left) != 1 || left[0].Name() != "other" {
		t.Fatalf("left %v, %v", left, err)
	}
}

func TestOpenZip(t *testing.T) {
	for name, content := range map[string][]byte{
		"raw":      sampleZip(t),
		"streamed": rawZip(rawEntry{name: ManifestName, body: sampleManifest(t, nil), deflate: true, streamed: true}, rawEntry{name: "app.js", streamed: true}, rawEntry{name: "icon.png", body: samplePNG()}),
		"standard": stdZip(t, map[string]string{ManifestName: string(sampleManifest(t, nil)), "app.js": sampleApp, "icon.png": string(samplePNG()), "größe/ß.txt": "x"}),
	} {
		_, err := openBytes(t, content, Options{})
		assertRefused(t, err, RuleUnsigned, "")
		s, err := openBytes(t, content, Options{Dev: true})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Signed || s.PublicKey != "" || s.KeyID != "" || len(s.SHA256) != 64 {
			t.Errorf("%s: a bare zip came out as %+v", name, s)
		}
	}
}

func TestOpenFolder(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{
		ManifestName: string(sampleManifest(t, nil)), "app.js": sampleApp, "icon.png": string(samplePNG()),
		"public/index.html": "<p>", ".git/config": "x", "node_modules/a/index.js": "x", ".env": "SECRET=1", "tls.pem": "x",
	} {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(body), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := openSource(t, dir, Options{})
	assertRefused(t, err, RuleUnsigned, dir)
	s, err := openSource(t, dir, Options{Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	_ = filepath.WalkDir(s.Dir, func(name string, d fs.DirEntry, _ error) error {
		if !d.IsDir() {
			rel, _ := filepath.Rel(s.Dir, name)
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	if got := strings.Join(names, " "); got != "app.js icon.png paddock.json public/index.html" {
		t.Errorf("copied %s", got)
	}
	again, err := openSource(t, dir, Options{Dev: true})
	if err != nil || again.SHA256 != s.SHA256 {
		t.Errorf("the same folder has another hash: %v", err)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "node_modules")), os.Symlink("/", filepath.Join(dir, "node_modules"))); err != nil {
		t.Fatal(err)
	}
	if again, err = openSource(t, dir, Options{Dev: true}); err != nil || again.SHA256 != s.SHA256 {
		t.Errorf("linked packages change the app: %v", err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	_, err = openSource(t, dir, Options{Dev: true})
	assertRefused(t, err, RuleLink, "link")
	_, err = openSource(t, t.TempDir(), Options{Dev: true})
	assertRefused(t, err, RuleManifest, ManifestName)
}

func TestOpenFileAddress(t *testing.T) {
	name := writeTemp(t, "my notes.paddock", sampleBundle(t, sampleZip(t)))
	for _, prefix := range []string{"file://", "FILE://localhost"} {
		s, err := openSource(t, prefix+strings.ReplaceAll(filepath.ToSlash(name), " ", "%20"), Options{})
		if err != nil || s.Source != name {
			t.Errorf("%s: %v", prefix, err)
		}
	}
}

func TestOpenOddSources(t *testing.T) {
	_, err := openSource(t, "/dev/zero", Options{Dev: true})
	assertRefused(t, err, RuleFormat, "")
	if _, err = openSource(t, filepath.Join(t.TempDir(), "missing"), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Open(context.Background(), "x", Options{}); err == nil {
		t.Error("no staging folder, no error")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	staging := t.TempDir()
	if _, err := Open(ctx, writeTemp(t, "a", sampleBundle(t, sampleZip(t))), Options{Staging: staging}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	assertEmpty(t, staging)
}

func TestSignatures(t *testing.T) {
	content := sampleZip(t)
	comment := honestComment(content)
	keys := testKeys()
	key, sig := signedParts(keys[0], content, comment)
	otherKey, otherSig := signedParts(keys[1], content, comment)
	flipped := bytes.Clone(content)
	flipped[len(flipped)/2] ^= 1
	_, wrongHash := signedParts(keys[0], content, comment[:len(comment)-1]+"0")
	if strings.HasSuffix(comment, "0") {
		_, wrongHash = signedParts(keys[0], content, comment[:len(comment)-1]+"1")
	}
	_, wrongID := signedParts(keys[0], content, strings.Replace(comment, "org.example.notes", "org.example.other", 1))
	_, wrongCode := signedParts(keys[0], content, strings.Replace(comment, "version_code=7", "version_code=8", 1))
	_, plainComment := signedParts(keys[0], content, "timestamp:1")
	legacy := minisign.SignWithComments(keys[0], content, comment, "legacy")
	otherContent := sampleZip(t, file("more", "x"))
	_, swapped := signedParts(keys[0], otherContent, comment)
	editedComment := bytes.Replace(sig, []byte("version_code=7"), []byte("version_code=9"), 1)
	var digestSigned minisign.Signature // legacy over the digest, which the library's reader takes
	if err := digestSigned.UnmarshalText(sig); err != nil {
		t.Fatal(err)
	}
	digestSigned.Algorithm = minisign.EdDSA
	overDigest, err := digestSigned.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ key, sig, content []byte }{
		"flipped bit":          {key, sig, flipped},
		"wrong key":            {otherKey, sig, content},
		"other's signature":    {key, otherSig, content},
		"swapped signature":    {key, swapped, content},
		"wrong hash":           {key, wrongHash, content},
		"wrong id":             {key, wrongID, content},
		"wrong version code":   {key, wrongCode, content},
		"comment of minisign":  {key, plainComment, content},
		"comment edited":       {key, editedComment, content},
		"legacy algorithm":     {key, legacy, content},
		"legacy over a digest": {key, overDigest, content},
		"no key":               {[]byte("x"), sig, content},
		"no signature":         {key, []byte("x"), content},
		"empty signature":      {key, nil, content},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openBytes(t, tarOf(t, c.key, c.sig, c.content), Options{Dev: true})
			assertRefused(t, err, RuleSignature, "")
			if !errors.Is(err, ErrSignature) {
				t.Errorf("%v does not wrap ErrSignature", err)
			}
		})
	}
	if _, err := openBytes(t, tarOf(t, key, sig, content), Options{}); err != nil {
		t.Errorf("the honest one: %v", err)
	}
}

// TestSignatureBeforeParsing shows that a broken zip with a broken signature is refused for the signature.
func TestSignatureBeforeParsing(t *testing.T) {
	content := []byte("PK\x03\x04 not really a zip at all, but long enough to be looked at")
	key, sig := signedParts(testKeys()[0], append(bytes.Clone(content), 'x'), honestComment(content))
	_, err := openBytes(t, tarOf(t, key, sig, content), Options{})
	assertRefused(t, err, RuleSignature, entryContent)
	_, err = openBytes(t, sampleBundle(t, content), Options{})
	assertRefused(t, err, RuleZip, "")
}

func TestCompat(t *testing.T) {
	for name, c := range map[string]struct {
		compat Compat
		ok     bool
	}{
		"nothing said":   {Compat{}, true},
		"range holds":    {Compat{Paddock: ">=0.1"}, true},
		"range of two":   {Compat{Paddock: ">=0.1, <1"}, true},
		"exactly":        {Compat{Paddock: "=0.1.5"}, true},
		"newer wanted":   {Compat{Paddock: ">=0.2"}, false},
		"older wanted":   {Compat{Paddock: ">=0.0.1,<0.1"}, false},
		"unreadable":     {Compat{Paddock: "latest"}, false},
		"platform":       {Compat{Platforms: []string{"windows", "linux"}}, true},
		"other platform": {Compat{Platforms: []string{"macos"}}, false},
		"arch":           {Compat{Arch: []string{"amd64"}}, true},
		"other arch":     {Compat{Arch: []string{"arm64"}}, false},
	} {
		err := checkCompatOn(&c.compat, "0.1.5", "linux", "amd64")
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			assertRefused(t, err, RuleCompatible, "")
		}
	}
	content := rawZip(sampleEntries(t, func(m map[string]any) { m["compat"] = map[string]any{"paddock": ">=9"} })...)
	_, err := openBytes(t, sampleBundle(t, content), Options{Paddock: "0.1.0"})
	assertRefused(t, err, RuleCompatible, "")
}
