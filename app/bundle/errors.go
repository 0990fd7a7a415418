package bundle

import (
	"errors"
	"fmt"
	"strings"
)

// Rules that a bundle, a source or a link can break: the Rule of a [RefusedError]. They are stable.
const (
	RuleSource     = "source"      // the place it comes from is not allowed: scheme, address, user info, redirect
	RuleUnsigned   = "unsigned"    // a bare zip or a folder without Options.Dev
	RuleSignature  = "signature"   // the signature does not fit the content, the key or the manifest
	RuleFormat     = "format"      // not a bundle at all, or one that is damaged
	RuleTar        = "tar_entries" // other than the three entries in their order, or bytes after them
	RuleTruncated  = "truncated"   // ends too early
	RuleFileSize   = "file_size"   // the file is too big
	RuleZip        = "zip"         // the zip's own records contradict each other or use what is not allowed
	RuleOverlap    = "zip_overlap" // two entries share bytes, or bytes belong to none
	RuleEntries    = "entry_count"
	RuleUnpacked   = "unpacked_size"
	RuleRatio      = "ratio"
	RuleLink       = "link"
	RuleSpecial    = "special_file"
	RuleName       = "name" // absolute, .., backslash, drive, control characters, device names, …
	RuleEncoding   = "name_encoding"
	RuleDuplicate  = "duplicate_name"
	RuleUnderFile  = "entry_under_file"
	RuleContent    = "content" // bytes that do not fit their checksum or declared size
	RuleManifest   = "manifest"
	RuleIcon       = "icon"
	RuleDocument   = "document"
	RuleMissing    = "missing_file" // the manifest names a file that is not there
	RuleCompatible = "compat"
)

// ErrSignature is wrapped by every RefusedError whose Rule is RuleSignature.
var ErrSignature = errors.New("the signature does not hold")

// A RefusedError says that the input was read and broke a rule. Nothing of it was kept.
type RefusedError struct {
	Rule  string // one of the Rule constants
	Entry string // the entry of the archive or the address it is about, as given; may be empty
	Why   string // what is wrong, without a final stop
	Hint  string // what to do, a sentence; may be empty
}

func (e *RefusedError) Error() string {
	if e.Entry == "" {
		return "refused: " + e.Why
	}
	return fmt.Sprintf("refused: %s: %s", printable(e.Entry, 200), e.Why)
}

// Unwrap makes errors.Is(err, ErrSignature) work.
func (e *RefusedError) Unwrap() error {
	if e.Rule == RuleSignature {
		return ErrSignature
	}
	return nil
}

// refuse makes a RefusedError without a hint.
func refuse(rule, entry, format string, args ...any) *RefusedError {
	return &RefusedError{Rule: rule, Entry: entry, Why: fmt.Sprintf(format, args...)}
}

func (e *RefusedError) hint(format string, args ...any) *RefusedError {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Reasons of a [DownloadError]. They are stable.
const (
	ReasonConnect  = "connect"  // no connection, or no answer on it
	ReasonResolve  = "resolve"  // the name has no address
	ReasonTLS      = "tls"      // no trustworthy certificate
	ReasonStatus   = "status"   // an HTTP status other than success
	ReasonRedirect = "redirect" // too many, or one without a usable target
	ReasonStalled  = "stalled"  // too slow
	ReasonCut      = "cut"      // the connection ended early, again and again
	ReasonProtocol = "protocol" // an answer that HTTP does not allow here
)

// A DownloadError says that a server could not be reached or did not deliver. Trying later may help.
type DownloadError struct {
	URL    string // the address asked, without user info
	Reason string // one of the Reason constants
	Status int    // the HTTP status, when there was one
	Why    string // what happened, without a final stop
	Hint   string // what to do, a sentence
	Err    error  // the cause; may be nil
}

func (e *DownloadError) Error() string {
	msg := fmt.Sprintf("download %s: %s", printable(e.URL, 300), e.Why)
	if e.Err != nil {
		msg += ": " + e.Err.Error()
	}
	return msg
}

func (e *DownloadError) Unwrap() error { return e.Err }

// A Problem is one thing that is wrong in a manifest.
type Problem struct {
	Path     string `json:"path"`     // of the field, like permissions.network[0].host; empty for the whole document
	Expected string `json:"expected"` // what belongs there
	Got      string `json:"got"`      // what is there, shortened
}

func (p Problem) String() string {
	path := p.Path
	if path == "" {
		path = ManifestName
	}
	return fmt.Sprintf("%s: expected %s, found %s", path, p.Expected, p.Got)
}

// A ManifestError lists everything that is wrong in a manifest, sorted by path.
type ManifestError struct {
	Problems []Problem
}

func (e *ManifestError) Error() string {
	switch len(e.Problems) {
	case 0:
		return ManifestName + " is not valid"
	case 1:
		return ManifestName + " is not valid: " + e.Problems[0].String()
	}
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return fmt.Sprintf("%s has %d problems: %s", ManifestName, len(e.Problems), strings.Join(lines, "; "))
}
