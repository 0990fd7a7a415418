package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestAnswerHeaders sends every header of security.md 17, and those that must survive, through the front door.
func TestAnswerHeaders(t *testing.T) {
	sent := http.Header{}
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range sent {
			w.Header()[name] = values
		}
		_, _ = w.Write([]byte("x"))
	})))
	for _, row := range []struct {
		name string
		in   []string
		out  []string // nil: dropped
	}{
		{"Content-Security-Policy-Report-Only", []string{"default-src x; report-uri https://evil.example"}, nil},
		{"Reporting-Endpoints", []string{`default="https://evil.example"`}, nil},
		{"Report-To", []string{`{"endpoints":[{"url":"https://evil.example"}]}`}, nil},
		{"Nel", []string{`{"report_to":"x"}`}, nil},
		{"Link", []string{"<https://evil.example>; rel=preconnect"}, nil},
		{"Speculation-Rules", []string{`"/rules.json"`}, nil},
		{"Sourcemap", []string{"https://evil.example/a.map"}, nil},
		{"X-Sourcemap", []string{"https://evil.example/a.map"}, nil},
		{"Refresh", []string{"0; url=https://evil.example"}, nil},
		{"Clear-Site-Data", []string{`"*"`}, nil},
		{"Service-Worker-Allowed", []string{"/"}, nil},
		{"Access-Control-Allow-Origin", []string{"*"}, nil},
		{"Access-Control-Allow-Credentials", []string{"true"}, nil},
		{"Access-Control-Expose-Headers", []string{"*"}, nil},
		{"Access-Control-Allow-Private-Network", []string{"true"}, nil},
		{"Timing-Allow-Origin", []string{"*"}, nil},
		{"Alt-Svc", []string{`h3="evil.example:443"`}, nil},
		{"Strict-Transport-Security", []string{"max-age=1"}, nil},
		{"Public-Key-Pins", []string{"x"}, nil},
		{"Accept-Ch", []string{"Sec-CH-UA"}, nil},
		{"Critical-Ch", []string{"Sec-CH-UA"}, nil},
		{"Server", []string{"x"}, nil},
		{"Via", []string{"x"}, nil},
		{"Www-Authenticate", []string{"Basic"}, nil},
		{"Document-Policy", []string{"x"}, nil},
		{"Feature-Policy", []string{"camera *"}, nil},
		{"Supports-Loading-Mode", []string{"credentialed-prerender"}, nil},
		{"Set-Login", []string{"logged-in"}, nil},
		{"Attribution-Reporting-Register-Source", []string{"{}"}, nil},
		{"Observe-Browsing-Topics", []string{"?1"}, nil},
		{"Activate-Storage-Access", []string{"retry"}, nil},
		{"No-Vary-Search", []string{"params"}, nil},
		{"Use-As-Dictionary", []string{`match="/*"`}, nil},
		{"X-Paddock-App", []string{"x"}, nil},
		{"Unheard-Of", []string{"x"}, nil},
		{"X-Odd", []string{"a\x01b"}, nil},

		{"Location", []string{"https://evil.example/"}, nil},
		{"Location", []string{"//evil.example/"}, nil},
		{"Location", []string{`/\evil.example/`}, nil},
		{"Location", []string{"/\t/evil.example/"}, nil},
		{"Location", []string{"javascript:alert(1)"}, nil},
		{"Location", []string{"http:evil.example"}, nil},
		{"Location", []string{"http://" + r.host + "@evil.example/"}, nil},
		{"Location", []string{"http://" + r.host + ".evil.example/"}, nil},
		{"Location", []string{"/a", "https://evil.example"}, nil},
		{"Location", []string{"/next?a=b:c"}, []string{"/next?a=b:c"}},
		{"Location", []string{"next"}, []string{"next"}},
		{"Location", []string{"?page=2"}, []string{"?page=2"}},
		{"Location", []string{"http://" + r.host + "/next"}, []string{"http://" + r.host + "/next"}},

		{"Set-Cookie", []string{"a=b; Domain=localhost"}, nil},
		{"Set-Cookie", []string{"a=b; path=/; dOmAiN =.localhost"}, nil},
		{"Set-Cookie", []string{"a=b; Domain"}, nil},
		{"Set-Cookie", []string{"paddock-notes-abcdefgh=x"}, nil},
		{"Set-Cookie", []string{" Paddock-other=x"}, nil},
		{"Set-Cookie", []string{"=paddock-notes-abcdefgh=x"}, nil},
		{"Set-Cookie", []string{"paddock-notes-abcdefgh"}, nil},
		{"Set-Cookie", []string{"sid=1; HttpOnly; Path=/", "b=2; Domain=x"}, []string{"sid=1; HttpOnly; Path=/"}},

		{"Content-Type", []string{"application/json"}, []string{"application/json"}},
		{"Content-Disposition", []string{"attachment"}, []string{"attachment"}},
		{"Content-Language", []string{"en"}, []string{"en"}},
		{"Etag", []string{`"1"`}, []string{`"1"`}},
		{"X-Total-Count", []string{"3"}, []string{"3"}},
		{"Hx-Trigger", []string{"saved"}, []string{"saved"}},
		{"Cache-Control", []string{"max-age=60"}, []string{"max-age=60"}},

		{"X-Content-Type-Options", []string{"sniff"}, []string{"nosniff"}},
		{"X-Dns-Prefetch-Control", []string{"on"}, []string{"off"}},
		{"X-Frame-Options", []string{"ALLOWALL"}, nil}, // frame-ancestors stands for it
		{"Connection-Allowlist", []string{`("*")`}, nil},
		{"Cross-Origin-Opener-Policy", []string{"unsafe-none"}, []string{"same-origin"}},
		{"Cross-Origin-Resource-Policy", []string{"cross-origin"}, []string{"same-origin"}},
		{"Referrer-Policy", []string{"unsafe-url"}, []string{"same-origin"}},
		{"Origin-Agent-Cluster", []string{"?0"}, []string{"?1"}},
		{"Permissions-Policy", []string{"camera=*"}, []string{featurePolicy(r.app.Allow)}},
	} {
		t.Run(row.name+" "+strings.Join(row.in, " and "), func(t *testing.T) {
			clear(sent)
			sent["Content-Type"] = []string{"text/plain"}
			sent[row.name] = row.in
			if got := r.get("/").Header[row.name]; !slices.Equal(got, row.out) {
				t.Errorf("the browser gets %q, want %q", got, row.out)
			}
		})
	}
}

