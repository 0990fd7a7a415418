package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// chromium returns the browser for tests.
func chromium(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("PADDOCK_CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no Chromium found: run `make setup`, or set PADDOCK_CHROMIUM")
	return ""
}

// browse starts a headless browser with a new profile.
func browse(t *testing.T) context.Context {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.UserDataDir(shortDir(t)))
	ctx, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancelBrowser := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Log("end the browser:", err)
		}
		cancelBrowser()
		cancelAllocator()
	})
	return ctx
}

// tryEval runs after the developer tools' own call has ended, which the policy does not bind.
const tryEval = `new Promise((ok) => setTimeout(() => { try { ok(new Function('return 1')()) } catch { ok('refused') } }))`

// TestBrowser opens an app in a real Chromium and lets its page try what it must not.
func TestBrowser(t *testing.T) {
	var outside atomic.Int32
	evil := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		outside.Add(1)
		w.Header().Set("Access-Control-Allow-Origin", "*")
	})}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer evil.Close()
	go func() { _ = evil.Serve(l) }()
	elsewhere := "http://" + l.Addr().String()

	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/", "/page":
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Set-Cookie", "own=1; Path=/")
			_, _ = fmt.Fprint(w, `<!doctype html><title>Notes</title><p style="color: rgb(1, 2, 3)" id="p">Hello<script src="/app.js"></script><script>window.inline = 1</script>`)
		case "/app.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = fmt.Fprint(w, `window.ran = 1`)
		case "/post":
			_, _ = fmt.Fprint(w, req.Method, " ", req.Header.Get("Cookie"))
		case "/ws":
			echo(t).ServeHTTP(w, req)
		}
	})))
	url, _, err := r.g.Mint("i1")
	if err != nil {
		t.Fatal(err)
	}
	browser := browse(t)
	if err := chromedp.Do(browser); err != nil { // the browser lives as long as the context of the first call
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(browser, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#p"))); err != nil {
		t.Fatalf("open: %v; %s", err, r.log)
	}
	eval := func(script string) string {
		t.Helper()
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string]("(async () => { try { return String(await ("+script+")) } catch (e) { return 'refused' } })()", chromedp.EvalAwaitPromise))
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		return got
	}
	for _, row := range []struct{ name, script, want string }{
		{"address", "location.href", "http://" + r.host + "/"},
		{"nothing to go back to the link", "history.length <= 2", "true"},
		{"own script", "window.ran", "1"},
		{"inline script", "window.inline", "undefined"},
		{"inline style", "getComputedStyle(document.querySelector('#p')).color", "rgb(1, 2, 3)"},
		{"session not readable", "document.cookie", "own=1"},
		{"own post", "(await fetch('/post', {method: 'POST', body: 'x'})).text()", "POST own=1"},
		{"own WebSocket", "new Promise((ok) => { const s = new WebSocket('/ws', 'echo'); s.onopen = () => s.send('hi'); s.onmessage = (e) => { ok(e.data); s.close() }; s.onerror = () => ok('refused') })", "hi"},
		{"fetch elsewhere", "fetch('" + elsewhere + "/x')", "refused"},
		{"image elsewhere", "new Promise((ok) => { const i = new Image(); i.onload = () => ok('loaded'); i.onerror = () => ok('refused'); i.src = '" + elsewhere + "/i.png' })", "refused"},
		{"beacon elsewhere", "navigator.sendBeacon('" + elsewhere + "/b', 'x') && 'queued, then refused'", "queued, then refused"},
		{"socket elsewhere", "new Promise((ok) => { const s = new WebSocket('ws://" + l.Addr().String() + "/s'); s.onopen = () => ok('open'); s.onerror = () => ok('refused') })", "refused"},
		{"eval", tryEval, "refused"},
		{"window", "window.open('" + elsewhere + "/w')", "null"},
		{"frame of itself", "new Promise((ok) => { const f = document.createElement('iframe'); f.src = '/'; f.onload = () => { try { ok(f.contentDocument.title) } catch { ok('refused') } }; document.body.append(f) })", "refused"},
		{"service worker", "navigator.serviceWorker.register('/app.js')", "refused"},
		{"camera", "navigator.mediaDevices.getUserMedia({video: true})", "refused"},
		{"host channel", "(await fetch('/.paddock/host')).status", "404"},
		{"button by script", "(await fetch('/.paddock/act', {method: 'POST', body: new URLSearchParams({action: 'restart'})})).status", "403"},
		{"storage", "(localStorage.setItem('a', '1'), localStorage.getItem('a'))", "1"},
	} {
		if got := eval(row.script); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	if n := outside.Load(); n != 0 {
		t.Errorf("%d requests got out", n)
	}
	await(t, "the refusal is reported", func() bool {
		r.back.mu.Lock()
		defer r.back.mu.Unlock()
		return slices.ContainsFunc(r.back.used, func(s string) bool { return strings.Contains(s, "page browser:eval false") })
	})

	r.app.Allow = grants(t, "browser:eval", "browser:popups")
	r.g.Set(r.app)
	if err := chromedp.Do(ctx, chromedp.Reload(), chromedp.WaitVisible(chromedp.CSS("#p"))); err != nil {
		t.Fatal(err)
	}
	if got := eval(tryEval); got != "1" {
		t.Errorf("eval after the grant: %s", got)
	}
	if got := eval("window.open('about:blank') !== null"); got != "true" {
		t.Errorf("window after the grant: %s", got)
	}
	r.app.Allow = grants(t)
	r.g.Set(r.app)
	if err := chromedp.Do(ctx, chromedp.Reload(), chromedp.WaitVisible(chromedp.CSS("#p"))); err != nil {
		t.Fatal(err)
	}
	if got := eval(tryEval); got != "refused" {
		t.Errorf("eval after the revoke: %s", got)
	}

	r.back.mu.Lock()
	r.back.state = &StateError{Code: "x", Title: "Notes used too much memory", Text: "It was ended.", Actions: []Action{{"restart", "Start it again"}, {"ask_window", "Change its limits"}}}
	r.back.mu.Unlock()
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+r.host+"/page?x=1"), chromedp.WaitVisible(chromedp.CSS("button.first"))); err != nil {
		t.Fatal(err)
	}
	if got := eval("getComputedStyle(document.querySelector('button.first')).backgroundColor"); got != "rgb(47, 91, 234)" && got != "rgb(76, 125, 255)" {
		t.Errorf("the host page has no style: %s", got)
	}
	r.back.mu.Lock()
	r.back.state = nil
	r.back.mu.Unlock()
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS("button.first")), chromedp.WaitVisible(chromedp.CSS("#p"))); err != nil {
		t.Fatal(err)
	}
	r.back.mu.Lock()
	if !slices.Contains(r.back.acts, "i1 restart") {
		t.Errorf("the button did %v", r.back.acts)
	}
	r.back.mu.Unlock()
	if got := eval("location.pathname + location.search"); got != "/page?x=1" {
		t.Errorf("the button led to %s", got)
	}

	r.g.Remove("i1")
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+r.host+"/"), chromedp.WaitVisible(chromedp.CSS("h1"))); err != nil {
		t.Fatal(err)
	}
	await(t, "storage and cookies are gone", func() bool { return eval("localStorage.length + document.cookie") == "0" })
}
