package permission_test

import (
	"testing"

	"pgregory.net/rapid"

	"paddock/sandbox/permission"
)

func TestResolve(t *testing.T) {
	ask := func(s string) permission.Request { return permission.Request{Permission: parse(s)} }
	file := func(s string, a permission.Access) permission.Request {
		return permission.Request{Permission: parse(s), Access: a}
	}
	yes := func(s string) permission.Grant {
		return permission.Grant{Permission: parse(s), Decision: permission.Allow}
	}
	no := func(s string) permission.Grant {
		return permission.Grant{Permission: parse(s), Decision: permission.Deny}
	}
	picked := func(s string, a permission.Access, path string) permission.Grant {
		return permission.Grant{Permission: parse(s), Decision: permission.Allow, Access: a, Path: path}
	}
	type reqs = []permission.Request
	type gr = []permission.Grant
	for name, c := range map[string]struct {
		requests         reqs
		grants           gr
		allow, ask, deny string
	}{
		"nothing asked":                   {nil, gr{yes("net:*"), yes("lan")}, "", "", ""},
		"no answer yet":                   {reqs{ask("lan"), ask("net:a.example.com")}, nil, "", "lan,net:a.example.com", ""},
		"a stored ask asks":               {reqs{ask("lan")}, gr{{Permission: parse("lan")}}, "", "lan", ""},
		"granted":                         {reqs{ask("lan")}, gr{yes("lan")}, "lan", "", ""},
		"denied":                          {reqs{ask("lan")}, gr{no("lan")}, "", "", "lan"},
		"denial after grant wins":         {reqs{ask("lan")}, gr{yes("lan"), no("lan")}, "", "", "lan"},
		"denial before grant wins":        {reqs{ask("lan")}, gr{no("lan"), yes("lan")}, "", "", "lan"},
		"wider grant allows":              {reqs{ask("net:a.example.com")}, gr{yes("net:*.example.com")}, "net:a.example.com", "", ""},
		"apex under wildcard":             {reqs{ask("net:example.com")}, gr{yes("net:*.example.com")}, "net:example.com", "", ""},
		"other port asks":                 {reqs{ask("net:a.example.com:8443")}, gr{yes("net:*.example.com")}, "", "net:a.example.com:8443", ""},
		"wider denial denies":             {reqs{ask("net:a.example.com")}, gr{yes("net:a.example.com"), no("net:*")}, "", "", "net:a.example.com"},
		"narrower grants do not add up":   {reqs{ask("net:*.example.com")}, gr{yes("net:a.example.com"), yes("net:example.com")}, "", "net:*.example.com", ""},
		"narrower denial stays inside":    {reqs{ask("net:*.example.com")}, gr{yes("net:*.example.com"), no("net:a.example.com")}, "net:*.example.com", "", "net:a.example.com"},
		"narrower denial of an open row":  {reqs{ask("net:*")}, gr{no("net:a.example.com")}, "", "net:*", "net:a.example.com"},
		"unrelated denial is left out":    {reqs{ask("lan")}, gr{no("net:a.example.com")}, "", "lan", ""},
		"slot without a path asks":        {reqs{file("files:notes", permission.Read)}, gr{picked("files:notes", permission.Read, "")}, "", "files:notes", ""},
		"slot with a path":                {reqs{file("files:notes", permission.Read)}, gr{picked("files:notes", permission.Read, "/n")}, "files:notes", "", ""},
		"slot with more access":           {reqs{file("files:notes", permission.Read)}, gr{picked("files:notes", permission.ReadWrite, "/n")}, "files:notes", "", ""},
		"slot with less access asks":      {reqs{file("files:notes", permission.ReadWrite)}, gr{picked("files:notes", permission.Read, "/n")}, "", "files:notes", ""},
		"slot asked without access":       {reqs{file("files:notes", permission.None)}, gr{picked("files:notes", permission.ReadWrite, "/n")}, "", "files:notes", ""},
		"slot denied needs no path":       {reqs{file("files:notes", permission.Read)}, gr{no("files:notes")}, "", "", "files:notes"},
		"same slot twice: stricter holds": {reqs{file("files:notes", permission.Read), file("files:notes", permission.ReadWrite)}, gr{picked("files:notes", permission.Read, "/n")}, "", "files:notes", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := permission.Resolve(c.requests, c.grants)
			if r.Allow.String() != c.allow || r.Ask.String() != c.ask || r.Deny.String() != c.deny {
				t.Errorf("allow %q ask %q deny %q, want %q %q %q", r.Allow, r.Ask, r.Deny, c.allow, c.ask, c.deny)
			}
		})
	}
}

