package gateway

import (
	"strings"

	"golang.org/x/net/http/httpguts"
)

// cookiePrefix starts the name of every cookie of the host; the app's label follows. Apps neither see nor set
// such names. There is no Secure attribute and so no __Host- prefix: Safari drops both on http.
const cookiePrefix = "paddock-"

func isHostCookie(name string) bool {
	return len(name) >= len(cookiePrefix) && strings.EqualFold(name[:len(cookiePrefix)], cookiePrefix)
}

// unplant expires cookies of the session's name that were planted for the app's host and all below it, so for the
// shell's too: Firefox takes Clear-Site-Data for one host only, and keeps those.
func (s *site) unplant() (lines []string) {
	name, _, _ := strings.Cut(s.host, ":")
	if !strings.HasSuffix(name, ".localhost") {
		return nil // an address has no hosts below it
	}
	for _, path := range []string{"/", "/.paddock", "/.paddock/"} {
		lines = append(lines, s.cookie+"=; Domain="+name+"; Path="+path+"; Max-Age=0")
	}
	return lines
}

// cookieRead is what the Cookie headers of a request say.
type cookieRead struct {
	session string // value of the app's own session cookie
	count   int    // how many cookies have that name; more than one is refused
	rest    string // what the app may see: no cookie of the host, of any app
}

// readCookies splits Cookie headers at each semicolon, as browsers write them (RFC 6265, section 4.2.1). A pair
// without "=" counts as a name too: a nameless cookie "x" is sent as "x", so one whose value is
// "paddock-…=…" looks like a cookie of the host, and is treated as one.
func readCookies(headers []string, own string) cookieRead {
	var read cookieRead
	kept, whole := 0, true
	for _, header := range headers {
		for pair := range strings.SplitSeq(header, ";") {
			name, value, _ := strings.Cut(pair, "=")
			name = strings.Trim(name, " \t")
			switch {
			case name == own:
				read.count++
				read.session = strings.Trim(value, " \t")
				whole = false
			case isHostCookie(name):
				whole = false
			case strings.Trim(pair, " \t") != "":
				kept++
			}
		}
	}
	switch {
	case kept == 0:
	case whole && len(headers) == 1:
		read.rest = headers[0]
	default:
		read.rest = joinGuests(headers)
	}
	return read
}

func joinGuests(headers []string) string {
	var b strings.Builder
	for _, header := range headers {
		for pair := range strings.SplitSeq(header, ";") {
			pair = strings.Trim(pair, " \t")
			name, _, _ := strings.Cut(pair, "=")
			if pair == "" || isHostCookie(strings.Trim(name, " \t")) {
				continue
			}
			if b.Len() > 0 {
				b.WriteString("; ")
			}
			b.WriteString(pair)
		}
	}
	return b.String()
}

// maxSetCookies bounds what one response may set; browsers keep about 180 per site.
const maxSetCookies = 50

// guestCookies returns the Set-Cookie lines of an app that may pass: named, not with the host's prefix, and
// without a Domain, which would hand them to other apps.
func guestCookies(lines []string) []string {
	var pass []string
	for _, line := range lines {
		if len(pass) < maxSetCookies && guestCookie(line) {
			pass = append(pass, line)
		}
	}
	return pass
}

func guestCookie(line string) bool {
	if !httpguts.ValidHeaderFieldValue(line) {
		return false
	}
	first, attributes, _ := strings.Cut(line, ";")
	name, _, found := strings.Cut(first, "=")
	name = strings.Trim(name, " \t")
	if !found || name == "" || isHostCookie(name) {
		return false
	}
	for attribute := range strings.SplitSeq(attributes, ";") {
		key, _, _ := strings.Cut(attribute, "=")
		if strings.EqualFold(strings.Trim(key, " \t"), "domain") {
			return false
		}
	}
	return true
}
