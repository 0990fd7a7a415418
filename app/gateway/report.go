package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"paddock/sandbox/permission"
)

// maxReport is the largest policy report that is read, in bytes.
const maxReport = 16 << 10

// reportedByBrowser reports whether a browser sent a policy report of one of the origin's own documents, which had a
// session to be there at all. Firefox sends reports without cookies, so they cannot be asked for.
func reportedByBrowser(r *http.Request, origin string) bool {
	dest, once := single(r.Header, "Sec-Fetch-Dest")
	return once && dest == "report" && r.Header.Get("Sec-Fetch-Site") == "same-origin" && r.Header.Get("Origin") == origin
}

// posted reports whether r is a POST, and refuses every other method without a page.
func posted(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodPost {
		return true
	}
	w.Header().Set("Allow", http.MethodPost)
	w.WriteHeader(http.StatusMethodNotAllowed)
	return false
}

// report takes a browser's report of something that the policy kept a page from. A page can send any report it
// likes, so what it says is only counted as "refused", under a permission in canonical form.
func (g *Gateway) report(w http.ResponseWriter, r *http.Request, s *site) {
	hostHeaders.apply(w.Header())
	if !posted(w, r) {
		return
	}
	if !s.reports.AllowN(g.now(), 1) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReport))
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	names, err := refusedIn(body, s.origin)
	if err != nil {
		g.log.Debug("policy report not understood", "app", s.install, "err", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	for _, name := range names {
		g.backend.Used(s.install, "page", name, false)
	}
	w.WriteHeader(http.StatusNoContent)
}

var errReport = errors.New("not a policy report")

// violation is one report, in the words of report-uri (CSP level 2) or of the Reporting API.
type violation struct {
	blocked   string
	directive string
}

// maxViolations bounds how many of one document count.
const maxViolations = 16

// refusedIn returns the permissions that would have allowed what a report says was blocked. What no permission
// allows, such as a frame, is left out.
func refusedIn(body []byte, origin string) ([]string, error) {
	violations, err := parseReport(body)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, v := range violations[:min(len(violations), maxViolations)] {
		if name, ok := v.permission(origin); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func parseReport(body []byte) ([]violation, error) {
	var old struct {
		Report *struct {
			Blocked   string `json:"blocked-uri"`
			Effective string `json:"effective-directive"`
			Violated  string `json:"violated-directive"`
		} `json:"csp-report"`
	}
	if err := json.Unmarshal(body, &old); err == nil && old.Report != nil {
		v := violation{blocked: old.Report.Blocked, directive: old.Report.Effective}
		if v.directive == "" {
			v.directive = old.Report.Violated
		}
		return []violation{v}, nil
	}
	var list []struct {
		Type string `json:"type"`
		Body struct {
			Blocked   string `json:"blockedURL"`
			Effective string `json:"effectiveDirective"`
		} `json:"body"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("%w: %w", errReport, err)
	}
	var violations []violation
	for _, entry := range list {
		if entry.Type == "csp-violation" {
			violations = append(violations, violation{blocked: entry.Body.Blocked, directive: entry.Body.Effective})
		}
	}
	return violations, nil
}

func (v violation) permission(origin string) (string, bool) {
	switch v.blocked {
	case "inline":
		return "browser:inline-script", strings.HasPrefix(v.directive, "script")
	case "eval":
		return "browser:eval", true
	case "wasm-eval":
		return "browser:wasm", true
	}
	u, err := url.Parse(v.blocked)
	if err != nil || u.Host == "" || "http://"+u.Host == origin {
		return "", false
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "http" || u.Scheme == "ws":
		port = "80"
	case u.Scheme == "https" || u.Scheme == "wss":
		port = "443"
	default:
		return "", false
	}
	host := u.Hostname()
	if u.Host[0] == '[' {
		host = "[" + host + "]"
	}
	p, err := permission.Parse("net:" + host + ":" + port)
	if err != nil {
		return "", false
	}
	return p.String(), true
}
