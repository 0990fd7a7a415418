package gateway

import (
	"bufio"
	"context"
	"errors"
	"html"
	"io"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	formForm   = regexp.MustCompile(`<form method="post" action="([^"]*)">\s*<input type="hidden" name="action" value="([^"]*)">\s*<input type="hidden" name="to" value="([^"]*)">\s*<button[^>]*>([^<]*)</button>`)
	titleForm  = regexp.MustCompile(`<h1>([^<]*)</h1>`)
	buttonForm = regexp.MustCompile(`<button`)
)

// pressed is a button of a host page.
type pressed struct{ path, action, to, label string }

func buttonsOf(t *testing.T, page string) (all []pressed) {
	t.Helper()
	for _, m := range formForm.FindAllStringSubmatch(page, -1) {
		all = append(all, pressed{html.UnescapeString(m[1]), m[2], html.UnescapeString(m[3]), html.UnescapeString(m[4])})
	}
	if n := len(buttonForm.FindAllString(page, -1)); n != len(all) {
		t.Errorf("%d buttons, %d in forms", n, len(all))
	}
	return all
}

// TestHostPages is every page that the host shows by itself: its status, headers, words and buttons; and that the
// buttons do what they say, for the page that shows them and for nobody else.
func TestHostPages(t *testing.T) {
	frame := []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}
	state := func(e error) func(*rig) { return func(r *rig) { r.back.state = e } }
	asked := func(path string, headers ...string) func(*rig) answer {
		return func(r *rig) answer { return r.get(path, append(headers, frame...)...) }
	}
	crowded := func(change func(*rig, int)) func(*rig) answer {
		return func(r *rig) answer {
			change(r, 1)
			defer change(r, -1)
			return r.get("/page?a=b", frame...)
		}
	}
	silent := serveRaw(t, func(_ net.Conn, br *bufio.Reader) { _, _ = io.Copy(io.Discard, br) })
	odd := serveRaw(t, func(c net.Conn, _ *bufio.Reader) { _, _ = io.WriteString(c, "nonsense\r\n\r\n") })
	old := answerTimeout
	answerTimeout = 50 * time.Millisecond
	t.Cleanup(func() { answerTimeout = old })
	restart, back := "restart: Start it again", "/page?a=b"
	for _, row := range []struct {
		name    string
		before  func(*rig)
		ask     func(*rig) answer
		status  int
		title   string
		buttons []string
		retry   string
		wakes   bool // the app may be asked for
	}{
		{"of a state", state(&StateError{Code: "over_budget", Title: "Notes was stopped", Text: "It used too much.", Actions: []Action{{"restart", "Start it again"}, {"ask_window", "Change its limits"}}}), nil, 503, "Notes was stopped", []string{restart, "ask_window: Change its limits"}, "", true},
		{"of a state that asks", state(&StateError{Code: "needs_permission", Status: 403, Title: "Notes needs your answer", Actions: []Action{{"ask_window", "Review permissions"}}}), nil, 403, "Notes needs your answer", []string{"ask_window: Review permissions"}, "", true},
		{"of a state that passes", state(&StateError{Code: "failed", Title: "Notes keeps ending", RetryAfter: 2500 * time.Millisecond, Actions: []Action{{"restart", "Start it again"}}}), nil, 503, "Notes keeps ending", []string{restart}, "3", true},
		{"of an error", state(errors.New("secret")), nil, 503, "Notes could not be started", []string{"start: Try again"}, "", true},
		{"of a crowd that waits for a start", nil, crowded(func(r *rig, n int) { r.g.site("i1").waking.Add(int32(n * maxQueue)) }), 503, "Notes is starting", nil, "2", false},
		{"of a crowd that waits for answers", nil, crowded(func(r *rig, n int) {
			s := r.g.site("i1")
			for range maxOpen {
				if n > 0 {
					s.open <- struct{}{}
				} else {
					<-s.open
				}
			}
			s.queued.Add(int32(n * maxQueue))
		}), 503, "Notes is busy", []string{restart}, "2", false},
		{"of an app that says nothing", func(r *rig) { r.back.set("i1", silent) }, nil, 504, "Notes does not answer", []string{restart}, "", true},
		{"of an app that says nonsense", func(r *rig) { r.back.set("i1", odd) }, nil, 502, "Notes stopped answering", []string{restart}, "", true},
		{"of no app", nil, func(r *rig) answer {
			return r.raw("GET /page?a=b HTTP/1.1\r\nHost: other.localhost:" + r.g.port + "\r\nConnection: close\r\n\r\n")
		}, 421, "No app lives at this address", nil, "", false},
		{"of a removed app", func(r *rig) { r.g.Remove("i1") }, nil, 410, "This app was removed", nil, "", false},
		{"of a browser that is not let in", func(r *rig) { r.g.EndSessions("i1") }, nil, 401, "Open Notes from Paddock", nil, "", false},
		{"of a link that is spent", nil, func(r *rig) answer {
			return r.raw("GET /.paddock/open?t=" + strings.Repeat("A", 43) + " HTTP/1.1\r\nHost: shell." + r.host + "\r\nConnection: close\r\n\r\n")
		}, 403, "This link does not work any more", nil, "", false},
		{"of a proxy's request", nil, func(r *rig) answer { return r.raw(r.lines("GET http://"+r.host+"/", frame...)) }, 400, "This request is not for a web site", nil, "", false},
		{"of a method for proxies", nil, func(r *rig) answer { return r.raw(r.lines("TRACE /", frame...)) }, 405, "This is not possible here", nil, "", false},
		{"of a service worker", nil, asked("/sw.js", "Service-Worker: script"), 403, "Service workers are not possible", nil, "", false},
		{"of another site's request", nil, func(r *rig) answer {
			return r.get("/", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe")
		}, 403, "This request was refused", nil, "", false},
		{"of a path of the host's", nil, asked("/.paddock/nothing"), 404, "There is nothing here", nil, "", false},
		{"of a button's address", nil, asked("/.paddock/act"), 405, "There is nothing here", nil, "", false},
		{"of an unknown button", nil, func(r *rig) answer {
			return r.raw(r.lines("POST /.paddock/act", append(frame, "Origin: http://"+r.host, "Content-Type: application/x-www-form-urlencoded", "Content-Length: 12")...) + "action=grant")
		}, 400, "This button is not known", nil, "", false},
		{"of a broken body", nil, func(r *rig) answer {
			return r.raw(r.lines("POST /", append(frame, "Origin: http://"+r.host, "Transfer-Encoding: chunked")...) + "zz\r\n")
		}, 400, "This request was not understood", nil, "", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t, silent)
			if row.before != nil {
				row.before(r)
			}
			if row.ask == nil {
				row.ask = asked(back)
			}
			res := row.ask(r)
			title, got := "", []string{}
			if m := titleForm.FindStringSubmatch(res.body); m != nil {
				title = html.UnescapeString(m[1])
			}
			buttons := buttonsOf(t, res.body)
			for _, b := range buttons {
				got = append(got, b.action+": "+b.label)
				if b.path != actPath || b.to != back {
					t.Errorf("the button leads by %q to %q", b.path, b.to)
				}
			}
			if res.StatusCode != row.status || title != row.title || !slices.Equal(got, append([]string{}, row.buttons...)) || res.Header.Get("Retry-After") != row.retry {
				t.Errorf("%s, %q, buttons %q, retry after %q", res.Status, title, got, res.Header.Get("Retry-After"))
			}
			if !strings.Contains(res.body, "This page is from Paddock") || strings.Contains(res.body, "secret") {
				t.Errorf("page: %s", res.body)
			}
			checkHostHeaders(t, r, res)
			if woken := r.back.woken.Load() > 0; woken != row.wakes {
				t.Errorf("woken: %v", woken)
			}
			for _, b := range buttons {
				press(t, r, b)
			}
		})
	}
}

