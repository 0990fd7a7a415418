package permission

import (
	"errors"
	"strings"
)

// Kind is the first word of a permission.
type Kind string

// The kinds. table.go has one row for each.
const (
	Net           Kind = "net"           // talk to a site on the internet
	LAN           Kind = "lan"           // talk to devices on the local network
	Files         Kind = "files"         // a file or folder that the user picks
	Sys           Kind = "sys"           // a fact about this computer
	Browser       Kind = "browser"       // an ability of the app's page
	Background    Kind = "background"    // work with no page open
	Notifications Kind = "notifications" // show notices
	Links         Kind = "links"         // open links
)

// Permission is one thing an app may do. Values made by Parse are canonical and compare with ==; the zero value
// is no permission at all.
type Permission struct {
	Kind  Kind
	Scope string // empty for kinds without one
}

// neverGrantable says why, for the kinds that Deno knows and no app gets.
var neverGrantable = map[string]string{
	"run":        "an app could start any program outside its walls",
	"ffi":        "native code is not bound by the app's permissions",
	"import":     "code that was not in the signed bundle could run",
	"env":        "the environment holds the user's secrets",
	"read":       "files are given by the user's own choice, as files:SLOT",
	"write":      "files are given by the user's own choice, as files:SLOT",
	"net-listen": "an app is reached through Paddock's front door only",
	"all":        "every permission is asked for by name",
}

// Parse reads "kind" or "kind:scope" and returns it in canonical form, or a *[ScopeError].
// It accepts any spelling of a host that browsers accept; String gives the canonical one back.
func Parse(s string) (Permission, error) {
	if len(s) > maxText {
		return Permission{}, refuse(s, "it is too long for a permission", "")
	}
	word, scope, scoped := strings.Cut(s, ":")
	if reason, never := neverGrantable[word]; never {
		return Permission{}, refuseAs(ErrNeverGrantable, s, "never granted to any app, because "+reason,
			"The app has to do without it.")
	}
	row, known := table[Kind(word)]
	if !known {
		return Permission{}, refuseAs(ErrUnknownKind, s, "an unknown kind of permission",
			"The kinds are "+kindList()+"; a newer Paddock may know more.")
	}
	p := Permission{Kind: Kind(word)}
	switch {
	case row.scope == nil && scoped:
		return Permission{}, refuse(s, word+" takes nothing after its name", "Write just "+word+".")
	case row.scope == nil:
		return p, nil
	case scope == "":
		return Permission{}, refuse(s, word+" needs a scope", "Write "+row.example+", for example.")
	}
	canonical, err := row.scope(scope)
	if err != nil {
		var se *ScopeError
		if errors.As(err, &se) {
			return Permission{}, refuseAs(se.Err, s, se.Rule, se.Hint)
		}
		return Permission{}, err
	}
	p.Scope = canonical
	return p, nil
}

// String returns the form that Parse reads.
func (p Permission) String() string {
	if p.Scope == "" {
		return string(p.Kind)
	}
	return string(p.Kind) + ":" + p.Scope
}

// Valid reports whether p is what Parse would have made, and so whether it may be trusted to be canonical.
func (p Permission) Valid() bool {
	q, err := Parse(p.String())
	return err == nil && p == q
}

// Covers reports whether holding p is enough for q: p is q, or p is wider. It is a partial order over canonical
// permissions. Only net has wider and narrower scopes:
// "*" covers every site, "*.x" covers x and every name under it on the same port.
func (p Permission) Covers(q Permission) bool {
	if p == q {
		return true
	}
	if p.Kind != Net || q.Kind != Net {
		return false
	}
	return coversScope(p.Scope, q.Scope)
}

// Compare orders permissions by kind, then scope, as text.
func (p Permission) Compare(q Permission) int {
	if c := strings.Compare(string(p.Kind), string(q.Kind)); c != 0 {
		return c
	}
	return strings.Compare(p.Scope, q.Scope)
}

// MarshalText gives JSON and other encodings the String form.
func (p Permission) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText wrote, refusing everything that Parse refuses.
func (p *Permission) UnmarshalText(text []byte) error {
	q, err := Parse(string(text))
	if err != nil {
		return err
	}
	*p = q
	return nil
}
