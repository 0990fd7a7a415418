package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"paddock/sandbox/egress"
	"paddock/sandbox/permission"
	"paddock/sandbox/wall"
)

// Slot is a file or folder that the user picked for the app.
type Slot struct {
	Name   string
	Path   string // absolute, links resolved
	Write  bool
	Folder bool
}

// Level says in one word how much of the kernel's wall holds.
type Level = wall.Level

// The levels that can be required, weakest first.
const (
	Basic   = wall.Basic
	Partial = wall.Partial
	Full    = wall.Full
)

// The kinds of server an app may declare; see Spec.API.
const (
	APIFetch = "fetch" // export default { fetch }
	APIDeno  = "deno"  // calls Deno.serve
	APINode  = "node"  // listens with node:http
)

// Spec is all the supervisor needs to run one app. Paths are absolute and clean; AppDir and the folders the app can
// write must lie apart, because the kernel's rights add up along a path.
type Spec struct {
	ID         string            // names the instance's socket folder: letters, digits, dots, dashes; at most 64
	AppDir     string            // the app's code, read-only
	DataDir    string            // its HOME and working folder, the only folder it can write
	RuntimeDir string            // Deno's caches and temporary files; in no Deno flag
	LogDir     string            // the app's output
	Entry      string            // the app's module, relative to AppDir
	API        string            // APIFetch, APIDeno, APINode, or "" to accept whichever the app brings
	Allow      permission.Set    // what is granted
	Deny       permission.Set    // narrower refusals inside what is granted
	Slots      []Slot            // the paths behind the granted files permissions
	Budget     Budget            // zero fields mean defaults
	Location   string            // origin of localStorage and the like, "http://LABEL.localhost/"; "" for one made from ID
	Health     string            // path that must answer below 500 before the app counts as started; "" for none
	Facts      map[string]string // environment variables PADDOCK_…; no secrets
	Require    Level             // refuse to start when the kernel gives less; the zero value requires nothing
}

// Options configure a Supervisor. Deno, SocketDir and EntryDir are required, and Launcher on Linux.
type Options struct {
	Deno          string // the runtime's executable
	RuntimeSHA256 string // what Deno's file must hash to, hexadecimal; "" does not check
	Launcher      string // paddock-launch
	SocketDir     string // made 0700; instance sockets live in SocketDir/ID, and folders made ahead beside it in SocketDir-ahead
	EntryDir      string // the entry module is kept in EntryDir/SHA256

	Egress    egress.Options                          // template: Resolve, Resolver, RootCAs, Limits, Now; the rest is set per instance
	OnEgress  func(id string, e egress.Event)         // each use of the network; may be nil
	OnUse     func(id string, u Use)                  // what an app reports about itself; called from one goroutine for each instance; may be nil
	OnMessage func(id string, m Message) Message      // a question from the app over the host channel; may block; may be nil
	LoadFact  func(key string) (value int64, ok bool) // a figure measured before; may be nil
	SaveFact  func(key string, value int64)           // keeps a figure; may be nil

	NoView bool // leave apps the agent's own view of files, network and names (see wall.View)
	Logger *slog.Logger
}

// Message is one line on the host channel. The app asks, the host answers with the same ID.
type Message struct {
	ID         int64  `json:"id"`
	Kind       string `json:"kind"`                 // "permissions.query" or "permissions.request"
	Permission string `json:"permission,omitempty"` // as the app wrote it: a stranger's text
	State      string `json:"state,omitempty"`      // answer: "granted", "denied" or "prompt"
	Error      string `json:"error,omitempty"`      // answer: why there is no state
}

var (
	idPattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	factPattern = regexp.MustCompile(`^PADDOCK_[A-Z0-9_]{1,56}$`)
)

// checkPath refuses what Deno's flags cannot carry: Deno splits path lists at commas and has no escape, so
// --allow-read=/a/x,/etc grants /etc (tried).
func checkPath(what, path string) error {
	switch {
	case path == "":
		return fmt.Errorf("%s is missing", what)
	case !filepath.IsAbs(path) || filepath.Clean(path) != path:
		return fmt.Errorf("%s %q must be an absolute path without detours", what, path)
	case strings.Contains(path, ","):
		return fmt.Errorf("%s %q contains a comma, which Deno would read as two paths; rename the folder", what, path)
	case !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl):
		return fmt.Errorf("%s %q contains a character that is not printable text; rename the folder", what, path)
	}
	return nil
}

