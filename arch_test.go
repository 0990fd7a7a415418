package main_test

import (
	"bytes"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the module path; imports that start with it are ours.
const module = "paddock"

// mayImport is the import table of the architecture: for each of our packages, which of our packages
// its files may name in an import. Test files are free. A folder that is missing here fails the test:
// a new package is a decision, and this is where it is written down.
var mayImport = map[string][]string{
	".": {
		"app", "app/control", "app/control/server", "app/cli", "app/gateway", "app/bundle",
		"sandbox", "sandbox/egress", "store", "packaging",
	},
	"app": {
		"app/backup", "app/control", "app/bundle", "app/gateway", "sandbox", "sandbox/egress", "sandbox/permission", "store",
	},
	"app/backup":           {"sandbox/permission"},
	"app/bundle":           {"sandbox/permission"},
	"app/bundle/pack":      {"app/bundle", "sandbox/permission", "assets"},
	"app/cli":              {"app/control", "app/bundle", "app/bundle/pack", "app/gateway/loadtest", "sandbox/permission"},
	"app/control":          {"sandbox/permission"},
	"app/control/server":   {"app", "app/control", "sandbox/permission"},
	"app/e2e":              {}, // tests only, of the built programs
	"app/e2e/browser":      {}, // for tests only: named by no other row
	"app/gateway":          {"sandbox/permission"},
	"app/gateway/loadtest": {"app/gateway"},
	"app/tray":             {"app/control", "sandbox/permission", "assets"},
	"app/ui":               {"app/control", "sandbox/permission", "assets"},
	"app/window":           {"app/control", "app/ui", "sandbox/permission", "assets"},
	"assets":               {},
	"packaging":            {},
	"packaging/licenses":   {"assets", "packaging"},
	"packaging/serve":      {"app/bundle", "app/bundle/pack", "assets"},
	"sandbox":              {"sandbox/permission", "sandbox/egress", "sandbox/entry", "sandbox/wall"},
	"sandbox/attack":       {}, // tests only, against the walls
	"sandbox/egress":       {"sandbox/permission"},
	"sandbox/entry":        {},
	"sandbox/launch":       {"sandbox/wall"},
	"sandbox/permission":   {},
	"sandbox/wall":         {},
	"store":                {"sandbox/permission"},
}

// Libraries that only some packages may name, test files included: each pulls in the desktop, and a
// test that does would need a display or a C compiler where there must be neither.
var reserved = []struct {
	library string // import path; its sub-packages count too
	only    []string
}{
	{"fyne.io/fyne/v2/app", []string{"app/window"}},
	{"fyne.io", []string{"app/ui", "app/window"}},
	{"github.com/getlantern/systray", []string{"app/tray"}},
}

// onlyThese lists the libraries of packages that may use next to nothing beside the standard library.
var onlyThese = map[string][]string{
	"sandbox/permission": {"golang.org/x/net/idna"},
	"packaging":          {},
	"packaging/licenses": {},
}

// topLevel is everything that may lie in the root of the repository beside Go tests and dotfiles.
var topLevel = []string{
	"app", "assets", "packaging", "sandbox", "store",
	"main.go", "go.mod", "go.sum", "FyneApp.toml", "Makefile", "LICENSE", "README.md", "CONTRIBUTING.md",
}

// generated are folders of the root that builds make; they are ignored by version control and here.
var generated = []string{".git", ".cache", ".keys", "bin", "dist"}

// vagueNames say nothing about what is inside.
var vagueNames = []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "shared", "lib"}

const (
	maxLines     = 700 // of one Go file: beyond it, split by noun
	maxMainLines = 130 // of main.go: it only wires, about 100
)

// source is one parsed Go file.
type source struct {
	name string // relative, slashes
	dir  string // folder, "." for the root
	test bool
	text []byte
	tree *ast.File
	fset *token.FileSet
}

