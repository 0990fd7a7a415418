package egress

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

var testLocal = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("::1/128"),
	netip.MustParsePrefix("192.168.7.20/24"), netip.MustParsePrefix("8.8.4.77/28"),
	netip.MustParsePrefix("2a01:4f8:1:2::77/64"), netip.MustParsePrefix("10.9.9.9/0"),
}

func TestRefused(t *testing.T) {
	const always, lan, open = "always", "lan", "open"
	for addr, c := range map[string]struct{ when, reason string }{
		"8.8.8.8": {open, ""}, "93.184.216.34": {open, ""}, "2606:4700::1111": {open, ""}, "2a00:1450:4001::1": {open, ""},
		"127.0.0.1": {always, ReasonThisComputer}, "127.255.0.9": {always, ReasonThisComputer}, "::1": {always, ReasonThisComputer},
		"0.0.0.0": {always, ReasonThisComputer}, "::": {always, ReasonThisComputer}, "::ffff:127.0.0.1": {always, ReasonThisComputer},
		"::ffff:0.0.0.0": {always, ReasonThisComputer}, "0.1.2.3": {always, ReasonReserved},

		"192.168.7.20": {always, ReasonThisComputer}, "::ffff:192.168.7.20": {always, ReasonThisComputer},
		"8.8.4.77": {always, ReasonThisComputer}, "2a01:4f8:1:2::77": {always, ReasonThisComputer}, "10.9.9.9": {always, ReasonThisComputer},
		"8.8.4.66": {lan, ReasonPrivate}, "8.8.4.96": {open, ""}, "2a01:4f8:1:2::1": {lan, ReasonPrivate}, "2a01:4f8:1:3::1": {open, ""},

		"10.0.0.1": {lan, ReasonPrivate}, "172.16.0.1": {lan, ReasonPrivate}, "172.31.255.255": {lan, ReasonPrivate}, "172.32.0.1": {open, ""},
		"192.168.1.1": {lan, ReasonPrivate}, "::ffff:10.0.0.1": {lan, ReasonPrivate}, "fd12:3456::1": {lan, ReasonPrivate},
		"100.64.0.1": {lan, ReasonPrivate}, "100.127.255.255": {lan, ReasonPrivate}, "100.128.0.1": {open, ""},
		"169.254.1.1": {lan, ReasonPrivate}, "fe80::1": {lan, ReasonPrivate}, "fe80::1%eth0": {lan, ReasonPrivate},

		"169.254.169.254": {always, ReasonReserved}, "::ffff:169.254.169.254": {always, ReasonReserved}, "169.254.170.2": {always, ReasonReserved},
		"100.100.100.200": {always, ReasonReserved}, "168.63.129.16": {always, ReasonReserved}, "fd00:ec2::254": {always, ReasonReserved},
		"224.0.0.1": {always, ReasonReserved}, "239.255.255.250": {always, ReasonReserved}, "ff02::1": {always, ReasonReserved},
		"255.255.255.255": {always, ReasonReserved}, "240.0.0.1": {always, ReasonReserved}, "198.18.0.1": {always, ReasonReserved},
		"192.0.2.1": {always, ReasonReserved}, "198.51.100.7": {always, ReasonReserved}, "203.0.113.9": {always, ReasonReserved},
		"192.0.0.192": {always, ReasonReserved}, "192.88.99.1": {always, ReasonReserved},
		"2001:db8::1": {always, ReasonReserved}, "3fff::1": {always, ReasonReserved}, "100::1": {always, ReasonReserved},
		"fec0::1": {always, ReasonReserved}, "5f00::1": {always, ReasonReserved}, "4000::1": {always, ReasonReserved},

		"64:ff9b::8.8.8.8": {open, ""}, "64:ff9b::127.0.0.1": {always, ReasonThisComputer}, "64:ff9b::10.0.0.1": {lan, ReasonPrivate},
		"64:ff9b::169.254.169.254": {always, ReasonReserved}, "64:ff9b::192.168.7.20": {always, ReasonThisComputer},
		"64:ff9b:1::1": {always, ReasonReserved}, "64:ff9b:1:a00:0:1::": {always, ReasonReserved},
		"2002:7f00:1::": {always, ReasonReserved}, "2002:808:808::1": {always, ReasonReserved},
		"2001:0:4136:e378:8000:63bf:3fff:fdd2": {always, ReasonReserved}, "2001:2::1": {always, ReasonReserved},
		"::127.0.0.1": {always, ReasonReserved}, "::8.8.8.8": {always, ReasonReserved}, "::ffff:0:127.0.0.1": {always, ReasonReserved},
		"2a00::5efe:127.0.0.1": {always, ReasonThisComputer}, "2a00::200:5efe:10.0.0.1": {lan, ReasonPrivate}, "2a00::5efe:8.8.8.8": {open, ""},
	} {
		a := netip.MustParseAddr(addr)
		reason, refused := Refused(a, false, testLocal)
		if refused != (c.when != open) || reason != c.reason {
			t.Errorf("%s without lan: %v %q, want %s %q", addr, refused, reason, c.when, c.reason)
		}
		if _, refused := Refused(a, true, testLocal); refused != (c.when == always) {
			t.Errorf("%s with lan: refused %v, want %s", addr, refused, c.when)
		}
	}
	if _, refused := Refused(netip.Addr{}, true, nil); !refused {
		t.Error("no address at all is let through")
	}
}

// lan only ever opens; wrapping an IPv4 address in IPv6 never makes it more reachable; this computer never is.
func TestRefusedProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a netip.Addr
		if rapid.Bool().Draw(t, "v4") {
			a = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "bytes")))
		} else {
			a = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")))
		}
		_, plain := Refused(a, false, testLocal)
		_, withLAN := Refused(a, true, testLocal)
		if withLAN && !plain {
			t.Fatalf("%s is refused only with lan", a)
		}
		if _, own := Refused(a, true, append(testLocal, netip.PrefixFrom(a, a.BitLen()))); !own {
			t.Fatalf("%s is this computer's own and reachable", a)
		}
		if a.Is4() {
			b := a.As4()
			mapped := netip.AddrFrom16(a.As16())
			nat := netip.MustParseAddr("64:ff9b::").As16()
			copy(nat[12:], b[:])
			for _, wrapped := range []netip.Addr{mapped, netip.AddrFrom16(nat)} {
				if _, refused := Refused(wrapped, false, testLocal); plain && !refused {
					t.Fatalf("%s is refused, %s is not", a, wrapped)
				}
			}
		}
	})
}
