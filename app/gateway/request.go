package gateway

import (
	"bufio"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// asked is what the gateway needs to know of a request in order to send it on, found out once.
type asked struct {
	cookies   string // Cookie header for the app, "" for none
	webSocket bool
	hasBody   bool
	expects   bool // Expect: 100-continue
}

func newAsked(r *http.Request, cookies string) asked {
	a := asked{
		cookies: cookies,
		hasBody: r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0,
		expects: strings.EqualFold(r.Header.Get("Expect"), "100-continue"),
	}
	// No WebSocket begins with a body. As a request to switch, its head would not tell the app of the body, which
	// would be the app's next request.
	a.webSocket = !a.hasBody && upgrades(r)
	return a
}

// goesOn reports whether a request header may reach the app. Hop-by-hop headers end here (RFC 9110, section
// 7.6.1); framing, Host and Cookie are written by the gateway; what proxies say about a client could only be a
// lie, since there is no proxy before this one.
func goesOn(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Http2-Settings", "Content-Length", "Host", "Cookie", "Expect", "Forwarded", "Via":
		return false
	}
	return !speaksForHost(name)
}

// speaksForHost reports whether a header claims something that only a proxy or the host may say. Some servers take
// "_" for "-", so both spellings count.
func speaksForHost(name string) bool {
	switch name[0] {
	case 'X', 'x', 'P', 'p':
	default:
		return false
	}
	const longest = len("x-forwarded")
	lower := strings.ReplaceAll(strings.ToLower(name[:min(len(name), longest)]), "_", "-")
	return lower == "x-forwarded" || lower == "x-real-ip" || strings.HasPrefix(lower, "x-paddock") || strings.HasPrefix(lower, "paddock-") ||
		strings.HasPrefix(lower, "x-original") || strings.HasPrefix(lower, "x-rewrite")
}

// writeHead writes the head of a request for the app. The target goes on byte for byte as it came: it was checked
// in every reading, and the app's own parser shall see what the browser sent.
func writeHead(w *bufio.Writer, r *http.Request, a asked) {
	w.WriteString(r.Method)
	w.WriteByte(' ')
	w.WriteString(r.RequestURI)
	w.WriteString(" HTTP/1.1\r\nHost: ")
	w.WriteString(r.Host)
	w.WriteString("\r\n")
	var named []string // headers that the Connection header takes off
	if c := r.Header["Connection"]; len(c) > 1 || len(c) == 1 && c[0] != "keep-alive" && c[0] != "close" {
		named = c
	}
	for name, values := range r.Header {
		if !goesOn(name) || named != nil && httpguts.HeaderValuesContainsToken(named, name) {
			continue
		}
		for _, value := range values {
			writeLine(w, name, value)
		}
	}
	if a.cookies != "" {
		writeLine(w, "Cookie", a.cookies)
	}
	switch {
	case a.webSocket:
		w.WriteString("Connection: Upgrade\r\nUpgrade: websocket\r\n")
	case !a.hasBody:
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodOptions {
			w.WriteString("Content-Length: 0\r\n")
		}
	case r.ContentLength > 0:
		w.WriteString("Content-Length: ")
		w.Write(strconv.AppendInt(w.AvailableBuffer(), r.ContentLength, 10))
		w.WriteString("\r\n")
	default:
		w.WriteString("Transfer-Encoding: chunked\r\n")
		for name := range r.Trailer {
			if trailerPasses(name) {
				writeLine(w, "Trailer", name)
			}
		}
	}
	if httpguts.HeaderValuesContainsToken(r.Header["Te"], "trailers") && !a.webSocket {
		w.WriteString("Connection: TE\r\nTE: trailers\r\n")
	}
	if a.expects && a.hasBody {
		w.WriteString("Expect: 100-continue\r\n")
	}
	w.WriteString("\r\n")
}

func writeLine(w *bufio.Writer, name, value string) {
	w.WriteString(name)
	w.WriteString(": ")
	w.WriteString(value)
	w.WriteString("\r\n")
}

// trailerPasses reports whether a field may come after a body, in either direction: nothing that means something
// for framing, routing or policy.
func trailerPasses(name string) bool {
	return goesOn(name) && passes(name) && name != "Content-Type" && name != "Content-Encoding" && name != "Content-Range"
}
