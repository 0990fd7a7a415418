package permission_test

import (
	"errors"
	"testing"

	"paddock/sandbox/permission"
)

func TestParseCanonical(t *testing.T) {
	for in, want := range map[string]string{
		"net:api.example.com":               "net:api.example.com",
		"net:API.Example.COM.":              "net:api.example.com",
		"net:api.example.com:443":           "net:api.example.com",
		"net:api.example.com:8443":          "net:api.example.com:8443",
		"net:api.example.com.:80":           "net:api.example.com:80",
		"net:bücher.example":                "net:xn--bcher-kva.example",
		"net:BÜCHER.example":                "net:xn--bcher-kva.example",
		"net:ａｐｉ。example。com":               "net:api.example.com",
		"net:my_bucket.example.com":         "net:my_bucket.example.com",
		"net:r3---sn.example.com":           "net:r3---sn.example.com",
		"net:*":                             "net:*",
		"net:*.example.com":                 "net:*.example.com",
		"net:*.EXAMPLE.com:443":             "net:*.example.com",
		"net:*.example.com:8443":            "net:*.example.com:8443",
		"net:printer":                       "net:printer",
		"net:8.8.8.8":                       "net:8.8.8.8",
		"net:0x08080808":                    "net:8.8.8.8",
		"net:010.8.8.8":                     "net:8.8.8.8",
		"net:134744072":                     "net:8.8.8.8",
		"net:8.8.2056:53":                   "net:8.8.8.8:53",
		"net:[2001:4860:4860::8888]":        "net:[2001:4860:4860::8888]",
		"net:[2001:4860:4860:0::8888]:443":  "net:[2001:4860:4860::8888]",
		"net:[2001:4860:4860:0::8888]:8443": "net:[2001:4860:4860::8888]:8443",
		"net:[::ffff:8.8.8.8]:80":           "net:8.8.8.8:80",
		"lan":                               "lan",
		"files:notes":                       "files:notes",
		"files:my-notes_2":                  "files:my-notes_2",
		"sys:hostname":                      "sys:hostname",
		"browser:clipboard-read":            "browser:clipboard-read",
		"background":                        "background",
		"notifications":                     "notifications",
		"links":                             "links",
	} {
		p, err := permission.Parse(in)
		if err != nil {
			t.Errorf("Parse(%q): %v", in, err)
			continue
		}
		if p.String() != want {
			t.Errorf("Parse(%q) = %q, want %q", in, p, want)
		}
		if !p.Valid() {
			t.Errorf("Parse(%q) = %q is not Valid", in, p)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		in string
		is error // a sentinel, or nil for any ScopeError
	}{
		{"run", permission.ErrNeverGrantable},
		{"run:ls", permission.ErrNeverGrantable},
		{"ffi", permission.ErrNeverGrantable},
		{"import:deno.land", permission.ErrNeverGrantable},
		{"env:HOME", permission.ErrNeverGrantable},
		{"read:/etc", permission.ErrNeverGrantable},
		{"write:/etc", permission.ErrNeverGrantable},
		{"net-listen:80", permission.ErrNeverGrantable},
		{"all", permission.ErrNeverGrantable},
		{"", permission.ErrUnknownKind},
		{"bluetooth", permission.ErrUnknownKind},
		{"NET:example.com", permission.ErrUnknownKind},
		{" net:example.com", permission.ErrUnknownKind},
		{"net", nil},
		{"net:", nil},
		{"net:https://example.com", nil},
		{"net:example.com/path", nil},
		{"net:user@example.com", nil},
		{"net:example.com:", nil},
		{"net:example.com:0", nil},
		{"net:example.com:0443", nil},
		{"net:example.com:+443", nil},
		{"net:example.com:65536", nil},
		{"net:example.com:４４３", nil},
		{"net:example..com", nil},
		{"net:.example.com", nil},
		{"net:example.com..", nil},
		{"net:.", nil},
		{"net:exa mple.com", nil},
		{"net:exa,mple.com", nil},
		{"net:%65xample.com", nil},
		{"net:example.com\x00", nil},
		{"net:*.com", nil},
		{"net:*.*", nil},
		{"net:**.example.com", nil},
		{"net:*.*.example.com", nil},
		{"net:api.*.com", nil},
		{"net:*example.com", nil},
		{"net:*:8443", nil},
		{"net:*.8.8.8.8", nil},
		{"net:2001:4860:4860::8888", nil},
		{"net:[2001:4860:4860::8888", nil},
		{"net:[2001:4860:4860::8888]x", nil},
		{"net:[8.8.8.8]", nil},
		{"net:[fe80::1%25eth0]", nil},
		{"net:[fe80::1%eth0]", nil},
		{"net:1.2.3.4.5", nil},
		{"net:1.2.3.256", nil},
		{"net:256.1", nil},
		{"net:1.2.3.08", nil},
		{"net:example.0x7f", nil},
		{"net:4294967296", nil},
		{"lan:192.168.1.1", nil},
		{"files:", nil},
		{"files:Notes", nil},
		{"files:../x", nil},
		{"files:a/b", nil},
		{"files:a,b", nil},
		{"files:1st", nil},
		{"sys:setPriority", nil},
		{"sys:Hostname", nil},
		{"browser:service-worker", nil},
		{"browser:bluetooth", nil},
		{"background:always", nil},
		{"links:", nil},
	} {
		p, err := permission.Parse(c.in)
		if err == nil {
			t.Errorf("Parse(%q) = %q, want a refusal", c.in, p)
			continue
		}
		var se *permission.ScopeError
		if !errors.As(err, &se) || se.Rule == "" {
			t.Errorf("Parse(%q): %v is not a ScopeError with a rule", c.in, err)
		}
		if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("Parse(%q): %v, want %v", c.in, err, c.is)
		}
		if p != (permission.Permission{}) {
			t.Errorf("Parse(%q) returned %q beside an error", c.in, p)
		}
	}
}

