package gateway

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"paddock/app/e2e/browser"
)

// stage is one browser with an app in its shell, and a place outside that counts what arrives.
type stage struct {
	t     *testing.T
	kind  browser.Kind
	b     *browser.Browser
	r     *rig
	shell string // origin of the shell
	app   string // origin of the app

	outside string  // origin of a server that is not Paddock
	arrived landing // by what the request, packet or connection says it is
}

func newStage(t *testing.T, kind browser.Kind, change ...func(*App)) *stage {
	t.Helper()
	s := &stage{t: t, kind: kind}
	s.outside = "http://" + evilSite + ":" + serveHere(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.arrived.note(r.URL.RawQuery)
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>Elsewhere</title>")
	}))
	s.r = newRig(t, serveApp(t, http.HandlerFunc(s.serveApp)), change...)
	s.app = "http://" + s.r.host
	s.shell = "http://" + shellOf(s.r.host)
	s.b = browser.Start(t, kind, browser.Options{
		Names: []string{evilSite},
		Args: map[browser.Kind][]string{browser.Chromium: {
			"--allow-loopback-in-peer-connection", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
		}}[kind],
		Prefs: map[string]any{
			"media.peerconnection.ice.loopback": true, "media.navigator.streams.fake": true, "media.navigator.permission.disabled": true,
			"security.warn_submit_secure_to_insecure": false,
		},
	})
	return s
}

// serveApp is an ordinary app: pages, a script, a form, a stream, a socket, a file, a PDF.
func (s *stage) serveApp(w http.ResponseWriter, r *http.Request) {
	page := func(title string) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Set-Cookie", "own=1; Path=/")
		_, _ = fmt.Fprintf(w, `<!doctype html><title>%s</title><p style="color: rgb(1, 2, 3)" id="p">%[1]s<p><a id="next" href="/next">next</a>
<a id="save" href="/file" download>save</a> <input id="field"><form id="form" method="post" action="/form"><button>send</button></form>
<script src="/app.js"></script><script>window.inline = 1</script>`, title)
	}
	switch r.URL.Path {
	case "/", "/page", "/next":
		page("Hello " + r.URL.Path)
	case "/moved":
		http.Redirect(w, r, "/next", http.StatusFound)
	case "/form":
		page("Posted by " + r.Method)
	case "/app.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, `window.ran = 1; document.querySelector("#field").addEventListener("input", (e) => { window.typed = e.target.value })`)
	case "/worker.js":
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, `fetch("/post", {method: "POST"}).then((r) => r.text()).then(postMessage, (e) => postMessage(String(e)))`)
	case "/post":
		_, _ = fmt.Fprint(w, r.Method, " ", r.Header.Get("Cookie"))
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: event\n\n")
	case "/ws":
		echo(s.t).ServeHTTP(w, r)
	case "/file", "/pdf":
		s.arrived.note(r.URL.Path[1:])
		w.Header().Set("Content-Type", map[string]string{"/file": "application/octet-stream", "/pdf": "application/pdf"}[r.URL.Path])
		_, _ = io.WriteString(w, "%PDF-1.4")
	default:
		http.NotFound(w, r)
	}
}

// open opens the app as “paddock open” does, and returns the tab and the app's page in its frame.
func (s *stage) open() (tab, app *browser.Page) {
	s.t.Helper()
	url, _, err := s.r.g.Mint("i1")
	if err != nil {
		s.t.Fatal(err)
	}
	tab = s.b.Open(s.t, url)
	return tab, s.frame(tab, "/")
}

// frame waits until the app's page at a path is ready in the frame of a tab.
func (s *stage) frame(tab *browser.Page, path string) *browser.Page {
	s.t.Helper()
	var f *browser.Page
	await(s.t, "the app's page is ready at "+path, func() bool {
		f = tab.Frame(s.app + path)
		return f.Try("window.ran") == "1"
	})
	return f
}

// press clicks the first button of the bar until that has an effect: for the first frames after the bar came, browsers
// may hand clicks to what was in its place.
func (s *stage) press(tab *browser.Page, what, effect string) {
	s.t.Helper()
	await(s.t, what, func() bool {
		if browser.Eval[bool](tab, effect) {
			return true
		}
		tab.Click("header button")
		return browser.Eval[bool](tab, "new Promise((ok) => setTimeout(ok, 100)).then(() => "+effect+")")
	})
}

