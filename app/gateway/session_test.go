package gateway

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestSessionsSurviveRestart(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	host := r.host
	r.restart()
	if "http://"+host != r.g.Origin("i1") {
		t.Fatalf("origin changed to %s", r.g.Origin("i1"))
	}
	if res := r.get("/"); res.body != "app" {
		t.Errorf("%s %q", res.Status, res.body)
	}
	for hash, s := range r.store.sessions {
		_, value, _ := strings.Cut(r.cookie, "=")
		if strings.Contains(string(hash[:]), value) || s.Install != "i1" || s.Created.IsZero() {
			t.Errorf("stored %+v", s)
		}
	}
}

// TestSessionsEndWithoutPeerCheck: where other users are not refused, a cookie that one of them was sent while the port was
// free must be worth nothing afterwards.
func TestSessionsEndWithoutPeerCheck(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	r.options.peers = func() (*peers, error) { return nil, errors.New("not told") }
	r.restart()
	if res := r.get("/"); res.StatusCode != 401 {
		t.Errorf("the session of before: %s", res.Status)
	}
	if all, _ := r.store.All(); len(all) != 0 {
		t.Errorf("%d sessions are stored", len(all))
	}
	r.cookie = r.letIn("i1", r.host)
	if res := r.get("/"); res.body != "app" {
		t.Errorf("a new session: %s", res.Status)
	}
}

func TestEndSessions(t *testing.T) {
	arrived := make(chan struct{})
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/stream" {
			w.(http.Flusher).Flush()
			close(arrived)
			<-req.Context().Done()
		}
	})))
	c := r.dial()
	defer c.Close()
	_, _ = io.WriteString(c, r.lines("GET /stream"))
	<-arrived
	_, url, err := r.g.Mint("i1")
	if err != nil {
		t.Fatal(err)
	}
	r.g.EndSessions("i1")
	if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the stream goes on")
	}
	if res := r.get("/"); res.StatusCode != 401 {
		t.Errorf("old session: %s", res.Status)
	}
	if res := r.get(strings.TrimPrefix(url, "http://"+r.host)); res.StatusCode != 403 {
		t.Errorf("old link: %s", res.Status)
	}
	if len(r.store.sessions) != 0 {
		t.Error("still stored")
	}
	r.restart()
	if res := r.get("/"); res.StatusCode != 401 {
		t.Errorf("after a restart: %s", res.Status)
	}
}

func TestSessionAges(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	for range 4 { // used now and then it lives on
		r.clock.advance(sessionAge - time.Hour)
		if res := r.get("/"); res.StatusCode != 200 {
			t.Fatal(res.Status)
		}
	}
	r.g.saveSessions()
	for _, s := range r.store.sessions {
		if r.clock.now().Sub(s.Used) > time.Hour {
			t.Errorf("use of %v not stored", s.Used)
		}
	}
	r.clock.advance(sessionAge + time.Hour)
	if res := r.get("/"); res.StatusCode != 401 {
		t.Errorf("unused for a month: %s", res.Status)
	}
	r.restart()
	if n := len(*r.g.site("i1").jar.sessions.Load()); n != 0 {
		t.Errorf("%d old sessions restored", n)
	}
}

func TestSessionsBounded(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	for range maxSessions + 5 {
		r.clock.advance(time.Second)
		r.letIn("i1", r.host)
	}
	if n := len(*r.g.site("i1").jar.sessions.Load()); n != maxSessions {
		t.Errorf("%d sessions", n)
	}
	if res := r.get("/"); res.StatusCode != 401 {
		t.Errorf("the oldest is still good: %s", res.Status)
	}
}

