package gateway

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"paddock/sandbox/permission"
)

// page is one of the host's own pages.
type page struct {
	Title     string
	Text      string
	Actions   []Action
	Back      string // where a button leads afterwards
	Link      string
	LinkLabel string
	Enter     bool // replaces itself by Link at once
}

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// enterScript is the only script on these pages. The policy names it by its hash.
const enterScript = `location.replace(document.links[0].href)`

//go:embed head.html
var headText string

// head is what head.html is filled with, which is the head of each page of the host.
type head struct {
	Title, Icon string
	Policy      string // of a page without headers; "" where they say it
	Style       template.CSS
}

var pageTemplate = template.Must(template.New("page").Parse(headText + pageText))

func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// hostHeaders are on everything that the host itself answers.
var hostHeaders = append(hostHeadersFor("'none'"), line("X-Frame-Options", "DENY")) // frame-ancestors for old browsers

// hostHeadersFor are those of a page that ancestors may show in a frame.
func hostHeadersFor(ancestors string) headerSet {
	return append(slices.Clone(always),
		line("Content-Security-Policy", "default-src 'none'; style-src "+hashSource(pageStyle)+"; script-src "+hashSource(enterScript)+
			"; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors "+ancestors),
		line("Permissions-Policy", featurePolicy(permission.Set{})),
		line("Cache-Control", "no-store"),
	)
}

var (
	typeHTML = []string{"text/html; charset=utf-8"}[:1:1]
	typeText = []string{"text/plain; charset=utf-8"}[:1:1]
)

// show answers with a host page, or with its words alone where a script asked and not a tab. s may be nil.
func (g *Gateway) show(w http.ResponseWriter, r *http.Request, s *site, status int, p page) {
	h := w.Header()
	if s != nil && r.Host == s.host && frameDestination(r) {
		s.inFrame.apply(h) // what became of the app is said where its page was
	} else {
		hostHeaders.apply(h)
	}
	if p.Enter {
		h["Referrer-Policy"] = []string{"no-referrer"} // its address holds the token
	}
	h["Content-Type"] = typeText
	body := []byte(p.Title + "\n" + p.Text + "\n")
	if wantsPage(r) {
		h["Content-Type"] = typeHTML
		var app App
		if s != nil {
			app = s.state.Load().app
		}
		var err error
		if body, err = p.render("", app); err != nil {
			g.log.Error("host page", "err", err)
		}
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	if r.ContentLength != 0 && status >= 400 {
		h["Connection"] = []string{"close"} // the body is not read
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// render fills page.html for an app, which may be none. policy is for a page that has no headers to say it.
func (p page) render(policy string, app App) ([]byte, error) {
	view := struct {
		page
		Head      head
		Script    template.JS
		Name, Act string
	}{page: p, Head: head{Title: p.Title, Policy: policy, Style: template.CSS(pageStyle)}, Script: template.JS(enterScript), Name: app.Name, Act: actPath} //nolint:gosec // constants
	if len(app.Icon) > 0 {
		view.Head.Icon = iconPath
	}
	var body bytes.Buffer
	err := pageTemplate.Execute(&body, view)
	return body.Bytes(), err
}

// wantsPage reports whether the answer is for a tab. Clients that do not say get the page.
func wantsPage(r *http.Request) bool {
	switch dest := r.Header.Get("Sec-Fetch-Dest"); dest {
	case "":
		return !strings.HasPrefix(r.Header.Get("Accept"), "application/json")
	default:
		return dest == "document" || dest == "iframe" || dest == "frame"
	}
}
