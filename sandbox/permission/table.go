package permission

import (
	"slices"
	"strings"
)

// Row is all that is known about one kind: what its scope looks like, what it says to people, how risky it is, and
// what a grant of it becomes.
type Row struct {
	Kind Kind

	example  string                                     // for messages
	scope    func(scope string) (string, error)         // canonical scope; nil: the kind takes none
	sentence func(r Request) (format, scope string)     // see Sentence
	risk     func(p Permission) Risk                    //
	flag     func(p Permission) (name, value string)    // Deno flag without dashes, and one value of it; "" for none
	page     func(p Permission) (feature, token string) // Permissions-Policy feature, CSP script-src token; "" for none
	egress   bool                                       // needs the outgoing proxy
}

// table has one row for each kind; rows is its order for people.
var (
	rows = []Row{
		{
			Kind: Net, example: "net:api.example.com", scope: canonicalNet, egress: true,
			sentence: func(r Request) (string, string) {
				if r.Permission.Scope == anyHost {
					return "Send and receive data with %s", "any site on the internet"
				}
				if name, wildcard := strings.CutPrefix(r.Permission.Scope, "*."); wildcard {
					return "Send and receive data with %s and every site under it", name
				}
				return "Send and receive data with %s", r.Permission.Scope
			},
			risk: func(p Permission) Risk {
				if p.Scope == anyHost {
					return High
				}
				return Normal
			},
			flag: func(p Permission) (string, string) {
				host, port, wildcard := p.Host()
				switch {
				case host == anyHost || host == "":
					return "", "" // not expressible, and a bare --allow-net opens listening and abstract sockets too
				case wildcard:
					return "net", "*." + hostPort(host, port)
				default:
					return "net", hostPort(host, port)
				}
			},
		},
		{
			Kind: LAN, example: "lan", egress: true,
			sentence: says("Send and receive data with %s", "devices on your local network"),
			risk:     always(High),
		},
		{
			Kind: Files, example: "files:notes", scope: canonicalSlot,
			sentence: func(r Request) (string, string) {
				what := "a file you choose"
				if r.Folder {
					what = "a folder you choose"
				}
				switch {
				case r.Access == ReadWrite && r.Folder:
					return "Read and change files in %s", what
				case r.Access == ReadWrite:
					return "Read and change %s", what
				case r.Folder:
					return "Read files in %s", what
				default:
					return "Read %s", what
				}
			},
			risk: always(Normal), // of a path that was picked: RiskOfPath
		},
		{
			Kind: Sys, example: "sys:hostname", scope: oneOf("sys", sysNames),
			sentence: func(r Request) (string, string) { return "See %s", phraseOf(sysNames, r.Permission.Scope) },
			risk:     always(Low),
			flag:     func(p Permission) (string, string) { return "sys", p.Scope },
		},
		{
			Kind: Browser, example: "browser:camera", scope: canonicalFeature,
			sentence: func(r Request) (string, string) {
				f, _ := featureNamed(r.Permission.Scope)
				return f.format, f.scope
			},
			risk: func(p Permission) Risk {
				f, found := featureNamed(p.Scope)
				if !found {
					return High
				}
				return f.risk
			},
			page: func(p Permission) (string, string) {
				f, _ := featureNamed(p.Scope)
				return f.policy, f.token
			},
		},
		{
			Kind: Background, example: "background",
			sentence: func(r Request) (string, string) {
				if s, err := ParseSchedule(r.Schedule); err == nil {
					return "Work when no page is open, %s", s.Words()
				}
				return "Keep working when no page is open", ""
			},
			risk: always(High),
		},
		{
			Kind: Notifications, example: "notifications",
			sentence: says("Show notifications", ""),
			risk:     always(Low),
		},
		{
			Kind: Links, example: "links",
			sentence: says("Open %s in your browser", "links to other sites"),
			risk:     always(Low),
		},
	}
	table = tableOf(rows)
)

func tableOf(rows []Row) map[Kind]Row {
	m := make(map[Kind]Row, len(rows))
	for _, row := range rows {
		m[row.Kind] = row
	}
	return m
}

// Kinds lists every kind in the order in which people are told about them.
func Kinds() []Kind {
	kinds := make([]Kind, len(rows))
	for i, row := range rows {
		kinds[i] = row.Kind
	}
	return kinds
}

func kindList() string {
	texts := make([]string, len(rows))
	for i, row := range rows {
		texts[i] = string(row.Kind)
	}
	return strings.Join(texts, ", ")
}

