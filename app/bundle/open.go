package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// Options of Open. The zero value opens signed files with the default limits, but Staging must be set.
type Options struct {
	Dev      bool           // accept a bare content zip and a folder, unsigned
	Staging  string         // a folder for work in progress, on the file system that Commit renames to; made when missing
	Limits   Limits         // zero fields: DefaultLimits
	Progress func(Progress) // called from Open's goroutine; nil: nobody looks
	HTTP     *http.Client   // nil: one that checks every address after resolution. A client given here does its own checks; redirects and links are judged by Open in any case. Its timeouts and redirect policy are not used.
	Resolver Resolver       // for the client made here; nil: the system's
	Paddock  string         // this program's version, for compat; empty: every range of versions holds
}

// Resolver finds the addresses of a name; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

var _ Resolver = (*net.Resolver)(nil)

// Steps of a Progress.
const (
	StepDownload = "download" // reading the source and hashing it
	StepVerify   = "verify"
	StepUnpack   = "unpack"
)

// Progress tells how far Open is.
type Progress struct {
	Step     string
	Bytes    int64
	Total    int64  // -1 when nobody knows
	Redirect string // the address that the server sent us on to, in the one report about it
}

// Staged is an app that was verified and unpacked, but not installed: Commit or Discard it.
type Staged struct {
	Dir       string // the unpacked files, 0444 and 0555; the folder itself is sealed by Commit
	Manifest  *Manifest
	Raw       []byte // paddock.json as it is in the bundle
	PublicKey string // base64; empty when unsigned
	KeyID     string // 16 hexadecimal digits; empty when unsigned
	Signed    bool
	SHA256    string // of content.zip in lower-case hexadecimal; for a folder, of a list of names and contents
	Bytes     int64  // of the source as read
	Unpacked  int64  // of all files together
	Source    string // as given to Open; files as absolute paths
	Origin    string // scheme://host[:port] that delivered it after redirects; empty for files
	Icon      []byte
	IconMIME  string

	work string // the folder that holds Dir; empty after Commit or Discard
	file string // the bundle as it came, in work; empty when unsigned
}

// ErrClosed is returned by Commit when the Staged was committed or discarded before.
var ErrClosed = errors.New("this staged app was already committed or discarded")

// Open reads, verifies and unpacks the app at source: the path or file:// address of a file (or of a
// folder, with Options.Dev), an https address, an http address on a loopback host written as such, or a link
// paddock://install?url=…. Errors are *RefusedError, *DownloadError, *ManifestError, the context's error,
// or failures of this machine; after each, the staging folder is as it was before.
func Open(ctx context.Context, source string, o Options) (*Staged, error) {
	return open(ctx, source, o, false)
}

