package gateway

import (
	"fmt"
	"strings"
	"testing"

	"paddock/app/e2e/browser"
)

// intrusion is a way in which a page of another origin tries to reach an app.
type intrusion struct {
	name   string
	script string // URL is an address of the app
	byApp  bool   // the policy of another app's page, with every grant, lets it try
	// allowed says why it reaches the app, by where the page is; it must not when empty.
	allowed map[string]string
}

// Where a page is that tries to reach an app of another origin.
const (
	fromSite    = "another site"
	fromPort    = "another port of the same name" // the same site: the browser sends it the Strict cookie too
	fromAddress = "an address"
	fromApp     = "another app"
)

var intrusions = []intrusion{
	{name: "fetch", script: `fetch(URL, {credentials: "include"})`, byApp: true},
	{name: "post", script: `fetch(URL, {method: "POST", mode: "no-cors", credentials: "include", body: "x"})`, byApp: true},
	{name: "put", script: `fetch(URL, {method: "PUT", credentials: "include", headers: {"X-Own": "1"}})`, byApp: true},
	{name: "xhr", script: `(() => { const x = new XMLHttpRequest(); x.open("POST", URL); x.withCredentials = true; x.send("x") })()`, byApp: true},
	{name: "beacon", script: `navigator.sendBeacon(URL, "x")`, byApp: true},
	{name: "websocket", script: `new WebSocket(URL.replace("http", "ws"), "echo")`, byApp: true},
	{name: "eventsource", script: `new EventSource(URL, {withCredentials: true})`, byApp: true},
	{name: "image", script: `put(el("img", {src: URL}))`, byApp: true},
	{name: "audio", script: `put(el("audio", {src: URL, preload: "auto"})).load()`, byApp: true},
	{name: "font", script: `new FontFace("x", "url('" + URL + "')").load()`, byApp: true},
	{name: "script", script: `put(el("script", {src: URL}))`},
	{name: "module", script: `put(el("script", {src: URL, type: "module"}))`},
	{name: "stylesheet", script: `head(el("link", {rel: "stylesheet", href: URL}))`},
	{name: "preload", script: `head(el("link", {rel: "preload", as: "fetch", href: URL}))`},
	{name: "prefetch", script: `head(el("link", {rel: "prefetch", href: URL}))`},
	{name: "frame", script: `put(el("iframe", {src: URL}))`},
	{name: "frame-sandbox", script: `put(el("iframe", {sandbox: "allow-scripts", src: URL}))`},
	{name: "object", script: `put(el("object", {data: URL}))`},
	{name: "embed", script: `put(el("embed", {src: URL}))`},
	{name: "form-in-frame", script: `(put(el("iframe", {name: "post " + URL})), submit({action: URL, method: "post", target: "post " + URL}))`},
	{name: "form-get-in-frame", script: `(put(el("iframe", {name: "get " + URL})), submit({action: URL, target: "get " + URL}))`},
	{name: "form-in-window", script: `submit({action: URL, method: "post", target: "_blank"})`},
	{name: "window", script: `window.opened = open(URL)`, byApp: true},
}

// intrude lets pages of other origins try to reach the app, with the browser let in there.
func (s *scene) intrude(t *testing.T) {
	s.enter(t, "i1")
	reached := func(row, from, side string) bool {
		return s.arrived.count(row+"-"+strings.ReplaceAll(from, " ", "-")+" "+side) > 0
	}
	pages := map[string]*browser.Page{
		fromSite:    s.b.Open(t, "http://"+evilSite+":"+s.outside+"/"),
		fromPort:    s.b.Open(t, "http://"+s.r.app.Label+".localhost:"+s.outside+"/"),
		fromAddress: s.b.Open(t, "http://127.0.0.1:"+s.outside+"/"),
		fromApp:     s.enter(t, "i2"),
	}
	tried := func(row intrusion, from string) bool { return from != fromApp || row.byApp }
	for from, page := range pages {
		for _, row := range intrusions {
			if !tried(row, from) {
				continue
			}
			for _, origin := range []string{"http://" + s.r.host, s.bare} {
				url := origin + "/hit/" + row.name + "-" + strings.ReplaceAll(from, " ", "-")
				browser.Act[bool](page, fmt.Sprintf(`((URL) => { %s (async () => { try { await (%s) } catch {} })(); return true })(%q)`, aids, row.script, url))
			}
		}
	}
	for from, page := range pages {
		for _, row := range intrusions {
			if !tried(row, from) {
				continue
			}
			t.Run(row.name+" from "+from, func(t *testing.T) {
				if !wait(reachTime, func() bool { return reached(row.name, from, "bare") }) {
					t.Errorf("the control does not arrive; the page is %s", page.Try("location.href"))
				}
				if why := row.allowed[from]; why != "" && !wait(reachTime, func() bool { return reached(row.name, from, "door") }) {
					t.Errorf("does not arrive, though the row says that %s", why)
				}
			})
		}
		// The app's opener policy cuts the opened window off (the last one opened is the control, which is not, unless
		// the page has such a policy itself).
		if from == fromApp {
			continue
		}
		page.Until("the control can be looked at from outside", `window.opened.closed === false`)
		browser.Act[bool](page, fmt.Sprintf(`(window.opened = open(%q), true)`, "http://"+s.r.host+"/"))
		page.Until("the window with the app is cut off", `window.opened === null || window.opened.closed`)
	}
	for from := range pages {
		for _, row := range intrusions {
			if row.allowed[from] == "" && reached(row.name, from, "door") {
				t.Errorf("%s from %s: reached the app", row.name, from)
			}
		}
	}
}