// Sentence is the host's wording of a request. scope is the literal part to be shown in bold, and stands where
// format has its %s; it is empty where format has none.
func Sentence(r Request) (format, scope string) {
	row, known := table[r.Permission.Kind]
	if !known {
		return "Use %s, which this version does not know", r.Permission.String()
	}
	return row.sentence(r)
}

// RiskOf is how a request is shown before anything is picked. What nobody knows is High.
func RiskOf(r Request) Risk {
	row, known := table[r.Permission.Kind]
	if !known {
		return High
	}
	return row.risk(r.Permission)
}

func says(format, scope string) func(Request) (string, string) {
	return func(Request) (string, string) { return format, scope }
}

func always(r Risk) func(Permission) Risk { return func(Permission) Risk { return r } }

// word is one allowed scope and how it is said.
type word struct{ name, phrase string }

// sysNames are the names of Deno's --allow-sys that only tell something (Deno 2.9: ext/os and ext/node).
// setPriority is left out because it changes something.
var sysNames = []word{
	{"cpus", "what processor this computer has"},
	{"getPriority", "how urgent its own work is to this computer"},
	{"gid", "your group number on this computer"},
	{"homedir", "where your home folder is"},
	{"hostname", "the name of this computer"},
	{"loadavg", "how busy this computer is"},
	{"networkInterfaces", "which networks this computer is on"},
	{"osRelease", "the version of this computer's system"},
	{"osUptime", "how long this computer has been on"},
	{"statfs", "how full your disks are"},
	{"systemMemoryInfo", "how much memory this computer has"},
	{"uid", "your user number on this computer"},
	{"userInfo", "your user name and home folder"},
	{"username", "your user name"},
}

func phraseOf(words []word, name string) string {
	for _, w := range words {
		if w.name == name {
			return w.phrase
		}
	}
	return name
}

func oneOf(kind string, words []word) func(string) (string, error) {
	return func(scope string) (string, error) {
		if slices.ContainsFunc(words, func(w word) bool { return w.name == scope }) {
			return scope, nil
		}
		names := make([]string, len(words))
		for i, w := range words {
			names[i] = w.name
		}
		return "", refuse(scope, "unknown scope of "+kind, "Known are "+strings.Join(names, ", ")+".")
	}
}

// feature is one scope of the browser kind.
type feature struct {
	name          string
	format, scope string // see Sentence
	risk          Risk
	policy        string // Permissions-Policy feature
	token         string // source expression for script-src
}

var features = []feature{
	{"camera", "Use %s", "the camera", High, "camera", ""},
	{"clipboard-read", "Read %s", "what you copied", Normal, "clipboard-read", ""},
	{"clipboard-write", "Put things into %s", "the clipboard", Low, "clipboard-write", ""},
	{"eval", "Run %s", "code that its page puts together while it runs", Normal, "", "'unsafe-eval'"},
	{"fullscreen", "Fill %s", "the whole screen", Low, "fullscreen", ""},
	{"geolocation", "See %s", "where you are", Normal, "geolocation", ""},
	{"inline-script", "Run %s", "code written inside its page", Normal, "", "'unsafe-inline'"},
	{"microphone", "Use %s", "the microphone", High, "microphone", ""},
	{"popups", "Open %s", "more browser windows", Normal, "", ""},
	{"wasm", "Run %s", "compiled code in its page", Low, "", "'wasm-unsafe-eval'"},
}

func featureNamed(name string) (feature, bool) {
	for _, f := range features {
		if f.name == name {
			return f, true
		}
	}
	return feature{format: "Use %s", scope: name}, false
}

func canonicalFeature(scope string) (string, error) {
	if _, known := featureNamed(scope); known {
		return scope, nil
	}
	if scope == "service-worker" {
		// security.md 19: it can invent documents without the host's headers and outlive a revoke.
		return "", refuse(scope, "service workers cannot be granted yet", "The page has to do without one.")
	}
	names := make([]string, len(features))
	for i, f := range features {
		names[i] = f.name
	}
	return "", refuse(scope, "unknown ability of a page", "Known are "+strings.Join(names, ", ")+".")
}

// maxSlot is the longest name of a slot, in bytes.
const maxSlot = 40

// canonicalSlot accepts names that are safe in paths, flags and file names.
func canonicalSlot(scope string) (string, error) {
	bad := len(scope) > maxSlot || scope[0] < 'a' || scope[0] > 'z'
	for _, c := range []byte(scope) {
		bad = bad || !isNameByte(c) || c == '.'
	}
	if bad {
		return "", refuse(scope, "a slot's name is a lower-case letter, then letters, digits, - or _, 40 at most",
			"Write files:notes, for example; the path goes elsewhere.")
	}
	return scope, nil
}