// check finds what is wrong with a spec without looking at the disk.
func (s Spec) check(o Options) error {
	if !idPattern.MatchString(s.ID) {
		return fmt.Errorf("the id %q must be letters, digits, dots and dashes, at most 64", s.ID)
	}
	folders := []struct{ what, path string }{
		{"the app's folder", s.AppDir},
		{"the data folder", s.DataDir},
		{"the runtime folder", s.RuntimeDir},
		{"the log folder", s.LogDir},
		{"the entry module's folder", o.EntryDir},
		{"the socket folder", o.SocketDir},
	}
	for i, f := range folders {
		if err := checkPath(f.what, f.path); err != nil {
			return err
		}
		for _, g := range folders[:i] {
			if inside(f.path, g.path) || inside(g.path, f.path) {
				return fmt.Errorf("%s %s and %s %s must lie apart", f.what, f.path, g.what, g.path)
			}
		}
	}
	if err := s.checkEntry(); err != nil {
		return err
	}
	var own []string
	for _, f := range folders {
		own = append(own, f.path)
	}
	own = append(own, o.Deno)
	if o.Launcher != "" {
		own = append(own, o.Launcher)
	}
	names := map[string]bool{}
	for _, slot := range s.Slots {
		if slot.Name == "" || names[slot.Name] {
			return fmt.Errorf("the slot name %q is empty or used twice", slot.Name)
		}
		names[slot.Name] = true
		if err := checkPath("the path of slot "+slot.Name, slot.Path); err != nil {
			return err
		}
		if err := permission.CheckSlotPath(slot.Path, own); err != nil {
			return fmt.Errorf("slot %s: %w", slot.Name, err)
		}
	}
	if s.Location != "" {
		u, err := url.Parse(s.Location)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
			return fmt.Errorf("the location %q must be an http or https origin", s.Location)
		}
	}
	if s.Health != "" && (!strings.HasPrefix(s.Health, "/") || strings.ContainsFunc(s.Health, notInPath)) {
		return fmt.Errorf("the health path %q must begin with a slash and hold no spaces", s.Health)
	}
	for name, value := range s.Facts {
		if !factPattern.MatchString(name) || len(value) > 4096 || strings.ContainsRune(value, 0) {
			return fmt.Errorf("the fact %q must be named PADDOCK_… and be text of at most 4096 bytes", name)
		}
	}
	return nil
}

func notInPath(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

func (s Spec) checkEntry() error {
	if s.Entry == "" || !filepath.IsLocal(s.Entry) || filepath.Clean(s.Entry) != s.Entry {
		return fmt.Errorf("the entry %q must be a file inside the app's folder", s.Entry)
	}
	if err := checkPath("the entry", filepath.Join(s.AppDir, s.Entry)); err != nil {
		return err
	}
	if ext := filepath.Ext(s.Entry); ext != ".js" && ext != ".mjs" {
		return fmt.Errorf("the entry %q must be JavaScript (.js or .mjs)", s.Entry)
	}
	if !slices.Contains([]string{"", APIFetch, APIDeno, APINode}, s.API) {
		return fmt.Errorf("the server kind %q must be fetch, deno, node or empty", s.API)
	}
	return nil
}

// inside reports whether path is folder or lies in it. Both are clean.
func inside(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, string(filepath.Separator))+string(filepath.Separator))
}

func (o Options) check() error {
	var errs []error
	errs = append(errs,
		checkPath("the Deno executable", o.Deno),
		checkPath("the socket folder", o.SocketDir),
		checkPath("the entry module's folder", o.EntryDir))
	if runtime.GOOS == "linux" {
		errs = append(errs, checkPath("paddock-launch", o.Launcher))
	}
	return errors.Join(errs...)
}

func (o Options) loadFact(key string) (int64, bool) {
	if o.LoadFact == nil {
		return 0, false
	}
	return o.LoadFact(key)
}

func (o Options) saveFact(key string, value int64) {
	if o.SaveFact != nil {
		o.SaveFact(key, value)
	}
}

func (o Options) answer(ctx context.Context, id string, m Message) Message {
	if o.OnMessage == nil || ctx.Err() != nil {
		return Message{Error: "this Paddock answers no questions"}
	}
	return o.OnMessage(id, m)
}

// sortedFacts are the names of the facts, in order.
func (s Spec) sortedFacts() []string { return slices.Sorted(maps.Keys(s.Facts)) }
