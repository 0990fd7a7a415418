package gateway

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"paddock/sandbox/permission"
)

// shellPrefix comes before an app's host in the host of its shell page, http://shell.LABEL.localhost:PORT.
//
// The name is below the app's own and not beside it, because the site of a page is its registrable domain, and that
// of *.localhost is LABEL.localhost (no entry of the public suffix list, so its rule "*" counts). So app and shell
// are one site: in the frame the app has its Strict cookies and the storage that it has in a tab. Two apps are not.
//
// A numeric address is a site of its own, all of its ports together. So the shell of an app with an own address is at
// another port of that, http://127.X.Y.Z:SHELLPORT; see shellPort.
const shellPrefix = "shell."

// shellOf returns the host of the shell of an app's host.
func shellOf(host string) string {
	name, port, _ := strings.Cut(host, ":")
	if strings.HasSuffix(name, ".localhost") {
		return shellPrefix + host
	}
	return name + ":" + shellPort(port)
}

// shellPort is the port of shell pages at own addresses where port is the front door's: its neighbour, so that it is
// kept as that is, and as little in the way of others. Below 1024 a program needs a privilege.
func shellPort(port string) string {
	n, err := strconv.Atoi(port)
	if err != nil {
		return port
	}
	if n > 1024 {
		return strconv.Itoa(n - 1)
	}
	return strconv.Itoa(n + 1)
}

// siteOfShell returns the app whose shell is at a host, or nil.
func (g *Gateway) siteOfShell(host string) *site {
	app, named := strings.CutPrefix(host, shellPrefix)
	if name, port, _ := strings.Cut(host, ":"); !named && port == shellPort(g.port) {
		app = name + ":" + g.port
	}
	if s := (*g.byHost.Load())[app]; s != nil && s.shellHost == host {
		return s
	}
	return nil
}

// framers are who may show an app's page in a frame, as frame-ancestors says it.
func framers(host string) string { return "http://" + shellOf(host) }

//go:embed shell.html
var shellText string

//go:embed shell.css
var shellStyle string

//go:embed shell.js
var shellScript string

var shellTemplate = template.Must(template.New("shell").Parse(headText + shellText))

// shellView is what shell.html is filled with.
type shellView struct {
	Head                                     head
	Name, App, Pass, Version, Sandbox, Allow string
	Script                                   template.JS
}

// shellPolicy is what the shell page of an app is made with. It follows from the grants, as the app's own headers do.
type shellPolicy struct {
	headers headerSet
	sandbox string // sandbox attribute of the frame
	allow   string // its allow attribute
	version string // differs when a tab has to load its page again
}

func newShellPolicy(allow permission.Set, host string) shellPolicy {
	app := "http://" + host
	p := shellPolicy{sandbox: strings.TrimPrefix(sandboxPolicy(allow), "sandbox "), allow: strings.Join(allow.PagePolicies(), "; ")}
	opener := "same-origin"
	if opensWindows(allow) {
		// With same-origin a window that the frame opens would have no opener, and window.open no result.
		opener = "same-origin-allow-popups"
	}
	p.headers = append(slices.Clip(slices.Clone(always)),
		line("Content-Security-Policy", "default-src 'none'; script-src "+hashSource(shellScript)+"; style-src "+hashSource(shellStyle)+
			"; img-src 'self'; connect-src 'self'; frame-src "+app+"; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"+
			"; require-trusted-types-for 'script'; trusted-types 'none'; report-uri "+reportPath),
		line("Permissions-Policy", featurePolicyFor(allow, `(self "`+app+`")`)),
		line("X-Frame-Options", "DENY"),
		line("Cross-Origin-Opener-Policy", opener),
		line("Cache-Control", "no-store"),
	)
	sum := sha256.Sum256([]byte(allow.String() + "\x00" + shellScript))
	p.version = base64.RawURLEncoding.EncodeToString(sum[:12])
	return p
}

// PagesCan says how the page of an app with no right to the network can still send something out of its frame; SHELL.md
// has the measurements. It is said wherever a person decides.
func PagesCan() []string {
	return []string{
		"A page can still send data out by WebRTC and by connecting ahead to a name, whatever you refuse here.",
		"A link in a page goes where it says when you yourself open it in a new tab or window.",
	}
}

