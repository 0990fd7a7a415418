package bundle

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The names of the three entries of a bundle, in their order.
const (
	entryKey       = "publisher.pub"
	entrySignature = "content.zip.minisig"
	entryContent   = "content.zip"
)

const (
	tarBlock = 512
	// maxTarPadding is how many zero blocks may end the file: two are the end mark, and tar pads to
	// records of 20 blocks.
	maxTarPadding = 21
)

// A tarReader reads the one form of tar that a bundle may have: POSIX.1-1988 USTAR headers, no
// extensions. Everything that archive/tar would merge into an entry (PAX, GNU names, sparse maps) is
// another entry here, and refused.
type tarReader struct {
	r    io.Reader
	left int64 // bytes of the current entry that were not read yet
	pad  int64 // zero bytes after it
	at   int64 // bytes of the file that were read so far
}

// next skips to the entry that must come next and returns its size, at most limit.
func (t *tarReader) next(name string, limit int64) (int64, error) {
	if t.left > 0 {
		return 0, fmt.Errorf("tar: %d bytes of the entry before %s were not read", t.left, name)
	}
	if err := t.skipPadding(); err != nil {
		return 0, err
	}
	var h [tarBlock]byte
	if err := t.fill(h[:], "before the entry "+name); err != nil {
		return 0, err
	}
	size, err := parseTarHeader(h[:], name)
	if err != nil {
		return 0, err
	}
	if size > limit {
		if name == entryContent {
			return 0, refuse(RuleFileSize, name, "it has %d bytes; %d MiB are allowed", size, limit>>20)
		}
		return 0, refuse(RuleTar, name, "it has %d bytes; %d are allowed", size, limit)
	}
	t.left, t.pad = size, -size&(tarBlock-1)
	return size, nil
}

