package bundle

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/scrypt"
)

// minisignProgram finds the standard tool. Without it nothing shows that other people can check a bundle.
func minisignProgram(t *testing.T) string {
	t.Helper()
	p, err := exec.LookPath("minisign")
	if err != nil {
		t.Fatal("the program minisign is not installed: run `make setup`, or `apt-get install minisign`")
	}
	return p
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func keygen(t *testing.T, password string) (secret, public []byte, info KeyInfo) {
	t.Helper()
	secret, public, info, err := Keygen(password)
	if err != nil {
		t.Fatal(err)
	}
	return secret, public, info
}

// TestStandardTools checks with tar and minisign what Sign wrote, and signs with minisign what Open reads.
func TestStandardTools(t *testing.T) {
	program := minisignProgram(t)
	dir := t.TempDir()
	secret, public, info := keygen(t, "")
	zip := filepath.Join(dir, "in.zip")
	out := filepath.Join(dir, "notes.paddock")
	for name, b := range map[string][]byte{zip: sampleZip(t), filepath.Join(dir, "k"): secret, filepath.Join(dir, "k.pub"): public} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sign(zip, secret, "", out); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "tar", "xf", out)
	comment := run(t, dir, program, "-Q", "-V", "-H", "-p", entryKey, "-m", entryContent)
	if want := honestComment(sampleZip(t)); strings.TrimSpace(comment) != want {
		t.Errorf("minisign says %q, want %q", comment, want)
	}
	// The key id in the comment above the key has its leading zeros left out by minisign, and is only a hint: the key
	// itself, whose first bytes are the id, is what must agree.
	run(t, dir, program, "-R", "-s", "k", "-p", "recreated.pub", "-f", "-W")
	recreated, err := os.ReadFile(filepath.Join(dir, "recreated.pub"))
	if err != nil || !bytes.Contains(recreated, []byte("\n"+info.PublicKey+"\n")) {
		t.Errorf("minisign reads our secret key as %q, %v; want %+v", recreated, err, info)
	}

	// The other way: keys and signature by minisign, the tar by tar.
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, entryContent), sampleZip(t), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, other, program, "-G", "-W", "-p", entryKey, "-s", "k")
	run(t, other, program, "-S", "-W", "-s", "k", "-t", honestComment(sampleZip(t)), "-m", entryContent)
	run(t, other, "tar", "--format=ustar", "-cf", "hand.paddock", entryKey, entrySignature, entryContent)
	result, err := Verify(filepath.Join(other, "hand.paddock"))
	if err != nil || !result.OK || result.ID != "org.example.notes" || result.VersionCode != 7 {
		t.Errorf("verify what minisign signed: %+v, %v", result, err)
	}
	minisignKey, err := os.ReadFile(filepath.Join(other, "k"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Sign(zip, minisignKey, "", filepath.Join(other, "ours.paddock")); err != nil {
		t.Errorf("sign with a key made by minisign: %v", err)
	}
	run(t, other, program, "-S", "-l", "-W", "-s", "k", "-t", honestComment(sampleZip(t)), "-m", entryContent)
	run(t, other, "tar", "--format=ustar", "-cf", "legacy.paddock", entryKey, entrySignature, entryContent)
	_, err = Verify(filepath.Join(other, "legacy.paddock"))
	assertRefused(t, err, RuleSignature, entrySignature)
	run(t, other, "tar", "--format=gnu", "-cf", "gnu.paddock", entryKey, entrySignature, entryContent)
	_, err = Verify(filepath.Join(other, "gnu.paddock"))
	assertRefused(t, err, RuleFormat, "")
}

// TestEncryptedKey lets minisign read a key that Keygen encrypted. Each of the two steps takes 1 GiB of
// memory and some seconds: minisign's own price.
func TestEncryptedKey(t *testing.T) {
	program := minisignProgram(t)
	dir := t.TempDir()
	secret, _, info := keygen(t, "open sesame")
	if !NeedsPassword(secret) {
		t.Fatal("the key is not encrypted")
	}
	if err := os.WriteFile(filepath.Join(dir, "k"), secret, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-R", "-s", "k", "-p", "k.pub")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader("open sesame\n")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("minisign cannot read our encrypted key: %v\n%s", err, msg)
	}
	pub, err := os.ReadFile(filepath.Join(dir, "k.pub"))
	if err != nil || !bytes.Contains(pub, []byte(info.PublicKey)) {
		t.Errorf("minisign reads %q, %v; want %s", pub, err, info.PublicKey)
	}
}

// cheapKey encrypts a key as minisign does, at a price that tests can pay often. The file says the price.
func cheapKey(t *testing.T, password string) []byte {
	t.Helper()
	k := testKeys()[0]
	plain, err := k.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(plain), "\n")
	b, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		t.Fatal(err)
	}
	copy(b[2:], "Sc")
	copy(b[6:38], "0123456789abcdef0123456789abcdef")
	binary.LittleEndian.PutUint64(b[38:], 1<<15)
	binary.LittleEndian.PutUint64(b[46:], 1<<24)
	sum := blake2b.Sum256(append([]byte("Ed"), b[54:126]...))
	copy(b[126:], sum[:])
	stream, err := scrypt.Key([]byte(password), b[6:38], 1<<10, 8, 1, 104)
	if err != nil {
		t.Fatal(err)
	}
	for i := range stream {
		b[54+i] ^= stream[i]
	}
	return []byte("untrusted comment: test\n" + base64.StdEncoding.EncodeToString(b) + "\n")
}