// open is Open; anywhere skips compat, for authors who check an app that is made for another machine.
func open(ctx context.Context, source string, o Options, anywhere bool) (*Staged, error) {
	if o.Staging == "" {
		return nil, errors.New("open a bundle: Options.Staging is not set")
	}
	o.Limits = o.Limits.withDefaults()
	if err := os.MkdirAll(o.Staging, 0o700); err != nil {
		return nil, fmt.Errorf("make the staging folder: %w", err)
	}
	work, err := os.MkdirTemp(o.Staging, "open-")
	if err != nil {
		return nil, fmt.Errorf("make a staging folder: %w", err)
	}
	op := &opening{ctx: ctx, o: o, anywhere: anywhere, work: work, staged: &Staged{Source: source, work: work}}
	if err := op.run(source); err != nil {
		if removeErr := RemoveTree(work); removeErr != nil {
			err = errors.Join(err, fmt.Errorf("clean the staging folder: %w", removeErr))
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	return op.staged, nil
}

// opening is one call of Open.
type opening struct {
	ctx      context.Context
	o        Options
	anywhere bool
	work     string
	staged   *Staged
	content  signedContent // of the received file; for a bare zip only its size
}

func (op *opening) report(p Progress) {
	if op.o.Progress != nil {
		op.o.Progress(p)
	}
}

func (op *opening) run(source string) error {
	source, err := localPath(source)
	if err != nil {
		return err
	}
	if strings.Contains(source, "://") {
		if err := op.fromURL(source); err != nil {
			return err
		}
		return op.unpackContent()
	}
	abs, err := filepath.Abs(source)
	if err != nil {
		return fmt.Errorf("open %s: %w", source, err)
	}
	op.staged.Source = abs
	info, err := os.Stat(abs)
	switch {
	case err != nil:
		return fmt.Errorf("open the bundle: %w", err)
	case info.IsDir() && !op.o.Dev:
		return refuse(RuleUnsigned, source, "it is a folder, and only signed bundles are installed").
			hint("Make a bundle with `paddock pack`, or install the folder with --dev.")
	case info.IsDir():
		return op.fromFolder(abs)
	case !info.Mode().IsRegular():
		return refuse(RuleFormat, source, "it is neither a file nor a folder")
	}
	f, err := os.Open(abs)
	if err != nil {
		return fmt.Errorf("open the bundle: %w", err)
	}
	defer f.Close()
	if err := op.receive(f, info.Size()); err != nil {
		return err
	}
	return op.unpackContent()
}

// maxFile is what a source may have: the content, and the rest of the tar around it.
func (op *opening) maxFile() int64 {
	return op.o.Limits.File + 3*tarBlock + 2*(maxKeyFile+tarBlock) + (maxTarPadding+1)*tarBlock
}

// receivedPath is where receive puts the file as it comes.
func (op *opening) receivedPath() string { return filepath.Join(op.work, "received") }

// receive reads a bundle, or with Dev a bare zip, to receivedPath, and verifies what is signed.
// total is the size to report, -1 when unknown. It may be called again after it failed.
func (op *opening) receive(r io.Reader, total int64) error {
	if total > op.maxFile() {
		return op.tooBig(total)
	}
	in := &meter{ctx: op.ctx, r: r, limit: op.maxFile(), total: total, report: op.report}
	in.tooBig = op.tooBig
	magic := make([]byte, 4)
	if _, err := io.ReadFull(in, magic); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF { // compared, not unwrapped: a cut connection may wrap them
			return refuse(RuleTruncated, "", "the file has only %d bytes", in.n)
		}
		return err
	}
	body := io.MultiReader(strings.NewReader(string(magic)), in)
	f, err := os.OpenFile(op.receivedPath(), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write to the staging folder: %w", err)
	}
	defer f.Close()
	body = io.TeeReader(body, &stagingWriter{f})
	if string(magic) == "PK\x03\x04" || string(magic) == "PK\x05\x06" {
		err = op.receiveZip(body)
	} else {
		err = op.receiveSigned(body)
	}
	op.staged.Bytes = in.n
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write to the staging folder: %w", err)
	}
	return nil
}

func (op *opening) tooBig(n int64) error {
	return refuse(RuleFileSize, "", "the file has more than %d MiB (%d bytes so far)", op.o.Limits.File>>20, n)
}

func (op *opening) receiveSigned(r io.Reader) error {
	found, err := readSigned(r, io.Discard, op.o.Limits)
	if err != nil {
		return err
	}
	info, comment := keyInfo(found.key), found.comment
	op.content = found
	op.staged.Signed, op.staged.PublicKey, op.staged.KeyID, op.staged.SHA256 = true, info.PublicKey, info.KeyID, comment.sha256
	op.report(Progress{Step: StepVerify, Total: -1})
	op.staged.Manifest = &Manifest{ID: comment.id, VersionCode: comment.code} // what the manifest must say
	return nil
}

