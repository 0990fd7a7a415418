package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// passes reports whether a header of an app's answer may reach the browser as it is (security.md, rule 17).
// It is an allow list: what a browser may act on beyond the page itself is not on it. Set-Cookie, Location,
// Cache-Control, Vary and Content-Security-Policy have rules of their own.
//
// X-… and HX-… are how apps talk to their own scripts, and pass, except the names that some browser or developer
// tool gives a meaning.
func passes(name string) bool {
	switch name {
	case "Accept-Patch", "Accept-Post", "Accept-Ranges", "Age", "Allow", "Content-Disposition", "Content-Encoding",
		"Content-Language", "Content-Location", "Content-Range", "Content-Type", "Digest", "Content-Digest",
		"Repr-Digest", "Etag", "Expires", "Idempotency-Key", "Last-Modified", "Pragma", "Preference-Applied",
		"Ratelimit", "Ratelimit-Limit", "Ratelimit-Policy", "Ratelimit-Remaining", "Ratelimit-Reset", "Retry-After",
		"Server-Timing", "Warning":
		return true
	case "X-Content-Security-Policy", "X-Content-Type-Options", "X-Dns-Prefetch-Control", "X-Download-Options",
		"X-Frame-Options", "X-Permitted-Cross-Domain-Policies", "X-Sourcemap", "X-Ua-Compatible", "X-Webkit-Csp",
		"X-Xss-Protection", "X-Robots-Tag":
		return false
	}
	return (strings.HasPrefix(name, "X-") && !strings.HasPrefix(name, "X-Paddock")) || strings.HasPrefix(name, "Hx-")
}

// fill writes the header of an app's answer for the browser: the app's lines that may pass, then the host's.
func (st *siteState) fill(out, app http.Header, r *http.Request, origin string) {
	cached := false
	var csp []string
	for name, values := range app {
		switch name {
		case "Set-Cookie":
			if pass := guestCookies(values); pass != nil {
				out[name] = pass
			}
		case "Location":
			if len(values) == 1 && (staysAt(values[0], origin) || st.policy.leaves && leadsToWeb(values[0])) {
				out[name] = values
			}
		case "Content-Security-Policy":
			csp = values
		case "Cache-Control":
			cached = true
			out[name] = values
		case "Vary":
			out[name] = values
		default:
			if passes(name) && validValues(values) {
				out[name] = values
			}
		}
	}
	kind := mediaType(app["Content-Type"])
	st.protect(out, r, kind, cached)
	if csp != nil {
		out["Content-Security-Policy"] = tightenedBy(out["Content-Security-Policy"][0], csp)
	}
	if out["Content-Type"] == nil {
		out["Content-Type"] = nil // the server must not guess one
	}
}

// protect adds the host's lines to an answer with app content of the given type.
func (st *siteState) protect(out http.Header, r *http.Request, kind string, cached bool) {
	if kind == "application/pdf" {
		st.policy.pdf.apply(out)
		if frameDestination(r) {
			saved(out) // Chromium shows no PDF in a sandboxed frame
		}
	} else {
		st.policy.headers.apply(out)
	}
	switch {
	case document(r, kind):
		// A document or worker kept by the browser would keep its old policy after a revoke (security.md 19).
		out["Cache-Control"] = noStore
	case cached || out["Etag"] != nil || out["Last-Modified"] != nil || out["Expires"] != nil:
		// What was fetched for one use is not taken from the cache for another: a script fetched as data
		// would otherwise bring its old policy along when it becomes a worker.
		out["Vary"] = append(out["Vary"][:len(out["Vary"]):len(out["Vary"])], "Sec-Fetch-Dest")
	}
}

// saved has a browser offer an answer as a file.
func saved(out http.Header) {
	_, parameters, _ := strings.Cut(strings.Join(out["Content-Disposition"], ""), ";")
	if parameters != "" {
		parameters = ";" + parameters
	}
	out["Content-Disposition"] = []string{"attachment" + parameters}
}

var noStore = []string{"no-store"}[:1:1]

// document reports whether an answer can become something that has a policy of its own: a page or a worker.
func document(r *http.Request, kind string) bool {
	switch kind {
	case "text/html", "application/xhtml+xml", "text/xml", "application/xml", "application/pdf":
		return true
	}
	dest := r.Header["Sec-Fetch-Dest"]
	if len(dest) == 0 {
		return kind == "image/svg+xml" // as an image it is none, but who asks does not say
	}
	switch dest[0] {
	case "document", "iframe", "frame", "embed", "object", "fencedframe", "worker", "sharedworker", "serviceworker",
		"audioworklet", "paintworklet":
		return true
	}
	return false
}

// mediaType returns the lower-case type of a Content-Type header, without parameters.
func mediaType(values []string) string {
	if len(values) == 0 {
		return ""
	}
	kind, _, _ := strings.Cut(values[0], ";")
	kind = strings.Trim(kind, " \t")
	switch kind {
	case "text/html", "application/json", "text/css", "text/plain": // no copy for the common ones
		return kind
	}
	return strings.ToLower(kind)
}

func validValues(values []string) bool {
	for _, v := range values {
		if !httpguts.ValidHeaderFieldValue(v) {
			return false
		}
	}
	return true
}

// staysAt reports whether every browser resolves a Location to a place at origin. Browsers take a backslash for
// a slash and throw away tabs and line ends (WHATWG URL), so none of these may occur.
func staysAt(location, origin string) bool {
	for i := range len(location) {
		if c := location[i]; c <= ' ' || c == '\\' || c == 0x7f {
			return false
		}
	}
	if rest, ok := strings.CutPrefix(location, origin); ok {
		return rest == "" || rest[0] == '/' || rest[0] == '?' || rest[0] == '#'
	}
	if strings.HasPrefix(location, "//") {
		return false
	}
	first, _, _ := strings.Cut(location, "/")
	first, _, _ = strings.Cut(first, "?")
	first, _, _ = strings.Cut(first, "#")
	return !strings.Contains(first, ":")
}

// leadsToWeb reports whether a Location names a web page elsewhere.
func leadsToWeb(location string) bool {
	if !httpguts.ValidHeaderFieldValue(location) {
		return false
	}
	u, err := url.Parse(location)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}
