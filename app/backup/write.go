package backup

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// The names of the entries.
const (
	entryHeader = "paddock-backup.json"
	entryBundle = "app.paddock"
	entryData   = "data/"
	entrySeal   = "seal.json"
)

// Limits of a backup's data; they hold for writing and reading.
const (
	MaxBytes   = 64 << 30  // of all files together; more than any app may keep on disk, because holes in files count here
	MaxEntries = 2_000_000 // files and folders
	maxBundle  = 256 << 20 // bytes of app.paddock; bundles have at most about 200 MiB
	maxName    = 4096      // bytes of one name with its folders
	maxPart    = 255       // bytes of one part of it
	maxDepth   = 200       // folders
	maxNamed   = 100       // of what was left out, as many are named
)

// Source is what Write puts into a backup.
type Source struct {
	Header  Header
	Bundle  string   // the signed bundle, a file
	Data    string   // the app's data folder, in which nothing may change meanwhile
	Exclude []string // path.Match patterns, of names in Data with slashes; one that fits a folder leaves out all in it
	Key     []byte   // from MakeKey

	// Fits is asked before anything is written whether so many bytes may be; nil: they may.
	Fits func(bytes int64) error
}

// LeftOut is something in the data folder that a backup cannot hold.
type LeftOut struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Report tells what Write did.
type Report struct {
	Files    int       // plain files in the backup
	Bytes    int64     // of them
	Excluded int       // files and folders that a pattern of Exclude fits
	LeftOut  []LeftOut // links, special files, names that cannot be stored; at most 100 are named
	Missing  int       // how many LeftOut would name without that bound
}

// Write writes a backup to w. progress is called with the bytes of bundle and data written so far and their total; it may
// be nil. Memory does not grow with the data.
func Write(ctx context.Context, w io.Writer, s Source, progress func(done, total int64)) (Report, error) {
	if len(s.Key) != keySize {
		return Report{}, errors.New("write a backup: there is no key")
	}
	root, err := os.OpenRoot(s.Data)
	if err != nil {
		return Report{}, fmt.Errorf("open the app's data: %w", err)
	}
	defer root.Close()
	b, err := os.Open(s.Bundle)
	if err != nil {
		return Report{}, fmt.Errorf("open the app's bundle: %w", err)
	}
	defer b.Close()
	st, err := b.Stat()
	if err != nil {
		return Report{}, fmt.Errorf("open the app's bundle: %w", err)
	}
	wr := &writer{ctx: ctx, root: root, exclude: s.Exclude, seal: newSealer(s.Key), total: st.Size(), progress: progress, buf: make([]byte, 256<<10)}
	if err := wr.measure(); err != nil {
		return Report{}, err
	}
	if s.Fits != nil {
		if err := s.Fits(wr.total); err != nil {
			return Report{}, err
		}
	}
	wr.tar = tar.NewWriter(io.MultiWriter(w, wr.seal))
	s.Header.Format = Format
	header, err := json.MarshalIndent(s.Header, "", "  ")
	if err != nil {
		return Report{}, fmt.Errorf("write the header: %w", err)
	}
	if _, err := ParseHeader(header); err != nil { // what cannot be read back is not written
		return Report{}, fmt.Errorf("write the header: %w", err)
	}
	if err := wr.small(entryHeader, append(header, '\n')); err != nil {
		return Report{}, err
	}
	if err := wr.file(entryBundle, b, st.Size(), time.Time{}); err != nil {
		return Report{}, err
	}
	if err := wr.folder(entryData, time.Time{}); err != nil {
		return Report{}, err
	}
	if err := wr.walk(wr.add); err != nil {
		return Report{}, err
	}
	if err := wr.tar.Flush(); err != nil { // the padding of the last file belongs to what is sealed
		return Report{}, err
	}
	seal, err := json.Marshal(wr.seal.seal())
	if err != nil {
		return Report{}, fmt.Errorf("write the seal: %w", err)
	}
	if err := wr.small(entrySeal, append(seal, '\n')); err != nil {
		return Report{}, err
	}
	return wr.report, wr.tar.Close()
}

type writer struct {
	ctx      context.Context
	root     *os.Root
	exclude  []string
	seal     sealer
	tar      *tar.Writer
	report   Report
	done     int64
	total    int64
	progress func(done, total int64)
	buf      []byte
}

