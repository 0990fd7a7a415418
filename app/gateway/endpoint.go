package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The host's own paths.
const (
	openPath   = hostPrefix + "open"
	enterPath  = hostPrefix + "enter"  // on the app's origin, for the shell's frame
	eventsPath = hostPrefix + "events" // on the shell's origin
	actPath    = hostPrefix + "act"
	iconPath   = hostPrefix + "icon"
	reportPath = hostPrefix + "csp-report"
)

// hostPath answers everything below /.paddock/. Nothing here changes a grant, a budget or a setting
// (security.md, rule 1), and none of it is ever proxied.
func (g *Gateway) hostPath(w http.ResponseWriter, r *http.Request, s *site, cookies cookieRead) {
	path := pathOf(r)
	switch path {
	case openPath:
		g.openApp(w, r, s, cookies)
		return
	case enterPath:
		g.enterFrame(w, r, s, cookies)
		return
	case iconPath:
		g.icon(w, r, s)
		return
	case reportPath:
		if reportedByBrowser(r, s.origin) {
			g.report(w, r, s)
			return
		}
	}
	if cookies.count != 1 || !s.jar.holds(cookies.session, g.now()) {
		g.turnAway(w, r, s, cookies)
		return
	}
	switch path {
	case actPath:
		g.act(w, r, s)
	case reportPath:
		g.report(w, r, s)
	default:
		g.show(w, r, s, http.StatusNotFound, page{Title: "There is nothing here", Text: "Addresses with .paddock in them belong to Paddock, not to the app."})
	}
}

// openApp turns a one-use link into a session (gateway.md 4), on the shell's origin for a browser and on the app's for
// a tool. It answers with a page that replaces itself by "/":
// a redirect would lose the Strict cookie when another site or a file started the navigation.
func (g *Gateway) openApp(w http.ResponseWriter, r *http.Request, s *site, cookies cookieRead) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		g.show(w, r, s, http.StatusMethodNotAllowed, page{Title: "This link is for opening an app", Text: "Open it in a browser."})
		return
	}
	if speculative(r) || fetchedByBrowser(r) && !topLevel(r) {
		g.show(w, r, s, http.StatusForbidden, page{Title: "This link is for opening an app", Text: "It works as the address of a page only, and was not used up."})
		return
	}
	value, ok := "", false
	if query, err := url.ParseQuery(r.URL.RawQuery); err == nil && len(query["t"]) == 1 {
		value, ok = g.startSession(s, query["t"][0])
	}
	if !ok {
		p := page{Title: "This link does not work any more", Text: "A link opens an app once, within half a minute. Open " + s.name() + " from the Paddock tray or library."}
		if cookies.count == 1 && s.jar.holds(cookies.session, g.now()) {
			p.Link, p.LinkLabel = "/", "Go to "+s.name()
		}
		g.show(w, r, s, http.StatusForbidden, p)
		return
	}
	set := []string{s.setCookie(value)}
	if cookies.count > 1 {
		set = append(set, s.unplant()...)
	}
	w.Header()["Set-Cookie"] = set
	g.show(w, r, s, http.StatusOK, page{Title: "Opening " + s.name() + "…", Link: "/", LinkLabel: "Continue", Enter: true})
}

// ownPage reports whether an answer becomes a page where the app's own are shown.
func (s *site) ownPage(r *http.Request) bool {
	return frameDestination(r)
}

func (s *site) setCookie(session string) string {
	return s.cookie + "=" + session + "; Path=/; HttpOnly; SameSite=Strict"
}

// icon gives the app's icon to the host's pages.
func (g *Gateway) icon(w http.ResponseWriter, r *http.Request, s *site) {
	app := s.state.Load().app
	if len(app.Icon) == 0 || app.IconMIME != "image/png" && app.IconMIME != "image/svg+xml" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		g.show(w, r, s, http.StatusNotFound, page{Title: "There is nothing here", Text: "This app has no icon."})
		return
	}
	h := w.Header()
	hostHeaders.apply(h)
	h["Content-Security-Policy"] = []string{"default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"}
	h["Content-Type"] = []string{app.IconMIME}
	h["Content-Length"] = []string{strconv.Itoa(len(app.Icon))}
	_, _ = w.Write(app.Icon)
}

