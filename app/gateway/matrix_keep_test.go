package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"paddock/app/e2e/browser"
)

// session returns the browser's session cookies of an app.
func (s *scene) session(t *testing.T, label string) (all []browser.Cookie) {
	t.Helper()
	for _, c := range s.b.Cookies(t) {
		if c.Name == cookiePrefix+label && c.Domain == label+".localhost" {
			all = append(all, c)
		}
	}
	return all
}

// cookies tries to read, plant and widen cookies, between apps and ports.
func (s *scene) cookies(t *testing.T) {
	door := s.enter(t, "i1")
	label := s.r.app.Label
	have := s.session(t, label)
	if len(have) != 1 || !have[0].HTTPOnly || !strings.EqualFold(have[0].SameSite, "strict") {
		t.Fatalf("session %+v", have)
	}
	if got := door.Try(`document.cookie`); strings.Contains(got, cookiePrefix) {
		t.Errorf("the page reads %q", got)
	}
	if got := s.enter(t, "i2").Try(`(async () => (await fetch("/post", {method: "POST"})).text())()`); strings.Contains(got, cookiePrefix) {
		t.Errorf("another app is sent %q", got)
	}

	// Cookies know no ports (RFC 6265, section 8.5): a server at another port of the app's name is sent the session.
	// Whoever runs it as another user cannot connect to the front door with it (TestStranger).
	port := s.b.Open(t, "http://"+label+".localhost:"+s.outside+"/")
	if got := port.Try(`document.querySelector("#cookies").textContent`); !strings.Contains(got, cookiePrefix+label+"=") {
		t.Errorf("another port of the name is sent %q: say so in doc.go", got)
	}
	if got := s.b.Open(t, "http://evil.localhost:"+s.outside+"/").Try(`document.querySelector("#cookies").textContent`); strings.Contains(got, cookiePrefix) {
		t.Errorf("another name is sent %q", got)
	}

	// What such a server plants lets nobody in, and the next link works.
	tab := s.b.Open(t, "")
	for _, planted := range []string{
		cookiePrefix + label + "=" + strings.Repeat("B", 43) + "; Path=/; HttpOnly; SameSite=Strict",
		cookiePrefix + label + "=x; Path=/app.js",
		cookiePrefix + label + "=x; Path=/; Domain=" + label + ".localhost",
		cookiePrefix + "other-abcdefgh=x; Path=/",
	} {
		s.b.Open(t, "http://"+label+".localhost:"+s.outside+"/?cookie="+url.QueryEscape(planted))
		if err := tab.Navigate("http://" + s.r.host + "/"); err != nil {
			t.Fatal(err)
		}
		if !wait(reachTime, func() bool {
			return !slices.ContainsFunc(s.session(t, label), func(c browser.Cookie) bool { return c.Value == "x" || c.Value == strings.Repeat("B", 43) })
		}) {
			t.Errorf("it stays: %s", planted)
		}
		p := s.reenter(t, tab, "i1")
		p.Until("the app works after "+planted, `document.querySelector("#p") !== null && window.ran === 1`)
		if all := s.session(t, label); slices.ContainsFunc(all, func(c browser.Cookie) bool { return c.Value == strings.Repeat("B", 43) }) {
			t.Errorf("the planted session stays: %+v", all)
		}
	}

	// What the app itself sets stays with it.
	d := doc{text: "<!doctype html><p id=p>", header: http.Header{"Set-Cookie": {
		"wide=1; Domain=localhost; Path=/", "wider=1; Domain=" + label + ".localhost; Path=/", cookiePrefix + label + "=app; Path=/", cookiePrefix + "other-abcdefgh=app", "fine=1; Path=/",
	}}}
	s.docs.Store("set-cookie", d)
	before := s.session(t, label)
	door = s.reenter(t, tab, "i1")
	if got := door.Try(`(async () => { await fetch("/doc/set-cookie"); return document.cookie })()`); !strings.Contains(got, "fine=1") || strings.Contains(got, "wide") {
		t.Errorf("the app set %q", got)
	}
	if after := s.session(t, label); len(after) != len(before) || slices.ContainsFunc(after, func(c browser.Cookie) bool { return c.Value == "app" }) {
		t.Errorf("session %+v before, %+v after", before, after)
	}
	if got := s.b.Open(t, s.bare+"/").Try(`(async () => { await fetch("/doc/set-cookie"); return document.cookie })()`); !strings.Contains(got, "paddock-"+label+"=app") {
		t.Errorf("the control set %q", got)
	}

	// An app cannot end its session by telling the browser to forget the site.
	s.docs.Store("clear", doc{text: "x", header: http.Header{"Clear-Site-Data": {`"cookies"`}}})
	const forget = `(async () => { document.cookie = "kept=1"; await fetch("/doc/clear"); return document.cookie.includes("kept=1") })()`
	control := s.b.Open(t, s.bare+"/")
	control.Try(forget)
	control.Until("the control's cookie is forgotten", `!document.cookie.includes("kept=1")`)
	if got, after := door.Try(forget), s.session(t, label); got != "true" || len(after) != len(before) {
		t.Errorf("forgotten by the app's wish: %s, session %+v", got, after)
	}
}