// TestAppPolicy: an app's own policy can only tighten, and reports nowhere.
func TestAppPolicy(t *testing.T) {
	var own []string
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Security-Policy"] = own
	})))
	host := r.g.site("i1").state.Load().policy.csp
	for _, row := range []struct{ in, out []string }{
		{nil, []string{host}},
		{[]string{"default-src *"}, []string{host, "default-src *"}},
		{[]string{"img-src 'none'; report-uri https://evil.example; Report-To x;"}, []string{host, "img-src 'none'"}},
		{[]string{"report-uri https://evil.example"}, []string{host}},
		{[]string{"a b, report-uri https://evil.example, c d;report-uri x"}, []string{host, "a b", "c d"}},
		{[]string{"upgrade-insecure-requests; style-src\t'self'"}, []string{host, "style-src 'self'"}},
	} {
		own = row.in
		if got := r.get("/").Header["Content-Security-Policy"]; !slices.Equal(got, row.out) {
			t.Errorf("%q gives %q, want %q", row.in, got, row.out)
		}
	}
}

// directive returns the sources of one directive of a policy.
func directive(policy, name string) string {
	for d := range strings.SplitSeq(policy, ";") {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(d), name); ok && (rest == "" || rest[0] == ' ') {
			return strings.TrimSpace(rest)
		}
	}
	return "(absent)"
}

