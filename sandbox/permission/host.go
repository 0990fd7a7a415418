package permission

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// lookup maps names as browsers do (UTS 46, non-transitional): case, width, dots of other scripts. Hyphens are not
// judged, because real sites have names like r3---sn.example. Which ASCII characters a name may hold is judged
// afterwards, because browsers accept the underscore.
var lookup = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false),
	idna.CheckHyphens(false), idna.VerifyDNSLength(true))

// CanonicalHost returns the one spelling of a host: a lower-case punycode name without a trailing dot, or an address
// as netip prints it, without brackets and without a v4-in-v6 wrapping. Addresses are understood in every spelling
// that browsers understand (https://url.spec.whatwg.org/#concept-ipv4-parser): 127.1, 0x7f.0.0.1, 2130706433.
// Applying it twice changes nothing. Whether the host may be reached is not judged here.
func CanonicalHost(s string) (string, error) {
	if s == "" {
		return "", refuse(s, "a host name is empty", "")
	}
	if len(s) > maxText {
		return "", refuse(s, "a host name has at most 253 characters", "")
	}
	if bare, ok := strings.CutPrefix(s, "["); ok {
		bare, ok = strings.CutSuffix(bare, "]")
		if !ok || !strings.Contains(bare, ":") {
			return "", refuse(s, "brackets hold an IPv6 address", "Write [2001:4860:4860::8888], for example.")
		}
		return canonicalV6(s, bare)
	}
	if strings.Contains(s, ":") {
		return canonicalV6(s, s)
	}
	name, ok := canonicalName(s)
	if !ok {
		return "", refuse(s, "not a host name", "A name is letters, digits and hyphens between single dots.")
	}
	for _, c := range []byte(name) {
		if !isNameByte(c) {
			return "", refuse(s, "a host name cannot hold the character "+strconv.QuoteRune(rune(c)), "")
		}
	}
	if !endsInNumber(name) {
		return name, nil
	}
	addr, ok := parseV4(name)
	if !ok {
		return "", refuse(s, "a name that ends in a number is an address, and this one is not valid", "")
	}
	return addr.String(), nil
}

// IsLoopbackHost reports whether s is this computer in any spelling: localhost, a name under it, 127.0.0.0/8, ::1,
// the unspecified address (which systems connect to loopback), or one of these wrapped in IPv6. A text that is no
// host at all gives false; callers that refuse loopback refuse such a text before, by CanonicalHost's error.
func IsLoopbackHost(s string) bool {
	host, err := CanonicalHost(s)
	if err != nil {
		return false
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return classOf(addr) == classLoopback
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// canonicalName maps a name, and maps the result once more: where the library's mapping does not settle (a byte that
// is no UTF-8 becomes punycode that it then refuses), two readers could understand two names.
func canonicalName(s string) (string, bool) {
	if !utf8.ValidString(s) {
		return "", false
	}
	name, err := lookup.ToASCII(s)
	if err != nil {
		return "", false
	}
	name = strings.TrimSuffix(name, ".")
	again, err := lookup.ToASCII(name)
	return name, err == nil && again == name && name != "" && !strings.HasSuffix(name, ".")
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func canonicalV6(input, bare string) (string, error) {
	addr, err := netip.ParseAddr(bare)
	if err != nil {
		return "", refuse(input, "not a valid IPv6 address", "")
	}
	if addr.Zone() != "" {
		return "", refuse(input, "an address with a zone belongs to one network card only", "Ask for lan to reach devices on the local network.")
	}
	return addr.Unmap().String(), nil
}

// endsInNumber is the URL standard's test: such a host is an address or an error, never a name.
func endsInNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == "" {
		return false
	}
	if strings.Trim(last, "0123456789") == "" {
		return true
	}
	_, ok := parseNumber(last)
	return ok
}

// parseV4 is the URL standard's IPv4 parser: one to four decimal, octal (leading 0) or hexadecimal (leading 0x)
// numbers, the last of which fills the remaining bytes.
func parseV4(name string) (netip.Addr, bool) {
	parts := strings.Split(name, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var value uint64
	for i, part := range parts {
		n, ok := parseNumber(part)
		if !ok {
			return netip.Addr{}, false
		}
		if i < len(parts)-1 {
			if n > 255 {
				return netip.Addr{}, false
			}
			value |= n << (8 * (3 - i))
			continue
		}
		if n >= 1<<(8*(5-len(parts))) {
			return netip.Addr{}, false
		}
		value |= n
	}
	return netip.AddrFrom4([4]byte{byte(value >> 24), byte(value >> 16), byte(value >> 8), byte(value)}), true
}

// parseNumber reads one part of an address. A bare "0x" is zero, as the standard has it.
func parseNumber(s string) (uint64, bool) {
	base := 10
	switch {
	case strings.HasPrefix(s, "0x"):
		s, base = s[2:], 16
		if s == "" {
			return 0, true
		}
	case len(s) > 1 && s[0] == '0':
		s, base = s[1:], 8
	}
	if s == "" || s[0] == '+' || s[0] == '-' || strings.Contains(s, "_") {
		return 0, false
	}
	n, err := strconv.ParseUint(s, base, 64)
	return n, err == nil
}