// maxForm is the largest body of a button press, in bytes.
const maxForm = 4 << 10

// actTimeout bounds what a button starts.
const actTimeout = 90 * time.Second

// act does what a button on a host page says. Forms of the app's own page can reach it too, which is why it can
// do no more than start, restart or ask for a native window, and is rate-limited.
func (g *Gateway) act(w http.ResponseWriter, r *http.Request, s *site) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		g.show(w, r, s, http.StatusMethodNotAllowed, page{Title: "There is nothing here", Text: "This address is for buttons."})
		return
	}
	if fetchedByBrowser(r) && (r.Header["Origin"] == nil || r.Header.Get("Sec-Fetch-Mode") != "navigate" || !s.ownPage(r)) {
		g.show(w, r, s, http.StatusForbidden, page{Title: "This request was refused", Text: "A button of a Paddock page has to be pressed."})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	action, back := r.PostFormValue("action"), r.PostFormValue("to")
	if status, err := g.do(r, s, action); err != nil {
		switch status {
		case http.StatusBadRequest:
			g.show(w, r, s, status, page{Title: "This button is not known", Text: "Load the page again and press the button once more."})
		case http.StatusTooManyRequests:
			w.Header().Set("Retry-After", "5")
			g.show(w, r, s, status, page{Title: "Not so fast", Text: "Wait a few seconds, then try again.", Link: "/", LinkLabel: "Back to " + s.name()})
		default:
			g.refuse(w, r, s, err)
		}
		return
	}
	if !staysAt(back, s.origin) || !strings.HasPrefix(back, "/") || reserved(back) {
		back = "/"
	}
	if action == "ask_window" {
		g.show(w, r, s, http.StatusOK, page{Title: "Look for the Paddock window", Text: "Your answer there counts as soon as you give it.", Link: back, LinkLabel: "Back to " + s.name()})
		return
	}
	hostHeaders.apply(w.Header())
	w.Header()["Location"] = []string{back}
	w.WriteHeader(http.StatusSeeOther)
}

var (
	errAction = errors.New("no such action")
	errTooOft = errors.New("buttons are pressed too often")
)

// do has the backend do what a button says: no more than start, restart or ask for a native window, and not too often.
// With an error comes a status for it.
func (g *Gateway) do(r *http.Request, s *site, action string) (status int, err error) {
	switch action {
	case "start", "restart", "ask_window":
	default:
		return http.StatusBadRequest, errAction
	}
	if !s.acts.AllowN(g.now(), 1) {
		return http.StatusTooManyRequests, errTooOft
	}
	ctx, cancel := context.WithTimeout(r.Context(), actTimeout)
	defer cancel()
	if err := g.backend.Act(ctx, s.install, action); err != nil {
		return http.StatusServiceUnavailable, err
	}
	return http.StatusOK, nil
}

// showState answers with the reason why an app cannot answer now.
func (g *Gateway) showState(w http.ResponseWriter, r *http.Request, s *site, e *StateError) {
	status := e.Status
	if status < 400 || status > 599 {
		status = http.StatusServiceUnavailable
	}
	if e.RetryAfter > 0 {
		seconds := int64((e.RetryAfter + time.Second - 1) / time.Second)
		w.Header()["Retry-After"] = []string{strconv.FormatInt(seconds, 10)}
	}
	p := page{Title: e.Title, Text: e.Text, Actions: e.Actions, Back: "/"}
	if r.Method == http.MethodGet && staysAt(r.RequestURI, s.origin) {
		p.Back = r.RequestURI
	}
	g.show(w, r, s, status, p)
}
