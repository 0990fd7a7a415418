package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// VerifyResult says who signed a bundle, and what.
type VerifyResult struct {
	OK          bool   `json:"ok"`
	ID          string `json:"id"`
	VersionCode uint32 `json:"version_code"`
	PublicKey   string `json:"public_key"`
	SHA256      string `json:"sha256"`      // of content.zip: what the signature names
	FileSHA256  string `json:"file_sha256"` // of the .paddock file
	KeyID       string `json:"key_id"`
	Bytes       int64  `json:"bytes"`
}

// Verify checks a signed bundle as an installation would, unpacking included, and keeps nothing. It does
// not judge whether the key is one to trust, nor whether this machine fits the app's compat.
func Verify(name string) (VerifyResult, error) {
	staging, err := os.MkdirTemp("", "paddock-verify-")
	if err != nil {
		return VerifyResult{}, fmt.Errorf("verify: make a temporary folder: %w", err)
	}
	result, err := verifyIn(name, staging)
	if removeErr := RemoveTree(staging); removeErr != nil {
		err = errors.Join(err, fmt.Errorf("verify: %w", removeErr))
	}
	return result, err
}

func verifyIn(name, staging string) (VerifyResult, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return VerifyResult{}, fmt.Errorf("verify: %w", err)
	}
	staged, err := open(context.Background(), abs, Options{Staging: staging}, true)
	if err != nil {
		return VerifyResult{}, err
	}
	sum, err := fileSHA256(abs)
	if err != nil {
		return VerifyResult{}, fmt.Errorf("verify: %w", err)
	}
	m := staged.Manifest
	return VerifyResult{
		OK: true, ID: m.ID, VersionCode: m.VersionCode, PublicKey: staged.PublicKey, KeyID: staged.KeyID,
		SHA256: staged.SHA256, FileSHA256: sum, Bytes: staged.Bytes,
	}, staged.Discard()
}

func fileSHA256(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// CheckSignature reads a signed bundle to its end and says what was signed, by whom. Nothing of the content is parsed.
func CheckSignature(r io.Reader) (VerifyResult, error) {
	found, err := readSigned(r, io.Discard, Limits{}.withDefaults())
	if err != nil {
		return VerifyResult{}, err
	}
	info := keyInfo(found.key)
	return VerifyResult{
		OK: true, ID: found.comment.id, VersionCode: found.comment.code, PublicKey: info.PublicKey, KeyID: info.KeyID, SHA256: found.comment.sha256,
	}, nil
}

// CheckContent checks a bare content zip, or an author's folder, as an installation on any machine would,
// and keeps nothing: what passes can be signed and installed.
func CheckContent(ctx context.Context, name string) (*Manifest, error) {
	staging, err := os.MkdirTemp("", "paddock-check-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	staged, err := open(ctx, name, Options{Dev: true, Staging: staging}, true)
	if removeErr := RemoveTree(staging); removeErr != nil {
		return nil, errors.Join(err, removeErr)
	}
	if err != nil {
		return nil, err
	}
	if staged.Signed {
		return nil, refuse(RuleFormat, name, "it is a bundle already, not a content zip")
	}
	if e := staged.Manifest.Serve.Entry; e != "" && !isModule(e, false) {
		return nil, refuse(RuleManifest, ManifestName, "serve.entry is %q, which is no JavaScript module", e).
			hint("`paddock pack` makes one from TypeScript.")
	}
	return staged.Manifest, nil
}