func TestSignWithPassword(t *testing.T) {
	dir := t.TempDir()
	zip, out := filepath.Join(dir, "in.zip"), filepath.Join(dir, "a.paddock")
	if err := os.WriteFile(zip, sampleZip(t), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := cheapKey(t, "open sesame")
	for _, wrong := range []string{"", "open", "open sesame "} {
		if err := Sign(zip, secret, wrong, out); !errors.Is(err, ErrPassword) {
			t.Errorf("the password %q: %v", wrong, err)
		}
	}
	if _, err := os.Stat(out); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a failed Sign left %s: %v", out, err)
	}
	if err := Sign(zip, secret, "open sesame", out); err != nil {
		t.Fatal(err)
	}
	result, err := Verify(out)
	if want := keyInfo(publicOf(testKeys()[0])); err != nil || result.PublicKey != want.PublicKey {
		t.Errorf("verify: %+v, %v", result, err)
	}
}

func TestSign(t *testing.T) {
	dir := t.TempDir()
	secret, _, info := keygen(t, "")
	zip, out := filepath.Join(dir, "in.zip"), filepath.Join(dir, "out.paddock")
	if err := os.WriteFile(zip, sampleZip(t), 0o600); err != nil {
		t.Fatal(err)
	}
	var files [2][]byte
	for i := range files {
		if err := Sign(zip, secret, "", out); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		files[i] = b
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("signing twice gives different bytes")
	}
	result, err := Verify(out)
	if err != nil || result.PublicKey != info.PublicKey || result.KeyID != info.KeyID || len(result.FileSHA256) != 64 {
		t.Errorf("verify: %+v, %v", result, err)
	}
	if err := Sign(out, secret, "", out+"2"); err == nil {
		t.Error("signed a bundle as if it were content")
	}
	if err := Sign(dir, secret, "", out+"2"); err == nil {
		t.Error("signed a folder")
	}
	damaged := bytes.Clone(secret)
	lines := bytes.SplitN(damaged, []byte("\n"), 3)
	copy(lines[1][90:], "AAAAAAAA")
	if err := Sign(zip, damaged, "", out+"2"); err == nil {
		t.Error("signed with a damaged key")
	}
	if err := Sign(zip, []byte("nonsense"), "", out+"2"); err == nil {
		t.Error("signed with no key at all")
	}
	if err := os.WriteFile(zip, rawZip(sampleEntries(t, nil, file("../x", "y"))...), 0o600); err != nil {
		t.Fatal(err)
	}
	assertRefused(t, Sign(zip, secret, "", out+"2"), RuleName, "../x")
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}
