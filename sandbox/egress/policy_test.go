package egress

import (
	"strings"
	"testing"

	"paddock/sandbox/permission"
)

// set parses a comma-separated list of permissions.
func set(t testing.TB, list string) permission.Set {
	t.Helper()
	var ps []permission.Permission
	for text := range strings.SplitSeq(list, ",") {
		if text == "" {
			continue
		}
		p, err := permission.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return permission.NewSet(ps...)
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		allow, deny string
		host        string
		port        uint16
		permission  string
		reason      string // empty: allowed
		lanOnly     bool
	}{
		{"net:a.example", "", "a.example", 443, "net:a.example", "", false},
		{"net:a.example", "", "a.example", 80, "net:a.example:80", ReasonNotGranted, false},
		{"net:a.example:80", "", "a.example", 80, "net:a.example:80", "", false},
		{"net:a.example", "", "b.a.example", 443, "net:b.a.example", ReasonNotGranted, false},
		{"net:*.a.example", "", "b.a.example", 443, "net:*.a.example", "", false},
		{"net:*.a.example", "", "a.example", 443, "net:*.a.example", "", false},
		{"net:*.a.example", "", "evila.example", 443, "net:evila.example", ReasonNotGranted, false},
		{"net:*.a.example:8443", "", "b.a.example", 8443, "net:*.a.example:8443", "", false},
		{"net:*", "", "anything.example", 8080, "net:*", "", false},
		{"net:*,net:*.a.example,net:b.a.example", "", "b.a.example", 443, "net:b.a.example", "", false},
		{"net:*", "net:evil.example", "evil.example", 443, "net:evil.example", ReasonDenied, false},
		{"net:evil.example", "net:*.evil.example", "evil.example", 443, "net:*.evil.example", ReasonDenied, false},
		{"net:*", "net:*", "a.example", 443, "net:*", ReasonDenied, false},
		{"net:*", "net:evil.example", "evil.example", 80, "net:*", "", false},
		{"", "", "a.example", 443, "net:a.example", ReasonNotGranted, false},
		{"files:notes", "", "a.example", 443, "net:a.example", ReasonNotGranted, false},

		{"net:*,lan", "", "127.0.0.1", 80, "net:127.0.0.1:80", ReasonThisComputer, false},
		{"net:*,lan", "", "localhost", 443, "net:localhost", ReasonThisComputer, false},
		{"net:*,lan", "", "x.localhost", 443, "net:x.localhost", ReasonThisComputer, false},
		{"net:*,lan", "", "::1", 443, "net:[::1]", ReasonThisComputer, false},

		{"lan", "", "192.168.1.5", 8080, "lan", "", true},
		{"lan", "", "printer.local", 631, "lan", "", true},
		{"lan", "", "nas", 443, "lan", "", true},
		{"lan", "", "fd00::5", 443, "lan", "", true},
		{"lan", "", "a.example", 443, "net:a.example", ReasonNotGranted, false},
		{"lan", "", "8.8.8.8", 443, "net:8.8.8.8", ReasonNotGranted, false},
		{"lan", "lan", "printer.local", 631, "lan", ReasonNotGranted, false},
		{"net:a.example", "", "192.168.1.5", 80, "lan", ReasonNotGranted, false},
	} {
		v := newRules(Policy{Allow: set(t, c.allow), Deny: set(t, c.deny)}).judge(c.host, c.port)
		reason := ""
		if v.refusal != nil {
			reason = v.refusal.reason
		}
		if v.permission != c.permission || reason != c.reason || v.lanOnly != c.lanOnly {
			t.Errorf("allow %q deny %q, %s:%d: %+v %q", c.allow, c.deny, c.host, c.port, v, reason)
		}
	}
}

func TestRefusalSentence(t *testing.T) {
	v := newRules(Policy{}).judge("evil.example", 443)
	const want = "This app may not talk to evil.example: it was not granted net:evil.example."
	if !strings.HasPrefix(v.refusal.text, want) || len(v.refusal.text) <= len(want) {
		t.Errorf("%q does not say what, why and what to do", v.refusal.text)
	}
}

func TestParseResolve(t *testing.T) {
	for in, want := range map[string][2]string{
		"api.test:443=127.0.0.1:8443":      {"api.test:443", "127.0.0.1:8443"},
		"API.Test.:80=[::1]:8080":          {"api.test:80", "[::1]:8080"},
		"[2606:4700::1]:443=10.0.0.1:1":    {"[2606:4700::1]:443", "10.0.0.1:1"},
		"a.test:443=[::ffff:127.0.0.1]:44": {"a.test:443", "127.0.0.1:44"},
	} {
		key, addr, err := ParseResolve(in)
		if err != nil || key != want[0] || addr != want[1] {
			t.Errorf("%s: %q %q %v", in, key, addr, err)
		}
	}
	for _, in := range []string{
		"", "a.test", "a.test:443", "a.test=127.0.0.1:1", "a.test:443=127.0.0.1", "a.test:443=localhost:1", "a.test:0=127.0.0.1:1",
		"a.test:443=127.0.0.1:0", ":443=127.0.0.1:1", "localhost:80=127.0.0.1:1", "127.1:80=127.0.0.1:1", "a b:443=127.0.0.1:1", "a.test:99999=127.0.0.1:1",
	} {
		if key, addr, err := ParseResolve(in); err == nil {
			t.Errorf("%q passes as %q %q", in, key, addr)
		}
	}
}
