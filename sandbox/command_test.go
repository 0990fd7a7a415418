package sandbox

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/publicsuffix"
	"pgregory.net/rapid"

	"paddock/sandbox/permission"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func goldenOptions() Options {
	return Options{Deno: "/opt/paddock/deno", Launcher: "/opt/paddock/paddock-launch", SocketDir: "/run/p/i", EntryDir: "/home/u/p/entry"}
}

func goldenSpec() Spec {
	return Spec{
		ID: "k3x9", AppDir: "/home/u/p/apps/k3x9/7", DataDir: "/home/u/p/apps/k3x9/data",
		RuntimeDir: "/home/u/p/apps/k3x9/runtime", LogDir: "/home/u/p/apps/k3x9/log", Entry: "app.js",
	}
}

func mustSet(t testing.TB, names ...string) permission.Set {
	t.Helper()
	set, err := permission.ParseSet(strings.Join(names, ","))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// The same grants give the same command line and the same kernel plan, and a reviewer sees every change of either.
// Rewrite with: go test ./sandbox -run Golden -update
func TestGoldenPlans(t *testing.T) {
	cases := map[string]func(*Spec){
		"nothing granted": func(*Spec) {},
		"net": func(s *Spec) {
			s.Allow = mustSet(t, "net:api.example.com", "net:*.example.org:8443", "net:93.184.216.34")
		},
		"net with a refusal inside": func(s *Spec) {
			s.Allow, s.Deny = mustSet(t, "net:*.example.org"), mustSet(t, "net:ads.example.org")
		},
		"lan": func(s *Spec) { s.Allow = mustSet(t, "lan") },
		"sys": func(s *Spec) { s.Allow = mustSet(t, "sys:hostname", "sys:osRelease") },
		"slots": func(s *Spec) {
			s.Allow = mustSet(t, "files:photos", "files:letter")
			s.Slots = []Slot{
				{Name: "photos", Path: "/home/u/Photos", Folder: true},
				{Name: "letter", Path: "/home/u/letter.txt", Write: true},
			}
		},
		"facts and limits": func(s *Spec) {
			s.Facts = map[string]string{"PADDOCK_VERSION": "1.2", "PADDOCK_APP": "org.example.notes"}
			s.Budget = Budget{MemoryBytes: 512 << 20, DiskBytes: 2 << 30, Workers: -1}
			s.Location, s.API = "http://notes-k3x9.localhost:7777/", APINode
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			spec := goldenSpec()
			change(&spec)
			o := goldenOptions()
			paths, err := PathsOf(o, spec, spec.API == APINode)
			if err != nil {
				t.Fatal(err)
			}
			paths = paths.withAudit()
			paths.Entry.Dir, paths.Entry.Entry = "/home/u/p/entry/HASH", "/home/u/p/entry/HASH/entry.js"
			command, err := Plan(o, spec, paths)
			if err != nil {
				t.Fatal(err)
			}
			files := runtimeFiles{interpreter: "/lib64/ld.so", libraries: []string{"/lib/libc.so.6", "/lib/libm.so.6"}}
			plan := wallPlan(o, spec, paths, command, files, 544<<20, 100)
			got, err := json.MarshalIndent(plan, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			path := filepath.Join("testdata", "golden", strings.ReplaceAll(name, " ", "-")+".json")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("the plan differs from %s:\n%s", path, got)
			}
			again, err := Plan(o, spec, paths)
			if err != nil || !slices.Equal(again.Args, command.Args) || !slices.Equal(again.Env, command.Env) {
				t.Errorf("the same spec gave another command: %v", err)
			}
		})
	}
}

// flagsOf takes a command line apart as Deno does: lists are split at commas, there is no escape.
func flagsOf(args []string) map[string][]string {
	flags := map[string][]string{}
	for _, a := range args {
		if name, value, ok := strings.Cut(a, "="); ok && strings.HasPrefix(a, "--") {
			flags[name] = append(flags[name], strings.Split(value, ",")...)
		} else if strings.HasPrefix(a, "--") {
			flags[a] = append(flags[a], "")
		}
	}
	return flags
}

