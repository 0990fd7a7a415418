package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// FuzzCookies: however a Cookie header is written, what the app may see has no cookie of the host in it, for
// this reader and for the standard library's, and keeps the app's own.
func FuzzCookies(f *testing.F) {
	for _, seed := range []string{
		"", "a=b", "paddock-x=1", "a=1; paddock-x=2; b=3", "PADDOCK-y=1;a=2", " paddock-x =1", "a=\"; paddock-x=1\"", "paddock-x", ";;;=;", "a=b;\tpaddock-x=1",
		"paddock-x=1; paddock-x=2", "a,paddock-x=1", "a=b; $Version=1; paddock-x=1",
	} {
		f.Add(seed, "c=d")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		headers := []string{first, second}
		read := readCookies(headers, "paddock-x")
		again := readCookies([]string{read.rest}, "paddock-x")
		if again.count != 0 || again.rest != read.rest {
			t.Errorf("%q leaves %q, then %q", headers, read.rest, again.rest)
		}
		for pair := range strings.SplitSeq(read.rest, ";") {
			if isHostCookie(strings.Trim(pair, " \t")) {
				t.Errorf("%q leaves %q", headers, read.rest)
			}
		}
		request := http.Request{Header: http.Header{"Cookie": {read.rest}}}
		for _, c := range request.Cookies() {
			if isHostCookie(c.Name) {
				t.Errorf("%q leaves %q with %s", headers, read.rest, c.Name)
			}
		}
		if read.count == 0 && read.session != "" {
			t.Errorf("a session without a cookie: %q", read.session)
		}
		for _, c := range (&http.Request{Header: http.Header{"Cookie": headers}}).Cookies() {
			if !isHostCookie(c.Name) && !strings.Contains(read.rest, c.Name) {
				t.Errorf("%q loses %s", headers, c.Name)
			}
		}
	})
}

// FuzzSetCookie: what passes is no cookie of the host and has no Domain, as the standard library reads it.
func FuzzSetCookie(f *testing.F) {
	for _, seed := range []string{"a=b", "a=b; Domain=x", "paddock-x=1", "=paddock-x=1", "a=b;domain", "a=b; Path=/; HttpOnly", "\tpaddock-x=1", "a=b;\tDomain\t=x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if !guestCookie(line) {
			return
		}
		if strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("%q passes", line)
		}
		if c, err := http.ParseSetCookie(line); err == nil && (isHostCookie(c.Name) || c.Domain != "" || c.Name == "") {
			t.Errorf("%q passes as %+v", line, c)
		}
	})
}

// FuzzReserved: no target that some reader takes for a host path is let through.
func FuzzReserved(f *testing.F) {
	for _, seed := range []string{"/", "/.paddock/host", "/%2epaddock/host", "/a/..%2f.paddock/ready", "/.paddock", "//.paddock//x", "/a?b=/.paddock/", "/%252epaddock/x", "/.PADDOCK\\host", "/x/%2E%2e/%2epaddock;a/b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		if !strings.HasPrefix(target, "/") || reserved(target) {
			return
		}
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return // the server refuses it before
		}
		for _, reading := range []string{u.Path, u.EscapedPath(), u.JoinPath().Path, strings.ReplaceAll(u.Path, "\\", "/")} {
			if lower := strings.ToLower(reading); strings.HasPrefix(lower, "/.paddock/") || lower == "/.paddock" {
				t.Errorf("%q is read as %q", target, reading)
			}
		}
	})
}

// FuzzLocation: a Location that stays, as the standard library resolves it, is at the origin.
func FuzzLocation(f *testing.F) {
	const origin = "http://a.localhost:7700"
	for _, seed := range []string{"/", "//x", "/\\x", origin + "/a", origin + "@x/", "a:b", "?a", "#a", "http://x", "http:x", "\t//x", "./a:b", "a/b:c"} {
		f.Add(seed)
	}
	base, err := url.Parse(origin + "/folder/page")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, location string) {
		if !staysAt(location, origin) {
			return
		}
		if u, err := base.Parse(location); err == nil && (u.Scheme != "http" || u.Host != "a.localhost:7700" || u.User != nil) {
			t.Errorf("%q leads to %s", location, u)
		}
		if strings.ContainsAny(location, "\\\t\r\n") || strings.HasPrefix(location, "//") {
			t.Errorf("%q stays", location)
		}
	})
}

// FuzzHost sends any Host through the whole front door: only the issued one gets past.
func FuzzHost(f *testing.F) {
	r := newRig(f, serveApp(f, hello("app")))
	for _, seed := range []string{r.host, "evil.example", "", "127.0.0.1", r.host + ".", "x@" + r.host, r.host + "\r\nHost: a", "[::1]:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if strings.ContainsAny(host, "\r\n") || strings.Trim(host, " \t") == r.host {
			return
		}
		r := *r
		r.t = t
		res := r.raw("GET / HTTP/1.1\r\nHost: " + host + "\r\nCookie: " + r.cookie + "\r\nConnection: close\r\n\r\n")
		if res.StatusCode != 421 && res.StatusCode != 400 && res.StatusCode != 431 {
			t.Errorf("Host %q: %s", host, res.Status)
		}
	})
}

// FuzzReport: no report makes the reader fail badly or invent a permission that cannot be asked for.
func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"csp-report":{"blocked-uri":"https://a.example","effective-directive":"img-src"}}`))
	f.Add([]byte(`[{"type":"csp-violation","body":{"blockedURL":"inline","effectiveDirective":"script-src"}}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		names, err := refusedIn(body, "http://a.localhost:7700")
		if err != nil && len(names) > 0 {
			t.Error("an answer and an error")
		}
		if len(names) > 0 {
			if set := grants(t, names...); set.Len() != len(names) {
				t.Errorf("%q are not canonical", names)
			}
		}
	})
}
