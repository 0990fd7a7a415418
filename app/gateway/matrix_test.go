package gateway

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"paddock/app/e2e/browser"
)

// The attack matrix: what a page, a site, another program's server and another app try in a real browser. Each
// attempt has a control, the same in the same browser against the same app without a front door, which must
// succeed, so that none is refused by accident.

// scene is one browser with everything that the attempts need.
type scene struct {
	t       *testing.T
	b       *browser.Browser
	r       *rig    // the front door with two apps: notes, which is attacked, and other
	arrived landing // "NAME door" or "NAME bare": what reached its goal behind the front door or without it
	outside string  // port of a server that is not Paddock, under every name that leads here
	bare    string  // origin of the app without a front door
	other   string  // origin of the other app
	docs    sync.Map
	netLog  string // folder in which the browser writes which names it resolves
}

// Names that lead to the machine itself beside *.localhost: sites of their own in the eyes of a browser.
const (
	evilSite = "evil.test"
	bareSite = "bare-abcdefgh.localhost"
)

// doc is a document of the app that a row asks for.
type doc struct {
	text   string // URL in it is where it must not lead
	kind   string // Content-Type, text/html when empty
	header http.Header
	status int
	far    map[string]string // FAR by side
}

func newScene(t *testing.T, kind browser.Kind) *scene {
	t.Helper()
	s := &scene{t: t}
	s.outside = serveHere(t, http.HandlerFunc(s.serveOutside))
	s.bare = "http://" + bareSite + ":" + serveHere(t, http.HandlerFunc(s.serveApp))
	up := serveApp(t, http.HandlerFunc(s.serveApp))
	s.r = newRig(t, up)
	s.r.back.set("i2", up)
	s.r.g.Set(App{
		Install: "i2", ID: "org.example.other", Label: "other-abcdefgh", Name: "Other", Mode: ModeServer,
		Allow: grants(t, "net:*", "links", "browser:popups", "browser:inline-script"), // as much as a page can have
	})
	s.other = s.r.g.Origin("i2")
	s.netLog = t.TempDir()
	options := browser.Options{Names: []string{evilSite}}
	switch kind {
	case browser.Chromium:
		options.Args = []string{"--allow-loopback-in-peer-connection", "--log-net-log=" + filepath.Join(s.netLog, "net.json")}
	case browser.Firefox:
		options.Env = []string{"MOZ_LOG=sync,nsHostResolver:4", "MOZ_LOG_FILE=" + filepath.Join(s.netLog, "net")}
		options.Prefs = map[string]any{
			"media.peerconnection.ice.loopback": true,
			// A form of a page of localhost, which counts as secure, to a site that is not makes Firefox ask first.
			"security.warn_submit_secure_to_insecure": false,
		}
	}
	s.b = browser.Start(t, kind, options)
	return s
}

// url is the address outside that a row's attempt must not reach; side is "door" or "bare".
func (s *scene) url(row, side string) string {
	site := evilSite
	if strings.HasSuffix(row, "speculation-rules") {
		site = "evil.localhost" // browsers prefetch from origins that count as secure only
	}
	return "http://" + site + ":" + s.outside + "/hit/" + row + "/" + side
}

func record(l *landing, r *http.Request, side string) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, "/hit/")
	if !ok {
		return false
	}
	row, told, _ := strings.Cut(rest, "/")
	if side == "" {
		side, _, _ = strings.Cut(told, "/")
	}
	l.note(row + " " + side)
	return true
}

// serveOutside is every server of the world that is not Paddock: a page to attack from, and places to reach.
func (s *scene) serveOutside(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	if record(&s.arrived, r, "") {
		h.Set("Content-Type", contentFor(r))
		return
	}
	for _, set := range r.URL.Query()["cookie"] {
		h.Add("Set-Cookie", set)
	}
	h.Set("Content-Type", "text/html")
	fmt.Fprintf(w, "<!doctype html><title>outside</title><pre id=cookies>%s</pre>", r.Header.Get("Cookie"))
}

// contentFor is the type that lets a browser use an empty answer.
func contentFor(r *http.Request) string {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "script", "worker", "sharedworker", "serviceworker":
		return "text/javascript"
	case "style":
		return "text/css"
	case "image":
		return "image/svg+xml"
	}
	return "text/html"
}