// grant gives the app exactly these rights.
func (s *stage) grant(list ...string) {
	s.t.Helper()
	s.r.app.Allow = grants(s.t, list...)
	s.r.g.Set(s.r.app)
}

const (
	tryEval = `(() => { try { return new Function('return 1')() } catch { return 'refused' } })()`
	// One of a stored number, then more: 1 where nothing was kept.
	countLocal = `String(localStorage.n = Number(localStorage.n || 0) + 1)`
	countDB    = `new Promise((ok, no) => { const q = indexedDB.open('d', 1); q.onerror = () => no(q.error); q.onupgradeneeded = () => q.result.createObjectStore('s');
		q.onsuccess = () => { const s = q.result.transaction('s', 'readwrite').objectStore('s'), g = s.get('k'); g.onsuccess = () => { const n = (g.result || 0) + 1; s.put(n, 'k').onsuccess = () => { q.result.close(); ok(String(n)) } } } })`
	countCache = `(async () => { const c = await caches.open('c'); await c.put('/k' + (await c.keys()).length, new Response('x')); return String((await c.keys()).length) })()`
)

// TestShell opens an app in its shell in both browsers: what a page must not do, it cannot; what people's apps do
// goes on working; the tab follows the grants, the app and its sessions.
func TestShell(t *testing.T) {
	for _, kind := range browser.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, kind)
			for _, part := range []struct {
				name string
				run  func(*testing.T)
			}{
				{"file", s.file},
				{"page", s.page},
				{"leave", s.leave},
				{"address", s.address},
				{"outside", s.outsideShell},
				{"grants", s.grants},
				{"bar", s.bar},
				{"end", s.end},
			} {
				t.Run(part.name, func(t *testing.T) {
					s.t = t
					part.run(t)
				})
			}
			if t.Failed() {
				complaints := slices.Compact(s.b.Console())
				t.Logf("the browser complains:\n%s", strings.Join(complaints[max(0, len(complaints)-40):], "\n"))
			}
		})
	}
}

// file opens the app as “paddock open” does where other users are not told apart: the browser is started with a file.
func (s *stage) file(t *testing.T) {
	link, _, err := s.r.g.Mint("i1")
	if err != nil {
		t.Fatal(err)
	}
	file, err := s.r.g.LinkFile(link)
	if err != nil {
		t.Fatal(err)
	}
	tab := s.b.Open(t, file)
	s.frame(tab, "/")
	if got := browser.Eval[string](tab, "location.origin + ' ' + document.referrer + ' ' + history.length"); !strings.HasPrefix(got, s.shell+"  ") {
		t.Errorf("the tab is %s", got)
	}
	if left := linkFilesIn(t, s.r); len(left) > 0 {
		t.Errorf("still there: %q", left)
	}
	tab.Close()
}

