package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"aead.dev/minisign"
)

// reproducibleTime is the modification time of everything in a bundle: the earliest that a zip can hold.
var reproducibleTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// ErrPassword means that a secret key is encrypted and the password does not open it.
var ErrPassword = errors.New("the password does not open the secret key")

// KeyInfo names a key pair.
type KeyInfo struct {
	KeyID     string `json:"key_id"`     // 16 hexadecimal digits, as minisign prints it; a hint, no proof
	PublicKey string `json:"public_key"` // base64, one line
}

// Keygen makes a key pair as minisign key files, which the minisign program reads too. The secret file is
// encrypted with password (scrypt with 1 GiB of memory, minisign's own cost: it takes seconds); an empty
// password leaves it unencrypted, as `minisign -G -W` does.
func Keygen(password string) (secret, public []byte, info KeyInfo, err error) {
	pub, priv, err := minisign.GenerateKey(nil)
	if err != nil {
		return nil, nil, KeyInfo{}, fmt.Errorf("make a key: %w", err)
	}
	if password == "" {
		secret, err = priv.MarshalText()
	} else {
		secret, err = minisign.EncryptKey(password, priv)
	}
	if err != nil {
		return nil, nil, KeyInfo{}, fmt.Errorf("make a key: %w", err)
	}
	return append(secret, '\n'), publicKeyFile(pub), keyInfo(pub), nil
}

func keyInfo(k minisign.PublicKey) KeyInfo {
	return KeyInfo{KeyID: fmt.Sprintf("%016X", k.ID()), PublicKey: k.String()}
}

func publicKeyFile(k minisign.PublicKey) []byte {
	info := keyInfo(k)
	return fmt.Appendf(nil, "untrusted comment: minisign public key %s\n%s\n", info.KeyID, info.PublicKey)
}

// NeedsPassword reports whether a secret key file is encrypted.
func NeedsPassword(secretKey []byte) bool { return minisign.IsEncrypted(secretKey) }

// openSecretKey reads a secret key file. A wrong password gives ErrPassword.
func openSecretKey(secretKey []byte, password string) (minisign.PrivateKey, error) {
	if minisign.IsEncrypted(secretKey) {
		k, err := minisign.DecryptKey(password, secretKey)
		if err != nil {
			return k, ErrPassword
		}
		return k, nil
	}
	var k minisign.PrivateKey
	if err := k.UnmarshalText(secretKey); err != nil {
		return k, fmt.Errorf("this is not a minisign secret key: %w", err)
	}
	return k, nil
}