// Every path that goes in comes out of Deno's flags as exactly one path, or the spec is refused.
func TestFlagsParseBack(t *testing.T) {
	o := goldenOptions()
	odd := rapid.StringOfN(rapid.RuneFrom([]rune("ab,. =:;\"'\\\n\t\x00é\u202e%#?*-/")), 1, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		spec := goldenSpec()
		spec.DataDir = "/home/u/x" + odd.Draw(t, "data")
		spec.AppDir = "/home/u/y" + odd.Draw(t, "app")
		slot := Slot{Name: "s", Path: "/home/u/z" + odd.Draw(t, "slot"), Write: rapid.Bool().Draw(t, "write")}
		spec.Slots = []Slot{slot}
		paths, err := PathsOf(o, spec, true)
		if err != nil {
			t.Fatal(err)
		}
		command, err := Plan(o, spec, paths)
		bad := false
		for _, p := range []string{spec.DataDir, spec.AppDir, slot.Path} {
			bad = bad || strings.ContainsAny(p, ",\n\t\x00") || filepath.Clean(p) != p
		}
		if bad && err == nil {
			t.Fatalf("accepted %+v", spec)
		}
		if err != nil {
			return // refusing more than that is fine: folders may lie inside one another here
		}
		flags := flagsOf(command.Args)
		read := []string{spec.AppDir, spec.DataDir, slot.Path, paths.Socket, paths.NodeSocket}
		write := []string{spec.DataDir, paths.Socket, paths.NodeSocket}
		if slot.Write {
			write = []string{spec.DataDir, slot.Path, paths.Socket, paths.NodeSocket}
		}
		if !slices.Equal(flags["--allow-read"], read) || !slices.Equal(flags["--allow-write"], write) {
			t.Fatalf("flags are %q and %q, want %q and %q", flags["--allow-read"], flags["--allow-write"], read, write)
		}
	})
}

// A bare refusal is there exactly when nothing of its kind is granted, and no flag ever opens everything.
func TestBareFlags(t *testing.T) {
	o := goldenOptions()
	for name, allow := range map[string][]string{
		"nothing": nil, "net": {"net:example.com"}, "any net": {"net:*"}, "lan": {"lan"}, "sys": {"sys:hostname"}, "all": {"net:*", "lan", "sys:hostname"},
	} {
		spec := goldenSpec()
		spec.Allow = mustSet(t, allow...)
		paths, err := PathsOf(o, spec, false)
		if err != nil {
			t.Fatal(err)
		}
		command, err := Plan(o, spec, paths)
		if err != nil {
			t.Fatal(err)
		}
		flags := flagsOf(command.Args)
		for flag, values := range flags {
			if strings.HasPrefix(flag, "--allow-") && (slices.Contains(values, "") || slices.Contains(values, "/")) {
				t.Errorf("%s: %s is bare: %q", name, flag, values)
			}
			if strings.HasPrefix(flag, "--unstable") || flag == "--allow-all" {
				t.Errorf("%s: %s is there", name, flag)
			}
		}
		_, bareSys := flags["--deny-sys"]
		if granted := len(spec.Allow.SysNames()) > 0; bareSys == granted {
			t.Errorf("%s: --deny-sys is there: %v", name, bareSys)
		}
		for _, flag := range []string{"--deny-run", "--deny-ffi", "--ignore-env", "--no-prompt", "--no-remote", "--no-npm"} {
			if _, ok := flags[flag]; !ok {
				t.Errorf("%s: %s is missing", name, flag)
			}
		}
		for _, flag := range []string{"--deny-env", "--deny-read", "--deny-write", "--deny-import"} {
			if _, ok := flags[flag]; ok {
				t.Errorf("%s: %s is there", name, flag)
			}
		}
		if slices.Contains(flags["--deny-net"], "") {
			t.Errorf("%s: a bare --deny-net would refuse the socket", name)
		}
		if got := slices.Contains(flags["--deny-net"], "127.0.0.0/8"); got != spec.Allow.NeedsEgress() {
			t.Errorf("%s: loopback is refused: %v", name, got)
		}
		if got := slices.ContainsFunc(command.Env, func(v string) bool { return strings.HasPrefix(v, "HTTPS_PROXY=unix:") }); got != spec.Allow.NeedsEgress() {
			t.Errorf("%s: a proxy is named: %v", name, got)
		}
	}
}