func (s source) imports(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, spec := range s.tree.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatalf("%s: import %s: %v", s.name, spec.Path.Value, err)
		}
		list = append(list, p)
	}
	return list
}

func (s source) lines() int { return bytes.Count(s.text, []byte("\n")) }

// sources parses every Go file of the repository, whatever its build constraints.
func sources(t *testing.T) []source {
	t.Helper()
	fset := token.NewFileSet()
	var all []source
	walk(t, func(name string) {
		if path.Ext(name) != ".go" {
			return
		}
		text, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(text, []byte("//go:build ignore\n")) {
			return // a program of its own, run by hand; part of no package
		}
		tree, err := parser.ParseFile(fset, name, text, parser.ParseComments)
		if err != nil {
			t.Fatalf("parse: %v", err)
		}
		all = append(all, source{name: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), text: text, tree: tree, fset: fset})
	})
	if len(all) < 10 {
		t.Fatalf("found %d Go files: the walk does not see the repository", len(all))
	}
	return all
}

// walk visits the repository's own files: nothing generated, no test data, no packages of apps.
func walk(t *testing.T, visit func(name string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if d.IsDir() {
			if slices.Contains(generated, name) || d.Name() == "testdata" || d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() && !slices.Contains(generated, name) { // .git is a file in a work tree of its own
			visit(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func within(imported, library string) bool {
	return imported == library || strings.HasPrefix(imported, library+"/")
}

// TestImportTable keeps the direction of imports. It parses files, because a verdict taken from
// `go list` alone would be answered from the test cache after a change elsewhere.
func TestImportTable(t *testing.T) {
	for _, s := range sources(t) {
		allowed, known := mayImport[s.dir]
		if !known {
			t.Errorf("%s: package %q is not in the import table: add it to the architecture and to mayImport, or put the file into a package that exists", s.name, s.dir)
			continue
		}
		for _, imported := range s.imports(t) {
			for _, r := range reserved {
				if within(imported, r.library) {
					if !slices.Contains(r.only, s.dir) {
						t.Errorf("%s imports %s: only %s may", s.name, imported, strings.Join(r.only, ", "))
					}
					break // the first row that matches is the most exact one
				}
			}
			if s.test {
				continue
			}
			ours, isOurs := strings.CutPrefix(imported, module+"/")
			switch {
			case isOurs && !slices.Contains(allowed, ours):
				t.Errorf("%s imports %s: package %q may import only %v of ours", s.name, imported, s.dir, allowed)
			case !isOurs && strings.Contains(strings.Split(imported, "/")[0], "."):
				if few, bounded := onlyThese[s.dir]; bounded && !slices.Contains(few, imported) {
					t.Errorf("%s imports %s: package %q keeps to the standard library and %v", s.name, imported, s.dir, few)
				}
			}
		}
	}
}

// TestSystrayIsOptional keeps vet and tests with cgo off over everything but the files that name
// systray: those are for `cgo || windows`, by a build line or by their name.
func TestSystrayIsOptional(t *testing.T) {
	for _, s := range sources(t) {
		if !slices.ContainsFunc(s.imports(t), func(p string) bool { return within(p, "github.com/getlantern/systray") }) {
			continue
		}
		for _, goos := range []string{"linux", "darwin"} {
			without := build.Default
			without.GOOS, without.CgoEnabled = goos, false
			built, err := without.MatchFile(filepath.FromSlash(s.dir), path.Base(s.name))
			if err != nil {
				t.Fatal(err)
			}
			if built {
				t.Errorf("%s imports systray and is built for %s with cgo off: start it with //go:build cgo || windows", s.name, goos)
			}
		}
	}
}

// TestWhatIsLinked reads the whole import graph of each program.
func TestWhatIsLinked(t *testing.T) {
	heavy := []string{"go.etcd.io/bbolt", "github.com/evanw/esbuild", "github.com/shirou/gopsutil"}
	desktop := []string{"fyne.io", "github.com/getlantern/systray", "github.com/go-gl"}
	for _, c := range []struct {
		program, cgo string
		not          []string
	}{
		{".", "0", desktop},
		{"./sandbox/launch", "0", append(slices.Clone(desktop), append(heavy, "net/http")...)},
		{"./packaging/serve", "0", desktop},
		{"./app/window", "1", append(slices.Clone(heavy), "github.com/getlantern/systray")},
		{"./app/tray", "1", append(slices.Clone(heavy), "fyne.io")},
	} {
		t.Run(c.program, func(t *testing.T) {
			cmd := exec.Command("go", "list", "-deps", c.program)
			cmd.Env = append(os.Environ(), "CGO_ENABLED="+c.cgo)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
			}
			deps := strings.Fields(string(out))
			if !slices.ContainsFunc(deps, func(d string) bool { return within(d, module) }) {
				t.Fatalf("go list named none of our packages: %q", deps)
			}
			for _, dep := range deps {
				for _, bad := range c.not {
					if within(dep, bad) {
						t.Errorf("%s links %s", c.program, dep)
					}
				}
			}
		})
	}
}

// TestPackageComments: every package says once what it is for and what it must not know.
func TestPackageComments(t *testing.T) {
	const enough = 60 // characters; less says nothing
	where := map[string][]string{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if _, seen := where[s.dir]; !seen {
			where[s.dir] = nil
		}
		if s.tree.Doc == nil {
			continue
		}
		where[s.dir] = append(where[s.dir], s.name)
		if len(s.tree.Doc.Text()) < enough {
			t.Errorf("%s: the package comment is too short to say what the package is for", s.name)
		}
	}
	for dir, files := range where {
		if len(files) != 1 {
			t.Errorf("package %q has %d package comments, want exactly one: %v", dir, len(files), files)
		}
	}
}

// TestNames refuses folders that do not belong and names that say nothing.
func TestNames(t *testing.T) {
	for _, name := range tracked(t) {
		parts := strings.Split(name, "/")
		top := parts[0]
		if !slices.Contains(topLevel, top) && !strings.HasPrefix(top, ".") && !(len(parts) == 1 && strings.HasSuffix(top, "_test.go")) {
			t.Errorf("%s: %q does not belong in the root", name, top)
		}
	}
	for _, s := range sources(t) {
		for _, part := range strings.Split(s.dir, "/") {
			if slices.Contains(vagueNames, part) {
				t.Errorf("%s: a package named %q says nothing about what is inside", s.name, part)
			}
		}
		if slices.Contains(vagueNames, s.tree.Name.Name) {
			t.Errorf("%s: a package named %q says nothing about what is inside", s.name, s.tree.Name.Name)
		}
	}
}

// tracked lists the files under version control, or all files where that cannot be asked (a tarball,
// or a checkout of another user).
func tracked(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "ls-files", "-z").Output()
	if err == nil && len(out) > 0 {
		return strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
	}
	var all []string
	walk(t, func(name string) { all = append(all, name) })
	return all
}

// TestFileSizes keeps files small enough to read in one go.
func TestFileSizes(t *testing.T) {
	for _, s := range sources(t) {
		if n := s.lines(); n > maxLines {
			t.Errorf("%s has %d lines: split it by noun (limit %d)", s.name, n, maxLines)
		}
		if s.name == "main.go" && s.lines() > maxMainLines {
			t.Errorf("main.go has %d lines: it only wires (limit %d)", s.lines(), maxMainLines)
		}
	}
}

// TestNoSleepInTests: a test waits for a condition or a channel. A sleep is too short on a slow machine
// and too long on a quick one; it may only pace a loop that looks at a clock or a context and gives up.
func TestNoSleepInTests(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test {
			continue
		}
		allowed := map[ast.Node]bool{}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			if loop, ok := n.(*ast.ForStmt); ok && givesUp(loop) {
				ast.Inspect(loop, func(n ast.Node) bool { allowed[n] = true; return true })
			}
			if sel, ok := n.(*ast.SelectorExpr); ok && selects(sel, "time", "Sleep") && !allowed[sel] {
				t.Errorf("%s: time.Sleep in a test: poll a condition with a deadline, or use a channel", s.fset.Position(n.Pos()))
			}
			return true
		})
	}
}