// Sign signs the content zip at contentZip with the secret key file secretKey and writes the bundle out,
// replacing it only when everything worked. The content is checked as an installation would check it, so
// that no bundle is signed that nobody could install. Signing is deterministic.
func Sign(contentZip string, secretKey []byte, password, out string) error {
	key, err := openSecretKey(secretKey, password)
	if err != nil {
		return err
	}
	if info, err := os.Stat(contentZip); err != nil {
		return fmt.Errorf("sign: %w", err)
	} else if !info.Mode().IsRegular() {
		return refuse(RuleFormat, contentZip, "it is not a content zip")
	}
	manifest, err := CheckContent(context.Background(), contentZip)
	if err != nil {
		return err
	}
	f, err := os.Open(contentZip)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	defer f.Close()
	digest := newDigest(f)
	size, err := io.Copy(io.Discard, digest)
	if err != nil {
		return fmt.Errorf("sign: read %s: %w", contentZip, err)
	}
	comment := trustedComment{id: manifest.ID, code: manifest.VersionCode, sha256: digest.sum()}
	signature := digest.message.SignWithComments(key, comment.String(),
		fmt.Sprintf("signature from minisign secret key %016X", key.ID()))
	pub, ok := key.Public().(minisign.PublicKey)
	if !ok || !digest.message.Verify(pub, signature) {
		// The library takes an unencrypted key as it stands, even when its two halves do not fit.
		return errors.New("sign: the secret key is damaged: what it signs does not verify")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	return WriteFile(out, 0o644, func(w io.Writer) error {
		return writeTar(w, publicKeyFile(pub), signature, f, size)
	})
}

// WriteFile makes or replaces the file name in one step: content is written beside it, synced, renamed.
// After an error name is as it was before.
func WriteFile(name string, perm os.FileMode, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	if err = write(f); err != nil {
		return err
	}
	if err = f.Chmod(perm); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// digest hashes content while it is read, for the signature and for its name.
type digest struct {
	message *minisign.Reader
	sha     hash.Hash
}

func newDigest(r io.Reader) *digest {
	sha := sha256.New()
	return &digest{message: minisign.NewReader(io.TeeReader(r, sha)), sha: sha}
}

func (d *digest) Read(p []byte) (int, error) { return d.message.Read(p) }
func (d *digest) sum() string                { return hex.EncodeToString(d.sha.Sum(nil)) }

// trustedComment is the signed line that binds a signature to one version of one app.
type trustedComment struct {
	id     string
	code   uint32
	sha256 string // lower-case hexadecimal, of content.zip
}

func (c trustedComment) String() string {
	return fmt.Sprintf("id=%s version_code=%d sha256=%s", c.id, c.code, c.sha256)
}

var trustedCommentForm = regexp.MustCompile(`^id=([a-z0-9.-]{1,128}) version_code=(0|[1-9][0-9]{0,9}) sha256=([0-9a-f]{64})$`)

func parseTrustedComment(s string) (trustedComment, error) {
	m := trustedCommentForm.FindStringSubmatch(s)
	if m == nil {
		return trustedComment{}, refuse(RuleSignature, entrySignature,
			"its trusted comment is not `id=… version_code=… sha256=…` but %q", printable(s, 120)).
			hint("Sign the content with `paddock sign`.")
	}
	code, err := strconv.ParseUint(m[2], 10, 32)
	if err != nil {
		return trustedComment{}, refuse(RuleSignature, entrySignature, "its version_code is too big")
	}
	return trustedComment{id: m[1], code: uint32(code), sha256: m[3]}, nil
}

// parseKey reads publisher.pub.
func parseKey(file []byte) (minisign.PublicKey, error) {
	var k minisign.PublicKey
	if err := k.UnmarshalText(file); err != nil {
		return k, refuse(RuleSignature, entryKey, "it is not a minisign public key")
	}
	return k, nil
}

// parseSignature reads content.zip.minisig and refuses what its sole reader here would otherwise take:
// the library also accepts a legacy signature, made over the digest as if that were the message.
func parseSignature(file []byte, key minisign.PublicKey) (trustedComment, error) {
	var s minisign.Signature
	if err := s.UnmarshalText(file); err != nil {
		return trustedComment{}, refuse(RuleSignature, entrySignature, "it is not a minisign signature")
	}
	if s.Algorithm != minisign.HashEdDSA {
		return trustedComment{}, refuse(RuleSignature, entrySignature, "it uses minisign's legacy algorithm; only prehashed signatures count").
			hint("Sign again without -l.")
	}
	if s.KeyID != key.ID() {
		return trustedComment{}, refuse(RuleSignature, entrySignature, "it was made with the key %016X, but %s is the key %016X", s.KeyID, entryKey, key.ID())
	}
	return parseTrustedComment(s.TrustedComment)
}

// signedContent says what a bundle's signature is about, and where in the file its content lies.
type signedContent struct {
	key          minisign.PublicKey
	comment      trustedComment
	offset, size int64 // of content.zip
}

// readSigned reads a bundle from r and writes its content zip to w while hashing it. When it returns
// without error, the signature was verified and the comment's sha256 is the content's. Nothing of the
// content was parsed.
func readSigned(r io.Reader, w io.Writer, l Limits) (signedContent, error) {
	var none signedContent
	t := &tarReader{r: r}
	keyFile, err := readSmall(t, entryKey)
	if err != nil {
		return none, err
	}
	signature, err := readSmall(t, entrySignature)
	if err != nil {
		return none, err
	}
	key, err := parseKey(keyFile)
	if err != nil {
		return none, err
	}
	comment, err := parseSignature(signature, key)
	if err != nil {
		return none, err
	}
	size, err := t.next(entryContent, l.File)
	if err != nil {
		return none, err
	}
	found := signedContent{key: key, comment: comment, offset: t.at, size: size}
	digest := newDigest(t)
	if _, err := io.CopyBuffer(w, io.LimitReader(digest, size), make([]byte, copyChunkSize)); err != nil {
		return none, err
	}
	if err := t.end(); err != nil {
		return none, err
	}
	if !digest.message.Verify(key, signature) {
		return none, refuse(RuleSignature, entryContent, "the signature does not belong to this content and this key: the file was changed or is damaged").
			hint("Get the file again from its publisher.")
	}
	if got := digest.sum(); got != comment.sha256 {
		return none, refuse(RuleSignature, entryContent, "its SHA-256 is %s, but the signature's comment says %s", got, comment.sha256)
	}
	return found, nil
}

// readSmall reads one of the two short entries.
func readSmall(t *tarReader, name string) ([]byte, error) {
	if _, err := t.next(name, maxKeyFile); err != nil {
		return nil, err
	}
	return io.ReadAll(t)
}
