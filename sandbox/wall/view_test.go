package wall

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// placesOf takes "role path" and "role path/" for a folder.
func placesOf(list ...string) []place {
	var places []place
	for _, text := range list {
		role, name, _ := strings.Cut(text, " ")
		places = append(places, place{
			rule: Rule{Path: name, Role: Role(role)}, real: strings.TrimSuffix(name, "/"),
			folder: strings.HasSuffix(name, "/"), device: strings.HasPrefix(name, "/dev/"),
		})
	}
	return places
}

func TestArrange(t *testing.T) {
	cases := map[string]struct{ places, want []string }{
		"apart": {
			[]string{"write-tree /b/", "read-tree /a/", "run-file /c", "load-file /d", "write-file /dev/null"},
			[]string{"/a -", "/b w", "/c x", "/d x", "/dev/null wd"},
		},
		"a folder before what lies in it": {
			[]string{"write-tree /a/b/", "read-tree /a/"},
			[]string{"/a -", "/a/b w inside"},
		},
		"nothing to gain":                {[]string{"read-tree /a/", "read-file /a/x", "read-tree /a/b/"}, []string{"/a -"}},
		"reading inside writing":         {[]string{"write-tree /a/", "read-tree /a/b/"}, []string{"/a w"}},
		"the nearest folder counts":      {[]string{"write-tree /a/", "run-file /a/b/x", "read-tree /a/b/"}, []string{"/a w", "/a/b/x x inside"}},
		"names that begin alike":         {[]string{"read-tree /a/", "write-tree /a.b/", "write-file /a-b"}, []string{"/a -", "/a-b w", "/a.b w"}},
		"twice the same":                 {[]string{"read-tree /a/", "write-tree /a/"}, []string{"/a w"}},
		"a program twice":                {[]string{"read-file /a", "run-file /a"}, []string{"/a x"}},
		"writing inside reading in both": {[]string{"read-tree /a/", "write-tree /a/b/", "read-tree /a/b/c/"}, []string{"/a -", "/a/b w inside"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, m := range arrange(placesOf(c.places...)) {
				text := m.path + " "
				for ability, has := range map[string]bool{"w": m.may.write, "x": m.may.code, "-": m.may == ability{}} {
					if has {
						text += ability
					}
				}
				if m.may.device {
					text += "d"
				}
				if m.inside {
					text += " inside"
				}
				got = append(got, text)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Whatever is asked for, each place can be reached with what its role needs, and nothing both writes and runs but what
// two rules say.
func TestArrangeGivesEachItsRight(t *testing.T) {
	roles := slices.Sorted(maps.Keys(roleRights))
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a.b"}), 1, 4), 1, 8).Draw(t, "names")
		var places []place
		for _, n := range names {
			p := place{rule: Rule{Role: rapid.SampledFrom(roles).Draw(t, "role")}, real: "/" + path.Join(n...)}
			p.folder = !slices.Contains([]Role{RunFile, LoadFile, ReadFile, WriteFile}, p.rule.Role)
			places = append(places, p)
		}
		mounts := arrange(places)
		for _, p := range places {
			var nearest *mountPoint
			for i, m := range mounts { // later ones lie deeper or elsewhere
				if m.path == p.real || places[m.from].folder && beneath(p.real, m.path) {
					nearest = &mounts[i]
				}
			}
			if nearest == nil || !nearest.may.covers(p.ability()) {
				t.Fatalf("%s as %s lies in %+v of %+v", p.real, p.rule.Role, nearest, mounts)
			}
		}
		seen := map[string]bool{}
		for _, m := range mounts {
			if seen[m.path] {
				t.Fatalf("%s is mounted twice", m.path)
			}
			seen[m.path] = true
		}
	})
}

// linksOf reads links from a table; what begins like none of its paths is missing.
func linksOf(links map[string]string) *resolver {
	return &resolver{links: map[string]string{}, plain: map[string]bool{}, readLink: func(name string) (string, bool, error) {
		if strings.Contains(name, "missing") {
			return "", false, errors.New("missing")
		}
		text, is := links[name]
		return text, is, nil
	}}
}

func TestResolve(t *testing.T) {
	links := map[string]string{
		"/lib": "usr/lib", "/lib64": "usr/lib64", "/etc/localtime": "/usr/share/zoneinfo/Etc/UTC",
		"/usr/share/zoneinfo/Etc/UTC": "../UTC", "/proc/self": "4242", "/home": "var/home", "/var": "/data/./var/", "/loop": "/loop2", "/loop2": "loop/x",
		"/up": "../../../etc",
	}
	for name, want := range map[string]string{
		"/lib/x/libc.so.6": "/usr/lib/x/libc.so.6", "/lib64/ld.so": "/usr/lib64/ld.so", "/proc/self": "/proc/4242",
		"/etc/localtime": "/usr/share/zoneinfo/UTC", "/home/u/app": "/data/var/home/u/app", "/plain/path": "/plain/path", "/up/x": "/etc/x",
	} {
		r := linksOf(links)
		got, err := r.resolve(name)
		if err != nil || got != want {
			t.Errorf("%s leads to %s, %v; want %s", name, got, err, want)
		}
		for link := range r.links {
			if links[link] != r.links[link] {
				t.Errorf("%s: noted %s as a link to %s", name, link, r.links[link])
			}
		}
	}
	if _, err := linksOf(links).resolve("/loop"); !errors.Is(err, errTooManyLinks) {
		t.Errorf("a loop: %v", err)
	}
	if _, err := linksOf(links).resolve("/a/missing/b"); err == nil {
		t.Error("a missing path is resolved")
	}
}

// A path without links on the way resolves to itself, and resolving is done once it is done.
func TestResolveIsFinal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`(/[a-c]){1,4}`)
		links := map[string]string{}
		for range rapid.IntRange(0, 4).Draw(t, "links") {
			links[name.Draw(t, "link")] = rapid.OneOf(name, rapid.StringMatching(`(\.\./){0,2}[a-c](/[a-c])?`)).Draw(t, "text")
		}
		r := linksOf(links)
		real, err := r.resolve(name.Draw(t, "path"))
		if err != nil {
			if !errors.Is(err, errTooManyLinks) {
				t.Fatal(err)
			}
			return
		}
		for at := real; at != "/"; at = path.Dir(at) {
			if _, is := links[at]; is {
				t.Fatalf("%s is a link still: %v", at, links)
			}
		}
		if again, err := linksOf(links).resolve(real); err != nil || again != real {
			t.Fatal(fmt.Sprintln(real, again, err))
		}
	})
}

func TestViewNeedsRules(t *testing.T) {
	p := Plan{Exec: Exec{Path: "/bin/true", Args: []string{"true"}, Dir: "/"}, View: &View{}}
	if p.Check() == nil {
		t.Error("a view of nothing is accepted")
	}
	p.Landlock = &Landlock{}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
}