func TestTurnedAway(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	res := r.raw("GET /secret HTTP/1.1\r\nHost: " + r.host + "\r\nConnection: close\r\n\r\n")
	if res.StatusCode != 401 || !strings.Contains(res.body, "tray") || res.Header.Get("Cache-Control") != "no-store" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%s %v %q", res.Status, res.Header, res.body)
	}
	if r.back.woken.Load() != 0 {
		t.Error("woken")
	}
	twice := r.raw("GET / HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: " + r.cookie + "; " + r.cookie + "\r\nConnection: close\r\n\r\n")
	if twice.Header.Get("Clear-Site-Data") != `"cookies"` {
		t.Error("a planted cookie keeps the user out for ever")
	}
	linked := r.raw("GET / HTTP/1.1\r\nHost: shell." + r.host + "\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nConnection: close\r\n\r\n")
	if linked.StatusCode != 401 || !strings.Contains(linked.body, `href="/"`) {
		t.Errorf("from a link: %s %q", linked.Status, linked.body)
	}
}

func TestRemove(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	r.g.Remove("i1")
	check := func(host string, status int, clears bool) {
		t.Helper()
		res := r.raw("GET / HTTP/1.1\r\nHost: " + host + "\r\nCookie: " + r.cookie + "\r\nConnection: close\r\n\r\n")
		if res.StatusCode != status || (res.Header.Get("Clear-Site-Data") == `"*"`) != clears {
			t.Errorf("%s %q", res.Status, res.Header.Get("Clear-Site-Data"))
		}
	}
	check(r.host, 410, true)
	check("shell."+r.host, 410, true)
	if r.g.Origin("i1") != "" || len(r.store.sessions) != 0 || r.back.woken.Load() != 0 {
		t.Error("something is left")
	}
	r.clock.advance(tombstoneAge - time.Hour)
	r.g.tidy()
	check(r.host, 410, true)
	r.clock.advance(2 * time.Hour)
	r.g.tidy()
	check(r.host, 421, false)

	r.g.Tombstone("late-abcdefgh", r.clock.now().Add(time.Hour))
	r.g.Tombstone("past-abcdefgh", r.clock.now().Add(-time.Hour))
	check("late-abcdefgh.localhost:"+r.g.port, 410, true)
	check("past-abcdefgh.localhost:"+r.g.port, 421, false)
	r.g.Remove("unknown")

	r.g.Set(r.app) // undone
	check(r.host, 401, false)
}

func TestSetRefusesLabels(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	for _, label := range []string{"", "-a", "a-", "A", "a.b", "a b", "ä", strings.Repeat("a", 64), "notes-abcdefgh"} {
		r.g.Set(App{Install: "i9", Label: label, Mode: ModeServer})
		if got := r.g.Origin("i9"); got != "" {
			t.Errorf("label %q is served at %s", label, got)
		}
	}
	if res := r.get("/"); res.body != "app" {
		t.Errorf("%s", res.Status)
	}
}

func TestHostPagesActions(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	form := func(body string, headers ...string) answer {
		t.Helper()
		r.clock.advance(time.Minute) // not what is tested here
		return r.raw(r.lines("POST /.paddock/act", append(headers, "Content-Type: application/x-www-form-urlencoded", "Content-Length: "+strconv.Itoa(len(body)))...) + body)
	}
	own := []string{"Origin: http://" + r.host, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}
	for _, row := range []struct {
		name, body string
		headers    []string
		status     int
		location   string
		acts       bool
	}{
		{"restart", "action=restart&to=/a?b=c", own, 303, "/a?b=c", true},
		{"start", "action=start", own, 303, "/", true},
		{"window", "action=ask_window&to=/a", own, 200, "", true},
		{"back elsewhere", "action=start&to=//evil.example", own, 303, "/", true},
		{"back to the host", "action=start&to=/.paddock/x", own, 303, "/", true},
		{"a tool", "action=start", nil, 303, "/", true},
		{"unknown action", "action=grant", own, 400, "", false},
		{"in the address", "", own, 400, "", false},
		{"another site", "action=start", []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 403, "", false},
		{"script of the page", "action=start", []string{"Origin: http://" + r.host, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}, 403, "", false},
		{"no origin", "action=start", own[1:], 403, "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.back.acts = nil
			res := form(row.body, row.headers...)
			if res.StatusCode != row.status || res.Header.Get("Location") != row.location || (len(r.back.acts) == 1) != row.acts {
				t.Errorf("%s to %q, acts %v", res.Status, res.Header.Get("Location"), r.back.acts)
			}
		})
	}
	if res := r.get("/.paddock/act?action=start"); res.StatusCode != 405 {
		t.Errorf("GET: %s", res.Status)
	}
	if res := r.raw("POST /.paddock/act HTTP/1.1\r\nHost: " + r.host + "\r\nContent-Length: 12\r\nConnection: close\r\n\r\naction=start"); res.StatusCode != 401 {
		t.Errorf("no session: %s", res.Status)
	}
	r.back.acts = nil
	limited := 0
	for range 10 {
		if r.raw(r.lines("POST /.paddock/act", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 12")+"action=start").StatusCode == 429 {
			limited++
		}
	}
	if limited < 6 || len(r.back.acts) != 10-limited {
		t.Errorf("%d of 10 refused, %d done", limited, len(r.back.acts))
	}
}

