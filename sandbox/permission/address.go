package permission

import (
	"encoding/binary"
	"net/netip"
)

// class sorts hosts by where they lead.
type class uint8

const (
	classPublic class = iota
	classPrivate
	classLoopback
)

// localNames are names that common hosts files give to this computer (Debian, Fedora, macOS).
var localNames = map[string]bool{
	"localhost.localdomain": true, "localhost4": true, "localhost6": true,
	"localhost4.localdomain4": true, "localhost6.localdomain6": true,
	"ip6-localhost": true, "ip6-loopback": true, "broadcasthost": true,
}

// addressClass sorts a canonical host. Names are public unless they are this computer's own: where they lead is
// known after resolution only.
func addressClass(host string) class {
	if IsLoopbackHost(host) || localNames[host] {
		return classLoopback
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return classOf(addr)
	}
	return classPublic
}

// privatePrefixes are not the internet (IANA special-purpose registries, RFC 6890). The documentation ranges are
// left out: nothing answers there.
var privatePrefixes = parsePrefixes(
	"0.0.0.0/8",      // this network, RFC 791
	"10.0.0.0/8",     // RFC 1918
	"100.64.0.0/10",  // shared by providers, RFC 6598
	"169.254.0.0/16", // link-local, RFC 3927; cloud metadata services
	"172.16.0.0/12",  // RFC 1918
	"192.0.0.0/24",   // protocol assignments, RFC 6890
	"192.168.0.0/16", // RFC 1918
	"198.18.0.0/15",  // benchmarking, RFC 2544
	"224.0.0.0/4",    // multicast, RFC 5771
	"240.0.0.0/4",    // reserved, and broadcast
	"64:ff9b:1::/48", // local-use translation, RFC 8215
	"100::/64",       // discard, RFC 6666
	"fc00::/7",       // unique local, RFC 4193
	"fe80::/10",      // link-local, RFC 4291
	"fec0::/10",      // site-local, RFC 3879
	"ff00::/8",       // multicast, RFC 4291
)

func parsePrefixes(texts ...string) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		prefixes[i] = netip.MustParsePrefix(text)
	}
	return prefixes
}

// classOf sorts an address, looking through the ways in which IPv6 carries IPv4.
func classOf(addr netip.Addr) class {
	addr = addr.Unmap().WithZone("")
	if addr.IsLoopback() || addr.IsUnspecified() {
		return classLoopback
	}
	carried := classPublic
	for _, inner := range carriedV4(addr) {
		carried = max(carried, classOf(inner))
	}
	for _, prefix := range privatePrefixes {
		if prefix.Contains(addr) {
			return max(carried, classPrivate)
		}
	}
	return carried
}

var (
	prefixCompatible = netip.MustParsePrefix("::/96")           // IPv4-compatible, RFC 4291, deprecated
	prefixSIIT       = netip.MustParsePrefix("::ffff:0:0:0/96") // IPv4-translated, RFC 2765
	prefixNAT64      = netip.MustParsePrefix("64:ff9b::/96")    // RFC 6052
	prefixNAT64Local = netip.MustParsePrefix("64:ff9b:1::/48")  // RFC 8215
	prefix6to4       = netip.MustParsePrefix("2002::/16")       // RFC 3056
	prefixTeredo     = netip.MustParsePrefix("2001::/32")       // RFC 4380: server, then the client's address inverted
)

// carriedV4 lists the IPv4 addresses that a translator or tunnel would take out of addr.
func carriedV4(addr netip.Addr) []netip.Addr {
	if addr.Is4() {
		return nil
	}
	b := addr.As16()
	var inner []netip.Addr
	take := func(offset int) { inner = append(inner, netip.AddrFrom4([4]byte(b[offset:offset+4]))) }
	switch {
	case prefixCompatible.Contains(addr), prefixSIIT.Contains(addr), prefixNAT64.Contains(addr), prefixNAT64Local.Contains(addr):
		take(12)
	case prefix6to4.Contains(addr):
		take(2)
	case prefixTeredo.Contains(addr):
		take(4)
		for i := 12; i < 16; i++ {
			b[i] ^= 0xff
		}
		take(12)
	}
	// ISATAP, RFC 5214: the interface part is 0000:5efe or 0200:5efe and then the address.
	if id := binary.BigEndian.Uint32(b[8:12]); id&^0x02000000 == 0x00005efe {
		take(12)
	}
	return inner
}
