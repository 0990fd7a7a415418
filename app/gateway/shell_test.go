package gateway

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// shellRig is a rig whose browser has been let into the shell.
type shellRig struct {
	*rig
	shell   string // Host of the shell
	session string // its cookie, name=value
}

func newShellRig(t *testing.T) *shellRig {
	t.Helper()
	r := &shellRig{rig: newRig(t, serveApp(t, hello("app")))}
	r.shell = "shell." + r.host
	link, _, err := r.g.Mint("i1")
	if err != nil {
		t.Fatal(err)
	}
	res := r.ask("GET", strings.TrimPrefix(link, "http://"+r.shell), r.shell)
	if res.StatusCode != 200 || len(res.Cookies()) != 1 {
		t.Fatalf("open: %s, %d cookies", res.Status, len(res.Cookies()))
	}
	r.session = res.Cookies()[0].Name + "=" + res.Cookies()[0].Value
	return r
}

func (r *shellRig) ask(method, path, host string, headers ...string) answer {
	r.t.Helper()
	return r.raw(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n")
}

var passOf = regexp.MustCompile(`data-pass="([^"]+)"`)

// pass loads the shell page and returns the pass for its frame.
func (r *shellRig) pass() string {
	r.t.Helper()
	m := passOf.FindStringSubmatch(r.ask("GET", "/", r.shell, "Cookie: "+r.session).body)
	if m == nil {
		r.t.Fatal("the shell page has no pass")
	}
	return m[1]
}

var inFrame = []string{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}

func TestShellPage(t *testing.T) {
	r := newShellRig(t)
	if res := r.ask("GET", "/", r.shell); res.StatusCode != 401 || strings.Contains(res.body, "data-pass") {
		t.Errorf("without a session: %s", res.Status)
	}
	if len(r.back.soon) > 0 {
		t.Errorf("a link or a stranger has %q started ahead", r.back.soon)
	}
	tab := []string{"Cookie: " + r.session, "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}
	for _, more := range []string{"Sec-Purpose: prefetch", "Purpose: prefetch"} {
		r.ask("GET", "/", r.shell, append(tab, more)...)
	}
	r.ask("HEAD", "/", r.shell, tab...)
	if len(r.back.soon) > 0 {
		t.Errorf("what is no tab has %q started ahead", r.back.soon)
	}
	res := r.ask("GET", "/", r.shell, tab...)
	if res.StatusCode != 200 || r.back.woken.Load() != 0 || len(r.back.soon) != 1 || r.back.soon[0] != "i1" {
		t.Errorf("%s, woken %d times, expected %q", res.Status, r.back.woken.Load(), r.back.soon)
	}
	csp := res.Header.Get("Content-Security-Policy")
	for name, want := range map[string]string{
		"default-src": "'none'", "frame-src": "http://" + r.host, "connect-src": "'self'", "form-action": "'none'", "base-uri": "'none'",
		"frame-ancestors": "'none'", "script-src": hashSource(shellScript), "style-src": hashSource(shellStyle), "trusted-types": "'none'",
	} {
		if got := directive(csp, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Frame-Options") != "DENY" || res.Header.Get("Cross-Origin-Opener-Policy") != "same-origin" {
		t.Errorf("headers %v", res.Header)
	}
	if !strings.Contains(res.body, `<script>`+shellScript+`</script>`) || !strings.Contains(res.body, `<style>`+shellStyle+`</style>`) {
		t.Error("script or style are not as their hashes say")
	}
	if strings.Contains(res.body, "allow-popups") || strings.Contains(res.body, "allow-top") {
		t.Error("the frame may more than the app")
	}
	r.app.Allow = grants(t, "browser:camera", "links")
	r.g.Set(r.app)
	res = r.ask("GET", "/", r.shell, "Cookie: "+r.session)
	if p := res.Header.Get("Permissions-Policy"); !strings.Contains(p, `camera=(self "http://`+r.host+`")`) || !strings.Contains(p, "microphone=()") {
		t.Errorf("features %s", p)
	}
	if !strings.Contains(res.body, `data-allow="camera`) || !strings.Contains(res.body, "allow-popups-to-escape-sandbox") || strings.Contains(res.body, "allow-top") {
		t.Error("the frame does not follow the grants")
	}

	// The shell's origin has nothing of the app, and nothing for its page.
	for _, path := range []string{"/app.js", "/.paddock/host", "/.paddock/enter", "/index.html", "//", "/.paddock"} {
		if res := r.ask("GET", path, r.shell, "Cookie: "+r.session); res.StatusCode != 404 {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	for _, headers := range [][]string{
		{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: empty"},
		{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Origin: http://" + r.host},
		{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"},
		{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"},
		{"Origin: http://" + r.host},
		{"Origin: null"},
	} {
		for _, path := range []string{"/", "/.paddock/events", "/.paddock/icon"} {
			if res := r.ask("GET", path, r.shell, append(headers, "Cookie: "+r.session)...); res.StatusCode != 403 {
				t.Errorf("%s with %q: %s", path, headers, res.Status)
			}
		}
	}
	r.g.Set(App{Install: "i7", Label: "shell", Mode: ModeServer})
	if res := r.ask("GET", "/", "shell.localhost:"+r.g.port); res.StatusCode != 401 || !strings.Contains(res.body, "tray") {
		t.Errorf("an app that is called shell: %s", res.Status)
	}
}

func TestEnterFrame(t *testing.T) {
	r := newShellRig(t)
	enter := func(query string, headers ...string) answer {
		t.Helper()
		return r.ask("GET", "/.paddock/enter?"+query, r.host, headers...)
	}
	pass := r.pass()
	if res := enter("t="+pass, "Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"); res.Header["Set-Cookie"] != nil {
		t.Error("a pass opens the app outside the frame")
	}
	if res := enter("t=" + pass); res.StatusCode != 403 || res.Header["Set-Cookie"] != nil {
		t.Errorf("a tool with a pass: %s", res.Status)
	}
	res := enter("t="+pass+"&to="+url.QueryEscape("/a?b=c#d"), inFrame...)
	if c := res.Cookies(); res.StatusCode != 200 || len(c) != 1 || c[0].Name+"="+c[0].Value != r.session || !strings.Contains(res.body, `href="/a?b=c#d"`) {
		t.Fatalf("%s %v", res.Status, res.Cookies())
	}
	if got := directive(res.Header.Get("Content-Security-Policy"), "frame-ancestors"); got != "http://"+r.shell {
		t.Errorf("frame-ancestors %s", got)
	}
	if res := enter("t="+pass, inFrame...); res.StatusCode != 401 || res.Header["Set-Cookie"] != nil {
		t.Errorf("a spent pass: %s", res.Status)
	}
	// With the session a pass is not needed, and it is not given anew.
	for query, to := range map[string]string{
		"to=/x": "/x", "t=wrong&to=/x": "/x", "t=" + r.pass() + "&to=/x": "/x", "": "/", "to=//evil.example": "/", "to=https://evil.example": "/", `to=/\evil.example`: "/", "to=/.paddock/act": "/", "to=x": "/",
	} {
		res := enter(query, append(inFrame, "Cookie: "+r.session)...)
		if res.StatusCode != 200 || res.Header["Set-Cookie"] != nil || !strings.Contains(res.body, `href="`+to+`"`) {
			t.Errorf("%q: %s, cookies %v, %q", query, res.Status, res.Cookies(), res.body)
		}
	}
	late := r.pass()
	r.clock.advance(tokenAge)
	if res := enter("t="+late, inFrame...); res.StatusCode != 401 {
		t.Errorf("a late pass: %s", res.Status)
	}
	first := r.pass()
	for range maxTokens {
		r.pass()
	}
	if res := enter("t="+first, inFrame...); res.StatusCode != 401 {
		t.Errorf("passes are without bound: %s", res.Status)
	}
	left := r.pass()
	r.g.EndSessions("i1")
	if res := enter("t="+left, inFrame...); res.StatusCode != 401 || res.Header["Set-Cookie"] != nil {
		t.Errorf("a pass of an ended session: %s", res.Status)
	}
	if r.back.woken.Load() != 0 {
		t.Error("the app was woken")
	}
}

// listen opens an event stream and returns what reads its next state.
func (r *shellRig) listen() (next func() (tabState, error)) {
	r.t.Helper()
	c := r.dial()
	r.t.Cleanup(func() { _ = c.Close() })
	_, _ = io.WriteString(c, "GET /.paddock/events HTTP/1.1\r\nHost: "+r.shell+"\r\nCookie: "+r.session+"\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		r.t.Fatalf("event stream: %v %v", res, err)
	}
	body := bufio.NewReader(res.Body)
	return func() (tabState, error) {
		for {
			text, err := body.ReadString('\n')
			if err != nil {
				return tabState{}, err
			}
			if data, ok := strings.CutPrefix(text, "data: "); ok {
				var s tabState
				return s, json.Unmarshal([]byte(data), &s)
			}
		}
	}
}

func TestTabEvents(t *testing.T) {
	r := newShellRig(t)
	next := r.listen()
	state := func() tabState {
		t.Helper()
		s, err := next()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	began := state()
	if began.Version == "" || began.Bar != nil {
		t.Errorf("at first %+v", began)
	}
	r.ask("GET", "/a?b", r.host, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe", "Cookie: "+r.session)
	if s := state(); s.Path != "/a?b" || s.Visit != began.Visit+1 || s.Version != began.Version {
		t.Errorf("after a visit %+v", s)
	}
	r.g.SetBanner("i1", &Banner{Title: "T", Text: "<b>", Actions: []Action{{"restart", "Start"}}})
	if s := state(); s.Bar == nil || s.Bar.Text != "<b>" || len(s.Bar.Actions) != 1 || s.Bar.Actions[0].Name != "restart" {
		t.Errorf("with a banner %+v", s)
	}
	r.g.SetBanner("i1", nil)
	if s := state(); s.Bar != nil {
		t.Errorf("without it %+v", s)
	}
	r.app.Allow = grants(t, "browser:eval")
	r.g.Set(r.app)
	if s := state(); s.Version == began.Version {
		t.Error("a grant does not change the version")
	}
	r.app.Allow = grants(t)
	r.g.Set(r.app)
	if s := state(); s.Version != began.Version {
		t.Error("the version is not that of the grants")
	}
	if n := len(r.g.site("i1").open); n != 0 {
		t.Errorf("the stream holds %d of the app's slots", n)
	}

	// More tabs than streams: they are told at once and ask again.
	for range maxStreams - 1 {
		if _, err := r.listen()(); err != nil {
			t.Fatal(err)
		}
	}
	more := r.listen()
	if s, err := more(); err != nil || s.Version != began.Version {
		t.Errorf("one tab more: %+v %v", s, err)
	}
	if _, err := more(); err == nil {
		t.Error("streams of one browser are without bound")
	}

	r.g.EndSessions("i1")
	if s := state(); s.Version != "" {
		t.Errorf("after the session %+v", s)
	}
	if _, err := next(); err == nil {
		t.Error("the stream goes on")
	}
	await(t, "no stream is left", func() bool {
		tabs := &r.g.site("i1").tabs
		tabs.mu.Lock()
		defer tabs.mu.Unlock()
		return tabs.streams == 0
	})
}

func TestPress(t *testing.T) {
	r := newShellRig(t)
	press := func(body string, headers ...string) int {
		t.Helper()
		return r.raw("POST /.paddock/act HTTP/1.1\r\nHost: " + r.shell + "\r\nCookie: " + r.session + "\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
			strings.Join(append(headers, ""), "\r\n") + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body).StatusCode
	}
	own := []string{"Origin: http://" + r.shell, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}
	for _, row := range []struct {
		body    string
		headers []string
		status  int
	}{
		{"action=restart", own, 204},
		{"action=ask_window", own, 204},
		{"action=grant", own, 400},
		{"", own, 400},
		{"action=restart", []string{"Origin: http://" + r.host, "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: empty"}, 403},
		{"action=restart", []string{"Origin: null", "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, 403},
		{"action=restart", []string{"Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: empty"}, 403},
	} {
		r.clock.advance(time.Minute)
		if got := press(row.body, row.headers...); got != row.status {
			t.Errorf("%q from %q: %d, want %d", row.body, row.headers, got, row.status)
		}
	}
	if got := strings.Join(r.back.acts, ", "); got != "i1 restart, i1 ask_window" {
		t.Errorf("acts %s", got)
	}
	limited := false
	for range 10 {
		limited = limited || press("action=restart", own...) == 429
	}
	if !limited {
		t.Error("buttons have no limit")
	}
}