func TestSpecRefusals(t *testing.T) {
	cases := map[string]func(*Spec){
		"no id":                   func(s *Spec) { s.ID = "" },
		"id with a slash":         func(s *Spec) { s.ID = "a/b" },
		"id of dots":              func(s *Spec) { s.ID = ".." },
		"relative folder":         func(s *Spec) { s.DataDir = "data" },
		"detour":                  func(s *Spec) { s.DataDir = "/home/u/../v" },
		"comma":                   func(s *Spec) { s.DataDir = "/home/u/x,/etc" },
		"comma in the app":        func(s *Spec) { s.AppDir = "/home/u/x,/etc" },
		"comma in the runtime":    func(s *Spec) { s.RuntimeDir = "/home/u/x,y" },
		"control character":       func(s *Spec) { s.DataDir = "/home/u/x\ny" },
		"not text":                func(s *Spec) { s.DataDir = "/home/u/\xff" },
		"runtime inside data":     func(s *Spec) { s.RuntimeDir = s.DataDir + "/deno" },
		"data inside the code":    func(s *Spec) { s.DataDir = s.AppDir + "/data" },
		"code inside data":        func(s *Spec) { s.AppDir = s.DataDir + "/code" },
		"data is the code":        func(s *Spec) { s.DataDir = s.AppDir },
		"data holds the sockets":  func(s *Spec) { s.DataDir = "/run/p" },
		"data in the entry":       func(s *Spec) { s.DataDir = "/home/u/p/entry/x" },
		"entry outside":           func(s *Spec) { s.Entry = "../x.js" },
		"absolute entry":          func(s *Spec) { s.Entry = "/x.js" },
		"entry with a comma":      func(s *Spec) { s.Entry = "a,b.js" },
		"TypeScript":              func(s *Spec) { s.Entry = "app.ts" },
		"unknown server":          func(s *Spec) { s.API = "cgi" },
		"slot with a comma":       func(s *Spec) { s.Slots = []Slot{{Name: "a", Path: "/home/u/x,/etc"}} },
		"slot is everything":      func(s *Spec) { s.Slots = []Slot{{Name: "a", Path: "/", Folder: true}} },
		"slot is the data":        func(s *Spec) { s.Slots = []Slot{{Name: "a", Path: s.DataDir, Folder: true}} },
		"slot holds the runtime":  func(s *Spec) { s.Slots = []Slot{{Name: "a", Path: "/home/u/p", Folder: true}} },
		"slot in the code":        func(s *Spec) { s.Slots = []Slot{{Name: "a", Path: s.AppDir + "/x"}} },
		"slot is Deno":            func(s *Spec) { s.Slots = []Slot{{Name: "a", Path: "/opt/paddock/deno", Write: true}} },
		"slot holds the launcher": func(s *Spec) { s.Slots = []Slot{{Name: "a", Path: "/opt/paddock", Folder: true}} },
		"two slots of one name":   func(s *Spec) { s.Slots = []Slot{{Name: "a", Path: "/home/u/1"}, {Name: "a", Path: "/home/u/2"}} },
		"location":                func(s *Spec) { s.Location = "file:///etc" },
		"health":                  func(s *Spec) { s.Health = "/x HTTP/1.1\r\n" },
		"foreign fact":            func(s *Spec) { s.Facts = map[string]string{"LD_PRELOAD": "x"} },
		"fact with a zero":        func(s *Spec) { s.Facts = map[string]string{"PADDOCK_X": "a\x00b"} },
	}
	o := goldenOptions()
	if err := goldenSpec().check(o); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range cases {
		spec := goldenSpec()
		spoil(&spec)
		paths, err := PathsOf(o, spec, false)
		if err == nil {
			_, err = Plan(o, spec, paths)
		}
		if err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestLongSocketPath(t *testing.T) {
	o := goldenOptions()
	o.SocketDir = "/run/" + strings.Repeat("x", 90)
	_, err := PathsOf(o, goldenSpec(), false)
	if err == nil || !strings.Contains(err.Error(), "107") {
		t.Errorf("a socket path over the limit: %v", err)
	}
}

// The list of top-level domains is the one that golang.org/x/net knows; net:* means exactly these.
func TestTopLevelDomains(t *testing.T) {
	list := topLevelDomains()
	if len(list) < 1400 || !slices.IsSorted(list) {
		t.Fatalf("%d domains, sorted %v", len(list), slices.IsSorted(list))
	}
	for _, tld := range list {
		suffix, icann := publicsuffix.PublicSuffix("some.qzx." + tld)
		if !icann || !strings.HasSuffix(suffix, tld) {
			t.Errorf("%s is no public ending: %q", tld, suffix)
		}
	}
	for _, tld := range []string{"com", "org", "net", "de", "io", "dev", "app", "arpa", "xn--p1ai"} {
		if _, ok := slices.BinarySearch(list, tld); !ok {
			t.Errorf("%s is missing", tld)
		}
	}
}
