package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
)

// serve is the order of the checks; see the package comment.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	g.running.enter()
	defer g.running.leave()

	if !wellFormed(r) {
		g.show(w, r, nil, http.StatusBadRequest, page{Title: "This request is not for a web site", Text: "It was made for a proxy."})
		return
	}
	s := (*g.byHost.Load())[r.Host]
	if s == nil {
		if s := g.siteOfShell(r.Host); s != nil {
			g.serveShell(w, r, s)
			return
		}
		g.show(w, r, nil, http.StatusMisdirectedRequest, page{Title: "No app lives at this address", Text: "Open the app from the Paddock tray or library."})
		return
	}
	if s.removed() {
		w.Header().Set("Clear-Site-Data", `"*"`)
		g.show(w, r, nil, http.StatusGone, page{Title: "This app was removed", Text: "What it kept in this browser is being deleted. You can close this page."})
		return
	}
	switch r.Method {
	case http.MethodTrace, http.MethodConnect, "TRACK":
		g.show(w, r, s, http.StatusMethodNotAllowed, page{Title: "This is not possible here", Text: "Apps do not answer " + r.Method + " requests."})
		return
	}
	if serviceWorker(r) {
		g.show(w, r, s, http.StatusForbidden, page{Title: "Service workers are not possible", Text: "An app's page cannot install one."})
		return
	}
	if why := crossOrigin(g, r, s.origin, pathOf(r) == enterPath); why != "" {
		g.log.Debug("request refused", "app", s.install, "why", why)
		g.show(w, r, s, http.StatusForbidden, page{Title: "This request was refused", Text: "It did not come from the app's own page: " + why + "."})
		return
	}
	if tabNavigation(r) {
		g.toShell(w, r, s)
		return
	}
	cookies := readCookies(r.Header["Cookie"], s.cookie)
	if reserved(r.RequestURI) {
		g.hostPath(w, r, s, cookies)
		return
	}
	if cookies.count != 1 || !s.jar.holds(cookies.session, g.now()) {
		g.turnAway(w, r, s, cookies)
		return
	}
	if frameNavigation(r) {
		s.tabs.visit(cookies.session, r.RequestURI)
	}
	state := s.state.Load()
	if state.app.Mode == ModeStatic || state.app.StaticDir != "" {
		if g.file(w, r, s, state) {
			return
		}
	}
	g.forward(w, r, s, cookies.rest)
}

// showRemoved is all that the origins of a removed app answer, its own and its shell's.
func (g *Gateway) showRemoved(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Clear-Site-Data", `"*"`)
	g.show(w, r, nil, http.StatusGone, page{Title: "This app was removed", Text: "What it kept in this browser is being deleted. You can close this page."})
}

// turnAway answers a request without a session. No code of the app runs and it is not woken.
func (g *Gateway) turnAway(w http.ResponseWriter, r *http.Request, s *site, cookies cookieRead) {
	if cookies.count > 1 {
		// Only the app's own page can have planted a second cookie of this name; without them the next link works.
		w.Header().Set("Clear-Site-Data", `"cookies"`)
		w.Header()["Set-Cookie"] = s.unplant()
	}
	p := page{Title: "Open " + s.name() + " from Paddock", Text: "This browser has not been let in yet. Choose the app in the Paddock tray or library, and it opens here."}
	if from := r.Header.Get("Sec-Fetch-Site"); from == "cross-site" || from == "same-site" && !frameNavigation(r) {
		// The cookie is not sent on the way from another site; a click on this page is the app's own.
		p.Text = "You came here from another site."
		p.Link, p.LinkLabel = "/", "Continue to "+s.name()
	}
	g.show(w, r, s, http.StatusUnauthorized, p)
}

// refuse answers a request that the app did not.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, s *site, err error) {
	name := s.name()
	state := new(StateError)
	switch {
	case errors.As(err, &state):
	case r.Context().Err() != nil || errors.Is(err, context.Canceled):
		panic(http.ErrAbortHandler)
	case errors.Is(err, errBusy):
		state = &StateError{
			Code: "busy", Status: http.StatusServiceUnavailable, RetryAfter: 2 * time.Second, Title: name + " is busy",
			Text:    "It has more requests open than it can answer. Wait a moment, then load the page again. If it does not get better, start it again.",
			Actions: []Action{{Name: "restart", Label: "Start it again"}},
		}
	case errors.Is(err, errCrowded):
		state = &StateError{
			Code: "starting", Status: http.StatusServiceUnavailable, RetryAfter: 2 * time.Second, Title: name + " is starting",
			Text: "Many pages wait for it already. Wait a moment, then load this one again.",
		}
	case errors.Is(err, errSilent):
		state = &StateError{
			Code: "silent", Status: http.StatusGatewayTimeout, Title: name + " does not answer",
			Text:    "It was asked for this page and said nothing for two minutes. Starting it again often helps; its data is kept.",
			Actions: []Action{{Name: "restart", Label: "Start it again"}},
		}
	case errors.Is(err, errStopped):
		state = &StateError{
			Code: "stopped_answering", Status: http.StatusBadGateway, Title: name + " stopped answering",
			Text:    "The app ended, or gave an answer that makes no sense. Starting it again often helps; its data is kept.",
			Actions: []Action{{Name: "restart", Label: "Start it again"}},
		}
	default:
		g.log.Warn("app not woken", "app", s.install, "err", err)
		state = &StateError{
			Code: "not_started", Status: http.StatusServiceUnavailable, Title: name + " could not be started",
			Text:    "Paddock could not start the app.",
			Actions: []Action{{Name: "start", Label: "Try again"}},
		}
	}
	g.showState(w, r, s, state)
}

func (s *site) name() string {
	if name := s.state.Load().app.Name; name != "" {
		return name
	}
	return "the app"
}

// pathOf returns the path of a request target as it was sent.
func pathOf(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return path
}