// A permission that Parse did not make is denied, even when host code asks for and grants it by hand.
func TestResolveDeniesWhatParseDidNotMake(t *testing.T) {
	for _, p := range []permission.Permission{
		{},
		{Kind: "net", Scope: "localhost"},
		{Kind: "net", Scope: "EXAMPLE.com"},
		{Kind: "run"},
		{Kind: "bluetooth"},
		{Kind: "lan", Scope: "x"},
	} {
		r := permission.Resolve([]permission.Request{{Permission: p, Access: permission.Read}},
			[]permission.Grant{{Permission: p, Decision: permission.Allow, Access: permission.ReadWrite, Path: "/x"}})
		if r.Allow.Len() != 0 || r.Ask.Len() != 0 || !r.Deny.Has(p) {
			t.Errorf("%#v: allow %q ask %q deny %q", p, r.Allow, r.Ask, r.Deny)
		}
	}
}

func TestResolveProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		requests, grants := requests().Draw(t, "requests"), grants().Draw(t, "grants")
		r := permission.Resolve(requests, grants)

		requested := map[permission.Permission]bool{}
		for _, q := range requests {
			requested[q.Permission] = true
			in := 0
			for _, s := range []permission.Set{r.Allow, r.Ask, r.Deny} {
				if s.Has(q.Permission) {
					in++
				}
			}
			if in != 1 {
				t.Fatalf("%s is in %d of the three sets", q.Permission, in)
			}
		}
		for _, p := range r.Ask.All() {
			if !requested[p] {
				t.Fatalf("%s is asked and was not requested", p)
			}
		}
		for _, p := range r.Allow.All() {
			if !requested[p] {
				t.Fatalf("%s is allowed and was not requested", p)
			}
			granted := false
			for _, g := range grants {
				if g.Decision == permission.Deny && g.Permission.Covers(p) {
					t.Fatalf("%s is allowed against the denial of %s", p, g.Permission)
				}
				granted = granted || g.Decision == permission.Allow && g.Permission.Covers(p)
			}
			if !granted {
				t.Fatalf("%s is allowed and no single grant covers it", p)
			}
		}
		for _, g := range grants {
			if g.Decision != permission.Deny {
				continue
			}
			for q := range requested {
				if q.Covers(g.Permission) && !r.Deny.Has(g.Permission) {
					t.Fatalf("the denial of %s inside the request of %s was lost", g.Permission, q)
				}
			}
		}
	})
}

func TestResolveWithoutGrantsAsksEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		requests := requests().Draw(t, "requests")
		r := permission.Resolve(requests, nil)
		if r.Allow.Len() != 0 || r.Deny.Len() != 0 {
			t.Fatalf("allow %q deny %q without an answer", r.Allow, r.Deny)
		}
		for _, q := range requests {
			if !r.Ask.Has(q.Permission) {
				t.Fatalf("%s is not asked", q.Permission)
			}
		}
	})
}

func TestResolveIgnoresOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		requests, grants := requests().Draw(t, "requests"), grants().Draw(t, "grants")
		a := permission.Resolve(requests, grants)
		b := permission.Resolve(rapid.Permutation(requests).Draw(t, "requests again"), rapid.Permutation(grants).Draw(t, "grants again"))
		if !a.Allow.Equal(b.Allow) || !a.Ask.Equal(b.Ask) || !a.Deny.Equal(b.Deny) {
			t.Fatalf("order matters: %v and %v", a, b)
		}
	})
}

// One more denial can only take away, one more grant can only add.
func TestResolveIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		requests, grants := requests().Draw(t, "requests"), grants().Draw(t, "grants")
		p := permissions().Draw(t, "one more")
		before := permission.Resolve(requests, grants).Allow
		denied := permission.Resolve(requests, append(grants[:len(grants):len(grants)], permission.Grant{Permission: p, Decision: permission.Deny})).Allow
		for _, q := range denied.All() {
			if !before.Has(q) {
				t.Fatalf("denying %s allowed %s", p, q)
			}
		}
		wider := permission.Resolve(requests, append(grants[:len(grants):len(grants)],
			permission.Grant{Permission: p, Decision: permission.Allow, Access: permission.ReadWrite, Path: "/x"})).Allow
		for _, q := range before.All() {
			if !wider.Has(q) {
				t.Fatalf("granting %s took %s away", p, q)
			}
		}
		for _, q := range wider.Diff(before).All() {
			if !p.Covers(q) {
				t.Fatalf("granting %s allowed %s, which is wider or other", p, q)
			}
		}
	})
}