// checkHostHeaders looks at what is on every page of the host.
func checkHostHeaders(t *testing.T, r *rig, res answer) {
	t.Helper()
	h := res.Header
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Type": "text/html; charset=utf-8", "Cross-Origin-Resource-Policy": "same-origin", "X-Dns-Prefetch-Control": "off",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	csp := h.Get("Content-Security-Policy")
	ancestors := directive(csp, "frame-ancestors")
	for name, want := range map[string]string{
		"default-src": "'none'", "form-action": "'self'", "base-uri": "'none'", "img-src": "'self'", "style-src": hashSource(pageStyle), "script-src": hashSource(enterScript),
	} {
		if got := directive(csp, name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if ancestors != "'none'" && ancestors != "http://shell."+r.host {
		t.Errorf("frame-ancestors is %q", ancestors)
	}
	if len(res.Cookies()) > 0 || h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("headers %v", h)
	}
}

// press sends what a button does: from its page it works, and not from elsewhere, from a script, or too often.
func press(t *testing.T, r *rig, b pressed) {
	t.Helper()
	body := url.Values{"action": {b.action}, "to": {b.to}}.Encode()
	send := func(headers ...string) int {
		t.Helper()
		return r.raw(r.lines("POST "+b.path, append(headers, "Content-Type: application/x-www-form-urlencoded", "Content-Length: "+strconv.Itoa(len(body)))...) + body).StatusCode
	}
	done := func() int { r.back.mu.Lock(); defer r.back.mu.Unlock(); return len(r.back.acts) }
	own, elsewhere := "Origin: http://"+r.host, "Origin: http://shell."+r.host
	inFrame := []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}
	before := done()
	for name, headers := range map[string][]string{
		"another site":    append([]string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, inFrame...),
		"the shell":       append([]string{elsewhere, "Sec-Fetch-Site: same-site"}, inFrame...),
		"nowhere":         append([]string{"Origin: null", "Sec-Fetch-Site: cross-site"}, inFrame...),
		"a script":        {own, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"},
		"an old browser":  {"Origin: https://evil.example"},
		"without session": append([]string{own, "Sec-Fetch-Site: same-origin", "Cookie: " + r.cookie}, inFrame...), // twice: neither counts
	} {
		if got := send(headers...); got != 403 && got != 401 {
			t.Errorf("from %s: %d", name, got)
		}
	}
	if done() != before {
		t.Errorf("pressed from elsewhere, it did %q", r.back.acts)
	}
	r.clock.advance(time.Minute)
	want := map[string]int{"start": 303, "restart": 303, "ask_window": 200}[b.action]
	mine := append([]string{own, "Sec-Fetch-Site: same-origin"}, inFrame...)
	if got := send(mine...); got != want || done() != before+1 || r.back.acts[before] != "i1 "+b.action {
		t.Errorf("pressed: %d, did %q", got, r.back.acts)
	}
	last := 0
	for range 4 {
		last = send(mine...)
	}
	if last != 429 || done() > before+3 {
		t.Errorf("pressed again and again: %d, did %d times", last, done()-before)
	}
}

// TestHostPagesForScripts: a script is told the same in words.
func TestHostPagesForScripts(t *testing.T) {
	r := newRig(t, nil)
	r.back.wake = func(context.Context, string) (Upstream, error) {
		return nil, &StateError{Code: "x", Title: "Notes was stopped", Text: "It used <too> much.", Actions: []Action{{"restart", "Start it again"}}}
	}
	for _, headers := range [][]string{{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}, {"Accept: application/json"}} {
		res := r.get("/api", headers...)
		if res.StatusCode != 503 || res.body != "Notes was stopped\nIt used <too> much.\n" || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%q: %s %q %v", headers, res.Status, res.body, res.Header)
		}
	}
}
