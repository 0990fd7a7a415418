package permission

import (
	"errors"
	"fmt"
)

// Sentinels that a [ScopeError] may wrap, for callers that branch.
var (
	// ErrNeverGrantable means the kind exists but no app can have it: an app that asks is refused at install.
	ErrNeverGrantable = errors.New("never granted to any app")
	// ErrUnknownKind means this version does not know the kind: a newer Paddock may.
	ErrUnknownKind = errors.New("unknown kind of permission")
	// ErrLoopback means the scope is this computer itself in some spelling.
	ErrLoopback = errors.New("this computer itself is never reachable")
	// ErrPrivateAddress means the scope is a private, link-local or reserved address; devices need "lan".
	ErrPrivateAddress = errors.New("private addresses need lan")
)

// ScopeError says why a text is not a permission, a host or a path that could be granted.
type ScopeError struct {
	Input string // as given, shortened when long
	Rule  string // the rule it breaks, a phrase for people: "a port is a number from 1 to 65535"
	Hint  string // the next step, a sentence; may be empty
	Err   error  // a sentinel of this package, or nil
}

func (e *ScopeError) Error() string {
	if e.Hint == "" {
		return fmt.Sprintf("%q: %s", e.Input, e.Rule)
	}
	return fmt.Sprintf("%q: %s. %s", e.Input, e.Rule, e.Hint)
}

func (e *ScopeError) Unwrap() error { return e.Err }

// maxText bounds what Parse looks at, in bytes: a DNS name has at most 253, everything else is shorter.
const maxText = 512

// refuse makes a ScopeError without a sentinel.
func refuse(input, rule, hint string) *ScopeError { return refuseAs(nil, input, rule, hint) }

func refuseAs(err error, input, rule, hint string) *ScopeError {
	if len(input) > 80 {
		input = input[:80] + "…"
	}
	return &ScopeError{Input: input, Rule: rule, Hint: hint, Err: err}
}
