package bundle

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// badRune says why r may not stand in a text or a name that a person is shown: it could move, hide or
// imitate other text. Zero-width joiners are allowed, as several scripts and emoji need them.
func badRune(r rune) string {
	switch {
	case r == utf8.RuneError:
		return "a character that is not valid Unicode"
	case r == '\n' || r == '\r' || r == '\t':
		return "a line break or tab"
	case unicode.IsControl(r):
		return "a control character"
	case r == 0x061C, r == 0x200E, r == 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069:
		return "a character that changes the direction of text"
	case r == 0x2028, r == 0x2029:
		return "a line separator"
	case r == 0x00AD, r == 0x200B, r == 0x2060, r == 0xFEFF, r == 0x180E, r >= 0x2061 && r <= 0x2064,
		r >= 0xFFF9 && r <= 0xFFFB, r >= 0xE0000 && r <= 0xE007F, r == 0x3164, r == 0x115F, r == 0x1160, r == 0xFFA0:
		return "an invisible character"
	case r >= 0xFDD0 && r <= 0xFDEF, r&0xFFFE == 0xFFFE:
		return "a character that is not valid Unicode"
	}
	return ""
}

// maxMarks is how many combining marks may follow each other: Vietnamese needs two, pointed Hebrew
// three, text that climbs over its neighbours more.
const maxMarks = 4

// checkText finds the first thing that text shown to a person may not contain. "" means fine.
func checkText(s string) string {
	if !utf8.ValidString(s) {
		return "bytes that are not UTF-8"
	}
	marks := 0
	for _, r := range s {
		if why := badRune(r); why != "" {
			return fmt.Sprintf("%s (U+%04X)", why, r)
		}
		if unicode.Is(unicode.M, r) && r != 0xFE0F { // U+FE0F asks for the emoji form
			if marks++; marks > maxMarks {
				return "a pile of combining marks"
			}
		} else {
			marks = 0
		}
	}
	return ""
}

// visible reports whether s has anything to see.
func visible(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsPunct(r) || unicode.IsSymbol(r)
	})
}

// printable makes a stranger's text safe for one line of a message: escapes what badRune names and
// shortens to about limit bytes.
func printable(s string, limit int) string {
	var b strings.Builder
	for i, r := range s {
		if i >= limit {
			b.WriteString("…")
			break
		}
		if badRune(r) != "" {
			if r == utf8.RuneError {
				b.WriteString(`\ufffd`)
			} else {
				fmt.Fprintf(&b, `\u{%x}`, r)
			}
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
