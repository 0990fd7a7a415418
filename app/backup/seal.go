package backup

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
)

// sealContext is hashed before the file, so that the machine's key says nothing about anything else.
const sealContext = "paddock backup 1\x00"

// Seal is seal.json. All values are lower-case hexadecimal.
type Seal struct {
	SHA256 string `json:"sha256"` // of every byte before this entry
	HMAC   string `json:"hmac"`   // HMAC-SHA256 of a fixed text and the same bytes, with the key of the machine that made it
}

const maxSeal = 1 << 10 // bytes of seal.json

// sealer hashes the file.
type sealer struct{ sum, mac hash.Hash }

// newSealer hashes without a MAC when there is no key.
func newSealer(key []byte) sealer {
	s := sealer{sum: sha256.New()}
	if len(key) == keySize {
		s.mac = hmac.New(sha256.New, key)
		_, _ = s.mac.Write([]byte(sealContext)) // a hash never fails
	}
	return s
}

func (s sealer) Write(p []byte) (int, error) {
	_, _ = s.sum.Write(p)
	if s.mac != nil {
		_, _ = s.mac.Write(p)
	}
	return len(p), nil
}

func (s sealer) seal() Seal {
	out := Seal{SHA256: hex.EncodeToString(s.sum.Sum(nil))}
	if s.mac != nil {
		out.HMAC = hex.EncodeToString(s.mac.Sum(nil))
	}
	return out
}

func parseSeal(raw []byte) (Seal, error) {
	var s Seal
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil || len(s.SHA256) != 2*sha256.Size {
		return s, refuse(RuleDamaged, entrySeal, "the backup's seal is damaged").hint(hintDamaged)
	}
	if _, err := d.Token(); err != io.EOF {
		return s, refuse(RuleDamaged, entrySeal, "the backup's seal is damaged").hint(hintDamaged)
	}
	return s, nil
}

// equal compares without telling by its time where the first difference is.
func equal(a, b string) bool { return a != "" && hmac.Equal([]byte(a), []byte(b)) }

// A lagging reader hashes what is read, except for the last block: a tar is read block by block, so when the header of
// seal.json has just been read, exactly the bytes before that entry are hashed.
type lagging struct {
	ctx   context.Context
	r     io.Reader
	seal  sealer
	last  []byte // at most one block
	n     int64
	total int64
	tell  func(done, total int64)

	failed error // what r said, other than io.EOF
}

const block = 512 // bytes, of a tar

// keep takes in what was read.
func (l *lagging) keep(p []byte) {
	if len(p) >= block {
		_, _ = l.seal.Write(l.last)
		_, _ = l.seal.Write(p[:len(p)-block])
		l.last, p = l.last[:0], p[len(p)-block:]
	}
	l.last = append(l.last, p...)
	if over := len(l.last) - block; over > 0 {
		_, _ = l.seal.Write(l.last[:over])
		l.last = append(l.last[:0], l.last[over:]...)
	}
}

func (l *lagging) Read(p []byte) (int, error) {
	if err := l.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := l.r.Read(p)
	l.n += int64(n)
	l.keep(p[:n])
	if err != nil && err != io.EOF {
		l.failed = err
	}
	if l.tell != nil && n > 0 {
		l.tell(l.n, l.total)
	}
	return n, err
}