// Read reads from the current entry.
func (t *tarReader) Read(p []byte) (int, error) {
	if t.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > t.left {
		p = p[:t.left]
	}
	n, err := t.r.Read(p)
	t.left, t.at = t.left-int64(n), t.at+int64(n)
	if err == io.EOF && t.left > 0 {
		return n, refuse(RuleTruncated, "", "the file ends %d bytes too early", t.left)
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// end insists on the end mark and on nothing but zeroes after it.
func (t *tarReader) end() error {
	if err := t.skipPadding(); err != nil {
		return err
	}
	var b [tarBlock]byte
	for blocks := 0; ; blocks++ {
		n, err := io.ReadFull(t.r, b[:])
		switch {
		case n == 0 && err == io.EOF: // compared, not unwrapped: a cut connection may wrap it
			if blocks < 2 {
				return refuse(RuleTruncated, "", "the file ends without the end mark of a tar")
			}
			return nil
		case err != nil && err != io.ErrUnexpectedEOF:
			return err
		case !allZero(b[:n]):
			if blocks == 0 && n == tarBlock {
				return refuse(RuleTar, tarName(b[:]), "a bundle has exactly three entries, and this is a fourth")
			}
			return refuse(RuleTar, "", "there are bytes after the end of the bundle")
		case err != nil:
			return refuse(RuleTar, "", "the file does not end at a block of %d bytes", tarBlock)
		case blocks >= maxTarPadding:
			return refuse(RuleTar, "", "there are more than %d blocks of padding after the end of the bundle", maxTarPadding)
		}
	}
}

func (t *tarReader) skipPadding() error {
	var b [tarBlock]byte
	pad := b[:t.pad]
	t.pad = 0
	if err := t.fill(pad, "in the padding of an entry"); err != nil {
		return err
	}
	if !allZero(pad) {
		return refuse(RuleTar, "", "there are bytes hidden in the padding of an entry")
	}
	return nil
}

// fill reads len(b) bytes.
func (t *tarReader) fill(b []byte, where string) error {
	if len(b) == 0 {
		return nil
	}
	n, err := io.ReadFull(t.r, b)
	t.at += int64(n)
	if err == io.EOF || err == io.ErrUnexpectedEOF { // compared, not unwrapped: a cut connection may wrap them
		return refuse(RuleTruncated, "", "the file ends %s", where)
	}
	return err
}

// Offsets in a USTAR header (POSIX.1-2017, pax, "ustar Interchange Format").
const (
	offMode, offUID, offGID, offSize = 100, 108, 116, 124
	offMtime, offSum, offType        = 136, 148, 156
	offLink, offMagic, offPrefix     = 157, 257, 345
)

func parseTarHeader(h []byte, want string) (int64, error) {
	if allZero(h) {
		return 0, refuse(RuleTar, "", "the bundle ends before the entry %s", want)
	}
	if string(h[offMagic:offMagic+8]) != "ustar\x0000" {
		if want == entryKey {
			return 0, refuse(RuleFormat, "", "this is not a Paddock bundle: it does not start as a USTAR tar").
				hint("A bundle ends in .paddock and is made with `paddock pack --key` or `paddock sign`.")
		}
		return 0, refuse(RuleTar, "", "the header before the entry %s is not USTAR", want).
			hint("Make it with `tar --format=ustar`, or with `paddock sign`.")
	}
	sum, err := parseOctal(h[offSum : offSum+8])
	if err != nil || sum != tarChecksum(h) {
		return 0, refuse(RuleFormat, "", "the header before the entry %s is damaged", want)
	}
	name := tarName(h)
	if name != want || h[offPrefix] != 0 || !zeroAfterText(h[:offMode]) {
		return 0, refuse(RuleTar, name, "the entry %s is expected here; a bundle is %s, %s and %s, in this order, and nothing else",
			want, entryKey, entrySignature, entryContent)
	}
	switch kind := h[offType]; kind {
	case '0':
	case '1', '2':
		return 0, refuse(RuleLink, name, "it is a link")
	case '3', '4', '6':
		return 0, refuse(RuleSpecial, name, "it is a device or a pipe")
	default:
		return 0, refuse(RuleTar, name, "it is not a plain file (type %q)", kind)
	}
	if h[offLink] != 0 {
		return 0, refuse(RuleLink, name, "it names the target of a link")
	}
	size, err := parseOctal(h[offSize : offSize+12])
	if err != nil {
		return 0, refuse(RuleFormat, name, "its size is not an octal number")
	}
	return size, nil
}

// tarName is the name field up to its NUL, which a name of 100 bytes does not have.
func tarName(h []byte) string {
	name, _, _ := bytes.Cut(h[:offMode], []byte{0})
	return string(name)
}

func zeroAfterText(field []byte) bool {
	i := bytes.IndexByte(field, 0)
	return i < 0 || allZero(field[i:])
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// parseOctal reads a number field: octal digits, then at least one NUL or space.
func parseOctal(field []byte) (int64, error) {
	n, err := strconv.ParseUint(strings.Trim(string(field), " \x00"), 8, 62) // unsigned: no sign is taken
	return int64(n), err
}

// tarChecksum is the sum of the header's bytes with the sum field taken as spaces.
func tarChecksum(h []byte) int64 {
	var sum int64
	for i, c := range h {
		if i >= offSum && i < offSum+8 {
			c = ' '
		}
		sum += int64(c)
	}
	return sum
}

// tarHeader makes the header of a plain file, the same bytes for the same name and size.
func tarHeader(name string, size int64) []byte {
	h := make([]byte, tarBlock)
	copy(h, name)
	copy(h[offMode:], "0000644\x00")
	copy(h[offUID:], "0000000\x00")
	copy(h[offGID:], "0000000\x00")
	copy(h[offSize:], fmt.Sprintf("%011o\x00", size))
	copy(h[offMtime:], fmt.Sprintf("%011o\x00", reproducibleTime.Unix()))
	h[offType] = '0'
	copy(h[offMagic:], "ustar\x0000")
	copy(h[offSum:], fmt.Sprintf("%06o\x00 ", tarChecksum(h)))
	return h
}

// writeTar writes a bundle of the three contents; content has size bytes.
func writeTar(w io.Writer, key, signature []byte, content io.Reader, size int64) error {
	entries := []struct {
		name string
		r    io.Reader
		size int64
	}{
		{entryKey, bytes.NewReader(key), int64(len(key))},
		{entrySignature, bytes.NewReader(signature), int64(len(signature))},
		{entryContent, content, size},
	}
	var zero [2 * tarBlock]byte
	for _, e := range entries {
		if _, err := w.Write(tarHeader(e.name, e.size)); err != nil {
			return err
		}
		if _, err := io.CopyN(w, e.r, e.size); err != nil {
			return err
		}
		if _, err := w.Write(zero[:-e.size&(tarBlock-1)]); err != nil {
			return err
		}
	}
	_, err := w.Write(zero[:])
	return err
}
