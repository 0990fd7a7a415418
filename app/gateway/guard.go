package gateway

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// hostPrefix starts the host's own paths.
const hostPrefix = "/.paddock/"

// wellFormed reports whether the target is a path. Absolute forms, authority forms and "*" are meant for proxies;
// a "#" never leaves a browser, and programs disagree on what it means in a request.
func wellFormed(r *http.Request) bool {
	return strings.HasPrefix(r.RequestURI, "/") && r.URL.Host == "" && r.URL.Scheme == "" && !strings.Contains(r.RequestURI, "#")
}

// reserved reports whether a request target could be understood by any program behind the host as a path with a
// segment ".paddock". The instance's entry module answers such paths itself, so they must never arrive there in
// any spelling: percent-encoded once or more, with backslashes, or behind dot segments.
func reserved(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	for range maxEscapes {
		if hasHostSegment(path) {
			return true
		}
		decoded := unescapeLoose(path)
		if decoded == path {
			return false
		}
		path = decoded
	}
	return true
}

// maxEscapes is how many layers of percent escapes are looked through; deeper ones count as reserved.
const maxEscapes = 5

func hasHostSegment(path string) bool {
	const segment = ".paddock"
	for rest := path; ; {
		i := strings.IndexByte(rest, '.')
		if i < 0 {
			return false
		}
		at := len(path) - len(rest) + i
		rest = rest[i+1:]
		if at == 0 || !separates(path[at-1]) || len(path)-at < len(segment) || !strings.EqualFold(path[at:at+len(segment)], segment) {
			continue
		}
		if end := at + len(segment); end == len(path) || separates(path[end]) {
			return true
		}
	}
}

// separates reports whether some URL parser ends a path segment at c.
func separates(c byte) bool {
	return c == '/' || c == '\\' || c == ';' || c == '?' || c == '#' || c <= ' '
}

// unescapeLoose decodes every valid percent escape and leaves the rest. The result is shorter whenever it differs.
func unescapeLoose(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi < 16 && lo < 16 {
				out = append(out, hi<<4|lo)
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}

// single returns the only value of a header; ok is false when it is sent more than once.
func single(h http.Header, canonical string) (value string, ok bool) {
	switch values := h[canonical]; len(values) {
	case 0:
		return "", true
	case 1:
		return values[0], true
	default:
		return "", false
	}
}

// crossOrigin says why a request may not come from where it comes, or "" (gateway.md 6, security.md 22).
//
// Sec-Fetch-* cannot be set by a page. Without them the client is a tool or an old browser, and then an Origin,
// which old browsers send with everything that writes, must be the app's own. An Origin is never waved through:
// "null", another app's and another port's are all refused.
//
// Where framed is set, a frame may be led here by its own site, which is the shell of this app (see shellPrefix) or
// another port of its name: whether it may show the answer is for frame-ancestors to say.
func crossOrigin(g *Gateway, r *http.Request, own string, framed bool) (why string) {
	origin, once := single(r.Header, "Origin")
	if !once || origin != "" && origin != own {
		return "it was sent by a page of another origin"
	}
	switch from, once := single(r.Header, "Sec-Fetch-Site"); {
	case !once:
		return "it says twice where it comes from"
	case from == "" || from == "same-origin" || from == "none":
	case from == "same-site" || from == "cross-site":
		if !topLevel(r) && !(framed && from == "same-site" && frameNavigation(r)) {
			return "another site asked for it"
		}
	default:
		return "it does not say clearly where it comes from"
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if err := g.crossed.Check(r); err != nil {
			return "another site asked for it"
		}
	}
	return ""
}

// topLevel reports whether a browser says that the answer becomes the page in a tab.
func topLevel(r *http.Request) bool {
	mode, once := single(r.Header, "Sec-Fetch-Mode")
	dest, only := single(r.Header, "Sec-Fetch-Dest")
	return once && only && r.Method == http.MethodGet && mode == "navigate" && dest == "document"
}

// frameNavigation reports whether a browser says that the answer becomes the page in a frame.
func frameNavigation(r *http.Request) bool {
	mode, once := single(r.Header, "Sec-Fetch-Mode")
	return once && r.Method == http.MethodGet && mode == "navigate" && frameDestination(r)
}

func frameDestination(r *http.Request) bool {
	dest, only := single(r.Header, "Sec-Fetch-Dest")
	return only && dest == "iframe"
}

// tabNavigation reports whether a browser says that the answer becomes a page outside the shell's frame: in a tab, or
// in an element that shows pages and is no frame. What is loaded to be saved (a link with "download") has the
// destination "empty", and becomes no page.
func tabNavigation(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Mode") == "navigate" && !frameDestination(r) && r.Header.Get("Sec-Fetch-Dest") != "empty"
}

// serviceWorker reports whether a request fetches a service worker script. Such a worker could answer with
// documents that lack the host's headers, and outlive a revoke (security.md, rule 19).
func serviceWorker(r *http.Request) bool {
	return r.Header["Service-Worker"] != nil || r.Header.Get("Sec-Fetch-Dest") == "serviceworker"
}

// speculative reports whether a browser fetches ahead of the user.
func speculative(r *http.Request) bool {
	return r.Header["Sec-Purpose"] != nil || r.Header["Purpose"] != nil || r.Header["X-Moz"] != nil || r.Header["X-Purpose"] != nil
}

// upgrades reports whether a request asks for a WebSocket. No other protocol is switched to: h2c would be a way
// around every check.
func upgrades(r *http.Request) bool {
	return r.Method == http.MethodGet && r.ProtoAtLeast(1, 1) && len(r.Header["Upgrade"]) == 1 &&
		strings.EqualFold(r.Header["Upgrade"][0], "websocket") && httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade")
}

// fetchedByBrowser reports whether a client sends any fetch metadata.
func fetchedByBrowser(r *http.Request) bool {
	h := r.Header
	return h["Sec-Fetch-Site"] != nil || h["Sec-Fetch-Mode"] != nil || h["Sec-Fetch-Dest"] != nil || h["Sec-Fetch-User"] != nil
}