// page is what a page in the frame can do, and what not.
func (s *stage) page(t *testing.T) {
	tab, app := s.open()
	for _, row := range []struct{ name, script, want string }{
		{"address", "location.href", s.app + "/"},
		{"own script", "window.ran", "1"},
		{"inline script", "window.inline", "undefined"},
		{"inline style", "getComputedStyle(document.querySelector('#p')).color", "rgb(1, 2, 3)"},
		{"session not readable", "document.cookie", "own=1"},
		{"secure context", "isSecureContext", "true"},
		{"own post", "(await fetch('/post', {method: 'POST', body: 'x'})).text()", "POST own=1"},
		{"own stream", "new Promise((ok) => { const s = new EventSource('/events'); s.onmessage = (e) => { s.close(); ok(e.data) } })", "event"},
		{"own WebSocket", "new Promise((ok) => { const s = new WebSocket('/ws', 'echo'); s.onopen = () => s.send('hi'); s.onmessage = (e) => { ok(e.data); s.close() }; s.onerror = () => ok('refused') })", "hi"},
		{"own worker", "new Promise((ok) => { const w = new Worker('/worker.js'); w.onmessage = (e) => ok(e.data); w.onerror = () => ok('refused') })", "POST own=1"},
		{"image of data", "new Promise((ok) => { const i = new Image(); i.onload = () => ok('loaded'); i.onerror = () => ok('refused'); i.src = 'data:image/svg+xml,<svg xmlns=\"http://www.w3.org/2000/svg\"/>' })", "loaded"},
		{"fetch of a blob", "fetch(URL.createObjectURL(new Blob(['x']))).then((r) => r.text(), () => 'refused by connect-src')", "refused by connect-src"},
		{"fetch elsewhere", "fetch('" + s.outside + "/?fetch')", "refused: TypeError"},
		{"eval", tryEval, "refused"},
		{"window", "(() => { try { return open('" + s.outside + "/?window') } catch { return null } })()", "null"},
		{"frame of itself", "new Promise((ok) => { const f = document.createElement('iframe'); f.src = '/'; f.onload = () => { try { ok(f.contentDocument.title || 'nothing') } catch { ok('refused') } }; document.body.append(f) })", "refused"},
		{"service worker", "navigator.serviceWorker.register('/app.js').then(() => 'installed', () => 'refused')", "refused"},
		{"camera", "navigator.mediaDevices.getUserMedia({video: true}).then(() => 'seen', () => 'refused')", "refused"},
		{"whole screen", "document.fullscreenEnabled", "false"},
		{"host channel", "(await fetch('/.paddock/host')).status", "404"},
		{"button by script", "(await fetch('/.paddock/act', {method: 'POST', body: new URLSearchParams({action: 'restart'})})).status", "403"},
		{"shell by fetch", "fetch('" + s.shell + "/.paddock/events', {mode: 'no-cors', credentials: 'include'}).then(() => 'sent', () => 'refused')", "refused"},
		{"shell's document", "(() => { try { return parent.document.title } catch { return 'refused' } })()", "refused"},
		{"shell by message", "(parent.postMessage({version: 'x', bar: {title: 'x'}}, '*'), top.postMessage('reload', '*'), 'sent')", "sent"},
	} {
		if got := app.Try("(async () => " + row.script + ")()"); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	browser.Eval[bool](tab, "(window.kept = 1, true)")

	// What it stores is there after a reload, with the session.
	for round := 1; round <= 2; round++ {
		for _, script := range []string{countLocal, countDB, countCache} {
			if got := app.Try(script); got != fmt.Sprint(round) {
				t.Errorf("round %d of %.30s…: %s", round, script, got)
			}
		}
		browser.Eval[bool](tab, "(setTimeout(() => location.reload()), window.kept = 1, true)")
		tab.Until("loaded again", "document.readyState === 'complete' && window.kept === undefined")
		app = s.frame(tab, "/")
	}

	// Keys go to the app without a click, forms and files work, a PDF is saved.
	tab.Until("the frame has the keyboard", "document.activeElement.tagName === 'IFRAME'")
	app.Click("#field")
	app.Until("the click gives the keyboard", "document.activeElement.id === 'field' && document.hasFocus()")
	app.Click("#save")
	browser.Act[bool](app, "(setTimeout(() => location.href = '/pdf'), true)")
	await(t, "both files are asked for", func() bool { return s.arrived.count("file") > 0 && s.arrived.count("pdf") > 0 })
	app.Until("the page stays", "document.title === 'Hello /'")
	app.Click("#form button")
	s.frame(tab, "/form").Until("the form arrives", "document.title === 'Posted by POST'")
	if bar := browser.Eval[bool](tab, "document.querySelector('header').hidden"); !bar {
		t.Error("the bar shows something")
	}
}

// way is one by which a page without any right tries to get something out of its tab.
type way struct {
	name   string
	script string                  // E is where to
	barred bool                    // the shell says that the app wanted to leave
	open   map[browser.Kind]string // why it succeeds all the same
	none   map[browser.Kind]string // why there is nothing to try without the frame either
}

var (
	ways = []way{
		{name: "location", script: "location = E", barred: true},
		{name: "location of the parent", script: "(() => { try { parent.location = E } catch {} try { top.location = E } catch {} })()"},
		{name: "link", script: "a({href: E}).click()", barred: true},
		{name: "link to the top", script: "a({href: E, target: '_top'}).click()"},
		{name: "link to a window", script: "a({href: E, target: '_blank'}).click()", none: everywhere("the policy's sandbox is in the control too")},
		{name: "window", script: "open(E)", none: everywhere("the policy's sandbox is in the control too")},
		{name: "window of its own", script: "open(E, '_self')", barred: true},
		{name: "refresh", script: "document.head.append(Object.assign(document.createElement('meta'), {httpEquiv: 'refresh', content: '0; url=' + E}))", barred: true},
		{name: "download", script: "a({href: E, download: 'x'}).click()", barred: true},
		{name: "frame and back", script: "(() => { const f = document.createElement('iframe'); document.body.append(f); f.contentWindow.parent.location = E })()", barred: true},
		{name: "data", script: "location = 'data:text/html,<meta http-equiv=refresh content=\"0; url=' + E + '\">'", barred: true, none: everywhere("no browser lets a tab go to data:")},
		{name: "blob", script: "location = URL.createObjectURL(new Blob(['<meta http-equiv=refresh content=\"0; url=' + E + '\">'], {type: 'text/html'}))", barred: true},
		{
			name: "preconnect", script: "document.head.append(Object.assign(document.createElement('link'), {rel: 'preconnect', href: E}))",
			open: everywhere("no header that can be used binds names looked up and connected to ahead"),
		},
		{
			name: "webrtc", script: "(async () => { const c = window.c = new RTCPeerConnection({iceServers: [{urls: E}]}); c.createDataChannel('x'); await c.setLocalDescription(await c.createOffer()) })()",
			open: everywhere("no header that can be used binds WebRTC"),
		},
	}
	aid = "const a = (props) => { const e = Object.assign(document.createElement('a'), props); document.body.append(e); return e };"
)

// goal is where a way leads: requests are counted by their query, connections and packets by a listener of their own.
func (s *stage) goal(t *testing.T, name, side string) string {
	t.Helper()
	what := side + " " + name
	switch name {
	case "webrtc":
		return fmt.Sprintf("stun:127.0.0.1:%d", s.arrived.listenUDP(t, what))
	case "preconnect":
		return fmt.Sprintf("http://127.0.0.1:%d", s.arrived.listenTCP(t, what))
	}
	return s.outside + "/?" + strings.ReplaceAll(what, " ", "-")
}

// leave tries every way in the frame, and in a tab that has the same policy and no frame: the control.
func (s *stage) leave(t *testing.T) {
	tabPolicy := strings.Replace(newPolicy(grants(t), s.r.host).csp, "frame-ancestors "+s.shell, "frame-ancestors 'none'", 1)
	bare := "http://bare.localhost:" + serveHere(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", tabPolicy)
		s.serveApp(w, r)
	}))
	key := func(name, side string) string {
		if name == "webrtc" || name == "preconnect" {
			return side + " " + name
		}
		return strings.ReplaceAll(side+" "+name, " ", "-")
	}
	try := func(p *browser.Page, way way, side string) {
		browser.Act[bool](p, fmt.Sprintf("((E) => { %s setTimeout(() => { try { %s } catch (e) { window.threw = String(e) } }); return true })(%q)", aid, way.script, s.goal(t, way.name, side)))
	}
	tab, app := s.open()
	inTab := s.b.Open(t, "")
	for _, way := range ways {
		try(app, way, "frame")
		if way.none[s.kind] == "" {
			if err := inTab.Navigate(bare + "/"); err != nil {
				t.Fatal(err)
			}
			try(inTab, way, "tab")
			await(t, s.name(way)+" succeeds without the frame", func() bool { return s.arrived.count(key(way.name, "tab")) > 0 })
		}
		if way.barred {
			tab.Until(way.name+": the bar says so", "document.querySelector('header').innerText.includes('wanted to leave for')")
			if way.name == "location" || s.kind == browser.Firefox {
				s.press(tab, way.name+": the bar leads back", "document.querySelector('header').hidden")
				app = s.frame(tab, "/")
			}
			if s.kind == browser.Chromium { // over DevTools, a frame that showed an error page does not always answer again
				tab.Close()
				tab, app = s.open()
			}
		}
		if way.open[s.kind] != "" {
			await(t, s.name(way)+" succeeds in the frame", func() bool { return s.arrived.count(key(way.name, "frame")) > 0 })
		}
	}
	// Anything that was only slow has arrived before this.
	if got := app.Try("(async () => (await fetch('/post')).text())()"); got != "GET own=1" {
		t.Errorf("the page afterwards: %s", got)
	}
	t.Logf("%-24s %-10s in the frame  in a tab", "way out", "")
	for _, way := range ways {
		frame, tab := s.arrived.count(key(way.name, "frame")), s.arrived.count(key(way.name, "tab"))
		t.Logf("%-24s %-10s %-13d %d %s%s", way.name, s.kind, frame, tab, way.open[s.kind], way.none[s.kind])
		if way.open[s.kind] == "" && frame > 0 {
			t.Errorf("%s: %d got out", way.name, frame)
		}
	}
	await(t, "what left is in the activity", func() bool {
		s.r.back.mu.Lock()
		defer s.r.back.mu.Unlock()
		return slices.ContainsFunc(s.r.back.used, func(u string) bool {
			return u == "i1 page net:"+strings.TrimPrefix(s.outside, "http://")+" false"
		})
	})
}

