package backup

import (
	"fmt"
	"strings"
	"unicode"
)

// Rules that a file can break: the Rule of a [RefusedError]. They are stable.
const (
	RuleFormat    = "backup_format"  // not a backup at all
	RuleNewer     = "backup_newer"   // made by a newer program
	RuleHeader    = "backup_header"  // its first entry does not say what it must
	RuleDamaged   = "backup_damaged" // bytes changed since it was made, by accident
	RuleTruncated = "truncated"      // ends too early
	RuleOrder     = "backup_entries" // other entries than the four kinds in their order
	RuleLink      = "link"
	RuleSpecial   = "special_file"
	RuleName      = "name"
	RuleDuplicate = "duplicate_name" // two names that are one on this file system
	RuleUnderFile = "entry_under_file"
	RuleEntries   = "entry_count"
	RuleSize      = "unpacked_size"
	RuleBundle    = "file_size" // the bundle inside is bigger than any may be
)

// A RefusedError says that the file was read and broke a rule.
type RefusedError struct {
	Rule  string // one of the Rule constants
	Entry string // the entry it is about, as the file names it; may be empty
	Why   string // what is wrong, without a final stop
	Hint  string // what to do, a sentence; may be empty
}

func (e *RefusedError) Error() string {
	if e.Entry == "" {
		return e.Why
	}
	return fmt.Sprintf("%s: %s", printable(e.Entry), e.Why)
}

func refuse(rule, entry, format string, args ...any) *RefusedError {
	return &RefusedError{Rule: rule, Entry: entry, Why: fmt.Sprintf(format, args...)}
}

func (e *RefusedError) hint(text string) *RefusedError {
	e.Hint = text
	return e
}

// printable makes a stranger's name safe to show, at most 200 bytes of it.
func printable(s string) string {
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
