package permission_test

import (
	"net/netip"
	"strings"
	"testing"

	"paddock/sandbox/permission"
)

// FuzzParse: whatever a stranger's manifest says, an accepted permission is canonical, is never this computer or a
// private address, and yields flag values and page sources that hold exactly one thing.
func FuzzParse(f *testing.F) {
	for _, s := range scopes {
		f.Add(s)
	}
	for _, host := range loopback {
		f.Add("net:" + host)
	}
	for _, s := range []string{"run", "env:HOME", "net:", "net:*.com", "net:a:b", "net:[", "net:]:1", "net:*.*", "files:../x", "sys:\x00", "net:a,b", "net:xn--", "net:ß.de:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := permission.Parse(s)
		if err != nil {
			if p != (permission.Permission{}) || err.Error() == "" {
				t.Fatalf("Parse(%q) = %v with error %q", s, p, err)
			}
			return
		}
		again, err := permission.Parse(p.String())
		if err != nil || again != p {
			t.Fatalf("Parse(%q) = %q, whose text parses to %q, %v", s, p, again, err)
		}
		if !p.Valid() || !p.Covers(p) {
			t.Fatalf("Parse(%q) = %q is not valid or does not cover itself", s, p)
		}
		set := permission.NewSet(p)
		for _, value := range append(append(set.DenoNet(), set.SysNames()...), permission.SourcesCSP(set)...) {
			if strings.ContainsAny(value, ", ;'\"\\\t\r\n\x00") {
				t.Fatalf("Parse(%q) = %q gives the value %q", s, p, value)
			}
		}
		if parsed, err := permission.ParseSet(set.String()); err != nil || !parsed.Equal(set) {
			t.Fatalf("the set of %q came back as %q, %v", p, parsed, err)
		}
		host, port, wildcard := p.Host()
		if p.Kind != permission.Net || host == "*" {
			return
		}
		if permission.IsLoopbackHost(host) || host == "" || port == 0 {
			t.Fatalf("Parse(%q) = %q with host %q port %d", s, p, host, port)
		}
		if addr, err := netip.ParseAddr(host); err == nil && (wildcard || addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsMulticast()) {
			t.Fatalf("Parse(%q) = %q reaches %s", s, p, addr)
		}
		if !permission.MatchHost(p, host, port) {
			t.Fatalf("%q does not match its own host %q", p, host)
		}
	})
}

// FuzzCanonicalHost: canonicalisation is idempotent, and its result is plain ASCII that no one can read differently.
func FuzzCanonicalHost(f *testing.F) {
	for _, host := range loopback {
		f.Add(host)
	}
	for _, s := range []string{"example.com", "BÜCHER.example.", "1.2.3.4.5", "0x", "a..b", "[::ffff:1.2.3.4]", "fe80::1%eth0", "xn--a", "ａ。ｂ", "\xff", "a_b", "-", "%41"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, err := permission.CanonicalHost(s)
		if err != nil {
			if host != "" || permission.IsLoopbackHost(s) {
				t.Fatalf("%q is refused but gives %q", s, host)
			}
			return
		}
		again, err := permission.CanonicalHost(host)
		if err != nil || again != host {
			t.Fatalf("%q → %q → %q, %v", s, host, again, err)
		}
		if host == "" || strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-_.:") != "" || strings.HasSuffix(host, ".") {
			t.Fatalf("%q → %q", s, host)
		}
		if permission.IsLoopbackHost(s) != permission.IsLoopbackHost(host) {
			t.Fatalf("%q and %q are not both loopback", s, host)
		}
	})
}
