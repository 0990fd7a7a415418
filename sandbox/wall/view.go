package wall

import (
	"errors"
	"path"
	"slices"
	"strings"
)

// place is what a rule names, looked at once for the view and for Landlock alike.
type place struct {
	rule   Rule
	real   string // the rule's path with every link resolved
	fd     int
	folder bool
	device bool
}

// mountPoint is one thing that a view holds.
type mountPoint struct {
	path   string
	from   int // index of the place that lies there
	may    ability
	inside bool // a folder that is mounted before holds it
}

// ability is what a mount lets its files be used for, beside reading.
type ability struct{ write, code, device bool }

// covers says that nothing is gained by mounting with b in a folder that is mounted with a.
func (a ability) covers(b ability) bool {
	return (a.write || !b.write) && (a.code || !b.code) && (a.device || !b.device)
}

// roleAbilities are those of each role. What has no entry is for reading only; no role both writes and runs.
var roleAbilities = map[Role]ability{
	RunFile: {code: true}, LoadFile: {code: true},
	WriteFile: {write: true}, WriteTree: {write: true}, Listen: {write: true},
}

func (p place) ability() ability {
	a := roleAbilities[p.rule.Role]
	a.device = p.device
	return a
}

// arrange puts places in the order in which they are mounted, folders before what lies in them, and leaves out what is
// there already by then.
func arrange(places []place) []mountPoint {
	var list []mountPoint
	for i, p := range places {
		list = append(list, mountPoint{path: p.real, from: i, may: p.ability()})
	}
	// "/a/b" before "/a/b/c" before "/a/b.c": as lists of names
	slices.SortStableFunc(list, func(a, b mountPoint) int {
		return slices.Compare(strings.Split(a.path, "/"), strings.Split(b.path, "/"))
	})
	var kept []mountPoint
	for i := 0; i < len(list); {
		m := list[i]
		for i++; i < len(list) && list[i].path == m.path; i++ { // one path by two rules: rights add up
			m.may.write, m.may.code = m.may.write || list[i].may.write, m.may.code || list[i].may.code
		}
		covered := false
		for k := len(kept) - 1; k >= 0 && !m.inside; k-- { // the nearest is the last
			if above := kept[k]; places[above.from].folder && beneath(m.path, above.path) {
				m.inside, covered = true, above.may.covers(m.may)
			}
		}
		if !covered {
			kept = append(kept, m)
		}
	}
	return kept
}

// beneath says that the folder holds name, at whatever depth.
func beneath(name, folder string) bool { return strings.HasPrefix(name, folder+"/") }

// resolver finds out where paths really lead, and remembers the links that it met.
type resolver struct {
	readLink func(path string) (text string, isLink bool, err error)
	links    map[string]string // path of a link whose folder is resolved → its text
	plain    map[string]bool   // what is no link
}

// maxHops is how many links Linux follows in one path (path_resolution(7)).
const maxHops = 40

var errTooManyLinks = errors.New("too many links")

// resolve is the path without links. They are kept in r.links: in the view they are links again, so that what looks at
// them finds what it would find outside (the time zone has its name from one).
func (r *resolver) resolve(name string) (string, error) {
	done, rest := "", name
	for hops := 0; rest != ""; {
		var first string
		first, rest, _ = strings.Cut(strings.TrimPrefix(rest, "/"), "/")
		if first == "" {
			continue
		}
		next := done + "/" + first
		if r.plain[next] {
			done = next
			continue
		}
		text, known := r.links[next]
		if !known {
			var isLink bool
			var err error
			if text, isLink, err = r.readLink(next); err != nil {
				return "", err
			}
			if !isLink {
				r.plain[next] = true
				done = next
				continue
			}
			r.links[next] = text
		}
		if hops++; hops > maxHops {
			return "", errTooManyLinks
		}
		target := text
		if !strings.HasPrefix(text, "/") {
			target = path.Join("/", done, text)
		}
		done, rest = "", path.Clean(target)+"/"+rest
	}
	return path.Clean("/" + done), nil
}