// loopback has one machine in many coats; security needs all of them refused.
var loopback = []string{
	"localhost", "LOCALHOST", "LOCALHOST.", "localhost.", "Localhost。", "ⓛocalhost", "ｌｏｃａｌｈｏｓｔ", "loc\u00adalhost",
	"app.localhost", "a.b.LOCALHOST.", "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "127.255.255.254", "0x7f.0.0.1", "0x7F.1",
	"0x7f000001", "0177.0.0.1", "0177.1", "017700000001", "2130706433", "0", "0.", "0x", "0x0", "00", "0.0", "0.0.0.0",
	"１２７.0.0.1", "１２７。０。０。１", "𝟏𝟐𝟕.0.0.1", "0ｘ7f.1", "②①③⓪⑦⓪⑥④③③",
	"[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::]", "[0::0]", "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]", "[::ffff:0:127.0.0.1]",
	"[::ffff:0.0.0.0]", "[::127.0.0.1]", "[::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::127.0.0.1]",
	"[2002:7f00:1::]", "[2002:7f00:1::1234]", "[2001:0:7f00:1::]", "[2001:0:1:2:3:4:80ff:fffe]", "[fe80::5efe:127.0.0.1]",
	"[2001:4860::200:5efe:7f00:1]",
}

func TestLoopbackRefused(t *testing.T) {
	for _, host := range loopback {
		if !permission.IsLoopbackHost(host) {
			t.Errorf("IsLoopbackHost(%q) = false", host)
		}
		for _, scope := range []string{host, host + ":8080", "*." + host} {
			if p, err := permission.Parse("net:" + scope); err == nil {
				t.Errorf("net:%s was accepted as %q", scope, p)
			} else if scope == host && !errors.Is(err, permission.ErrLoopback) {
				t.Errorf("net:%s: %v, want ErrLoopback", scope, err)
			}
		}
	}
	for _, host := range []string{"localhost.localdomain", "localhost6", "ip6-localhost", "IP6-Loopback."} {
		if _, err := permission.Parse("net:" + host); !errors.Is(err, permission.ErrLoopback) {
			t.Errorf("net:%s: %v, want ErrLoopback", host, err)
		}
	}
	for _, host := range []string{"example.com", "localhost.example.com", "notlocalhost", "128.0.0.1", "[2001:db8::1]", "", "[", "a b"} {
		if permission.IsLoopbackHost(host) {
			t.Errorf("IsLoopbackHost(%q) = true", host)
		}
	}
}

func TestPrivateAddressesNeedLan(t *testing.T) {
	for _, host := range []string{
		"10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "192.168.257", "0xc0a80101", "169.254.169.254", "100.64.0.1",
		"0.1.2.3", "198.18.0.1", "224.0.0.1", "255.255.255.255", "[fe80::1]", "[fc00::1]", "[fd12:3456::1]", "[fec0::1]",
		"[ff02::1]", "[::ffff:10.0.0.1]", "[64:ff9b::192.168.1.1]", "[2002:c0a8:101::1]", "[64:ff9b:1::808:808]", "[100::1]",
	} {
		_, err := permission.Parse("net:" + host)
		var se *permission.ScopeError
		if !errors.Is(err, permission.ErrPrivateAddress) || !errors.As(err, &se) {
			t.Errorf("net:%s: %v, want ErrPrivateAddress", host, err)
			continue
		}
		if se.Hint != "Ask for lan to reach devices on the local network." {
			t.Errorf("net:%s: the hint does not name lan: %q", host, se.Hint)
		}
	}
}

func TestCanonicalHost(t *testing.T) {
	for in, want := range map[string]string{
		"Example.COM.":            "example.com",
		"127.1":                   "127.0.0.1",
		"0x7f.1":                  "127.0.0.1",
		"2130706433":              "127.0.0.1",
		"0":                       "0.0.0.0",
		"[::ffff:127.0.0.1]":      "127.0.0.1",
		"::ffff:10.0.0.1":         "10.0.0.1",
		"[2001:DB8:0:0::1]":       "2001:db8::1",
		"xn--bcher-kva.example":   "xn--bcher-kva.example",
		"faß.example":             "xn--fa-hia.example",
		"1.example":               "1.example",
		"0x7g.example":            "0x7g.example",
		"a-very-long-but-fine.io": "a-very-long-but-fine.io",
	} {
		got, err := permission.CanonicalHost(in)
		if err != nil || got != want {
			t.Errorf("CanonicalHost(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}
