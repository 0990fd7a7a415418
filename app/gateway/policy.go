package gateway

import (
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"paddock/sandbox/permission"
)

// headerSet is a list of ready header lines, shared by many responses: the values are never changed in place.
type headerSet []headerLine

type headerLine struct {
	name   string // canonical
	values []string
}

func (set headerSet) apply(h http.Header) {
	for i := range set {
		h[set[i].name] = set[i].values
	}
}

func line(name, value string) headerLine {
	return headerLine{name: name, values: []string{value}[:1:1]}
}

// policy is everything on a response that follows from an app's grants. It is made once per Set.
type policy struct {
	headers   headerSet
	pdf       headerSet // as headers, for what a sandboxed document cannot show
	leaves    bool      // Location may name another origin
	csp       string
	cspForPDF string
	shell     shellPolicy
}

// always is on every response, of apps and of the host.
var always = headerSet{
	line("X-Content-Type-Options", "nosniff"),
	line("X-Dns-Prefetch-Control", "off"),
	line("Cross-Origin-Opener-Policy", "same-origin"),
	line("Cross-Origin-Resource-Policy", "same-origin"),
	line("Origin-Agent-Cluster", "?1"),
	// Not no-referrer: a form's POST would then carry "Origin: null", which the front door refuses.
	line("Referrer-Policy", "same-origin"),
}

func newPolicy(allow permission.Set, host string) *policy {
	p := &policy{leaves: allow.Has(permission.Permission{Kind: permission.Links})}
	p.cspForPDF = contentPolicy(allow, host)
	p.csp = p.cspForPDF + "; " + sandboxPolicy(allow)
	p.shell = newShellPolicy(allow, host)
	base := append(slices.Clip(slices.Clone(always)), line("Permissions-Policy", featurePolicy(allow)))
	p.headers = append(slices.Clip(base), line("Content-Security-Policy", p.csp))
	p.pdf = append(slices.Clip(base), line("Content-Security-Policy", p.cspForPDF))
	return p
}

// contentPolicy is the Content-Security-Policy of gateway.md 8. Styles may be inline: with every source of
// images and fonts closed they carry nothing out, and few pages work without.
func contentPolicy(allow permission.Set, host string) string {
	inline := slices.Contains(allow.BrowserFeatures(), "inline-script")
	connect := append([]string{"'self'", "ws://" + host}, permission.SourcesCSP(allow)...)
	media := []string{"'self'", "data:", "blob:"}
	for _, source := range permission.SourcesCSP(allow) {
		if !strings.HasPrefix(source, "ws") {
			media = append(media, source)
		}
	}
	workers := []string{"'self'"}
	if inline {
		workers = append(workers, "blob:")
	}
	var b strings.Builder
	for _, d := range []struct {
		name    string
		sources []string
	}{
		{"default-src", []string{"'self'"}},
		{"script-src", append([]string{"'self'"}, permission.ScriptCSP(allow)...)},
		{"style-src", []string{"'self'", "'unsafe-inline'"}},
		{"connect-src", connect},
		{"img-src", media},
		{"media-src", media},
		{"font-src", media},
		{"worker-src", workers},
		{"object-src", []string{"'none'"}},
		{"base-uri", []string{"'none'"}},
		{"form-action", []string{"'self'"}},
		{"frame-ancestors", []string{framers(host)}},
		// report-to would send the same later, in batches, and without the session in some browsers.
		{"report-uri", []string{reportPath}},
	} {
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(d.name)
		for _, source := range d.sources {
			b.WriteByte(' ')
			b.WriteString(source)
		}
	}
	return b.String()
}

// sandboxPolicy keeps a page from opening windows, which would leave its origin behind; everything else a page
// of its own origin can do stays.
func sandboxPolicy(allow permission.Set) string {
	const base = "sandbox allow-scripts allow-same-origin allow-forms allow-modals allow-downloads allow-pointer-lock allow-orientation-lock allow-presentation"
	if opensWindows(allow) {
		return base + " allow-popups allow-popups-to-escape-sandbox"
	}
	return base
}

func opensWindows(allow permission.Set) bool {
	return allow.Has(permission.Permission{Kind: permission.Links}) || slices.Contains(allow.BrowserFeatures(), "popups")
}

// features are the names that browsers know in Permissions-Policy and that reach beyond the page, or tell
// something about the machine. Those with a browser permission open with its grant, the rest never.
// Source: the registry of the W3C permissions-policy repository (features.md) and Chromium's list, 2026.
var features = []string{
	"accelerometer", "ambient-light-sensor", "attribution-reporting", "bluetooth", "browsing-topics", "camera",
	"captured-surface-control", "clipboard-read", "clipboard-write", "compute-pressure", "cross-origin-isolated",
	"display-capture", "encrypted-media", "fullscreen", "gamepad", "geolocation", "gyroscope", "hid",
	"identity-credentials-get", "idle-detection", "interest-cohort", "join-ad-interest-group", "keyboard-map",
	"local-fonts", "local-network", "local-network-access", "loopback-network", "magnetometer", "microphone", "midi",
	"otp-credentials", "payment", "publickey-credentials-create", "publickey-credentials-get", "run-ad-auction",
	"screen-wake-lock", "serial", "shared-storage", "speaker-selection", "storage-access", "usb", "web-share",
	"window-management", "xr-spatial-tracking",
}

func featurePolicy(allow permission.Set) string { return featurePolicyFor(allow, "(self)") }

// featurePolicyFor opens the granted features for a list of origins.
func featurePolicyFor(allow permission.Set, origins string) string {
	open := allow.PagePolicies()
	var b strings.Builder
	for i, name := range features {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name)
		if slices.Contains(open, name) {
			b.WriteString("=" + origins)
		} else {
			b.WriteString("=()")
		}
	}
	return b.String()
}

// tightenedBy returns the host's policy with the app's own beside it. Browsers enforce both, so the app's can only
// tighten; report-uri and report-to are taken out of it, since a report is an outgoing request, and so is
// upgrade-insecure-requests, which has no use on an origin that is http by design.
func tightenedBy(host string, app []string) []string {
	policies := []string{host}
	for _, header := range app {
		if !httpguts.ValidHeaderFieldValue(header) {
			continue
		}
		for one := range strings.SplitSeq(header, ",") {
			if cleaned := cleanPolicy(one); cleaned != "" && len(policies) < 8 {
				policies = append(policies, cleaned)
			}
		}
	}
	return policies
}

func cleanPolicy(policy string) string {
	var kept []string
	for directive := range strings.SplitSeq(policy, ";") {
		fields := strings.Fields(directive)
		if len(fields) == 0 {
			continue
		}
		switch strings.ToLower(fields[0]) {
		case "report-uri", "report-to", "upgrade-insecure-requests":
			continue
		}
		kept = append(kept, strings.Join(fields, " "))
	}
	return strings.Join(kept, "; ")
}
