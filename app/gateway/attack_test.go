package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestAttacks sends what a hostile page, site or program could, byte for byte. None of it may reach the app,
// unless the row says what the app sees.
func TestAttacks(t *testing.T) {
	var reached atomic.Int32
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		_, _ = io.WriteString(w, "app")
	})))
	r.g.Set(App{Install: "i2", ID: "org.example.other", Label: "other-abcdefgh", Name: "Other", Mode: ModeServer})
	otherHost := "other-abcdefgh.localhost:" + r.g.port
	otherCookie := r.letIn("i2", otherHost)
	_, otherValue, _ := strings.Cut(otherCookie, "=")
	own := "http://" + r.host

	for _, row := range []struct {
		name    string
		request string
		status  int
		reaches bool
	}{
		{"plain", r.lines("GET /"), 200, true},

		{"unknown host", "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421, false},
		{"rebound name on our port", "GET / HTTP/1.1\r\nHost: evil.example:" + r.g.port + "\r\nCookie: " + r.cookie + "\r\nConnection: close\r\n\r\n", 421, false},
		{"address instead of name", "GET / HTTP/1.1\r\nHost: 127.0.0.1:" + r.g.port + "\r\nCookie: " + r.cookie + "\r\nConnection: close\r\n\r\n", 421, false},
		{"host without port", "GET / HTTP/1.1\r\nHost: notes-abcdefgh.localhost\r\nConnection: close\r\n\r\n", 421, false},
		{"host with trailing dot", "GET / HTTP/1.1\r\nHost: notes-abcdefgh.localhost.:" + r.g.port + "\r\nConnection: close\r\n\r\n", 421, false},
		{"host in capitals", "GET / HTTP/1.1\r\nHost: NOTES-ABCDEFGH.localhost:" + r.g.port + "\r\nConnection: close\r\n\r\n", 421, false},
		{"subdomain of the host", "GET / HTTP/1.1\r\nHost: a." + r.host + "\r\nConnection: close\r\n\r\n", 421, false},
		{"host with user info", "GET / HTTP/1.1\r\nHost: x@" + r.host + "\r\nConnection: close\r\n\r\n", 400, false},
		{"no host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400, false},
		{"empty host", "GET / HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n", 421, false},
		{"two hosts", "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 400, false},
		{"the same host twice", "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nHost: " + r.host + "\r\nConnection: close\r\n\r\n", 400, false},
		{"absolute form", r.lines("GET http://" + r.host + "/"), 400, false},
		{"absolute form elsewhere", r.lines("GET http://evil.example/"), 400, false},
		{"authority form", r.lines("CONNECT evil.example:443"), 400, false},
		{"asterisk", r.lines("OPTIONS *"), 400, false},
		{"fragment", r.lines("GET /a#/../.paddock/host"), 400, false},
		{"trace", r.lines("TRACE /"), 405, false},

		{"length and chunks", r.lines("POST /", "Content-Length: 4", "Transfer-Encoding: chunked", "Origin: "+own) + "0\r\n\r\n", 200, true},
		{"two lengths", r.lines("POST /", "Content-Length: 4", "Content-Length: 5") + "abcde", 400, false},
		{"length with a sign", r.lines("POST /", "Content-Length: +4") + "abcd", 400, false},
		{"unknown coding", r.lines("POST /", "Transfer-Encoding: xchunked") + "0\r\n\r\n", 501, false},
		{"chunked twice", r.lines("POST /", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "0\r\n\r\n", 501, false},
		{"space before colon", r.lines("GET /", "X-A : b"), 400, false},
		{"folded header", r.lines("GET /", "X-A: b\r\n Cookie: x"), 200, true}, // one header value for every reader
		{"bare return in a header", r.lines("GET /", "X-A: b\rHost: evil"), 400, false},
		{"zero byte in a header", r.lines("GET /", "X-A: b\x00c"), 400, false},
		{"space in the target", "GET /a b HTTP/1.1\r\nHost: " + r.host + "\r\nConnection: close\r\n\r\n", 400, false},
		{"very large header", r.lines("GET /", "X-A: "+strings.Repeat("a", 40<<10)), 431, false},

		{"no session", "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nConnection: close\r\n\r\n", 401, false},
		{"guessed session", "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: paddock-notes-abcdefgh=" + strings.Repeat("A", 43) + "\r\nConnection: close\r\n\r\n", 401, false},
		{"cookie of another app", "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: " + otherCookie + "\r\nConnection: close\r\n\r\n", 401, false},
		{"value of another app", "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: paddock-notes-abcdefgh=" + otherValue + "\r\nConnection: close\r\n\r\n", 401, false},
		{"session twice", "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: " + r.cookie + "; " + r.cookie + "\r\nConnection: close\r\n\r\n", 401, false},
		{"session and a planted one", "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: paddock-notes-abcdefgh=x\r\nCookie: " + r.cookie + "\r\nConnection: close\r\n\r\n", 401, false},
		{"quoted session", "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: paddock-notes-abcdefgh=\"" + strings.SplitN(r.cookie, "=", 2)[1] + "\"\r\nConnection: close\r\n\r\n", 401, false},

		{"cross-site image", r.lines("GET /", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"), 403, false},
		{"cross-site frame", r.lines("GET /", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"), 403, false},
		{"cross-site script", r.lines("GET /", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"), 403, false},
		{"cross-site object", r.lines("GET /", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: object"), 403, false},
		{"same-site fetch", r.lines("GET /", "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"), 403, false},
		{"cross-site head", r.lines("HEAD /", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"), 403, false},
		{"cross-site form", r.lines("POST /", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Origin: https://evil.example", "Content-Length: 0"), 403, false},
		{"cross-site form, origin hidden", r.lines("POST /", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Origin: null", "Content-Length: 0"), 403, false},
		{"form of an old browser", r.lines("POST /", "Origin: https://evil.example", "Content-Length: 0"), 403, false},
		{"form of an old browser, null", r.lines("POST /", "Origin: null", "Content-Length: 0"), 403, false},
		{"post without origin from elsewhere", r.lines("POST /", "Sec-Fetch-Site: cross-site", "Content-Length: 0"), 403, false},
		{"post of another app", r.lines("POST /", "Sec-Fetch-Site: same-site", "Origin: http://"+otherHost, "Content-Length: 0"), 403, false},
		{"post claiming same origin with a foreign one", r.lines("POST /", "Sec-Fetch-Site: same-origin", "Origin: http://"+otherHost, "Content-Length: 0"), 403, false},
		{"https origin", r.lines("POST /", "Origin: https://"+r.host, "Content-Length: 0"), 403, false},
		{"another port", r.lines("POST /", "Origin: http://notes-abcdefgh.localhost:1", "Content-Length: 0"), 403, false},
		{"two origins", r.lines("POST /", "Origin: "+own, "Origin: https://evil.example", "Content-Length: 0"), 403, false},
		{"two fetch sites", r.lines("GET /", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"), 403, false},
		{"odd fetch site", r.lines("GET /", "Sec-Fetch-Site: Same-Origin"), 403, false},
		{"preflight", r.lines("OPTIONS /", "Origin: https://evil.example", "Access-Control-Request-Method: PUT", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"), 403, false},
		{"foreign WebSocket", r.lines("GET /ws", "Origin: https://evil.example", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 403, false},
		{"another app's WebSocket", r.lines("GET /ws", "Origin: http://"+otherHost, "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: websocket", "Upgrade: websocket"), 403, false},
		{"foreign event stream", r.lines("GET /", "Origin: https://evil.example", "Accept: text/event-stream", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"), 403, false},
		{"service worker", r.lines("GET /sw.js", "Service-Worker: script", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Dest: serviceworker"), 403, false},
		{"service worker by destination", r.lines("GET /sw.js", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Dest: serviceworker"), 403, false},

		{"link from another site", r.lines("GET /", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"), 200, false},
		{"address typed", r.lines("GET /", "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-User: ?1"), 200, false},
		{"window opened by the app", r.lines("GET /", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"), 200, false},
		{"form of the app into a window", r.lines("POST /", "Origin: "+own, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Content-Length: 0"), 403, false},
		{"element that is no frame", r.lines("GET /", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: object"), 200, false},
		{"frame of another site", r.lines("GET /", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"), 403, false},
		{"form of its own site into the frame", r.lines("POST /", "Origin: http://shell."+r.host, "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe", "Content-Length: 0"), 403, false},
		{"script of its own site", r.lines("GET /", "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"), 403, false},

		{"frame of another port of its name", r.lines("GET /", "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"), 403, false},
		{"frame goes on", r.lines("GET /", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"), 200, true},
		{"file to be saved", r.lines("GET /", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: empty"), 200, true},
		{"own form", r.lines("POST /", "Origin: "+own, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe", "Content-Length: 0"), 200, true},
		{"own fetch", r.lines("POST /", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Origin: "+own, "Content-Length: 0"), 200, true},
		{"tool", r.lines("DELETE /", "Content-Length: 0"), 200, true},

		{"host path", r.lines("GET /.paddock/host"), 404, false},
		{"ready path", r.lines("GET /.paddock/ready"), 404, false},
		{"bare host path", r.lines("GET /.paddock"), 404, false},
		{"encoded dot", r.lines("GET /%2epaddock/host"), 404, false},
		{"encoded letters", r.lines("GET /.%70addock/host"), 404, false},
		{"encoded twice", r.lines("GET /%252epaddock/host"), 404, false},
		{"encoded without end", r.lines("GET /%" + strings.Repeat("25", 20) + "41"), 404, false},
		{"behind dots", r.lines("GET /a/../.paddock/host"), 404, false},
		{"behind encoded dots", r.lines("GET /a/%2e%2e/.paddock/host"), 404, false},
		{"backslash", r.lines("GET /a/..\\.paddock\\host"), 404, false},
		{"encoded slash", r.lines("GET /a%2f.paddock%2fhost"), 404, false},
		{"two slashes", r.lines("GET //.paddock/host"), 404, false},
		{"capitals", r.lines("GET /.Paddock/host"), 404, false},
		{"semicolon", r.lines("GET /.paddock;x/host"), 404, false},
		{"not the host's", r.lines("GET /.paddocks/host"), 200, true},
		{"not a segment", r.lines("GET /a.paddock/host"), 200, true},
		{"in the query only", r.lines("GET /?u=/.paddock/host"), 200, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := reached.Load()
			woken := r.back.woken.Load()
			res := r.raw(row.request)
			if res.StatusCode != row.status {
				t.Errorf("status %d, want %d; %q", res.StatusCode, row.status, res.body)
			}
			if got := reached.Load() > before; got != row.reaches {
				t.Errorf("reached the app: %v, want %v", got, row.reaches)
			}
			if !row.reaches && r.back.woken.Load() > woken {
				t.Error("the app was woken")
			}
			if res.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("the host added a CORS header")
			}
		})
	}
}

// TestSmuggling checks that bytes after a request with two framings are not a request of their own to the app.
func TestSmuggling(t *testing.T) {
	var seen []string
	got := make(chan string, 8)
	r := newRig(t, serveApp(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		got <- fmt.Sprintf("%s %s %q %v", req.Method, req.URL.Path, body, req.TransferEncoding)
	})))
	r.raw("POST /a HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: " + r.cookie + "\r\nConnection: close\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"1\r\nx\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: " + r.host + "\r\n\r\n")
	r.get("/after")
	for len(got) > 0 {
		seen = append(seen, <-got)
	}
	if want := `[POST /a "x" [chunked] GET /after "" []]`; fmt.Sprint(seen) != want {
		t.Errorf("the app saw %v, want %s", seen, want)
	}
}

// TestRequestHeaders checks what an app sees of the headers that a client sends.
func TestRequestHeaders(t *testing.T) {
	got := make(chan *http.Request, 1)
	r := newRig(t, serveApp(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { got <- req })))
	res := r.raw("GET /a%2Fb?q=1&x=%zz HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: a=1; " + r.cookie + "; paddock-other-12345678=zz; b=2\r\n" +
		"Cookie: PADDOCK-X=y; c=3\r\nForwarded: for=1\r\nX-Forwarded-For: 1\r\nX-Forwarded-Host: evil\r\nX_Forwarded_Proto: https\r\nX-Real-IP: 1\r\n" +
		"X-Paddock-User: root\r\nPaddock-App: x\r\nX-Original-URL: /.paddock/host\r\nX-Rewrite-Url: /x\r\nVia: 1.1 x\r\nProxy-Authorization: x\r\n" +
		"Connection: close, X-Gone\r\nX-Gone: 1\r\nTE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nAuthorization: Bearer me\r\nAccept-Encoding: br\r\nX-Mine: 1\r\n\r\n")
	if res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	req := <-got
	if req.RequestURI != "/a%2Fb?q=1&x=%zz" {
		t.Errorf("target %q", req.RequestURI)
	}
	if req.Host != r.host {
		t.Errorf("host %q", req.Host)
	}
	if c := req.Header["Cookie"]; len(c) != 1 || c[0] != "a=1; b=2; c=3" {
		t.Errorf("cookies %q", c)
	}
	for _, name := range []string{
		"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X_forwarded_proto", "X-Real-Ip", "X-Paddock-User", "Paddock-App",
		"X-Original-Url", "X-Rewrite-Url", "Via", "Proxy-Authorization", "X-Gone", "Upgrade", "Http2-Settings",
	} {
		if v := req.Header[name]; v != nil {
			t.Errorf("the app sees %s: %q", name, v)
		}
	}
	for name, want := range map[string]string{"Authorization": "Bearer me", "Accept-Encoding": "br", "X-Mine": "1"} {
		if v := req.Header.Get(name); v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
}

// TestOpenLink covers the one-use link.
func TestOpenLink(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	shell := "shell." + r.host
	mint := func() string {
		url, appURL, err := r.g.Mint("i1")
		if err != nil || url == appURL || !strings.HasPrefix(url, "http://"+shell+"/.paddock/open?t=") || !strings.HasPrefix(appURL, "http://"+r.host+"/.paddock/open?t=") {
			t.Fatalf("mint: %q %q %v", url, appURL, err)
		}
		return strings.TrimPrefix(url, "http://"+shell)
	}
	bare := func(method, path, host string, headers ...string) answer {
		return r.raw(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n")
	}
	refused := func(t *testing.T, res answer, status int) {
		t.Helper()
		if res.StatusCode != status || res.Header["Set-Cookie"] != nil {
			t.Errorf("%s %v, want %d and no cookie", res.Status, res.Header["Set-Cookie"], status)
		}
	}

	t.Run("opens once", func(t *testing.T) {
		path := mint()
		res := bare("GET", path, shell, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
		if res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
		set := res.Header.Get("Set-Cookie")
		if !strings.HasPrefix(set, "paddock-notes-abcdefgh=") || !strings.HasSuffix(set, "; Path=/; HttpOnly; SameSite=Strict") {
			t.Errorf("cookie %q", set)
		}
		if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("headers %v", res.Header)
		}
		if !strings.Contains(res.body, `href="/"`) || !strings.Contains(res.Header.Get("Content-Security-Policy"), hashSource(enterScript)) {
			t.Error("the page does not replace itself")
		}
		refused(t, bare("GET", path, shell), 403)
	})
	t.Run("without a browser", func(t *testing.T) {
		path := mint()
		if res := bare("GET", path, r.host); res.StatusCode != 200 || len(res.Cookies()) != 1 {
			t.Errorf("%s, %d cookies", res.Status, len(res.Cookies()))
		}
		refused(t, bare("GET", path, shell), 403)
	})
	t.Run("on the app's origin a browser is led to the shell", func(t *testing.T) {
		path := mint()
		led := bare("GET", path, r.host, "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
		refused(t, led, 200)
		if !strings.Contains(led.body, `href="http://`+shell+path+`"`) {
			t.Errorf("it leads to %q", led.body)
		}
		refused(t, bare("GET", path, r.host, "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"), 403)
		if res := bare("GET", path, shell, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"); res.StatusCode != 200 {
			t.Errorf("spent before: %s", res.Status)
		}
	})
	t.Run("kept for the user", func(t *testing.T) {
		path := mint()
		for _, row := range []struct {
			method  string
			headers []string
			status  int
		}{
			{"HEAD", nil, 405},
			{"POST", []string{"Content-Length: 0"}, 405},
			{"GET", []string{"Sec-Purpose: prefetch"}, 403},
			{"GET", []string{"Sec-Purpose: prefetch;prerender", "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 403},
			{"GET", []string{"Purpose: prefetch"}, 403},
			{"GET", []string{"Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, 403},
			{"GET", []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}, 403},
			{"GET", []string{"Sec-Fetch-Site: same-origin"}, 403},
			{"GET", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, 403},
			{"GET", []string{"Origin: https://evil.example"}, 403},
		} {
			refused(t, bare(row.method, path, shell, row.headers...), row.status)
		}
		refused(t, bare("GET", path+"&t=x", shell), 403)
		refused(t, bare("GET", strings.ToUpper(path[:14])+path[14:], shell), 401)
		if res := bare("GET", path, shell); res.StatusCode != 200 {
			t.Errorf("spent by one of these: %s", res.Status)
		}
	})
	t.Run("expires", func(t *testing.T) {
		path := mint()
		r.clock.advance(30 * time.Second)
		refused(t, bare("GET", path, shell), 403)
	})
	t.Run("bound to the app", func(t *testing.T) {
		r.g.Set(App{Install: "i2", Label: "other-abcdefgh", Mode: ModeServer})
		path := mint()
		refused(t, bare("GET", path, "shell.other-abcdefgh.localhost:"+r.g.port), 403)
		if res := bare("GET", path, shell); res.StatusCode != 200 {
			t.Errorf("spent at another app: %s", res.Status)
		}
	})
	t.Run("guesses", func(t *testing.T) {
		for _, guess := range []string{"", "x", strings.Repeat("A", 43), strings.Repeat("A", 5000)} {
			refused(t, bare("GET", "/.paddock/open?t="+guess, shell), 403)
		}
		refused(t, bare("GET", "/.paddock/open", shell), 403)
	})
	t.Run("bounded", func(t *testing.T) {
		first := mint()
		for range maxTokens {
			mint()
		}
		refused(t, bare("GET", first, shell), 403)
	})
	t.Run("never the browser's own value", func(t *testing.T) {
		res := bare("GET", mint(), shell, "Cookie: "+r.cookie)
		if c := res.Cookies(); len(c) != 1 || c[0].Name+"="+c[0].Value == r.cookie {
			t.Errorf("cookie %v kept", c)
		}
		fixed := "paddock-notes-abcdefgh=" + strings.Repeat("B", 43)
		res = bare("GET", mint(), shell, "Cookie: "+fixed)
		if c := res.Cookies(); len(c) != 1 || c[0].Name+"="+c[0].Value == fixed {
			t.Errorf("fixed cookie %v taken", c)
		}
	})
	t.Run("unknown install", func(t *testing.T) {
		if _, _, err := r.g.Mint("nobody"); err == nil {
			t.Error("a link to nothing")
		}
	})
}

// TestPipelined sends two requests in one packet: both are checked on their own.
func TestPipelined(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	c := r.dial()
	defer c.Close()
	good := "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: " + r.cookie + "\r\n\r\n"
	_, _ = io.WriteString(c, good+"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"+good)
	br := bufio.NewReader(c)
	for _, want := range []int{200, 421, 200} {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		if res.StatusCode != want {
			t.Errorf("status %d, want %d", res.StatusCode, want)
		}
	}
}