func TestReports(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	send := func(body string) answer {
		return r.raw(r.lines("POST /.paddock/csp-report", "Content-Type: application/csp-report", "Origin: http://"+r.host, "Sec-Fetch-Site: same-origin", "Content-Length: "+strconv.Itoa(len(body))) + body)
	}
	for _, row := range []struct {
		body, used string
		status     int
	}{
		{`{"csp-report":{"blocked-uri":"https://evil.example/x?y","effective-directive":"connect-src"}}`, "net:evil.example", 204},
		{`{"csp-report":{"blocked-uri":"http://evil.example","violated-directive":"img-src"}}`, "net:evil.example:80", 204},
		{`{"csp-report":{"blocked-uri":"wss://a.example:8443/s","effective-directive":"connect-src"}}`, "net:a.example:8443", 204},
		{`{"csp-report":{"blocked-uri":"inline","effective-directive":"script-src-elem"}}`, "browser:inline-script", 204},
		{`{"csp-report":{"blocked-uri":"inline","effective-directive":"style-src"}}`, "", 204},
		{`{"csp-report":{"blocked-uri":"eval","effective-directive":"script-src"}}`, "browser:eval", 204},
		{`{"csp-report":{"blocked-uri":"wasm-eval","effective-directive":"script-src"}}`, "browser:wasm", 204},
		{`{"csp-report":{"blocked-uri":"data","effective-directive":"connect-src"}}`, "", 204},
		{`{"csp-report":{"blocked-uri":"http://` + r.host + `/x","effective-directive":"frame-src"}}`, "", 204},
		{`{"csp-report":{"blocked-uri":"https://127.0.0.1/x","effective-directive":"connect-src"}}`, "", 204},
		{`[{"type":"csp-violation","body":{"blockedURL":"https://b.example/","effectiveDirective":"connect-src"}},{"type":"x","body":{"blockedURL":"https://c.example/"}}]`, "net:b.example", 204},
		{`not json`, "", 400},
		{`{"csp-report":{"blocked-uri":"https://` + strings.Repeat("a", 20000) + `"}}`, "", 413},
	} {
		r.clock.advance(time.Minute)
		r.back.used = nil
		res := send(row.body)
		want := ""
		if row.used != "" {
			want = "i1 page " + row.used + " false"
		}
		if got := strings.Join(r.back.used, ";"); res.StatusCode != row.status || got != want {
			t.Errorf("%.80s: %s, used %q, want %q", row.body, res.Status, got, want)
		}
	}
	t.Run("without cookies", func(t *testing.T) { // as Firefox sends them
		r.clock.advance(time.Minute)
		const body = `{"csp-report":{"blocked-uri":"eval"}}`
		own := []string{"Origin: http://" + r.host, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: report"}
		for _, row := range []struct {
			headers []string
			status  int
		}{
			{own, 204},
			{own[1:], 401},
			{own[:3], 401},
			{[]string{own[0], "Sec-Fetch-Dest: report"}, 401},
			{append([]string{"Origin: http://other-abcdefgh.localhost:" + r.g.port}, own[1:]...), 403},
			{[]string{own[0], "Sec-Fetch-Site: cross-site", own[3]}, 403},
		} {
			res := r.raw("POST /.paddock/csp-report HTTP/1.1\r\nHost: " + r.host + "\r\nConnection: close\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n" + strings.Join(row.headers, "\r\n") + "\r\n\r\n" + body)
			if res.StatusCode != row.status {
				t.Errorf("%q: %s, want %d", row.headers, res.Status, row.status)
			}
		}
	})
	refused := 0
	for range 80 {
		if send(`{"csp-report":{"blocked-uri":"eval"}}`).StatusCode == 429 {
			refused++
		}
	}
	if refused == 0 {
		t.Error("reports without end")
	}
	if r.back.woken.Load() != 0 {
		t.Error("woken")
	}
}

func TestIcon(t *testing.T) {
	r := newRig(t, nil, func(a *App) { a.Icon, a.IconMIME = []byte("<svg/>"), "image/svg+xml" })
	res := r.raw("GET /.paddock/icon HTTP/1.1\r\nHost: " + r.host + "\r\nConnection: close\r\n\r\n")
	if res.StatusCode != 200 || res.body != "<svg/>" || res.Header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("%s %v %q", res.Status, res.Header, res.body)
	}
	if res := r.raw("GET / HTTP/1.1\r\nHost: " + r.host + "\r\nConnection: close\r\n\r\n"); !strings.Contains(res.body, `src="/.paddock/icon"`) {
		t.Error("not on the page")
	}
	r.app.IconMIME = "text/html"
	r.g.Set(r.app)
	if res := r.get("/.paddock/icon"); res.StatusCode != 404 {
		t.Errorf("an icon of another type: %s", res.Status)
	}
}

