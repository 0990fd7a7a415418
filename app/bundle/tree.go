package bundle

import (
	"bufio"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// A tree writes an app's files below one folder and cannot leave it. It counts what it writes and gives
// everything the host's own modes: files 0444, folders 0555, whatever the archive and the umask say.
type tree struct {
	ctx      context.Context
	root     *os.Root
	limits   Limits
	total    int64            // bytes written
	files    map[string]int64 // name → bytes
	folders  map[string]bool
	buf      []byte
	progress func(done int64)
}

// newTree makes dir, which must not exist, and a tree in it.
func newTree(ctx context.Context, dir string, l Limits, progress func(int64)) (*tree, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &tree{
		ctx: ctx, root: root, limits: l, progress: progress,
		files: map[string]int64{}, folders: map[string]bool{}, buf: make([]byte, copyChunkSize),
	}, nil
}

func (t *tree) close() error { return t.root.Close() }

// folder makes name and its parents.
func (t *tree) folder(name string) error {
	if name == "." || t.folders[name] {
		return nil
	}
	if err := t.folder(path.Dir(name)); err != nil {
		return err
	}
	if err := t.root.Mkdir(filepath.FromSlash(name), 0o700); err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	t.folders[name] = true
	return nil
}

// file writes name from r. declared is the size it must have, packed the compressed bytes that it came
// from (declared when it was not compressed).
func (t *tree) file(name string, r io.Reader, declared, packed int64) error {
	if err := t.folder(path.Dir(name)); err != nil {
		return err
	}
	f, err := t.root.OpenFile(filepath.FromSlash(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	n, err := t.copy(f, name, r, declared, packed)
	if err == nil {
		err = f.Chmod(0o444)
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		var refused *RefusedError
		if errors.As(err, &refused) || t.ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	t.files[name] = n
	return nil
}

func (t *tree) copy(w io.Writer, name string, r io.Reader, declared, packed int64) (int64, error) {
	var n int64
	for {
		if err := t.ctx.Err(); err != nil {
			return n, err
		}
		got, readErr := r.Read(t.buf)
		n += int64(got)
		t.total += int64(got)
		switch {
		case n > packed*t.limits.Ratio:
			return n, refuse(RuleRatio, name, "it unpacks to more than %d times its compressed size", t.limits.Ratio)
		case t.total > t.limits.Unpacked:
			return n, refuse(RuleUnpacked, name, "the app unpacks to more than %d MiB", t.limits.Unpacked>>20)
		case n > declared:
			return n, refuse(RuleContent, name, "it unpacks to more than the %d bytes it declares", declared)
		}
		if _, err := w.Write(t.buf[:got]); err != nil {
			return n, err
		}
		if t.progress != nil {
			t.progress(t.total)
		}
		if readErr == io.EOF {
			break
		}
		if readErr != nil {
			return n, readErr
		}
	}
	if n != declared {
		return n, refuse(RuleContent, name, "it unpacks to %d bytes but declares %d", n, declared)
	}
	return n, nil
}

// seal gives every folder its final mode, deepest first. The topmost stays writable for its owner until
// Commit has moved it: renaming a folder into another parent writes into the folder itself.
func (t *tree) seal() error {
	names := make([]string, 0, len(t.folders))
	for name := range t.folders {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(b, a) })
	for _, name := range names {
		if err := t.root.Chmod(filepath.FromSlash(name), 0o555); err != nil {
			return fmt.Errorf("unpack %s: %w", name, err)
		}
	}
	return nil
}

// read returns the content of a file that was unpacked, at most limit bytes.
func (t *tree) read(name string, limit int64) ([]byte, error) {
	if t.files[name] > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return t.root.ReadFile(filepath.FromSlash(name))
}

// unpackZip writes all entries of the archive in r.
func (t *tree) unpackZip(r io.ReaderAt, entries []zipEntry) error {
	for _, e := range entries {
		if e.folder {
			if err := t.folder(e.name); err != nil {
				return err
			}
			continue
		}
		content, err := openEntry(r, e)
		if err != nil {
			return err
		}
		if err := t.file(e.name, content, e.size, e.packed); err != nil {
			return err
		}
	}
	return nil
}

// openEntry reads the content of e. The reader checks the checksum and that the compressed bytes end
// where they should; its errors are *RefusedError, but for those of r.
func openEntry(r io.ReaderAt, e zipEntry) (io.Reader, error) {
	raw := bufio.NewReader(io.NewSectionReader(r, e.data, e.packed))
	content := &entryReader{name: e.name, want: e.crc, raw: raw, content: raw}
	if e.method == methodDeflate {
		content.content = flate.NewReader(raw) // reads from raw byte by byte, so that the rest can be seen
	}
	return content, nil
}

type entryReader struct {
	name    string
	want    uint32
	sum     uint32
	raw     *bufio.Reader
	content io.Reader
}

func (r *entryReader) Read(p []byte) (int, error) {
	n, err := r.content.Read(p)
	r.sum = crc32.Update(r.sum, crc32.IEEETable, p[:n])
	var corrupt flate.CorruptInputError
	switch {
	case err == io.EOF:
		if _, more := r.raw.ReadByte(); more == nil {
			return n, refuse(RuleContent, r.name, "there are bytes after the end of its compressed data")
		}
		if r.sum != r.want {
			return n, refuse(RuleContent, r.name, "its content does not have the checksum it declares")
		}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &corrupt):
		return n, refuse(RuleContent, r.name, "its compressed data is damaged")
	}
	return n, err
}

// readEntry returns the content of e in memory, at most limit bytes; more is refused under rule.
func readEntry(r io.ReaderAt, e zipEntry, limit int64, rule string) ([]byte, error) {
	content, err := openEntry(r, e)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(content, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, refuse(rule, e.name, "it has more than %d KiB", limit>>10)
	}
	return b, nil
}

// RemoveTree deletes dir with everything in it, read-only folders included. A missing dir is fine.
func RemoveTree(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	// WalkDir does not follow links. It reads a folder after it called us with it, so opening up on
	// the way down is enough.
	walkErr := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(name, 0o700)
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		return errors.Join(err, walkErr)
	}
	return nil
}
