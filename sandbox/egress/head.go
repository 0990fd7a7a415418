package egress

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"paddock/sandbox/permission"
)

// head is the part of a request before its body, as far as it is passed on.
type head struct {
	method    string
	target    target
	header    http.Header // end-to-end fields only
	length    int64       // of the body; chunked when it has none of its own
	webSocket bool
	wantsGo   bool // Expect: 100-continue
}

// chunked is head.length when the body ends with itself.
const chunked = -1

// target is the absolute address that a request is for.
type target struct {
	scheme string // http or https
	host   string // canonical
	port   uint16
	path   string // raw, beginning with /
	query  string // raw, without the ?
	asked  bool   // there was a ?, perhaps with nothing behind it
}

// key is the target as events, statistics and dialling write it.
func (t target) key() string { return hostPort(t.host, t.port) }

// url makes the address for the transport. It goes out byte for byte: re-encoding would change what signatures are
// over. Opaque is how net/url carries a raw path; it has another meaning when it begins with //.
func (t target) url() (*url.URL, error) {
	host := t.key()
	if t.port == defaultPort(t.scheme) {
		host = strings.TrimSuffix(host, ":"+strconv.Itoa(int(t.port)))
	}
	u := &url.URL{Scheme: t.scheme, Host: host, RawQuery: t.query, ForceQuery: t.asked}
	if !strings.HasPrefix(t.path, "//") {
		u.Opaque = t.path
		return u, nil
	}
	path, err := url.PathUnescape(t.path)
	u.Path, u.RawPath = path, t.path
	return u, err
}

func defaultPort(scheme string) uint16 {
	if scheme == "http" {
		return 80
	}
	return 443
}

var errHeadTooLong = errors.New("the head of the request is too long")

// readHead gives the bytes up to and including the empty line, and leaves what follows in r, whose buffer size is the
// most that a head may take. It is io.EOF when the app closed the connection without sending anything.
func readHead(r *bufio.Reader) ([]byte, error) {
	for seen := 0; ; {
		if _, err := r.Peek(seen + 1); err != nil {
			switch {
			case errors.Is(err, bufio.ErrBufferFull):
				return nil, errHeadTooLong
			case errors.Is(err, io.EOF) && seen > 0:
				return nil, io.ErrUnexpectedEOF
			}
			return nil, err
		}
		b, _ := r.Peek(r.Buffered())
		if i := bytes.Index(b[max(seen-3, 0):], []byte("\r\n\r\n")); i >= 0 {
			end := max(seen-3, 0) + i + 4
			raw := bytes.Clone(b[:end])
			_, err := r.Discard(end)
			return raw, err
		}
		seen = len(b)
	}
}

func bad(format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, ReasonBadRequest, format, args...)
}

// parseHead reads a complete head strictly: whatever two readers could understand in two ways is refused.
func parseHead(raw []byte) (*head, *refusal) {
	text := string(raw)
	lines := strings.Split(strings.TrimSuffix(text, "\r\n\r\n"), "\r\n")
	for i := range len(text) {
		if c := text[i]; c == 0 || c == 0x7f || (c < ' ' && c != '\t' && c != '\r' && c != '\n') {
			return nil, bad("The request holds the control character %q.", c)
		}
	}
	if strings.ContainsAny(strings.Join(lines, ""), "\r\n") {
		return nil, bad("The request holds a line that does not end in CR LF.")
	}
	h := &head{header: http.Header{}}
	if r := h.parseRequestLine(lines[0]); r != nil {
		return nil, r
	}
	return h, h.parseFields(lines[1:])
}

func (h *head) parseRequestLine(line string) *refusal {
	method, rest, ok := cut(line, ' ')
	address, version, ok2 := cut(rest, ' ')
	if !ok || !ok2 || !httpguts.ValidHeaderFieldName(method) || !strings.HasPrefix(version, "HTTP/") {
		return bad("The request does not begin with a method, an address and HTTP/1.1. Only HTTP is spoken here: use fetch or WebSocket.")
	}
	switch method {
	case http.MethodConnect:
		return &refusal{
			status: http.StatusMethodNotAllowed, reason: ReasonUnsupported, allow: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
			text: "Tunnels (CONNECT) are not available to apps: only HTTP has a way to the network here. Use fetch, WebSocket, node:http or node:https.",
		}
	case http.MethodTrace, "TRACK":
		return &refusal{
			status: http.StatusMethodNotAllowed, reason: ReasonUnsupported, allow: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
			text: "The method " + method + " is not available to apps.",
		}
	}
	if version != "HTTP/1.1" {
		return &refusal{status: http.StatusHTTPVersionNotSupported, reason: ReasonBadRequest, text: "Only HTTP/1.1 is spoken here."}
	}
	h.method = method
	var r *refusal
	h.target, r = parseTarget(address)
	return r
}