func (s *stage) name(w way) string { return string(s.kind) + ", " + w.name }

// address: history, reload and addresses that lead into the app.
func (s *stage) address(t *testing.T) {
	tab, app := s.open()
	app.Click("#next")
	app = s.frame(tab, "/next")
	browser.Eval[bool](app, "(setTimeout(() => location.href = '/page?x=1#part'), true)")
	app = s.frame(tab, "/page?x=1")
	app.Until("the whole page runs", "window.ran === 1")
	tab.Back(1)
	s.frame(tab, "/next")
	tab.Back(1)
	s.frame(tab, "/")
	tab.Until("back at the start", "location.pathname === '/' && document.querySelector('iframe') !== null")

	for _, by := range []string{"location.href = '/moved'", "document.querySelector('#form').action = '/moved', document.querySelector('#form button').click()"} {
		app = s.frame(tab, "/")
		browser.Eval[bool](app, "(setTimeout(() => { "+by+" }), true)")
		s.frame(tab, "/next")
		tab.Back(1)
	}

	// A reload stays where the frame was; a link leads deep into the app.
	reload := func() {
		t.Helper()
		browser.Eval[bool](tab, "(setTimeout(() => location.reload()), window.kept = 1, true)")
		tab.Until("loaded again", "window.kept === undefined && document.readyState === 'complete'")
	}
	browser.Eval[bool](s.frame(tab, "/"), "(setTimeout(() => location.href = '/page?x=5'), true)")
	s.frame(tab, "/page?x=5")
	tab.Until("the tab knows where the frame is", "sessionStorage.getItem('at') === '/page?x=5'")
	reload()
	s.frame(tab, "/page?x=5")
	if err := tab.Navigate(s.shell + "/#/page?x=2"); err != nil {
		t.Log(err) // the same document: nothing is loaded
	}
	s.frame(tab, "/page?x=2")
	reload()
	s.frame(tab, "/page?x=2")
	if err := tab.Navigate(s.shell + "/#//" + strings.TrimPrefix(s.outside, "http://") + "/?elsewhere"); err != nil {
		t.Log(err)
	}
	s.frame(tab, "/")
	if n := s.arrived.count("elsewhere"); n != 0 {
		t.Error("the address led the frame elsewhere")
	}
}

