package permission_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"paddock/sandbox/permission"
)

func TestCoversIsAPartialOrder(t *testing.T) {
	for _, a := range scopes {
		for _, b := range scopes {
			p, q := parse(a), parse(b)
			if p.Covers(q) && q.Covers(p) && p != q {
				t.Errorf("%s and %s cover each other", p, q)
			}
			if p == q && !p.Covers(q) {
				t.Errorf("%s does not cover itself", p)
			}
			for _, c := range scopes {
				if r := parse(c); p.Covers(q) && q.Covers(r) && !p.Covers(r) {
					t.Errorf("%s covers %s covers %s, but not the last", p, q, r)
				}
			}
		}
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		wide, narrow string
		want         bool
	}{
		{"net:*", "net:*", true},
		{"net:*", "net:a.example.com:8443", true},
		{"net:*", "net:8.8.8.8", true},
		{"net:*", "lan", false},
		{"lan", "net:a.example.com", false},
		{"net:*.example.com", "net:example.com", true},
		{"net:*.example.com", "net:b.a.example.com", true},
		{"net:*.example.com", "net:*.a.example.com", true},
		{"net:*.example.com", "net:a.example.com:8443", false},
		{"net:*.example.com:8443", "net:a.example.com:8443", true},
		{"net:*.example.com", "net:notexample.com", false},
		{"net:*.example.com", "net:*", false},
		{"net:example.com", "net:*.example.com", false},
		{"net:example.com", "net:a.example.com", false},
		{"net:*.a.example.com", "net:*.example.com", false},
		{"files:notes", "files:pictures", false},
		{"browser:camera", "browser:camera", true},
	} {
		if got := parse(c.wide).Covers(parse(c.narrow)); got != c.want {
			t.Errorf("%s covers %s: %v", c.wide, c.narrow, got)
		}
	}
}

// What one permission covers, a set that holds it covers, and the proxy's view agrees with the policy's.
func TestMatchHostAgreesWithCovers(t *testing.T) {
	for _, a := range scopes {
		p := parse(a)
		for _, b := range scopes {
			q := parse(b)
			host, port, wildcard := q.Host()
			if q.Kind != permission.Net || wildcard {
				continue
			}
			if got := permission.MatchHost(p, host, port); got != p.Covers(q) {
				t.Errorf("MatchHost(%s, %s, %d) = %v, Covers says otherwise", p, host, port, got)
			}
		}
	}
	star := parse("net:*")
	for _, host := range append([]string{"", "*", "*.example.com"}, loopback...) {
		if permission.MatchHost(star, host, 443) {
			t.Errorf("net:* matches %q", host)
		}
	}
	if permission.MatchHost(star, "example.com", 0) {
		t.Error("net:* matches port 0")
	}
	if !permission.MatchHost(star, "2001:4860:4860::8888", 80) {
		t.Error("net:* does not match a public address")
	}
}

func TestSetProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, other := sets().Draw(t, "s"), sets().Draw(t, "other")
		union, diff := s.Union(other), s.Diff(other)
		if !union.CoversSet(s) || !union.CoversSet(other) {
			t.Fatal("the union does not cover its parts")
		}
		for _, p := range s.All() {
			if !s.Has(p) || !s.Covers(p) {
				t.Fatalf("%s is listed but not held", p)
			}
			if diff.Has(p) == other.Covers(p) {
				t.Fatalf("%s: in the difference %v, covered %v", p, diff.Has(p), other.Covers(p))
			}
		}
		if !s.CoversSet(diff) {
			t.Fatal("the difference is wider than the set")
		}
		if other.CoversSet(s) != (diff.Len() == 0) {
			t.Fatal("CoversSet and Diff disagree")
		}
		again, err := permission.ParseSet(s.String())
		if err != nil || !again.Equal(s) {
			t.Fatalf("ParseSet(%q) = %q, %v", s, again, err)
		}
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var read permission.Set
		if err := json.Unmarshal(raw, &read); err != nil || !read.Equal(s) {
			t.Fatalf("JSON %s came back as %q, %v", raw, read, err)
		}
		kinds := 0
		for _, k := range permission.Kinds() {
			kinds += len(s.OfKind(k))
		}
		if kinds != s.Len() {
			t.Fatalf("%d members by kind, %d in all", kinds, s.Len())
		}
	})
}

func TestSetIsImmutable(t *testing.T) {
	source := []permission.Permission{parse("lan"), parse("background")}
	s := permission.NewSet(source...)
	source[0] = parse("links")
	listed := s.All()
	listed[0] = parse("links")
	if s.String() != "background,lan" {
		t.Errorf("the set changed to %q", s)
	}
}

func TestZeroValues(t *testing.T) {
	var s permission.Set
	if s.Len() != 0 || s.Covers(parse("lan")) || s.AnyNet() || s.NeedsEgress() || len(s.DenoNet()) != 0 || s.String() != "" {
		t.Error("the zero set holds something")
	}
	if raw, _ := json.Marshal(s); string(raw) != "[]" {
		t.Errorf("the zero set is %s in JSON", raw)
	}
	var g permission.Grant
	if g.Decision != permission.Ask || g.Lifetime != permission.Session || g.Access != permission.None {
		t.Error("the zero grant gives something")
	}
}

func TestGrantJSON(t *testing.T) {
	g := permission.Grant{
		Permission: parse("files:notes"), Decision: permission.Allow, Lifetime: permission.Always,
		Access: permission.ReadWrite, Path: "/home/ann/notes", At: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), By: permission.ByCLI,
	}
	raw, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"permission":"files:notes","decision":"allow","lifetime":"always","access":"readwrite","path":"/home/ann/notes","at":"2026-11-22T10:00:00Z","by":"cli"}`
	if string(raw) != want {
		t.Errorf("got  %s\nwant %s", raw, want)
	}
	var back permission.Grant
	if err := json.Unmarshal(raw, &back); err != nil || back != g {
		t.Errorf("came back as %+v, %v", back, err)
	}
	for _, bad := range []string{
		`{"permission":"run"}`, `{"permission":"net:localhost"}`, `{"decision":"yes"}`, `{"lifetime":"ever"}`, `{"access":"write"}`,
	} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
	var set permission.Set
	for _, bad := range []string{`["run"]`, `[1]`, `"lan"`} {
		if err := json.Unmarshal([]byte(bad), &set); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