// rebind reaches the front door's port under every name that is not an app's, as a name that was rebound does: a
// page there is of one origin with whatever answers.
func (s *scene) rebind(t *testing.T) {
	s.enter(t, "i1")
	bare := s.bare[strings.LastIndexByte(s.bare, ':')+1:]
	for _, name := range []string{evilSite, "127.0.0.1", "[::1]", "localhost", "a." + s.r.app.Label + ".localhost"} {
		p := s.b.Open(t, "http://"+name+":"+s.r.g.port+"/")
		got := p.Try(`(async () => { const r = await fetch("/hit/rebind"); return r.status + " " + (await r.text()).includes("secret") })()`)
		if title := browser.Eval[string](p, "document.title"); got != "refused: TypeError" || !strings.HasPrefix(title, "No app lives") {
			t.Errorf("%s: %s, %s", name, title, got)
		}
		if name == evilSite {
			p := s.b.Open(t, "http://"+name+":"+bare+"/")
			if got := p.Try(`(async () => (await (await fetch("/hit/rebind")).text()).includes("secret"))()`); got != "true" {
				t.Errorf("the control is told %s", got)
			}
		}
	}
	if s.arrived.count("rebind door") > 0 {
		t.Error("reached the app")
	}
}

// links are one-use links in the hands of another site: seen, they cannot be used by anything but a tab, and once.
func (s *scene) links(t *testing.T) {
	url, _, err := s.r.g.Mint("i1")
	if err != nil {
		t.Fatal(err)
	}
	p := s.b.Open(t, "http://"+evilSite+":"+s.outside+"/")
	before := browser.Act[bool](p, fmt.Sprintf(`(async (URL) => { %s
		const settled = (e) => new Promise((ok) => { e.onload = e.onerror = () => ok() });
		await Promise.allSettled([fetch(URL), fetch(URL, {mode: "no-cors", credentials: "include"}), fetch(URL, {method: "HEAD", mode: "no-cors"})]);
		await Promise.all([settled(put(el("img", {src: URL}))), settled(put(el("iframe", {src: URL}))), settled(put(el("script", {src: URL})))]);
		head(el("link", {rel: "prefetch", href: URL}));
		return true })(%q)`, aids, url))
	if !before {
		t.Fatal("not tried")
	}
	const worthless = `document.title.includes("does not work any more")`
	s.b.Open(t, s.r.g.Origin("i2")+"/"+strings.SplitN(url, "/", 4)[3]).Until("worthless at another app", worthless)
	tab := s.b.Open(t, url)
	tab.At("http://"+s.r.host+"/").Until("the link still works for a tab", `document.querySelector("#p") !== null`)
	if err := tab.Navigate(url); err != nil {
		t.Fatal(err)
	}
	tab.Until("worthless a second time", worthless)
	guess := url[:strings.IndexByte(url, '=')+1] + strings.Repeat("A", 43)
	s.b.Open(t, guess).Until("a guess is worthless", worthless)
}

// hostPaths lets the app's own page, another app's and another site's use everything that is the host's.
func (s *scene) hostPaths(t *testing.T) {
	s.r.back.mu.Lock()
	s.r.back.acts = nil
	s.r.back.mu.Unlock()
	const script = `(async (ORIGIN) => {
		const seen = new Set(), all = [];
		for (const path of ["open", "open?t=" + "A".repeat(43), "act", "icon", "host", "ready", "grant", "permissions", "budget", "quit", "settings", "events", "banner", "enter", "control"])
			for (const method of ["GET", "POST", "PUT", "DELETE"])
				for (const action of path === "act" && method === "POST" ? ["restart", "start", "ask_window", "grant", "quit"] : ["grant"])
					all.push((async () => {
						const r = await fetch(ORIGIN + "/.paddock/" + path, {method, redirect: "manual", ...(method === "POST" && {body: new URLSearchParams({action, permission: "net:*"})})});
						if (r.ok && path !== "icon") seen.add(method + " " + path);
					})());
		await Promise.allSettled(all);
		return [...seen].join(", ") })`
	app, address := "http://"+s.r.host, "http://127.0.0.1:"+s.r.g.port
	for _, row := range []struct {
		from    string
		page    *browser.Page
		origins []string // its own policy keeps the first from the others
	}{
		{"its own page", s.enter(t, "i1"), []string{app}},
		{fromApp, s.enter(t, "i2"), []string{app, s.other, address}},
		{fromSite, s.b.Open(t, "http://"+evilSite+":"+s.outside+"/"), []string{app, address}},
	} {
		for _, origin := range row.origins {
			if got := row.page.Try(fmt.Sprintf("%s(%q)", script, origin)); got != "" {
				t.Errorf("%s at %s: answered are %s", row.from, origin, got)
			}
		}
	}
	s.r.back.mu.Lock()
	defer s.r.back.mu.Unlock()
	if len(s.r.back.acts) > 0 {
		t.Errorf("did %q", s.r.back.acts)
	}
}