// parseTarget reads an absolute http: or https: address (RFC 9112, section 3.2.2).
func parseTarget(s string) (target, *refusal) {
	scheme, rest, ok := strings.Cut(s, "://")
	if strings.HasPrefix(s, "/") || s == "*" || !ok {
		return target{}, bad("The request names no site: the proxy needs the whole address, as in GET https://example.com/ HTTP/1.1. " +
			"Use fetch, WebSocket, node:http or node:https; raw sockets have no way to the network here.")
	}
	t := target{path: "/"}
	switch strings.ToLower(scheme) {
	case "http", "ws":
		t.scheme = "http"
	case "https", "wss":
		t.scheme = "https"
	default:
		return target{}, bad("Only http: and https: addresses can be reached, not %.20q.", scheme)
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '#' || c == '\\' {
			return target{}, bad("The address holds %q, which must be percent-encoded.", c)
		}
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, rest = rest[:i], rest[i:]
		t.path, t.query, t.asked = strings.Cut(rest, "?")
		if t.path == "" {
			t.path = "/"
		}
	}
	if strings.Contains(authority, "@") {
		return target{}, bad("The address holds a user name or password; send them in the Authorization header.")
	}
	if strings.Contains(authority, "%") {
		return target{}, bad("The host of the address is percent-encoded.")
	}
	host, digits := authority, ""
	t.port = defaultPort(t.scheme)
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host, digits = authority[:i], authority[i+1:]
		if t.port, ok = parsePort(digits); !ok {
			return target{}, bad("%q is no port from 1 to 65535.", digits)
		}
	}
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return target{}, bad("An IPv6 address is written in brackets.")
	}
	var err error
	if t.host, err = permission.CanonicalHost(host); err != nil {
		return target{}, bad("The address names no host: %v.", err)
	}
	if _, err := t.url(); err != nil {
		return target{}, bad("The path of the address is not valid: %v.", err)
	}
	return t, nil
}

// parsePort reads a port in its one decimal spelling.
func parsePort(s string) (uint16, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil && n > 0 && s[0] != '0' && s[0] != '+'
}

// hopByHop are the fields that belong to one connection (RFC 9110, section 7.6.1), and those that the proxy writes
// itself. Host is among the latter: the target alone says it.
var hopByHop = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Te": true, "Trailer": true, "Transfer-Encoding": true,
	"Upgrade": true, "Proxy-Authenticate": true, "Proxy-Authorization": true, "Proxy-Authentication-Info": true,
	"Host": true, "Content-Length": true, "Expect": true, "Http2-Settings": true,
}

func (h *head) parseFields(lines []string) *refusal {
	all := http.Header{}
	for _, line := range lines {
		name, value, ok := cut(line, ':')
		value = strings.Trim(value, " \t")
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return bad("The request holds a header line that is none: %.60q.", line)
		}
		all.Add(name, value)
	}
	for _, name := range []string{"Host", "Content-Length", "Transfer-Encoding", "Expect", "Upgrade"} {
		if len(all[name]) > 1 {
			return bad("The request holds %s more than once.", name)
		}
	}
	if r := h.parseFraming(all); r != nil {
		return r
	}
	connection := map[string]bool{}
	for _, value := range all["Connection"] {
		for name := range splitList(value) {
			connection[name] = true
		}
	}
	if connection["Upgrade"] {
		// Other upgrades (h2c) are an offer that may be left alone; a WebSocket is what was asked for.
		h.webSocket = strings.EqualFold(all.Get("Upgrade"), "websocket")
	}
	if h.webSocket && (h.method != http.MethodGet || h.length != 0) {
		return bad("A WebSocket is opened with a GET request without a body.")
	}
	if expect := all.Get("Expect"); expect != "" {
		if !strings.EqualFold(expect, "100-continue") {
			return &refusal{status: http.StatusExpectationFailed, reason: ReasonBadRequest, text: "Only Expect: 100-continue is understood."}
		}
		h.wantsGo = h.length != 0
	}
	for name, values := range all {
		if !hopByHop[name] && !connection[name] {
			h.header[name] = values
		}
	}
	return nil
}

// parseFraming decides where the body ends, and refuses what another reader could decide otherwise.
func (h *head) parseFraming(all http.Header) *refusal {
	lengths, encodings := all["Content-Length"], all["Transfer-Encoding"]
	switch {
	case len(lengths) > 0 && len(encodings) > 0:
		return bad("The request holds both Content-Length and Transfer-Encoding.")
	case len(encodings) > 0:
		if !strings.EqualFold(encodings[0], "chunked") {
			return bad("The only Transfer-Encoding that is understood is chunked.")
		}
		h.length = chunked
	case len(lengths) > 0:
		n, err := strconv.ParseUint(lengths[0], 10, 62)
		if err != nil || lengths[0][0] == '+' {
			return bad("%.40q is no Content-Length.", lengths[0])
		}
		h.length = int64(n)
	}
	if h.length != 0 && (h.method == http.MethodGet || h.method == http.MethodHead) {
		return bad("A %s request has no body.", h.method)
	}
	return nil
}

// cut is strings.Cut at the first c.
func cut(s string, c byte) (before, after string, found bool) {
	if i := strings.IndexByte(s, c); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
