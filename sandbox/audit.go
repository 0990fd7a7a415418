package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"paddock/sandbox/permission"
)

// Use is what an app's Deno says about one kind of use of a permission. Deno writes it, in the app's own process, into
// a pipe that the app can write into and close as well (tried: net.Socket({fd}) needs no permission for that). So it
// is shown as what the app reports about itself, and nothing is ever decided by it.
type Use struct {
	// Permission is a permission of the vocabulary, one of the kinds that no app is given (read, write, run, ffi, env,
	// import, sys, net), or one of the Audit constants. It never holds a path or the name of a variable.
	Permission string
	Allowed    bool  // what the grants say about it: Deno writes checks, not their results
	Count      int64 // at least 1
}

// What is told about the reports themselves. They are never allowed uses.
const (
	AuditEnded      = "audit:ended"      // the app closed the pipe while it ran: nothing more is reported
	AuditUnreadable = "audit:unreadable" // lines that Deno does not write: the app writes into the pipe itself
	AuditDropped    = "audit:dropped"    // lines that were not looked at, because there were too many
)

// auditCheck is one line of Deno's permission audit (Deno 2.9: runtime/permissions, DENO_AUDIT_PERMISSIONS).
type auditCheck struct {
	kind  string
	value string // what was asked for; "" for everything of the kind
}

// auditKinds are the first words that Deno writes.
var auditKinds = map[string]bool{
	"read": true, "write": true, "net": true, "env": true, "sys": true, "run": true, "ffi": true, "import": true,
}

const (
	auditStart = `{"v":1,"datetime":"`
	auditKind  = `","permission":"`
	auditValue = `","value":`
)

// parseAudit reads one line without its line end. It knows one spelling only, the one that Deno writes: whatever
// differs in a byte was written by somebody else.
func parseAudit(line []byte) (check auditCheck, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(auditStart))
	if !ok {
		return check, false
	}
	at, rest, ok := bytes.Cut(rest, []byte(auditKind))
	if !ok || len(at) > len(time.RFC3339Nano)+8 {
		return check, false
	}
	if _, err := time.Parse(time.RFC3339, string(at)); err != nil {
		return check, false
	}
	kind, rest, ok := bytes.Cut(rest, []byte(auditValue))
	if !ok || !auditKinds[string(kind)] {
		return check, false
	}
	rest, ok = bytes.CutSuffix(rest, []byte("}"))
	if !ok {
		return check, false
	}
	check.kind = string(kind)
	if string(rest) == "null" {
		return check, true
	}
	check.value, ok = auditText(rest)
	return check, ok
}

// auditText reads a JSON string and refuses every other value.
func auditText(quoted []byte) (string, bool) {
	if len(quoted) < 2 || quoted[0] != '"' || !utf8.Valid(quoted) {
		return "", false
	}
	plain := func(c rune) bool { return c >= ' ' && c != '\\' && c != '"' }
	if inner := quoted[1 : len(quoted)-1]; quoted[len(quoted)-1] == '"' && bytes.IndexFunc(inner, func(c rune) bool { return !plain(c) }) < 0 {
		return string(inner), true
	}
	var text string
	if err := json.Unmarshal(quoted, &text); err != nil {
		return "", false
	}
	return text, true
}

// auditRules turn checks into uses, by what the app was granted.
type auditRules struct {
	allow permission.Set
	deny  permission.Set
	slots []Slot
	facts map[string]string
	ours  []string // folders and sockets that every app has; what it does there is not reported
	data  string   // of these, the one that it may write
	quiet [][]byte // how lines about them go on after the value's first quote, for a look that costs little
}

func newAuditRules(s Spec, p Paths) *auditRules {
	r := &auditRules{
		allow: s.Allow, deny: s.Deny, slots: s.Slots, facts: s.Facts, data: s.DataDir,
		ours: []string{s.AppDir, s.DataDir, s.RuntimeDir, p.Dir, p.Entry.Dir},
	}
	for _, folder := range []string{s.AppDir, s.DataDir} {
		if quoted, err := json.Marshal(folder); err == nil {
			r.quiet = append(r.quiet, append(quoted[:len(quoted)-1:len(quoted)-1], '/'))
		}
	}
	return r
}