// outsideShell: in a tab of its own the app's page is never shown, whoever leads there.
func (s *stage) outsideShell(t *testing.T) {
	s.open()
	tab := s.b.Open(t, s.app+"/page?x=3")
	tab.Until("the shell comes in its place", "location.href.startsWith('"+s.shell+"/#/page')")
	s.frame(tab, "/page?x=3")

	s.grant("browser:popups")
	tab, app := s.open()
	if got := app.Try("(() => { window.w = open('/next'); return w !== null })()"); got != "true" {
		t.Errorf("a window with the right to it: %s", got)
	}
	await(t, "the window shows the shell", func() bool { return slices.Contains(s.b.Tabs(t), s.shell+"/#/next") })
	if got := app.Try("(() => { try { return String(w.document.title) } catch { return 'refused' } })()"); strings.Contains(got, "Hello") {
		t.Errorf("the page reads its window: %s", got)
	}
	tab.Close()
	s.grant()
}

// grants change in an open tab: the new right works and the old one ends, there and in what a browser keeps to go
// back to.
func (s *stage) grants(t *testing.T) {
	tab, app := s.open()
	fresh := func() *browser.Page {
		for {
			f := s.frame(tab, "/")
			if f.Try("window.old") == "undefined" {
				return f
			}
		}
	}
	browser.Eval[bool](app, "(window.old = 1, true)")
	s.grant("browser:eval", "browser:camera", "browser:fullscreen")
	app = fresh()
	for script, want := range map[string]string{
		tryEval: "1", "document.fullscreenEnabled": "true",
		"navigator.mediaDevices.getUserMedia({video: true}).then((s) => (s.getTracks().forEach((t) => t.stop()), 'seen'), (e) => e.name)": "seen",
	} {
		if got := app.Try(script); got != want {
			t.Errorf("granted: %s gives %s, want %s", script, got, want)
		}
	}

	// A page that does not want to go: it has been clicked and asks before it is left.
	app.Click("#field")
	browser.Act[bool](app, "(addEventListener('beforeunload', (e) => { e.preventDefault(); e.returnValue = 'stay' }), window.old = 1, true)")
	revoked := time.Now()
	s.grant()
	app = fresh()
	t.Logf("%s: revoked in an open tab: the page with the new policy runs after %d ms", s.kind, time.Since(revoked).Milliseconds())
	if got := app.Try(tryEval); got != "refused" {
		t.Errorf("after the revoke: %s", got)
	}

	// Gone away, revoked, gone back.
	browser.Eval[bool](app, "(window.old = 1, true)")
	s.grant("browser:eval")
	app = fresh()
	browser.Eval[bool](app, "(window.old = 1, true)")
	if err := tab.Navigate(s.outside + "/?away"); err != nil {
		t.Fatal(err)
	}
	s.grant()
	revoked = time.Now()
	tab.Back(1)
	app = fresh()
	t.Logf("%s: back after a revoke: the page with the new policy runs after %d ms", s.kind, time.Since(revoked).Milliseconds())
	if got := app.Try(tryEval); got != "refused" {
		t.Errorf("back after the revoke: %s", got)
	}
}