// serveApp is the app, behind the front door or bare.
func (s *scene) serveApp(w http.ResponseWriter, r *http.Request) {
	side := "bare"
	if r.Host == s.r.host {
		side = "door"
	}
	h := w.Header()
	// What would let others in, as an app could send it.
	h.Set("Access-Control-Allow-Origin", "*")
	if record(&s.arrived, r, side) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			echo(s.t).ServeHTTP(w, r)
			return
		}
		h.Set("Content-Type", contentFor(r))
		if strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
			h.Set("Content-Type", "text/event-stream")
		}
		_, _ = io.WriteString(w, "/* secret */")
		return
	}
	if row, ok := strings.CutPrefix(r.URL.Path, "/doc/"); ok {
		if found, ok := s.docs.Load(row); ok {
			d := found.(doc)
			if r.URL.RawQuery == "rules" {
				h.Set("Content-Type", "application/speculationrules+json")
				_, _ = fmt.Fprintf(w, `{"prefetch": [{"source": "list", "urls": [%q]}]}`, s.url(row, side))
				return
			}
			in := strings.NewReplacer("URL", s.url(row, side), "FAR", d.far[side])
			for name, values := range d.header {
				for _, v := range values {
					h.Add(name, in.Replace(v))
				}
			}
			h.Set("Content-Type", "text/html")
			if d.kind != "" {
				h.Set("Content-Type", d.kind)
			}
			w.WriteHeader(max(d.status, 200))
			_, _ = io.WriteString(w, in.Replace(d.text))
			return
		}
	}
	switch r.URL.Path {
	case "/":
		h.Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><title>Notes</title><p style="color: rgb(1, 2, 3)" id="p">Hello<script src="/app.js"></script><script>window.inline = 1</script>`)
	case "/app.js":
		h.Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, "window.ran = 1")
	case "/cached.js":
		s.arrived.note("cached.js " + side)
		h.Set("Content-Type", "text/javascript")
		h.Set("Cache-Control", "max-age=86400, immutable")
	case "/sw.js":
		h.Set("Content-Type", "text/javascript")
	case "/post":
		_, _ = fmt.Fprint(w, r.Method, " ", r.Header.Get("Cookie"))
	case "/ws":
		echo(s.t).ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

// reachTime bounds the wait for something that will arrive. Browsers prefetch when they have nothing else to do, which
// on a busy machine takes a while.
const reachTime = patience

// enter opens an app in a new tab by a fresh link, and returns the document in which its code runs.
func (s *scene) enter(t *testing.T, install string) *browser.Page {
	t.Helper()
	return s.reenter(t, s.b.Open(t, ""), install)
}

// reenter is enter in a tab that is there.
func (s *scene) reenter(t *testing.T, tab *browser.Page, install string) *browser.Page {
	t.Helper()
	url, _, err := s.r.g.Mint(install)
	if err != nil {
		t.Fatal(err)
	}
	if err := tab.Navigate(url); err != nil {
		t.Fatal(err)
	}
	p := tab.At(s.r.g.Origin(install) + "/")
	p.Until("the app's own page is there", `location.pathname === "/" && document.querySelector("#p") !== null && document.readyState === "complete"`)
	return p
}

// askedFor is the name of a host that exists nowhere and that only one row can ask for.
func (s *scene) askedFor(name string) string {
	return strings.ReplaceAll(name, " ", "-") + ".test"
}

// resolved reports whether the browser asked for the address of a name.
func (s *scene) resolved(name string) bool {
	logs, _ := filepath.Glob(filepath.Join(s.netLog, "*"))
	for _, log := range logs {
		if text, err := os.ReadFile(log); err == nil && bytes.Contains(text, []byte(name)) {
			return true
		}
	}
	return false
}

// TestMatrix runs every attempt in both browsers.
func TestMatrix(t *testing.T) {
	for _, kind := range browser.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			s := newScene(t, kind)
			t.Run("leave", s.leave)
			t.Run("intrude", s.intrude)
			t.Run("rebind", s.rebind)
			t.Run("links", s.links)
			t.Run("cookies", s.cookies)
			t.Run("host", s.hostPaths)
			t.Run("back", s.back)
			t.Run("leftovers", s.leftovers)
		})
	}
}