// serveShell answers on the shell's origin. Only the host speaks there: nothing of the app is served, and what the
// app's page sends it, by a request or a message, counts for nothing.
func (g *Gateway) serveShell(w http.ResponseWriter, r *http.Request, s *site) {
	if s.removed() {
		g.showRemoved(w, r)
		return
	}
	if serviceWorker(r) {
		g.show(w, r, s, http.StatusForbidden, page{Title: "Service workers are not possible", Text: "Nothing can be installed here."})
		return
	}
	if why := crossOrigin(g, r, s.shellOrigin, false); why != "" {
		g.log.Debug("request to the shell refused", "app", s.install, "why", why)
		g.show(w, r, s, http.StatusForbidden, page{Title: "This request was refused", Text: "It did not come from this page: " + why + "."})
		return
	}
	cookies := readCookies(r.Header["Cookie"], s.cookie)
	switch path := pathOf(r); {
	case path == openPath:
		g.openApp(w, r, s, cookies)
	case path == iconPath:
		g.icon(w, r, s)
	case path == reportPath && reportedByBrowser(r, s.shellOrigin):
		g.report(w, r, s)
	case cookies.count != 1 || !s.jar.holds(cookies.session, g.now()):
		g.turnAway(w, r, s, cookies)
	case path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		if b, ok := g.backend.(Expecter); ok && topLevel(r) && !speculative(r) {
			b.Expect(s.install)
		}
		g.shellPage(w, s, cookies.session)
	case path == eventsPath && r.Method == http.MethodGet:
		g.events(w, r, s, cookies.session)
	case path == actPath:
		g.press(w, r, s)
	case path == reportPath:
		g.report(w, r, s)
	default:
		g.show(w, r, s, http.StatusNotFound, page{Title: "There is nothing here", Text: "This address belongs to Paddock, not to the app.", Link: "/", LinkLabel: "Go to " + s.name()})
	}
}

// shellPage is the page around the app's. It brings a pass with which its frame gets the same session.
func (g *Gateway) shellPage(w http.ResponseWriter, s *site, session string) {
	state := s.state.Load()
	p := state.policy.shell
	view := shellView{
		Name: s.name(), App: s.origin, Pass: s.passes.issue(session, g.now()), Version: p.version, Sandbox: p.sandbox, Allow: p.allow,
		Head: head{Title: s.name(), Style: template.CSS(shellStyle)}, Script: template.JS(shellScript), //nolint:gosec // constants
	}
	if len(state.app.Icon) > 0 {
		view.Head.Icon = iconPath
	}
	var body bytes.Buffer
	if err := shellTemplate.Execute(&body, view); err != nil {
		g.log.Error("shell page", "err", err)
	}
	h := w.Header()
	p.headers.apply(h)
	h["Content-Type"] = typeHTML
	h["Content-Length"] = []string{strconv.Itoa(body.Len())}
	_, _ = w.Write(body.Bytes())
}

// toShell answers a tab that wants to show the app's page by itself, out of the frame, where it could leave its
// origin: no code of the app runs there.
func (g *Gateway) toShell(w http.ResponseWriter, r *http.Request, s *site) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		g.show(w, r, s, http.StatusForbidden, page{Title: "This form cannot be sent from here", Text: s.name() + " works inside Paddock's page only. Nothing was sent to it.", Link: s.shellOrigin + "/", LinkLabel: "Go to " + s.name()})
		return
	}
	link := s.shellOrigin + "/#" + r.RequestURI
	switch {
	case pathOf(r) == openPath:
		link = s.shellOrigin + r.RequestURI // is spent there
	case reserved(r.RequestURI):
		link = s.shellOrigin + "/"
	}
	p := page{Title: "Opening " + s.name() + "…", Link: link, LinkLabel: "Continue", Enter: true}
	if from := r.Header.Get("Sec-Fetch-Site"); pathOf(r) != openPath && from != "none" && from != "same-origin" {
		// From here on the way is one within the site, and the Strict cookie goes along: the user shall want that.
		p = page{Title: "Open " + s.name() + "?", Text: "You came here from another site.", Link: link, LinkLabel: "Continue to " + s.name()}
	}
	g.show(w, r, s, http.StatusOK, p)
}

// enterFrame lets the frame of a shell page in: it gets the session of that page, and goes on to where it was led.
func (g *Gateway) enterFrame(w http.ResponseWriter, r *http.Request, s *site, cookies cookieRead) {
	if !frameNavigation(r) {
		g.show(w, r, s, http.StatusForbidden, page{Title: "This request was refused", Text: "It is for the frame of a Paddock page."})
		return
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		query = url.Values{}
	}
	session, ok := s.passes.spend(query.Get("t"), g.now())
	ok = ok && s.jar.holds(session, g.now())
	switch {
	case ok && (cookies.count != 1 || cookies.session != session):
		w.Header()["Set-Cookie"] = []string{s.setCookie(session)}
	case !ok && (cookies.count != 1 || !s.jar.holds(cookies.session, g.now())):
		g.turnAway(w, r, s, cookies)
		return
	}
	to := query.Get("to")
	if !strings.HasPrefix(to, "/") || !staysAt(to, s.origin) || reserved(to) {
		to = "/"
	}
	// A page again and no redirect: after one Firefox says that the frame was led here from another site.
	g.show(w, r, s, http.StatusOK, page{Title: "Opening " + s.name() + "…", Link: to, LinkLabel: "Continue", Enter: true})
}

// press does what a button in the shell's bar says. Unlike those on host pages it is out of reach for the app's page.
func (g *Gateway) press(w http.ResponseWriter, r *http.Request, s *site) {
	hostHeaders.apply(w.Header())
	if !posted(w, r) {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if status, err := g.do(r, s, r.PostFormValue("action")); err != nil {
		g.log.Debug("button in the bar", "app", s.install, "err", err)
		w.WriteHeader(status)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
