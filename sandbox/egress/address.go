package egress

import (
	"net/netip"
)

// Refused is the address policy: whether an app may not be connected to a, and why (ReasonThisComputer,
// ReasonPrivate or ReasonReserved). It is pure.
//
// local are the addresses of this computer's interfaces with the length of their on-link prefix, as in 192.168.1.5/24:
// the address itself is refused always, the rest of the prefix without lan. lan opens private, carrier-grade and
// link-local ranges as well, and nothing else.
func Refused(a netip.Addr, lan bool, local []netip.Prefix) (reason string, refused bool) {
	a = a.Unmap().WithZone("")
	kind := classify(a)
	for _, p := range local {
		own := p.Addr().Unmap().WithZone("")
		if own == a {
			return ReasonThisComputer, true
		}
		if kind == public && onLink(p, own, a) {
			kind = private
		}
	}
	switch {
	case kind == loopback:
		return ReasonThisComputer, true
	case kind == reserved:
		return ReasonReserved, true
	case kind == private && !lan:
		return ReasonPrivate, true
	}
	// What a translator would take out of the address and connect to is held to the same rules.
	if inner, ok := carried(a); ok {
		return Refused(inner, lan, local)
	}
	return "", false
}

// onLink says that a is in the network that an interface with the address p is directly connected to. Prefixes so
// short that they would be most of the internet are no such network (some tunnels have them).
func onLink(p netip.Prefix, own, a netip.Addr) bool {
	bits := p.Bits()
	if p.Addr().Is4In6() {
		bits -= 96
	}
	if own.BitLen() != a.BitLen() || bits < 8 || (own.Is6() && bits < 32) {
		return false
	}
	return netip.PrefixFrom(own, bits).Contains(a)
}

type class uint8

const (
	public   class = iota
	private        // a local network: needs lan
	loopback       // this computer
	reserved       // never a place to talk to
)

// classify sorts an unwrapped address by the special-purpose registries of IANA (RFC 6890 and its updates) and the
// metadata addresses of cloud providers. IPv6 is public only in the space that is given out for it, 2000::/3.
func classify(a netip.Addr) class {
	switch {
	case a.IsLoopback(), a.IsUnspecified():
		return loopback
	case contains(metadata, a), contains(never, a):
		return reserved
	case contains(privateNetworks, a):
		return private
	case a.Is6() && !globalUnicast.Contains(a) && !nat64.Contains(a):
		return reserved
	case !a.IsValid():
		return reserved
	default:
		return public
	}
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: what networks with IPv6 only make of IPv4 sites

	// metadata services hand the credentials of a cloud machine to whoever asks.
	metadata = prefixes(
		"169.254.169.254/32",     // EC2, Azure, Google, Oracle, DigitalOcean …
		"169.254.170.0/24",       // ECS and EKS credentials
		"169.254.0.23/32",        // Tencent
		"100.100.100.200/32",     // Alibaba
		"168.63.129.16/32",       // Azure's host agent, in the middle of public space
		"fd00:ec2::/32",          // EC2
		"fd20:ce::254/128",       // Google
		"fd00:42::42/128",        // Scaleway
		"fd00:c1::a9fe:a9fe/128", // Oracle
	)

	privateNetworks = prefixes(
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", // RFC 1918
		"100.64.0.0/10",  // shared by providers, and overlay networks, RFC 6598
		"169.254.0.0/16", // link-local, RFC 3927
		"fc00::/7",       // unique local, RFC 4193
		"fe80::/10",      // link-local, RFC 4291
	)

	never = prefixes(
		"0.0.0.0/8",                                         // this network, RFC 791
		"192.0.0.0/24",                                      // protocol assignments, RFC 6890
		"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", // documentation, RFC 5737
		"192.88.99.0/24",             // 6to4 relays, RFC 7526
		"198.18.0.0/15",              // benchmarking, RFC 2544
		"224.0.0.0/4",                // multicast, RFC 5771
		"240.0.0.0/4",                // reserved, and broadcast, RFC 1112
		"64:ff9b:1::/48",             // translation for local use, RFC 8215
		"2001::/23",                  // Teredo, benchmarking, ORCHID and others, RFC 2928
		"2001:db8::/32", "3fff::/20", // documentation, RFC 3849, RFC 9637
		"2002::/16", // 6to4, RFC 3056
		"3ffe::/16", // the 6bone, RFC 3701
	)
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// carried is the IPv4 address inside an IPv6 address that could be public: a translated one (NAT64), or an ISATAP
// interface identifier (RFC 5214), which may stand behind any prefix. All other wrappings are refused as they are.
func carried(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() {
		return netip.Addr{}, false
	}
	b := a.As16()
	isatap := b[8]&^0x03 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
	if !nat64.Contains(a) && !isatap {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(b[12:])), true
}
