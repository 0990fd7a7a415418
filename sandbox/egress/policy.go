package egress

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"paddock/sandbox/permission"
)

// Policy is what an app may reach. Only the net and lan permissions in it matter; Deny wins.
type Policy struct{ Allow, Deny permission.Set }

// rules is a Policy taken apart once.
type rules struct {
	allow, deny []permission.Permission // net only
	lan         bool
}

func newRules(p Policy) *rules {
	lan := permission.Permission{Kind: permission.LAN}
	return &rules{
		allow: p.Allow.OfKind(permission.Net),
		deny:  p.Deny.OfKind(permission.Net),
		lan:   p.Allow.Has(lan) && !p.Deny.Has(lan),
	}
}

// verdict is what the rules say about a target by its name alone. Where it leads is checked when it is dialled.
type verdict struct {
	permission string // that allows it, that denies it, or that is missing
	lanOnly    bool   // allowed, but only if it leads to a local network
	refusal    *refusal
}

// judge decides on a canonical host and a port.
func (r *rules) judge(host string, port uint16) verdict {
	needed := permission.Permission{Kind: permission.Net, Scope: scope(host, port)}.String()
	if permission.IsLoopbackHost(host) {
		return verdict{permission: needed, refusal: addressRefusal(host, ReasonThisComputer)}
	}
	for _, p := range r.deny {
		if permission.MatchHost(p, host, port) {
			return verdict{permission: p.String(), refusal: refuse(http.StatusForbidden, ReasonDenied,
				"This app may not talk to %s: %s was denied. Change the answer in the app's permissions.", shown(host, port), p)}
		}
	}
	if p, ok := narrowest(r.allow, host, port); ok {
		return verdict{permission: p.String()}
	}
	if local(host) {
		needed = string(permission.LAN)
		if r.lan {
			return verdict{permission: needed, lanOnly: true}
		}
	}
	return verdict{permission: needed, refusal: refuse(http.StatusForbidden, ReasonNotGranted,
		"This app may not talk to %s: it was not granted %s. Ask for it in the app's manifest, and grant it in the app's permissions.",
		shown(host, port), needed)}
}

// narrowest is the permission that says most exactly that host and port are allowed: it is the one whose use counts.
func narrowest(list []permission.Permission, host string, port uint16) (best permission.Permission, ok bool) {
	for _, p := range list {
		if permission.MatchHost(p, host, port) && (!ok || best.Covers(p)) {
			best, ok = p, true
		}
	}
	return best, ok
}

// localSuffixes are the domains that only exist on local networks (RFC 6762, RFC 8375, ICANN's .internal, and what
// routers commonly use).
var localSuffixes = []string{".local", ".home.arpa", ".internal", ".lan", ".home", ".localdomain"}

// local says that a name or address can only be meant as a device of the local network. lan alone covers no other
// names: looking them up would already tell the internet what the app wants to say.
func local(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return classify(a) == private
	}
	if !strings.Contains(host, ".") {
		return true
	}
	for _, suffix := range localSuffixes {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// scope is the canonical scope of a net permission for one host and port.
func scope(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == 443 {
		return host
	}
	return host + ":" + strconv.Itoa(int(port))
}

// shown is a target as a person would write it: without the ports that go without saying.
func shown(host string, port uint16) string {
	if port == 80 {
		return host
	}
	return scope(host, port)
}

// hostPort is a target as events, statistics and dialling write it.
func hostPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