func (op *opening) receiveZip(r io.Reader) error {
	if !op.o.Dev {
		return refuse(RuleUnsigned, "", "it is a zip without a signature, and only signed bundles are installed").
			hint("Get the .paddock file from its publisher; authors install their own work with --dev.")
	}
	sum := sha256.New()
	n, err := io.CopyBuffer(sum, r, make([]byte, copyChunkSize))
	if err != nil {
		return err
	}
	op.content = signedContent{size: n}
	op.staged.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// stagingWriter says in its errors what could not be written, and hides ReadFrom, so that copies go in
// chunks through the limits and the hash.
type stagingWriter struct{ f *os.File }

func (w *stagingWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	if err != nil {
		return n, fmt.Errorf("write to the staging folder: %w", err)
	}
	return n, nil
}

// unpackContent checks and unpacks the content of what receive left at receivedPath.
func (op *opening) unpackContent() error {
	f, err := os.Open(op.receivedPath())
	if err != nil {
		return fmt.Errorf("read the staging folder: %w", err)
	}
	defer f.Close()
	content := io.NewSectionReader(f, op.content.offset, op.content.size)
	entries, err := readZip(content, op.content.size, op.o.Limits)
	if err != nil {
		return err
	}
	raw, err := manifestOf(content, entries, op.o.Limits)
	if err != nil {
		return err
	}
	if err := op.takeManifest(raw); err != nil {
		return err
	}
	var total int64
	for _, e := range entries {
		total += e.size
	}
	t, err := op.tree(total)
	if err != nil {
		return err
	}
	defer t.close()
	if err := t.unpackZip(content, entries); err != nil {
		return err
	}
	if err := op.finish(t); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("read the staging folder: %w", err)
	}
	if op.staged.Signed {
		op.staged.file = op.receivedPath()
		return nil
	}
	if err := os.Remove(op.receivedPath()); err != nil {
		return fmt.Errorf("clean the staging folder: %w", err)
	}
	return nil
}

func (op *opening) tree(total int64) (*tree, error) {
	op.staged.Dir = filepath.Join(op.work, "code")
	t, err := newTree(op.ctx, op.staged.Dir, op.o.Limits, func(done int64) {
		op.report(Progress{Step: StepUnpack, Bytes: done, Total: total})
	})
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	return t, nil
}

// takeManifest parses the manifest and compares it with what was signed.
func (op *opening) takeManifest(raw []byte) error {
	m, err := ParseManifest(raw)
	if err != nil {
		return err
	}
	if signed := op.staged.Manifest; signed != nil {
		if m.ID != signed.ID || m.VersionCode != signed.VersionCode {
			return refuse(RuleSignature, ManifestName, "it says %s version_code %d, but the signature is for %s version_code %d",
				m.ID, m.VersionCode, signed.ID, signed.VersionCode)
		}
	}
	if !op.anywhere {
		if err := checkCompat(m.Compat, op.o.Paddock); err != nil {
			return err
		}
	}
	op.staged.Manifest, op.staged.Raw = m, raw
	return nil
}

// finish checks the files that the manifest names, and seals the tree.
func (op *opening) finish(t *tree) error {
	s := op.staged
	if err := checkFiles(s.Manifest, t, op.o.Dev && !s.Signed); err != nil {
		return err
	}
	for _, icon := range s.Manifest.Icons {
		content, err := t.read(icon.Src, op.o.Limits.Icon)
		if err != nil {
			return refuse(RuleIcon, icon.Src, "the icon has more than %d KiB", op.o.Limits.Icon>>10)
		}
		if _, err := checkIcon(icon, content, op.o.Limits); err != nil {
			return err
		}
	}
	icon, err := mainIcon(s.Manifest.Icons)
	if err != nil {
		return refuse(RuleIcon, ManifestName, "%v", err)
	}
	if s.Icon, err = t.read(icon.Src, op.o.Limits.Icon); err != nil {
		return fmt.Errorf("read the icon: %w", err)
	}
	if s.IconMIME, err = checkIcon(icon, s.Icon, op.o.Limits); err != nil {
		return err
	}
	s.Unpacked = t.total
	return t.seal()
}
