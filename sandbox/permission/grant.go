package permission

import (
	"fmt"
	"time"
)

// Request is one permission that an app's manifest asks for.
type Request struct {
	Permission Permission `json:"permission"`
	Access     Access     `json:"access,omitempty"`     // files: what the app wants to do with the slot
	Folder     bool       `json:"folder,omitempty"`     // files: a folder rather than a file
	Types      []string   `json:"types,omitempty"`      // files: file types for the picker, as the manifest gives them
	Reason     string     `json:"reason"`               // the author's claim
	Required   bool       `json:"required,omitempty"`   // the app says it cannot start without it
	Background bool       `json:"background,omitempty"` // wanted also while no page is open
	Schedule   string     `json:"schedule,omitempty"`   // background: when; see ParseSchedule. "" means all the time
}

// Grant is the user's answer about one permission.
type Grant struct {
	Permission Permission `json:"permission"`
	Decision   Decision   `json:"decision"`
	Lifetime   Lifetime   `json:"lifetime"`
	Access     Access     `json:"access,omitempty"`   // files: what was given
	Path       string     `json:"path,omitempty"`     // files: absolute path that the user picked; without one the slot still asks
	Schedule   string     `json:"schedule,omitempty"` // background: what was given, as the request had it; "" is all the time
	At         time.Time  `json:"at"`
	By         string     `json:"by"` // by what the answer came: one of the By constants
}

// By what an answer came.
const (
	ByPrompt  = "prompt"
	ByReview  = "review"
	ByCLI     = "cli"
	ByUpdate  = "update"
	ByInstall = "install"
	ByRestore = "restore"
)

// Decision is the answer itself. The zero value asks.
type Decision uint8

// Decisions.
const (
	Ask Decision = iota
	Allow
	Deny
)

var decisionNames = []string{"ask", "allow", "deny"}

func (d Decision) String() string { return nameOf(decisionNames, int(d)) }

// ParseDecision reads "ask", "allow" or "deny".
func ParseDecision(s string) (Decision, error) {
	i, err := indexOf(decisionNames, s, "decision")
	return Decision(i), err
}

// MarshalText writes the String form.
func (d Decision) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the String form.
func (d *Decision) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDecision(string(text))
	return err
}

// Lifetime is how long an allowed permission lasts. The zero value ends with the run of the app.
type Lifetime uint8

// Lifetimes.
const (
	Session Lifetime = iota
	Always
)

var lifetimeNames = []string{"session", "always"}

func (l Lifetime) String() string { return nameOf(lifetimeNames, int(l)) }

// ParseLifetime reads "session" or "always".
func ParseLifetime(s string) (Lifetime, error) {
	i, err := indexOf(lifetimeNames, s, "lifetime")
	return Lifetime(i), err
}

// MarshalText writes the String form.
func (l Lifetime) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the String form.
func (l *Lifetime) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLifetime(string(text))
	return err
}

// Access is what may be done with a picked file or folder. Greater is wider; the zero value is nothing.
type Access uint8

// Accesses.
const (
	None Access = iota
	Read
	ReadWrite
)

var accessNames = []string{"", "read", "readwrite"}

func (a Access) String() string { return nameOf(accessNames, int(a)) }

// ParseAccess reads "", "read" or "readwrite".
func ParseAccess(s string) (Access, error) {
	i, err := indexOf(accessNames, s, "access")
	return Access(i), err
}

// MarshalText writes the String form.
func (a Access) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the String form.
func (a *Access) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAccess(string(text))
	return err
}

// Risk is how a permission is shown: high ones start off, coloured, and last for the session by default.
type Risk uint8

// Risks.
const (
	Low Risk = iota
	Normal
	High
)

var riskNames = []string{"low", "normal", "high"}

func (r Risk) String() string { return nameOf(riskNames, int(r)) }

// nameOf never panics: a value out of range prints as what it is and is refused when read back.
func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("invalid(%d)", i)
}

func indexOf(names []string, s, what string) (int, error) {
	for i, name := range names {
		if name == s {
			return i, nil
		}
	}
	return 0, fmt.Errorf("unknown %s %q, expected one of %q", what, s, names)
}