func TestListenAddresses(t *testing.T) {
	for _, bad := range []string{"0.0.0.0:0", "192.0.2.1:80", "localhost:0", "127.0.0.1", "[::]:0", "127.0.0.1:99999", "[::1%lo]:0"} {
		if g, err := Listen(Options{Addr: bad, Backend: &backend{}}); err == nil {
			_ = g.Close()
			t.Errorf("%s taken", bad)
		}
	}
	g, err := Listen(Options{Backend: &backend{}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	port := g.port
	if n := len(port); n != 5 || port >= strconv.Itoa(ephemeralStart()) || !strings.HasPrefix(g.Addr(), "127.0.0.1:") {
		t.Errorf("address %s, ephemeral ports from %d", g.Addr(), ephemeralStart())
	}
	if held, why := g.IPv6(); held {
		if _, err := net.Listen("tcp", "[::1]:"+port); err == nil {
			t.Error("::1 can be taken")
		}
	} else if why == "" {
		t.Error("no reason given")
	}

	store := &memory{}
	_ = store.Put(Session{Hash: [32]byte{1}, Install: "i1"})
	_ = store.Put(Session{Hash: [32]byte{2}, Install: "i2"})
	_, err = Listen(Options{Addr: g.Addr(), Backend: &backend{}, Sessions: store})
	taken := new(AddrInUseError)
	if !errors.As(err, &taken) || taken.Addr != g.Addr() || !strings.Contains(err.Error(), "in use by") {
		t.Errorf("%v", err)
	}
	if len(store.sessions) != 0 {
		t.Error("sessions outlive the loss of the port")
	}
}

// TestOtherFamilyTaken: the port is not used when somebody else has it on ::1.
func TestOtherFamilyTaken(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_, err = Listen(Options{Addr: "127.0.0.1:" + port, Backend: &backend{}})
	if taken := new(AddrInUseError); !errors.As(err, &taken) || taken.Addr != "[::1]:"+port {
		t.Errorf("%v", err)
	}
	free, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		t.Errorf("the IPv4 side is still held: %v", err)
	} else {
		_ = free.Close()
	}
}

func TestBothFamiliesServe(t *testing.T) {
	r := newRig(t, serveApp(t, hello("app")))
	if held, why := r.g.IPv6(); !held {
		t.Fatalf("no ::1 here: %s", why)
	}
	c, err := net.Dial("tcp", "[::1]:"+r.g.port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, r.lines("GET /"))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != 200 {
		t.Errorf("%v %v", res, err)
	}
}