func TestPolicyFollowsGrants(t *testing.T) {
	r := newRig(t, serveApp(t, hello("x")))
	check := func(want map[string]string) {
		t.Helper()
		res := r.get("/")
		policy := res.Header.Get("Content-Security-Policy")
		for name, sources := range want {
			if got := directive(policy, name); got != sources {
				t.Errorf("%s is %q, want %q", name, got, sources)
			}
		}
	}
	self := "'self' ws://" + r.host
	check(map[string]string{
		"default-src": "'self'", "script-src": "'self'", "connect-src": self, "img-src": "'self' data: blob:",
		"media-src": "'self' data: blob:", "font-src": "'self' data: blob:", "frame-ancestors": "http://shell." + r.host, "form-action": "'self'",
		"base-uri": "'none'", "object-src": "'none'", "report-uri": "/.paddock/csp-report", "worker-src": "'self'",
	})
	if got := directive(r.get("/").Header.Get("Content-Security-Policy"), "sandbox"); strings.Contains(got, "allow-popups") || !strings.Contains(got, "allow-same-origin") {
		t.Errorf("sandbox %q", got)
	}

	r.app.Allow = grants(t, "net:api.example.com", "net:*.example.org:8443", "browser:camera", "browser:eval", "browser:popups")
	r.g.Set(r.app)
	check(map[string]string{
		"script-src":  "'self' 'unsafe-eval'",
		"connect-src": self + " https://*.example.org:8443 https://example.org:8443 wss://*.example.org:8443 wss://example.org:8443 http://*.example.org:8443 http://example.org:8443 ws://*.example.org:8443 ws://example.org:8443 https://api.example.com wss://api.example.com",
		"img-src":     "'self' data: blob: https://*.example.org:8443 https://example.org:8443 http://*.example.org:8443 http://example.org:8443 https://api.example.com",
	})
	res := r.get("/")
	if p := res.Header.Get("Permissions-Policy"); !strings.Contains(p, "camera=(self)") || !strings.Contains(p, "microphone=()") || !strings.Contains(p, "local-network=()") || !strings.Contains(p, "loopback-network=()") {
		t.Errorf("features %s", p)
	}
	if got := directive(res.Header.Get("Content-Security-Policy"), "sandbox"); !strings.Contains(got, "allow-popups") {
		t.Errorf("sandbox %q", got)
	}

	r.app.Allow = grants(t)
	r.g.Set(r.app)
	check(map[string]string{"connect-src": self, "script-src": "'self'"})
}

// TestLinksGrant: with the links permission a redirect may lead to the web, and nowhere else.
func TestLinksGrant(t *testing.T) {
	target := ""
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Location"] = []string{target}
		w.WriteHeader(302)
	})), func(a *App) { a.Allow = grants(t, "links") })
	for in, want := range map[string]string{
		"https://example.com/a": "https://example.com/a", "javascript:alert(1)": "", "data:text/html,x": "", "file:///etc/passwd": "",
		"https://user@example.com/": "", "intent://x": "",
	} {
		target = in
		if got := r.get("/").Header.Get("Location"); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func TestCaching(t *testing.T) {
	var header http.Header
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		_, _ = w.Write([]byte("x"))
	})))
	for _, row := range []struct {
		name, kind, dest, cache, vary string
	}{
		{"page", "text/html", "document", "no-store", ""},
		{"page fetched as data", "Text/HTML; charset=x", "empty", "no-store", ""},
		{"anything shown in a tab", "text/plain", "document", "no-store", ""},
		{"worker", "text/javascript", "worker", "no-store", ""},
		{"script", "text/javascript", "script", "max-age=9", "Accept, Sec-Fetch-Dest"},
		{"image", "image/svg+xml", "image", "max-age=9", "Accept, Sec-Fetch-Dest"},
		{"drawing for a tool", "image/svg+xml", "", "no-store", ""},
		{"pdf", "application/pdf", "document", "no-store", ""},
	} {
		header = http.Header{"Content-Type": {row.kind}, "Cache-Control": {"max-age=9"}}
		if row.vary != "" {
			header["Vary"] = []string{"Accept"}
		}
		var more []string
		if row.dest != "" {
			more = []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Dest: " + row.dest}
		}
		res := r.get("/", more...)
		if got := res.Header.Get("Cache-Control"); got != row.cache {
			t.Errorf("%s: Cache-Control %q, want %q", row.name, got, row.cache)
		}
		if got := strings.Join(res.Header["Vary"], ", "); got != row.vary {
			t.Errorf("%s: Vary %q, want %q", row.name, got, row.vary)
		}
		if sandboxed := strings.Contains(res.Header.Get("Content-Security-Policy"), "sandbox"); sandboxed == (row.kind == "application/pdf") {
			t.Errorf("%s: sandboxed %v", row.name, sandboxed)
		}
	}
	t.Run("no type", func(t *testing.T) {
		header = http.Header{"Content-Type": nil}
		if got := r.get("/").Header["Content-Type"]; got != nil {
			t.Errorf("the host guessed %q", got)
		}
	})
}
