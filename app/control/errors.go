package control

import (
	"encoding/json"
	"errors"
)

// Exit codes of the command line. They are a contract with other programs.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitRefused     = 3 // signature, publisher changed, permission missing, policy
	ExitNoApp       = 4
	ExitUnreachable = 5 // the agent cannot be reached or started
	ExitNotStarted  = 6 // the app did not start
)

// Error is a refusal or a failure in words for a person: what, why (Message) and the next step (Hint).
// Code is stable and meant for programs; Detail depends on Code.
type Error struct {
	Code    string          `json:"code"`
	Message string          `json:"message"`
	Hint    string          `json:"hint"`
	Detail  json.RawMessage `json:"detail,omitempty"`
	Exit    int             `json:"-"`
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + " " + e.Hint
}

// wireError carries Exit too; the document for people and programs leaves it to the exit code.
type wireError struct {
	Error
	Exit int `json:"exit"`
}

// NewError makes an Error from whole sentences: texts for users are made in one place from typed errors.
// detail may be nil; it must marshal.
func NewError(exit int, code, message, hint string, detail any) *Error {
	e := &Error{Code: code, Message: message, Hint: hint, Exit: exit}
	if detail != nil {
		raw, err := json.Marshal(detail)
		if err != nil {
			raw, _ = json.Marshal(err.Error())
		}
		e.Detail = raw
	}
	return e
}

// CodeInternal is the code of an error that nobody has made words for.
const CodeInternal = "internal"

// AsError turns any error into one that can be shown: itself when it is one, else an internal failure.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return NewError(ExitFailed, CodeInternal, err.Error(), "", nil)
}