// givesUp reports whether a loop looks at a clock or a context.
func givesUp(loop *ast.ForStmt) (found bool) {
	ast.Inspect(loop, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			found = found || selects(sel, "time", "Now", "Since", "Until") || selects(sel, "ctx", "Err")
		}
		return !found
	})
	return found
}

func selects(sel *ast.SelectorExpr, pkg string, names ...string) bool {
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg && slices.Contains(names, sel.Sel.Name)
}

// TestNoMachinePaths: nothing in the repository names a folder of the machine it was written on.
func TestNoMachinePaths(t *testing.T) {
	// Written in pieces, so that this file does not name them either.
	machine := regexp.MustCompile(`(^|[^\w.])/(wo` + `rk/|ro` + `ot/(\.|go/))|/tm` + `p/w(/|\b)`)
	binary := []string{".png", ".ico", ".ttf", ".otf", ".woff2", ".zip", ".paddock", ".gz"}
	walk(t, func(name string) {
		if slices.Contains(binary, path.Ext(name)) {
			return
		}
		text, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(text, 0) >= 0 {
			return
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			if m := machine.Find(line); m != nil {
				t.Errorf("%s:%d: %q is a path of one machine", name, i+1, m)
			}
		}
	})
}

// TestRaceList: every package that starts goroutines, or timers that run a function, is tested under the race detector,
// unless it draws (Fyne and systray need a build of their own, which would cost minutes for each flag set) or is a small
// program of the build. The few tests that the Makefile leaves out there run elsewhere.
func TestRaceList(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	variable := func(name string) string {
		m := regexp.MustCompile(`(?m)^` + name + ` *:?= *(.*)$`).FindSubmatch(makefile)
		if m == nil {
			t.Fatalf("Makefile has no line %s = …", name)
		}
		return string(m[1])
	}
	listed := strings.Fields(variable("RACE_PKGS"))
	leftOut := regexp.MustCompile(strings.ReplaceAll(variable("NOT_UNDER_RACE"), "$$", "$"))
	left := []string{"app/ui", "app/window", "app/tray", "packaging/serve", "."}
	starts := map[string]string{}
	dirs := map[string]bool{}
	for _, s := range sources(t) {
		dirs["./"+s.dir] = true
		if s.test {
			for _, d := range s.tree.Decls {
				// The Makefile runs them without the detector in these packages only.
				if f, ok := d.(*ast.FuncDecl); ok && leftOut.MatchString(f.Name.Name) && s.dir != "app/bundle" && s.dir != "app/gateway" {
					t.Errorf("%s: %s is left out under the race detector and runs nowhere", s.name, f.Name.Name)
				}
			}
			continue
		}
		if slices.Contains(left, s.dir) {
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			_, goes := n.(*ast.GoStmt)
			sel, ok := n.(*ast.SelectorExpr) // sync.WaitGroup.Go, time.AfterFunc, context.AfterFunc
			if goes || ok && (sel.Sel.Name == "Go" || sel.Sel.Name == "AfterFunc") {
				starts["./"+s.dir] = s.fset.Position(n.Pos()).String()
			}
			return true
		})
	}
	for dir, at := range starts {
		if !slices.Contains(listed, dir) {
			t.Errorf("%s starts a goroutine: add %s to RACE_PKGS in the Makefile", at, dir)
		}
	}
	for _, dir := range listed {
		if !dirs[dir] {
			t.Errorf("RACE_PKGS names %s, which has no Go files", dir)
		}
	}
}
