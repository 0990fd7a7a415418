package ui

import (
	"strings"
	"unicode"
)

// Limits for a stranger's text, in characters.
const (
	maxName   = 60
	maxReason = 220
	maxLine   = 400
)

// clean makes a stranger's text safe to draw beside ours: one line, no control or format characters
// (bidirectional overrides could turn "exe.txt" around, zero-width ones could imitate another name), at most
// limit characters.
func clean(s string, limit int) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case r == unicode.ReplacementChar, unicode.Is(unicode.C, r), unicode.Is(unicode.Variation_Selector, r):
			continue
		}
		if space {
			n++
		}
		if n >= limit {
			return b.String() + "…"
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}
