package egress

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// What is in the wrong form never reaches the site, and is answered with a reason.
func TestHostileFraming(t *testing.T) {
	f := start(t, site(t, false, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("reached the site: %s %s", r.Method, r.URL) }))
	for name, c := range map[string]struct{ raw, want string }{
		"connect":        {"CONNECT site.example:443 HTTP/1.1\r\n\r\n", "405"},
		"origin form":    {"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n", "400"},
		"two lengths":    {"POST https://site.example/ HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\nabcd", "400"},
		"both framings":  {"POST https://site.example/ HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		"early bytes":    {"GET https://site.example/ HTTP/1.1\r\n\r\nGET https://site.example/admin HTTP/1.1\r\n\r\n", "400"},
		"early bytes ws": {"GET https://site.example/ HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00", "400"},
		"user info":      {"GET https://u@site.example/ HTTP/1.1\r\n\r\n", "400"},
		"tls":            {"\x16\x03\x01\x00\x05hello\r\n\r\n", "400"},
		"long":           {"GET https://site.example/" + strings.Repeat("x", 70<<10) + " HTTP/1.1\r\n\r\n", "431"},
	} {
		got := f.raw(t, c.raw)
		if !strings.HasPrefix(got, "HTTP/1.1 "+c.want+" ") || !strings.Contains(got, "\r\nConnection: close\r\n") || !strings.Contains(got, "\r\nPaddock-Refused: ") {
			t.Errorf("%s: %q", name, got)
		}
		if e := f.event(t); e.Allowed || e.Reason == "" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	if got := f.raw(t, "CONNECT site.example:443 HTTP/1.1\r\n\r\n"); !strings.Contains(got, "Use fetch, WebSocket, node:http or node:https.") || !strings.Contains(got, "\r\nAllow: GET") {
		t.Errorf("CONNECT: %q", got)
	}
	// Cut short or without a word: nothing to answer, nothing left.
	for _, raw := range []string{"", "GET https://site.example/ HT"} {
		c := f.dial(t)
		io.WriteString(c, raw)
		c.Close()
	}
}

// A body that is framed wrongly ends the request; the site never takes it for complete.
func TestHostileBodies(t *testing.T) {
	complete := make(chan string, 10)
	f := start(t, plainSite(t, func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			complete <- string(body)
		}
	}))
	for name, body := range map[string]string{
		"no chunk size": "zz\r\nabc\r\n0\r\n\r\n", "no line end": "3\r\nabcX0\r\n\r\n", "endless trailer": "0\r\n" + strings.Repeat("A: b\r\n", 3000),
		"endless size": strings.Repeat("0", 10_000) + "1\r\na\r\n0\r\n\r\n",
	} {
		c := f.dial(t)
		io.WriteString(c, "POST http://site.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"+body)
		c.CloseWrite()
		io.Copy(io.Discard, c)
		if e := f.event(t); e.Reason == "" && e.BytesIn > 0 {
			t.Errorf("%s: %+v", name, e)
		}
	}
	c := f.dial(t)
	io.WriteString(c, "POST http://site.example/ HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
	c.CloseWrite()
	io.Copy(io.Discard, c)
	f.event(t)
	select {
	case body := <-complete:
		t.Errorf("the site took %q for a complete body", body)
	default:
	}
}
