package permission

import "strings"

// DenoNet returns values for --allow-net: "host:port", "*.host:port", "[v6]:port". The port is always named, because
// Deno reads a bare host as every port. net:* and lan cannot be expressed as names and add nothing; see AnyNet.
func (s Set) DenoNet() []string { return s.flagValues("net") }

// SysNames returns values for --allow-sys.
func (s Set) SysNames() []string { return s.flagValues("sys") }

func (s Set) flagValues(flag string) []string {
	var values []string
	for _, p := range s.sorted {
		if row := table[p.Kind]; row.flag != nil {
			if name, value := row.flag(p); name == flag && value != "" {
				values = append(values, value)
			}
		}
	}
	return values
}

// AnyNet reports whether any site on the internet is in the set.
func (s Set) AnyNet() bool { return s.Has(Permission{Kind: Net, Scope: anyHost}) }

// NeedsEgress reports whether an app with this set needs the outgoing proxy.
func (s Set) NeedsEgress() bool {
	for _, p := range s.sorted {
		if table[p.Kind].egress {
			return true
		}
	}
	return false
}

// BrowserFeatures returns the scopes of the browser permissions in order.
func (s Set) BrowserFeatures() []string {
	var names []string
	for _, p := range s.OfKind(Browser) {
		names = append(names, p.Scope)
	}
	return names
}

// PagePolicies returns the Permissions-Policy features that the set opens, in order.
func (s Set) PagePolicies() []string {
	return s.pageValues(func(feature, _ string) string { return feature })
}

// ScriptCSP returns the source expressions that the set adds to script-src, in order.
func ScriptCSP(s Set) []string {
	return s.pageValues(func(_, token string) string { return token })
}

func (s Set) pageValues(pick func(feature, token string) string) []string {
	var values []string
	for _, p := range s.sorted {
		if row := table[p.Kind]; row.page != nil {
			if value := pick(row.page(p)); value != "" {
				values = append(values, value)
			}
		}
	}
	return values
}

// SourcesCSP returns the Content-Security-Policy sources of the net permissions, for connect-src, img-src, media-src
// and font-src. Port 443 gives https and wss, other ports the plain schemes too; net:* gives the bare schemes.
// A CSP wildcard does not cover the name itself, so that is listed beside it. IPv6 addresses have no form in CSP
// (its host-char is a letter, digit or hyphen), so a page cannot use them; nor can a page be kept from a narrower
// denial inside a wildcard: the process side is.
func SourcesCSP(s Set) []string {
	if s.AnyNet() {
		return []string{"https:", "wss:", "http:", "ws:"}
	}
	var sources []string
	for _, p := range s.OfKind(Net) {
		host, port, wildcard := p.Host()
		if host == "" || strings.Contains(host, ":") {
			continue
		}
		schemes := []string{"https://", "wss://"}
		if port != defaultPort {
			schemes = append(schemes, "http://", "ws://")
		}
		for _, scheme := range schemes {
			if wildcard {
				sources = append(sources, scheme+"*."+joinScope(host, port))
			}
			sources = append(sources, scheme+joinScope(host, port))
		}
	}
	return sources
}
