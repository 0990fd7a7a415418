package backup

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"
)

// Options of Open.
type Options struct {
	Key      []byte                  // this machine's; nil: there is none, and no backup is its own
	Size     int64                   // of the file, for Progress
	Progress func(done, total int64) // bytes of the file read so far; may be nil
}

const hintDamaged = "Use another copy of it. Nothing was changed."

// Reader reads a backup once, from its start to its end: Open, then Bundle, then Data.
type Reader struct {
	in     *lagging
	tar    *tar.Reader
	header Header
	own    bool
}

// Open reads the header. Errors are *RefusedError, the context's, or those of r.
func Open(ctx context.Context, r io.Reader, o Options) (*Reader, error) {
	in := &lagging{ctx: ctx, r: bufio.NewReaderSize(r, 256<<10), seal: newSealer(o.Key), total: o.Size, tell: o.Progress}
	b := &Reader{in: in, tar: tar.NewReader(in)}
	h, err := b.tar.Next()
	if err != nil || h.Name != entryHeader {
		if broken := in.broken(); broken != nil {
			return nil, broken
		}
		return nil, refuse(RuleFormat, "", "this is not a backup of a Paddock app").hint("“paddock backup APP FILE” makes one; a bundle is installed with “paddock install”.")
	}
	raw, err := b.small(h, maxHeader)
	if err != nil {
		return nil, err
	}
	if b.header, err = ParseHeader(raw); err != nil {
		return nil, err
	}
	return b, nil
}

// Header is what the file says of itself.
func (b *Reader) Header() Header { return b.header }

// Own reports, after Data, whether this machine's key sealed exactly these bytes.
func (b *Reader) Own() bool { return b.own }

// Bundle writes the bundle to path, which must not exist. Nothing of it was verified.
func (b *Reader) Bundle(path string) error {
	h, err := b.next()
	if err != nil {
		return err
	}
	if h.Name != entryBundle || h.Typeflag != tar.TypeReg {
		return refuse(RuleOrder, h.Name, "the app's bundle is expected here")
	}
	if h.Size > maxBundle {
		return refuse(RuleBundle, h.Name, "it has %d MiB; %d are allowed", h.Size>>20, maxBundle>>20)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content{b})
	return errors.Join(err, f.Close())
}

// Data unpacks the app's data into dir, which it makes and which must not exist, and checks the seal. What was unpacked
// before an error stays for the caller to remove.
func (b *Reader) Data(dir string) error {
	t, err := newTree(dir)
	if err != nil {
		return err
	}
	defer t.root.Close()
	h, err := b.next()
	if err != nil {
		return err
	}
	if h.Name != entryData || h.Typeflag != tar.TypeDir {
		return refuse(RuleOrder, h.Name, "the folder of the app's data is expected here")
	}
	for {
		if h, err = b.next(); err != nil {
			return err
		}
		if h.Name == entrySeal {
			break
		}
		name, below := strings.CutPrefix(h.Name, entryData)
		if !below {
			return refuse(RuleOrder, h.Name, "only the app's data may stand here")
		}
		if h.Typeflag == tar.TypeDir {
			err = t.folder(strings.TrimSuffix(name, "/"))
		} else {
			err = t.file(name, content{b}, h.Size, h.ModTime)
		}
		if err != nil {
			return err
		}
	}
	return b.check(h)
}

// check compares what was read with the seal, whose header is h, and insists on the end.
func (b *Reader) check(h *tar.Header) error {
	want := b.in.seal.seal()
	raw, err := b.small(h, maxSeal)
	if err != nil {
		return err
	}
	seal, err := parseSeal(raw)
	if err != nil {
		return err
	}
	switch _, err := b.tar.Next(); {
	case err == nil:
		return refuse(RuleOrder, "", "there is something after the backup's seal")
	case !errors.Is(err, io.EOF):
		return b.broken(err)
	}
	if n, err := b.in.Read(make([]byte, 1)); n > 0 {
		return refuse(RuleOrder, "", "there are bytes after the end of the backup")
	} else if err != nil && err != io.EOF {
		return err
	}
	if !equal(want.SHA256, seal.SHA256) {
		return refuse(RuleDamaged, "", "the backup is damaged: its content does not have the checksum it was made with").hint(hintDamaged)
	}
	b.own = equal(want.HMAC, seal.HMAC)
	return nil
}

// next is the next entry's header: that of a plain file or a folder, made the way Write makes it.
func (b *Reader) next() (*tar.Header, error) {
	h, err := b.tar.Next()
	if err != nil {
		return nil, b.broken(err)
	}
	return h, b.judge(h)
}

func (b *Reader) judge(h *tar.Header) error {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir:
	case tar.TypeLink, tar.TypeSymlink:
		return refuse(RuleLink, h.Name, "it is a link, which could lead out of the app's folder")
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return refuse(RuleSpecial, h.Name, "it is a device or a pipe")
	default:
		return refuse(RuleOrder, h.Name, "it is neither a plain file nor a folder (type %q)", h.Typeflag)
	}
	for key := range h.PAXRecords {
		if key != "path" && key != "size" && key != "mtime" {
			return refuse(RuleOrder, h.Name, "it has the extension %q, which no backup uses", printable(key))
		}
	}
	folder := h.Typeflag == tar.TypeDir
	switch {
	case h.Format != tar.FormatUSTAR && h.Format != tar.FormatPAX:
		return refuse(RuleOrder, h.Name, "its header is not a POSIX one")
	case h.Linkname != "":
		return refuse(RuleLink, h.Name, "it names the target of a link")
	case folder != strings.HasSuffix(h.Name, "/") || folder && h.Size != 0 || h.Size < 0:
		return refuse(RuleOrder, h.Name, "its name and its type disagree about whether it is a folder")
	}
	return nil
}

// small reads a short entry whole.
func (b *Reader) small(h *tar.Header, limit int64) ([]byte, error) {
	if err := b.judge(h); err != nil {
		return nil, err
	}
	if h.Typeflag != tar.TypeReg || h.Size > limit {
		return nil, refuse(RuleHeader, h.Name, "it has more than %d bytes, or is no file", limit)
	}
	return io.ReadAll(content{b})
}

// content reads the present entry, with errors as Reader returns them.
type content struct{ b *Reader }

func (c content) Read(p []byte) (int, error) {
	n, err := c.b.tar.Read(p)
	if err != nil && err != io.EOF {
		err = c.b.broken(err)
	}
	return n, err
}

// broken explains what the tar reader says.
func (b *Reader) broken(err error) error {
	if own := b.in.broken(); own != nil {
		return own
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(RuleTruncated, "", "the backup ends too early").hint(hintDamaged)
	case errors.Is(err, tar.ErrInsecurePath):
		return refuse(RuleName, "", "a name in it leads out of the app's folder")
	}
	return refuse(RuleDamaged, "", "the backup is damaged: it is not a tar any more").hint(hintDamaged)
}

// broken is what ended the reading, when that was the file or the context and not its content.
func (l *lagging) broken() error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	return l.failed
}