// dull says that a line is about the app's own files, without taking it apart: most lines of most apps are. A line
// that looks like one and is not costs the app the report of something that it wrote itself.
func (r *auditRules) dull(line []byte) bool {
	at := bytes.Index(line, []byte(auditValue))
	if at < 0 || bytes.Contains(line, []byte("/..")) {
		return false
	}
	value := line[at+len(auditValue):]
	kind := line[:at]
	for i, start := range r.quiet {
		if bytes.HasPrefix(value, start) && (bytes.HasSuffix(kind, []byte(`"read`)) || i == 1 && bytes.HasSuffix(kind, []byte(`"write`))) {
			return true
		}
	}
	return false
}

// use is what a check is called, and whether the grants cover it. ok is false for what is not reported: what every app
// may do, and uses of the network, which the proxy sees better.
func (r *auditRules) use(c auditCheck) (name string, allowed, ok bool) {
	switch c.kind {
	case "read", "write":
		return r.fileUse(c)
	case "net":
		return r.netUse(c)
	case "sys":
		p, err := permission.Parse("sys:" + c.value)
		if err != nil {
			return c.kind, false, true
		}
		return p.String(), r.covers(p), true
	case "env":
		_, given := r.facts[c.value]
		return c.kind, false, !given
	}
	return c.kind, false, true // run, ffi, import: nobody has them
}

func (r *auditRules) covers(p permission.Permission) bool {
	return r.allow.Covers(p) && !r.deny.Covers(p)
}

func (r *auditRules) fileUse(c auditCheck) (name string, allowed, ok bool) {
	path := c.value
	switch {
	case path == "", strings.HasPrefix(path, "<"): // everything; or a place that Deno does not tell, such as <TMP>
		return c.kind, false, path != "<CWD>" // which an app may know
	case !filepath.IsAbs(path):
		path = filepath.Join(r.data, path) // where the app runs
	}
	path = filepath.Clean(path)
	for _, s := range r.slots {
		if path == s.Path || s.Folder && inside(path, s.Path) {
			return "files:" + s.Name, c.kind == "read" || s.Write, true
		}
	}
	for _, folder := range r.ours {
		if inside(path, folder) && (c.kind == "read" || folder != r.ours[0]) {
			return "", false, false
		}
	}
	return c.kind, false, true
}

// netUse reports what Deno itself refused. What it let through goes to the proxy, which counts it, refused or not.
func (r *auditRules) netUse(c auditCheck) (name string, allowed, ok bool) {
	if path, unix := strings.CutPrefix(c.value, "unix:"); unix {
		for _, folder := range r.ours {
			if inside(filepath.Clean(path), folder) {
				return "", false, false
			}
		}
		return c.kind, false, true
	}
	if strings.Contains(c.value, "://") {
		return "", false, false // fetch: the same again follows as host and port
	}
	lan := r.covers(permission.Permission{Kind: permission.LAN})
	p, err := permission.Parse("net:" + c.value)
	if err != nil { // this computer, a private address, or no host at all
		return c.kind, false, !lan || !errors.Is(err, permission.ErrPrivateAddress)
	}
	if r.passes(p, lan) {
		return "", false, false
	}
	return p.String(), false, true
}

// passes says that Deno's flags let p through: see netValues.
func (r *auditRules) passes(p permission.Permission, lan bool) bool {
	host, port, _ := p.Host()
	matches := func(set permission.Set) bool {
		return slices.ContainsFunc(set.OfKind(permission.Net), func(have permission.Permission) bool {
			return permission.MatchHost(have, host, port)
		})
	}
	local := slices.ContainsFunc(localNames, func(ending string) bool {
		return strings.HasSuffix(host, strings.TrimPrefix(ending, "*"))
	})
	return (matches(r.allow) || lan && local) && !matches(r.deny)
}
