package packaging

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPinsOfEveryPlatform(t *testing.T) {
	all, err := pins()
	if err != nil {
		t.Fatal(err)
	}
	for _, platform := range []string{"linux/amd64", "linux/arm64", "windows/amd64", "darwin/arm64", "darwin/amd64"} {
		if _, ok := all[platform]; !ok {
			t.Errorf("no Deno pinned for %s", platform)
		}
	}
	seen := map[string]string{}
	for platform, d := range all {
		if other, twice := seen[d.SHA256]; twice {
			t.Errorf("%s and %s have the same hash: one was copied", platform, other)
		}
		seen[d.SHA256] = platform
	}
}

// The tests run with the executable that is shipped: bin/deno is what set-up installed.
func TestInstalledDenoIsThePinnedOne(t *testing.T) {
	d, err := ThisPlatform()
	if errors.Is(err, ErrNoDeno) {
		t.Skipf("Paddock does not run apps here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "bin", d.Executable)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is missing: run make headless", path)
	}
	if err := d.Verify(t.Context(), path); err != nil {
		t.Fatal(err)
	}
}

func TestVerify(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	if err := os.WriteFile(good, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	// SHA-256 of "abc": FIPS 180-2, appendix B.1.
	d := Deno{SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}
	if err := d.Verify(t.Context(), good); err != nil {
		t.Errorf("the pinned bytes are refused: %v", err)
	}

	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("abd"), 0o600); err != nil {
		t.Fatal(err)
	}
	var altered *AlteredError
	if err := d.Verify(t.Context(), bad); !errors.As(err, &altered) {
		t.Fatalf("one changed byte: got %v, want *AlteredError", err)
	}
	if altered.Path != bad || altered.Want != d.SHA256 || altered.Got == d.SHA256 {
		t.Errorf("detail %+v", altered)
	}

	if err := d.Verify(t.Context(), filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: got %v, want fs.ErrNotExist", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := d.Verify(ended, good); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: got %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	whole := `{"platforms":{"linux/amd64":{"package":"p","version":"1","executable":"deno","sha256":"` + sum + `"}}}`
	if _, err := parse([]byte(whole)); err != nil {
		t.Fatalf("a whole file is refused: %v", err)
	}
	for name, raw := range map[string]string{
		"empty":         `{}`,
		"unknown field": strings.Replace(whole, `"package"`, `"packet"`, 1),
		"short hash":    strings.Replace(whole, sum, sum[2:], 1),
		"upper case":    strings.Replace(whole, sum, strings.ToUpper(sum), 1),
		"no version":    strings.Replace(whole, `"version":"1"`, `"version":""`, 1),
		"not JSON":      `version = 1`,
	} {
		if _, err := parse([]byte(raw)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