// bar: what the host has to say is above the page, out of its reach.
func (s *stage) bar(t *testing.T) {
	tab, app := s.open()
	s.r.g.SetBanner("i1", &Banner{Title: "Notes asks for a permission", Text: "It would like to use net:example.org.", Actions: []Action{{"ask_window", "Review"}}})
	tab.Until("the bar shows it", "document.querySelector('header').innerText.includes('net:example.org')")
	if got := app.Try("document.body.innerText.includes('net:example.org')"); got != "false" {
		t.Errorf("the page shows it: %s", got)
	}
	s.press(tab, "the bar leads to the window", "document.querySelector('header').innerText.includes('Look for the Paddock window')")
	s.r.back.mu.Lock()
	if !slices.Contains(s.r.back.acts, "i1 ask_window") {
		t.Errorf("the button did %v", s.r.back.acts)
	}
	s.r.back.mu.Unlock()
	s.r.g.SetBanner("i1", nil)

	// An app that cannot answer: the host's page is in the frame, with its buttons.
	s.r.back.mu.Lock()
	s.r.back.state = &StateError{Code: "x", Title: "Notes used too much memory", Text: "It was ended.", Actions: []Action{{"restart", "Start it again"}, {"ask_window", "Change its limits"}}}
	s.r.back.mu.Unlock()
	browser.Eval[bool](app, "(setTimeout(() => location.href = '/page?x=4'), true)")
	f := tab.Frame(s.app + "/page?x=4")
	f.Until("the host's page says why", "document.body.innerText.includes('too much memory')")
	if got := f.Try("getComputedStyle(document.querySelector('button.first')).backgroundColor"); got != "rgb(47, 91, 234)" && got != "rgb(76, 125, 255)" {
		t.Errorf("the host page has no style: %s", got)
	}
	s.r.back.mu.Lock()
	s.r.back.state = nil
	s.r.back.mu.Unlock()
	await(s.t, "the app's page comes when its button is pressed", func() bool {
		f := tab.Frame(s.app + "/page?x=4")
		return f.Try("window.ran") == "1" || f.Try("document.querySelector('button.first').click()") == ""
	})
	s.r.back.mu.Lock()
	defer s.r.back.mu.Unlock()
	if !slices.Contains(s.r.back.acts, "i1 restart") {
		t.Errorf("the button did %v", s.r.back.acts)
	}
}

// end: sessions end in open tabs too, and a removed app leaves nothing behind.
func (s *stage) end(t *testing.T) {
	tab, _ := s.open()
	s.r.g.EndSessions("i1")
	tab.Until("the tab says how to get in again", "document.body.innerText.includes('Open Notes from Paddock')")

	tab, app := s.open()
	app.Try(countLocal)
	s.r.g.Remove("i1")
	tab.Until("the tab says that the app is gone", "document.body.innerText.includes('was removed')")
	if err := tab.Navigate(s.app + "/"); err != nil {
		t.Fatal(err)
	}
	tab.Until("storage and cookies are gone", "localStorage.length + document.cookie === '0'")
	await(t, "no session is left", func() bool {
		return !slices.ContainsFunc(s.b.Cookies(t), func(c browser.Cookie) bool { return strings.HasPrefix(c.Name, cookiePrefix) })
	})
}
