package bundle

import (
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// checkName says why name may not be the path of a file in a bundle; nil means it may. The rules are
// those of every system that Paddock runs on together, so that a bundle unpacks the same everywhere.
// name has no final slash.
func checkName(name string) *RefusedError {
	bad := func(format string, args ...any) *RefusedError { return refuse(RuleName, name, format, args...) }
	switch {
	case name == "":
		return bad("an entry has an empty name")
	case len(name) > maxNameBytes:
		return refuse(RuleName, name[:64]+"…", "the name is longer than %d bytes", maxNameBytes)
	case !utf8.ValidString(name):
		return refuse(RuleEncoding, name, "the name is not UTF-8")
	case name[0] == '/':
		return bad("the name is an absolute path")
	case strings.Contains(name, `\`):
		return bad("the name has a backslash, which is a path separator on Windows")
	case strings.ContainsRune(name, 0):
		return bad("the name has a NUL character")
	case strings.Contains(name, ":"):
		return bad("the name has a colon, which means a drive or a hidden stream on Windows")
	case strings.ContainsAny(name, `<>"|?*`):
		return bad("the name has one of the characters < > \" | ? *, which Windows cannot store")
	}
	for _, r := range name {
		if why := badRune(r); why != "" {
			return bad("the name has %s", why)
		}
	}
	parts := strings.Split(name, "/")
	if len(parts) > maxNameDepth {
		return bad("the name has more than %d folders", maxNameDepth)
	}
	for _, part := range parts {
		switch {
		case part == "":
			return bad("the name has an empty part")
		case part == "." || part == "..":
			return bad("the name has the part %q, which leads elsewhere", part)
		case len(part) > maxNamePart:
			return bad("a part of the name is longer than %d bytes", maxNamePart)
		case strings.HasSuffix(part, ".") || strings.HasSuffix(part, " "):
			return bad("a part of the name ends with a dot or a space, which Windows drops")
		case deviceName(part):
			return bad("%q is the name of a device on Windows", part)
		}
	}
	return nil
}

// deviceName reports whether Windows opens a device for part, whatever its extension
// (learn.microsoft.com, "Naming Files, Paths, and Namespaces").
func deviceName(part string) bool {
	base, _, _ := strings.Cut(part, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	switch base {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	rest, ok := strings.CutPrefix(base, "COM")
	if !ok {
		rest, ok = strings.CutPrefix(base, "LPT")
	}
	if !ok || utf8.RuneCountInString(rest) != 1 {
		return false
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return r >= '0' && r <= '9' || r == '¹' || r == '²' || r == '³'
}

// fold maps names that some file system takes for equal to one string: canonical composition, then
// full case folding, then composition again because folding can take letters apart.
func fold(name string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(name)))
}

// A nameSet finds names that would meet on disk. The zero value is not usable; see newNameSet.
type nameSet struct {
	seen map[string]seenName // by folded path
}

type seenName struct {
	name   string // as spelled first
	folder bool
	listed bool // an entry of its own, not only the parent of one
}

func newNameSet() *nameSet { return &nameSet{seen: map[string]seenName{}} }

// add takes one more entry, whose name passed checkName.
func (s *nameSet) add(name string, folder bool) *RefusedError {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		key := fold(dir)
		old, ok := s.seen[key]
		switch {
		case !ok:
			s.seen[key] = seenName{name: dir, folder: true}
		case !old.folder:
			return refuse(RuleUnderFile, name, "the entry lies under %q, which is a file", old.name)
		case old.name != dir:
			return refuse(RuleDuplicate, name, "its folder %q and the folder %q are the same on systems that ignore case or composition", dir, old.name)
		}
	}
	key := fold(name)
	old, ok := s.seen[key]
	switch {
	case !ok:
	case old.folder && !old.listed && folder && old.name == name: // seen as a parent only
	case old.folder && !folder:
		return refuse(RuleUnderFile, old.name, "entries lie under %q, which is also a file", name)
	case old.name == name:
		return refuse(RuleDuplicate, name, "the name occurs twice")
	default:
		return refuse(RuleDuplicate, name, "the name equals %q on systems that ignore case or composition", old.name)
	}
	s.seen[key] = seenName{name: name, folder: folder, listed: true}
	return nil
}
