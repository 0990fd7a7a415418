package bundle

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

var (
	codeFence   = regexp.MustCompile("(?ms)^ {0,3}(```|~~~).*?(^ {0,3}(```|~~~)[ \t]*$|\\z)")
	codeSpan    = regexp.MustCompile("`[^`\n]*`")
	autolink    = regexp.MustCompile(`<(https?://|mailto:)[^<>\s]*>`)
	htmlTag     = regexp.MustCompile(`<[A-Za-z/!?]`)
	remoteImage = regexp.MustCompile(`!\[[^\]]*\](\(\s*<?\s*[A-Za-z][A-Za-z0-9+.-]*:|\(\s*<?\s*//|\[)`)
)

// checkDocument refuses a text that a Markdown renderer could turn into more than text: HTML, and images
// that are fetched (an image by reference can hide its address, so only direct relative ones pass).
func checkDocument(name string, content []byte, l Limits) error {
	if int64(len(content)) > l.Document {
		return refuse(RuleDocument, name, "it has more than %d KiB", l.Document>>10)
	}
	if !utf8.Valid(content) {
		return refuse(RuleDocument, name, "it is not UTF-8 text")
	}
	text := strings.ReplaceAll(string(content), "\r\n", "\n")
	for _, r := range text {
		if r == '\n' || r == '\t' || r == 0xFEFF {
			continue
		}
		if why := badRune(r); why != "" {
			return refuse(RuleDocument, name, "it has %s", why)
		}
	}
	text = codeFence.ReplaceAllString(text, "")
	text = codeSpan.ReplaceAllString(text, "")
	text = autolink.ReplaceAllString(text, "")
	if at := htmlTag.FindStringIndex(text); at != nil {
		return refuse(RuleDocument, name, "it has HTML: %q", printable(text[at[0]:], 40)).
			hint("Write Markdown only, and put code between backticks.")
	}
	if at := remoteImage.FindStringIndex(text); at != nil {
		return refuse(RuleDocument, name, "it has an image from elsewhere: %q", printable(text[at[0]:], 60)).
			hint("Put the image into the bundle and write its path.")
	}
	return nil
}