// walk calls visit for what belongs into the backup, folders before what lies in them, and notes what does not when
// note is set.
func (w *writer) walk(visit func(name string, info fs.FileInfo) error) error {
	entries := 0
	return fs.WalkDir(w.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read the app's data: %w", err)
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if name == "." {
			return nil
		}
		if entries++; entries > MaxEntries {
			return refuse(RuleEntries, "", "the app's data has more than %d files and folders", MaxEntries)
		}
		skip := func() error {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if w.excluded(name) {
			w.report.Excluded++
			return skip()
		}
		why := badName(name)
		if why == "" && !d.IsDir() && !d.Type().IsRegular() {
			why = kind(d.Type())
		}
		if why != "" {
			if w.report.Missing++; len(w.report.LeftOut) < maxNamed {
				w.report.LeftOut = append(w.report.LeftOut, LeftOut{Name: printable(name), Why: why})
			}
			return skip()
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("read the app's data: %w", err)
		}
		return visit(name, info)
	})
}

// measure finds out how much there is, before a byte is written.
func (w *writer) measure() error {
	err := w.walk(func(_ string, info fs.FileInfo) error {
		if info.Mode().IsRegular() {
			w.total += info.Size()
		}
		if w.total > MaxBytes {
			return refuse(RuleSize, "", "the app's data has more than %d GiB", int64(MaxBytes)>>30)
		}
		return nil
	})
	w.report = Report{}
	return err
}

func (w *writer) add(name string, info fs.FileInfo) error {
	if info.IsDir() {
		return w.folder(entryData+name+"/", info.ModTime())
	}
	f, err := w.root.Open(filepath.FromSlash(name))
	if err != nil {
		return fmt.Errorf("read the app's data: %w", err)
	}
	defer f.Close()
	now, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read the app's data: %w", err)
	}
	if !os.SameFile(info, now) || now.Size() != info.Size() {
		return fmt.Errorf("%s changed while it was copied", printable(name))
	}
	if err := w.file(entryData+name, f, info.Size(), info.ModTime()); err != nil {
		return err
	}
	w.report.Files++
	w.report.Bytes += info.Size()
	return nil
}

func (w *writer) excluded(name string) bool {
	for ; name != "."; name = path.Dir(name) {
		for _, pattern := range w.exclude {
			if hit, err := path.Match(strings.TrimSuffix(pattern, "/"), name); hit && err == nil {
				return true
			}
		}
	}
	return false
}

func (w *writer) header(h tar.Header) error {
	if err := w.tar.WriteHeader(&h); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return nil
}

func (w *writer) folder(name string, at time.Time) error {
	return w.header(tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o700, ModTime: clampTime(at)})
}

func (w *writer) small(name string, content []byte) error {
	if err := w.header(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: clampTime(time.Time{})}); err != nil {
		return err
	}
	if _, err := w.tar.Write(content); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	return nil
}

// file writes an entry of exactly size bytes.
func (w *writer) file(name string, r io.Reader, size int64, at time.Time) error {
	if err := w.header(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: size, ModTime: clampTime(at)}); err != nil {
		return err
	}
	for left := size; left > 0; {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(w.buf[:min(left, int64(len(w.buf)))])
		if n > 0 {
			if _, err := w.tar.Write(w.buf[:n]); err != nil {
				return fmt.Errorf("write the backup: %w", err)
			}
			left, w.done = left-int64(n), w.done+int64(n)
			if w.progress != nil {
				w.progress(w.done, w.total)
			}
		}
		if err == io.EOF && left > 0 {
			return fmt.Errorf("%s changed while it was copied", printable(name))
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("read the app's data: %w", err)
		}
	}
	return nil
}

// clampTime keeps a file's time to what a plain header holds: whole seconds from 1970 on.
func clampTime(t time.Time) time.Time {
	const latest = 1 << 33 // eleven octal digits, the year 2242
	return time.Unix(min(max(t.Unix(), 0), latest-1), 0)
}

func kind(mode fs.FileMode) string {
	if mode&fs.ModeSymlink != 0 {
		return "it is a link"
	}
	return "it is a device, socket or pipe"
}