// back goes back to an app after its session has ended and its grants have changed: nothing of the page that was
// left is shown again.
func (s *scene) back(t *testing.T) {
	tab := s.b.Open(t, "")
	door := s.reenter(t, tab, "i1")
	control := s.b.Open(t, s.bare+"/")
	for _, p := range []*browser.Page{door, control} {
		browser.Eval[bool](p, `(window.mark = 1, document.title = "left", true)`)
	}
	for _, p := range []*browser.Page{tab, control} {
		if err := p.Navigate("http://evil.localhost:" + s.outside + "/"); err != nil {
			t.Fatal(err)
		}
	}
	s.r.g.EndSessions("i1")
	control.Back(1)
	control.Until("the control is shown again as it was left", `window.mark === 1`)
	tab.Back(1)
	tab.Until("the app's page is not", `location.host !== "evil.localhost:`+s.outside+`" && document.readyState === "complete" && document.title !== ""`)
	got := browser.Eval[string](tab, `String(window.mark) + " " + document.title`)
	if !strings.HasPrefix(got, "undefined Open ") { // the shell takes its frame out when it is left
		t.Errorf("shown is %s", got)
	}
}

// leftovers looks for what a removed app leaves in the browser, when it comes back under the same name.
func (s *scene) leftovers(t *testing.T) {
	const leave = `(async () => {
		localStorage.setItem("a", "1");
		document.cookie = "left=1; max-age=86400";
		await (await caches.open("c")).put("/kept", new Response("x"));
		await new Promise((ok, no) => { const r = indexedDB.open("d"); r.onsuccess = () => { r.result.close(); ok() }; r.onerror = no });
		await fetch("/cached.js");
		let worker = "registered";
		try { await navigator.serviceWorker.register("/sw.js") } catch (e) { worker = e.name }
		for (const script of [URL.createObjectURL(new Blob([""], {type: "text/javascript"})), "data:text/javascript,"])
			try { await navigator.serviceWorker.register(script); worker += " odd" } catch {}
		return worker })()`
	const found = `(async () => {
		await fetch("/cached.js");
		return [localStorage.getItem("a"), document.cookie.includes("left=1"), await caches.has("c"), (await indexedDB.databases()).length,
			(await navigator.serviceWorker.getRegistrations()).length].join() })()`
	tab := s.b.Open(t, "")
	door := s.reenter(t, tab, "i1")
	control := s.b.Open(t, s.bare+"/")
	if got := door.Try(leave); got != "SecurityError" && got != "TypeError" {
		t.Errorf("a service worker: %s", got)
	}
	if got := control.Try(leave); got != "registered" {
		t.Errorf("a service worker of the control: %s", got)
	}
	// While it is installed all of it is there.
	door = s.reenter(t, tab, "i1")
	if got := door.Try(found); got != "1,true,true,1,0" {
		t.Errorf("kept %s", got)
	}
	if got := control.Try(found); got != "1,true,true,1,1" {
		t.Errorf("the control kept %s", got)
	}
	if door, bare := s.arrived.count("cached.js door"), s.arrived.count("cached.js bare"); door != 1 || bare != 1 {
		t.Errorf("the kept script was fetched %d times, that of the control %d", door, bare)
	}

	s.r.g.Remove("i1")
	tab.Until("the open tab says so", `document.title.includes("removed")`)
	if err := tab.Navigate("http://" + s.r.host + "/"); err != nil {
		t.Fatal(err)
	}
	if got := browser.Eval[string](tab, "document.title"); !strings.Contains(got, "removed") {
		t.Errorf("after the end: %q", got)
	}
	s.r.g.Set(s.r.app)
	door = s.reenter(t, tab, "i1")
	if got := door.Try(found); got != ",false,false,0,0" {
		t.Errorf("left over: %s", got)
	}
	if n := s.arrived.count("cached.js door"); n != 2 {
		t.Errorf("the kept script was fetched %d times in all, want 2", n)
	}
	if got := control.Try(found); got != "1,true,true,1,1" {
		t.Errorf("of the control: %s", got)
	}
}
