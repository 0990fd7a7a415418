package permission_test

import (
	"time"

	"pgregory.net/rapid"

	"paddock/sandbox/permission"
)

// scopes are few and related, so that covering, equality and denial inside a wildcard happen often.
var scopes = []string{
	"net:*", "net:*.example.com", "net:*.a.example.com", "net:example.com", "net:a.example.com", "net:b.a.example.com",
	"net:notexample.com", "net:*.example.com:8443", "net:a.example.com:8443", "net:example.com:8443", "net:8.8.8.8",
	"net:8.8.8.8:53", "net:[2001:4860:4860::8888]", "lan", "files:notes", "files:pictures", "sys:hostname", "sys:uid",
	"browser:camera", "browser:eval", "background", "notifications", "links",
}

func parse(s string) permission.Permission {
	p, err := permission.Parse(s)
	if err != nil {
		panic(err)
	}
	return p
}

func permissions() *rapid.Generator[permission.Permission] {
	return rapid.Custom(func(t *rapid.T) permission.Permission {
		return parse(rapid.SampledFrom(scopes).Draw(t, "permission"))
	})
}

func sets() *rapid.Generator[permission.Set] {
	return rapid.Map(rapid.SliceOfN(permissions(), 0, 8), func(ps []permission.Permission) permission.Set {
		return permission.NewSet(ps...)
	})
}

func requests() *rapid.Generator[[]permission.Request] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) permission.Request {
		return permission.Request{
			Permission: permissions().Draw(t, "request"),
			Access:     rapid.SampledFrom([]permission.Access{permission.None, permission.Read, permission.ReadWrite}).Draw(t, "access"),
			Folder:     rapid.Bool().Draw(t, "folder"),
			Required:   rapid.Bool().Draw(t, "required"),
		}
	}), 0, 8)
}

func grants() *rapid.Generator[[]permission.Grant] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) permission.Grant {
		return permission.Grant{
			Permission: permissions().Draw(t, "grant"),
			Decision:   permission.Decision(rapid.IntRange(0, 3).Draw(t, "decision")), // 3 is no decision at all
			Lifetime:   permission.Lifetime(rapid.IntRange(0, 1).Draw(t, "lifetime")),
			Access:     permission.Access(rapid.IntRange(0, 2).Draw(t, "granted access")),
			Path:       rapid.SampledFrom([]string{"", "/home/ann/notes"}).Draw(t, "path"),
			At:         time.Unix(1, 0),
			By:         permission.ByPrompt,
		}
	}), 0, 8)
}
