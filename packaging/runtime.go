// Package packaging holds what the build, the tests and the running program must agree on about the
// installation: which Deno executable Paddock was tested with, by version and SHA-256, per platform
// (deno.json). Beside it lie the scripts and files that set up a machine and make the installers.
//
// It must not know apps, grants or processes. It says what the executable must be and compares bytes;
// when to compare, and what to do about a difference, is decided by its callers.
package packaging

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
)

//go:embed deno.json
var denoJSON []byte

// Deno is the pinned executable of one platform.
type Deno struct {
	Package    string `json:"package"`    // npm package that carries the official executable
	Version    string `json:"version"`    // of the package and of Deno, without "v"
	Executable string `json:"executable"` // file name inside the package and beside paddock
	SHA256     string `json:"sha256"`     // of the executable, 64 lower-case hex digits
}

// ErrNoDeno: no executable is pinned for the platform, so Paddock cannot run apps there.
var ErrNoDeno = errors.New("no Deno is pinned for this platform")

// AlteredError says that an executable is not the pinned one.
type AlteredError struct {
	Path string // the file that was read
	Want string // SHA-256 of deno.json
	Got  string // SHA-256 of the file
}

func (e *AlteredError) Error() string {
	return fmt.Sprintf("%s is not the Deno that Paddock was tested with: its SHA-256 is %s, expected %s", e.Path, e.Got, e.Want)
}

var pins = sync.OnceValues(func() (map[string]Deno, error) { return parse(denoJSON) })

// ThisPlatform returns the pinned executable of the platform this program was built for. The error is
// ErrNoDeno where there is none.
func ThisPlatform() (Deno, error) {
	all, err := pins()
	if err != nil {
		return Deno{}, err
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	d, ok := all[platform]
	if !ok {
		return Deno{}, fmt.Errorf("%s: %w", platform, ErrNoDeno)
	}
	return d, nil
}

// Verify reads the whole file (about 0.4 s for 95 MB) and compares it with the pin. The error is an
// *AlteredError when the bytes differ, the context's when it ends first, and an *os.PathError when the
// file cannot be read.
func (d Deno) Verify(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("check Deno: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, reader{ctx, f}); err != nil {
		return fmt.Errorf("check Deno: read %s: %w", path, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != d.SHA256 {
		return &AlteredError{Path: path, Want: d.SHA256, Got: got}
	}
	return nil
}

// reader ends a long read when the context does.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func parse(raw []byte) (map[string]Deno, error) {
	var file struct {
		Platforms map[string]Deno `json:"platforms"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("deno.json: %w", err)
	}
	if len(file.Platforms) == 0 {
		return nil, errors.New("deno.json: no platforms")
	}
	for platform, d := range file.Platforms {
		sum, err := hex.DecodeString(d.SHA256)
		if err != nil || len(sum) != sha256.Size || hex.EncodeToString(sum) != d.SHA256 {
			return nil, fmt.Errorf("deno.json: %s: sha256 %q: want 64 lower-case hex digits", platform, d.SHA256)
		}
		if d.Package == "" || d.Version == "" || d.Executable == "" {
			return nil, fmt.Errorf("deno.json: %s: package, version and executable are required", platform)
		}
	}
	return file.Platforms, nil
}
