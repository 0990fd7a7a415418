package egress

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"paddock/sandbox/permission"
)

func TestParseTarget(t *testing.T) {
	for in, want := range map[string]string{
		"http://a.example/x?q=1|2":         "http://a.example/x?q=1|2",
		"https://a.example":                "https://a.example/",
		"https://a.example?q":              "https://a.example/?q",
		"https://a.example/?":              "https://a.example/?",
		"HTTPS://A.Example.:443/p":         "https://a.example/p",
		"https://a.example:8443/%zz|^":     "https://a.example:8443/%zz|^",
		"https://a.example//double/x%2F":   "https://a.example//double/x%2F",
		"wss://a.example/w":                "https://a.example/w",
		"ws://a.example:443/w":             "http://a.example:443/w",
		"https://[2606:4700::1111]/":       "https://[2606:4700::1111]/",
		"https://[::ffff:8.8.8.8]:444/":    "https://8.8.8.8:444/",
		"http://0x08.010.2056/":            "http://8.8.8.8/",
		"https://a.example/a/../b/./c;d=1": "https://a.example/a/../b/./c;d=1",
	} {
		got, r := parseTarget(in)
		if r != nil {
			t.Errorf("%s: %v", in, r)
			continue
		}
		u, err := got.url()
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if out := u.Scheme + "://" + u.Host + u.RequestURI(); out != want {
			t.Errorf("%s goes out as %s, want %s", in, out, want)
		}
	}
	for _, in := range []string{
		"", "/", "/path", "*", "a.example:443", "a.example", "//a.example/", "ftp://a.example/", "file:///etc/passwd",
		"http://", "http:///x", "http://user@a.example/", "http://user:pw@a.example/", "http://@a.example/",
		"http://a.example:0/", "http://a.example:/", "http://a.example:+80/", "http://a.example:080/", "http://a.example:65536/", "http://a.example:80:80/",
		"http://a%2eexample/", "http://a example/", "http://a.example/\x7f", "http://a.example/#f", "http://a.example\\@b.example/",
		"http://a.example/\xc3\xa4", "http://2606:4700::1111/", "http://[::1%25eth0]/", "http://[a.example]/", "http://1.2.3.4.5/",
		"https://a.example//%zz", "unix:/x", "http+unix://%2Ftmp/",
	} {
		if got, r := parseTarget(in); r == nil {
			t.Errorf("%q passes as %+v", in, got)
		}
	}
}

const plainHead = "GET https://a.example/ HTTP/1.1\r\n"

func TestParseHeadRefuses(t *testing.T) {
	post := "POST https://a.example/ HTTP/1.1\r\n"
	for name, c := range map[string]struct {
		raw    string
		status int
	}{
		"connect":                     {"CONNECT a.example:443 HTTP/1.1\r\n\r\n", 405},
		"connect, absolute":           {"CONNECT https://a.example/ HTTP/1.1\r\n\r\n", 405},
		"trace":                       {"TRACE https://a.example/ HTTP/1.1\r\n\r\n", 405},
		"origin form":                 {"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", 400},
		"http/1.0":                    {"GET https://a.example/ HTTP/1.0\r\n\r\n", 505},
		"http/2 preface":              {"PRI * HTTP/2.0\r\n\r\n", 505},
		"no version":                  {"GET https://a.example/\r\n\r\n", 400},
		"two spaces":                  {"GET  https://a.example/ HTTP/1.1\r\n\r\n", 400},
		"leading space":               {" GET https://a.example/ HTTP/1.1\r\n\r\n", 400},
		"empty":                       {"\r\n\r\n", 400},
		"tls":                         {"\x16\x03\x01\x02\x00\r\n\r\n", 400},
		"bare lf":                     {plainHead + "A: b\nC: d\r\n\r\n", 400},
		"bare cr":                     {plainHead + "A: b\rC: d\r\n\r\n", 400},
		"nul":                         {plainHead + "A: \x00\r\n\r\n", 400},
		"folded":                      {plainHead + "A: b\r\n c\r\n\r\n", 400},
		"space before colon":          {plainHead + "A : b\r\n\r\n", 400},
		"no colon":                    {plainHead + "A\r\n\r\n", 400},
		"two lengths":                 {post + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
		"two lengths, other case":     {post + "Content-Length: 1\r\ncontent-LENGTH: 2\r\n\r\n", 400},
		"length list":                 {post + "Content-Length: 1, 1\r\n\r\n", 400},
		"length and encoding":         {post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		"two encodings":               {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		"gzip, chunked":               {post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
		"identity":                    {post + "Transfer-Encoding: identity\r\n\r\n", 400},
		"empty encoding":              {post + "Transfer-Encoding:\r\n\r\n", 400},
		"negative length":             {post + "Content-Length: -1\r\n\r\n", 400},
		"signed length":               {post + "Content-Length: +1\r\n\r\n", 400},
		"hex length":                  {post + "Content-Length: 0x1\r\n\r\n", 400},
		"empty length":                {post + "Content-Length: \r\n\r\n", 400},
		"huge length":                 {post + "Content-Length: 99999999999999999999\r\n\r\n", 400},
		"get with length":             {plainHead + "Content-Length: 5\r\n\r\n", 400},
		"get with chunks":             {plainHead + "Transfer-Encoding: chunked\r\n\r\n", 400},
		"two hosts":                   {plainHead + "Host: a.example\r\nHost: b.example\r\n\r\n", 400},
		"websocket post":              {post + "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", 400},
		"other expectation":           {post + "Content-Length: 1\r\nExpect: something\r\n\r\n", 417},
		"user info":                   {"GET https://u:p@a.example/ HTTP/1.1\r\n\r\n", 400},
		"host smuggled into the path": {"GET https://a.example\r\nHost: b.example\r\n\r\n", 400},
	} {
		h, r := parseHead([]byte(c.raw))
		if r == nil {
			t.Errorf("%s passes as %+v", name, h)
			continue
		}
		if r.status != c.status || !strings.HasSuffix(strings.TrimSpace(r.text), ".") {
			t.Errorf("%s: %d %q, want %d", name, r.status, r.text, c.status)
		}
	}
}

// What is passed on is made from the target, and of the fields only those that are meant for the site.
func TestParseHeadPasses(t *testing.T) {
	h, r := parseHead([]byte("POST http://A.example:8080/p?q HTTP/1.1\r\nHost: evil.example\r\nconnection: close, X-Hop\r\nX-Hop: 1\r\n" +
		"x-end: a\r\nX-End: b\r\nKeep-Alive: 1\r\nProxy-Authorization: x\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n" +
		"Authorization: Bearer x\r\ncontent-length: 3\r\nExpect: 100-Continue\r\n\r\n"))
	if r != nil {
		t.Fatal(r)
	}
	if len(h.header) != 2 || len(h.header["X-End"]) != 2 || h.header.Get("Authorization") != "Bearer x" {
		t.Errorf("passed on: %v", h.header)
	}
	if h.length != 3 || !h.wantsGo || h.webSocket || h.target.key() != "a.example:8080" {
		t.Errorf("%+v", h)
	}
	h, r = parseHead([]byte(plainHead + "upgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\nsec-websocket-key: x\r\n\r\n"))
	if r != nil || !h.webSocket || h.header.Get("Sec-Websocket-Key") != "x" || h.header.Get("Upgrade") != "" {
		t.Errorf("%+v, %v", h, r)
	}
	h, r = parseHead([]byte(plainHead + "Content-Length: 0\r\n\r\n"))
	if r != nil || h.length != 0 {
		t.Errorf("an empty body on GET: %+v, %v", h, r)
	}
}

func TestReadHead(t *testing.T) {
	read := func(s string, size int) (string, string, error) {
		r := bufio.NewReaderSize(iotestOneByte{strings.NewReader(s)}, size)
		raw, err := readHead(r)
		rest, _ := io.ReadAll(r)
		return string(raw), string(rest), err
	}
	if raw, rest, err := read("GET x\r\nA: b\r\n\r\nbody\r\n\r\n", 64); raw != "GET x\r\nA: b\r\n\r\n" || rest != "body\r\n\r\n" || err != nil {
		t.Errorf("%q %q %v", raw, rest, err)
	}
	if _, _, err := read("", 64); !errors.Is(err, io.EOF) {
		t.Errorf("nothing: %v", err)
	}
	if _, _, err := read("GET x\r\n\r", 64); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut short: %v", err)
	}
	if _, _, err := read(strings.Repeat("x", 65)+"\r\n\r\n", 64); !errors.Is(err, errHeadTooLong) {
		t.Errorf("too long: %v", err)
	}
}

// iotestOneByte gives one byte at a time, as a slow or malicious sender does.
type iotestOneByte struct{ r io.Reader }

func (o iotestOneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }

func FuzzRequestHead(f *testing.F) {
	for _, seed := range []string{
		plainHead + "Host: a.example\r\n\r\n",
		"POST http://b.example:81/x?y HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
		"PUT https://[2606:4700::1111]/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		plainHead + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"CONNECT a:443 HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n", "GET http://a\\@b/ HTTP/1.1\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReaderSize(strings.NewReader(string(b)), 4096)
		raw, err := readHead(r)
		if err != nil {
			return
		}
		h, refused := parseHead(raw)
		if refused != nil {
			if refused.status < 400 || refused.text == "" || refused.reason == "" {
				t.Fatalf("refused without saying why: %+v", refused)
			}
			return
		}
		// Whatever passes is understood in one way only: the host is canonical, and what the standard library would send
		// is a request for exactly that host, read back with the same framing.
		if host, err := permission.CanonicalHost(h.target.host); err != nil || host != h.target.host || h.target.port == 0 {
			t.Fatalf("target %+v is not canonical: %v", h.target, err)
		}
		u, err := h.target.url()
		if err != nil {
			t.Fatalf("target %+v: %v", h.target, err)
		}
		var out strings.Builder
		request := &http.Request{Method: h.method, URL: u, Host: u.Host, Header: h.header, ContentLength: h.length}
		if h.length != 0 {
			request.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", int(max(min(h.length, 1000), 1)))))
			request.ContentLength = max(min(h.length, 1000), chunked)
		}
		if err := request.Write(&out); err != nil {
			return // the transport refuses it too
		}
		back, err := http.ReadRequest(bufio.NewReader(strings.NewReader(out.String())))
		if err != nil {
			if strings.Contains(h.target.path, "%") || strings.ContainsAny(h.target.path, "[]") {
				return // a path that only the site can judge
			}
			t.Fatalf("sent %q: %v", out.String(), err)
		}
		if back.Host != u.Host || back.ContentLength != request.ContentLength && h.length != chunked {
			t.Fatalf("sent for %s as %q", u.Host, out.String())
		}
	})
}
