package pack

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paddock/app/bundle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><rect width="1" height="1"/></svg>`

func manifest(t testing.TB, serve map[string]any, more map[string]any) string {
	t.Helper()
	m := map[string]any{
		"manifest_version": 1, "id": "org.example.app", "version": "1.0.0", "version_code": 3, "name": "App", "summary": "An app.",
		"author": map[string]any{"name": "Ada"}, "license": "MIT", "icons": []any{map[string]any{"src": "icon.svg", "size": 128}},
		"serve": serve, "resources": map[string]any{"memory_mb": 64, "cpu_percent": 10, "disk_mb": 10},
	}
	for k, v := range more {
		m[k] = v
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func server(t testing.TB, entry string) string {
	return manifest(t, map[string]any{"mode": "server", "entry": entry}, nil)
}

// folder writes files into a new folder; icon.svg is added.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	writeFiles(t, dir, files)
	if _, ok := files["icon.svg"]; !ok {
		writeFiles(t, dir, map[string]string{"icon.svg": icon})
	}
	return dir
}

func writeFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, body := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(body), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// packDir packs dir unsigned and returns what is in the zip.
func packDir(t testing.TB, dir string) (map[string]string, Result, error) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.zip")
	r, err := Pack(context.Background(), dir, Options{Out: out})
	if err != nil {
		if _, statErr := os.Stat(out); !errors.Is(statErr, fs.ErrNotExist) {
			t.Errorf("a failed Pack left %s", out)
		}
		return nil, r, err
	}
	return unzip(t, out), r, nil
}

func mustPack(t testing.TB, dir string) (map[string]string, Result) {
	t.Helper()
	files, r, err := packDir(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	return files, r
}

func unzip(t testing.TB, name string) map[string]string {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := map[string]string{}
	for _, f := range z.File {
		rc, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(b)
		if f.Mode() != 0o644 || len(f.Extra) != 0 || f.ModifiedDate != dosDate1980 || f.ModifiedTime != 0 {
			t.Errorf("%s: mode %v, %d extra bytes, date %x %x", f.Name, f.Mode(), len(f.Extra), f.ModifiedDate, f.ModifiedTime)
		}
	}
	return files
}

func names(files map[string]string) string {
	var list []string
	for name := range files {
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func snapshot(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(name)
		b.WriteString(name + " " + info.Mode().String() + " " + info.ModTime().String() + " " + string(content) + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPackServer(t *testing.T) {
	dir := folder(t, map[string]string{
		"paddock.json":                     server(t, "src/main.tsx"),
		"src/main.tsx":                     "/** @jsxImportSource tiny */\nimport { greet } from \"./greet.ts\";\nimport text from \"./note.txt\";\nimport sql from \"../schema.sql\";\nenum E { A = 7 }\nexport default { fetch(r: Request): Response { return new Response(greet(<b>{text}{sql}{E.A}</b>)); } };\n",
		"src/greet.ts":                     "export const greet = (x: unknown): string => JSON.stringify(x);\n",
		"src/unused.ts":                    "export const x = 1;\n",
		"src/types.d.ts":                   "declare const y: number;\n",
		"src/note.txt":                     "hello",
		"schema.sql":                       "select 1",
		"data/words.txt":                   "a b c",
		"README.md":                        "# App\n",
		"package.json":                     `{"dependencies":{"tiny":"1"}}`,
		"package-lock.json":                "{}",
		"node_modules/tiny/jsx-runtime.js": "exports.jsx = exports.jsxs = (type, props) => ({ type, props });\n",
		"node_modules/tiny/package.json":   `{"name":"tiny","version":"1.0.0"}`,
		".git/config":                      "x",
		".env":                             "TOKEN=1",
		"deploy/tls.key":                   "secret",
		"deploy/cert.pem":                  "secret",
		"old.paddock":                      "x",
		"public/index.html":                "<p>",
		"public/page.ts":                   "import { greet } from \"../src/greet.ts\";\nconst n: number = 1;\ndocument.title = greet(n);\n",
		"public/lib/helper.ts":             "export const h = 2;\n",
		"public/package.json":              "{}",
	})
	before := snapshot(t, dir)
	files, r := mustPack(t, dir)
	if after := snapshot(t, dir); after != before {
		t.Error("Pack changed the author's folder")
	}
	want := "README.md app.js app.js.map data/words.txt icon.svg paddock.json public/index.html public/package.json public/page.js"
	if got := names(files); got != want {
		t.Errorf("packed\n%s, want\n%s", got, want)
	}
	m, err := bundle.ParseManifest([]byte(files["paddock.json"]))
	if err != nil {
		t.Fatal(err)
	}
	if m.Serve.Entry != "app.js" || m.Serve.API != "fetch" || r.API != "fetch" || m.VersionCode != 3 {
		t.Errorf("manifest %s", files["paddock.json"])
	}
	if r.Entries != len(files) || len(r.SHA256) != 64 || r.SHA256 != r.ContentSHA256 || r.Bytes == 0 {
		t.Errorf("result %+v", r)
	}
	for _, left := range []string{".git", ".env", "node_modules", "deploy/tls.key", "deploy/cert.pem", "old.paddock", "src/unused.ts", "public/lib/helper.ts"} {
		if !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.HasPrefix(n, left+" was left out: ") }) {
			t.Errorf("no note about %s in %q", left, r.Notes)
		}
	}
	if strings.Contains(files["public/page.js"], "../src") || !strings.Contains(files["public/page.js"], "document.title") {
		t.Errorf("page.js is %q", files["public/page.js"])
	}
	var sources struct {
		Sources        []string `json:"sources"`
		SourcesContent []string `json:"sourcesContent"`
	}
	if err := json.Unmarshal([]byte(files["app.js.map"]), &sources); err != nil || !slices.Contains(sources.Sources, "src/main.tsx") || sources.SourcesContent != nil {
		t.Errorf("source map %+v, %v", sources, err)
	}
	for name, body := range files {
		if strings.Contains(body, dir) {
			t.Errorf("%s holds the path of the folder", name)
		}
	}
}

// TestReproducible packs the same files from other places, with other times, modes and a stray parent's settings.
func TestReproducible(t *testing.T) {
	files := map[string]string{
		"paddock.json": server(t, "main.ts"), "icon.svg": icon,
		"main.ts":                       "import { z } from \"./lib/z.ts\";\nimport dep from \"dep\";\nclass A { x = z; }\nexport default { fetch: () => new Response(String(new A().x + dep)) };\n",
		"lib/z.ts":                      "export const z = 1;\n",
		"node_modules/dep/index.js":     "module.exports = __dirname.length;\n",
		"node_modules/dep/package.json": `{"name":"dep"}`,
		"public/a.html":                 strings.Repeat("hello ", 1000),
		"public/blank.bin":              strings.Repeat("\x00", 1<<20),
		"public/größe.txt":              "ß",
	}
	secret, _, _, err := bundle.Keygen("")
	if err != nil {
		t.Fatal(err)
	}
	var sums []string
	for i, place := range []string{"one", "two/deeper/still", "three", "four/deeper"} {
		base := t.TempDir()
		dir := filepath.Join(base, filepath.FromSlash(place))
		writeFiles(t, dir, files)
		if i > 0 {
			writeFiles(t, base, map[string]string{"tsconfig.json": `{"compilerOptions":{"useDefineForClassFields":false,"target":"es5","jsx":"preserve"}}`})
			err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					err = errors.Join(os.Chmod(name, 0o600), os.Chtimes(name, time.Unix(1, 0), time.Unix(int64(i)*1e6, 0)))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if i == 2 {
			link := filepath.Join(base, "link")
			if err := os.Symlink(dir, link); err != nil {
				t.Fatal(err)
			}
			dir = link
		}
		if i == 3 { // packages that several apps share
			packages := filepath.Join(dir, "node_modules")
			if err := errors.Join(os.Rename(packages, filepath.Join(base, "shared")), os.Symlink(filepath.Join(base, "shared"), packages)); err != nil {
				t.Fatal(err)
			}
		}
		old := setUmask(i * 0o27)
		r, err := Pack(context.Background(), dir, Options{Out: filepath.Join(base, "out.paddock"), Key: secret})
		setUmask(old)
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, r.SHA256)
		if _, err := bundle.Verify(r.File); err != nil {
			t.Error(err)
		}
	}
	if sums[0] != sums[1] || sums[0] != sums[2] || sums[0] != sums[3] {
		t.Errorf("the same files give different bytes: %v", sums)
	}
}

func TestPackStatic(t *testing.T) {
	dir := folder(t, map[string]string{
		"paddock.json":   manifest(t, map[string]any{"mode": "static", "dir": "www"}, map[string]any{"description_file": "docs/about.md"}),
		"www/index.html": "<p>", "www/sub/a.css": "a{}", "www/.hidden": "x", "www/main.tsx": "import \"./look.css\";\nconsole.log(1 as number);\n",
		"www/main.css": "x", "www/look.css": "b { color: red }\n", "www/lib.js": "console.log(2);\n", "docs/about.md": "# Hi\n", "docs/draft.md": "x", "LICENSE": "MIT", "notes.txt": "x", "src/x.ts": "x",
	})
	_, _, err := packDir(t, dir)
	assertProblem(t, err, "www/main.tsx", 0, "main.css")
	writeFiles(t, dir, map[string]string{"www/main.tsx": "import { two } from \"./two.ts\";\nconsole.log(two);\n", "www/two.ts": "export const two: number = 2;\n"})
	_ = os.Remove(filepath.Join(dir, "www", "main.css"))
	files, r := mustPack(t, dir)
	if got, want := names(files), "LICENSE docs/about.md icon.svg paddock.json www/index.html www/lib.js www/look.css www/main.js www/sub/a.css www/two.js"; got != want {
		t.Errorf("packed\n%s, want\n%s", got, want)
	}
	if r.API != "" {
		t.Errorf("a static app has the API %q", r.API)
	}
	root := folder(t, map[string]string{"paddock.json": manifest(t, map[string]any{"mode": "static", "dir": "."}, nil), "index.html": "<p>", "page.ts": "console.log(1);\n"})
	files, _ = mustPack(t, root)
	if got, want := names(files), "icon.svg index.html paddock.json page.js"; got != want {
		t.Errorf("packed\n%s, want\n%s", got, want)
	}
}

func TestDetectAPI(t *testing.T) {
	for name, c := range map[string]struct{ source, want string }{
		"default object":         {"export default { fetch: () => new Response() };", "fetch"},
		"named fetch":            {"export function fetch() { return new Response(); }", "fetch"},
		"framework object":       {"class App { fetch() {} }\nexport default new App();", "fetch"},
		"Deno.serve":             {"Deno.serve(() => new Response());", "deno"},
		"Deno.serve taken":       {"const { serve } = Deno;\nserve(() => new Response());", "deno"},
		"Deno.serve, exported":   {"const app = { fetch: () => new Response() };\nDeno.serve(app.fetch);\nexport default app;", "deno"},
		"Deno.serve in comment":  {"// Deno.serve\nexport default { fetch() {} };", "fetch"},
		"node http":              {"import http from \"node:http\";\nhttp.createServer(() => {}).listen(80);", "node"},
		"node http, bare":        {"import { createServer } from \"http\";\ncreateServer(() => {}).listen(80);", "node"},
		"node http, exported":    {"import http from \"node:http\";\nconst s = http.createServer();\ns.listen(80);\nexport default s;", "node"},
		"node http, required":    {"const http = require(\"http\");\nhttp.createServer(() => {}).listen(80);", "node"},
		"fetch beside http":      {"import http from \"node:http\";\nexport default { fetch: () => new Response(http.METHODS[0]) };", "fetch"},
		"node http in a package": {"import { serve } from \"@hono/node-server\";\nconst app = { fetch() {} };\nserve(app);\nexport default app;", "node"},
		"package beside fetch":   {"import { files } from \"@hono/node-server/files\";\nexport default { fetch: () => new Response(files) };", "fetch"},
		"none":                   {"console.log(1);", ""},
	} {
		dir := folder(t, map[string]string{
			"paddock.json": server(t, "main.js"), "main.js": c.source,
			"node_modules/@hono/node-server/index.js":     "const http = require(\"http\");\nexports.serve = (app) => http.createServer(app).listen(80);\n",
			"node_modules/@hono/node-server/files.js":     "exports.files = require(\"http\").METHODS[0];\n",
			"node_modules/@hono/node-server/package.json": `{"name":"@hono/node-server","exports":{".":"./index.js","./files":"./files.js"}}`,
		})
		_, r, err := packDir(t, dir)
		if c.want == "" {
			assertProblem(t, err, "main.js", 0, "serve.api")
		} else if err != nil || r.API != c.want {
			t.Errorf("%s: %q, %v; want %q", name, r.API, err, c.want)
		}
	}
	dir := folder(t, map[string]string{"paddock.json": manifest(t, map[string]any{"mode": "server", "api": "deno"}, nil), "main.js": "console.log(1);"})
	if _, r := mustPack(t, dir); r.API != "deno" {
		t.Errorf("the author's word counts: %q", r.API)
	}
}

// assertProblem insists on a BuildError about file, at line when that is not 0, with words in it.
func assertProblem(t testing.TB, err error, file string, line int, words string) {
	t.Helper()
	var bad *BuildError
	if !errors.As(err, &bad) || len(bad.Problems) == 0 {
		t.Fatalf("want a BuildError, got %T: %v", err, err)
	}
	for _, p := range bad.Problems {
		if p.File == file && (line == 0 || p.Line == line && p.Column > 0) && strings.Contains(p.String(), words) {
			return
		}
	}
	t.Fatalf("no problem in %s:%d with %q in:\n%v", file, line, words, err)
}

func TestPackProblems(t *testing.T) {
	ok := "export default { fetch() {} };\n"
	for name, c := range map[string]struct {
		files map[string]string
		file  string
		line  int
		words string
	}{
		"syntax error":        {map[string]string{"main.ts": ok + "const = 5;\n"}, "main.ts", 2, "Expected identifier"},
		"error in an import":  {map[string]string{"main.ts": "import \"./lib/a.ts\";\n" + ok, "lib/a.ts": "\n\nlet x: = 1;\n"}, "lib/a.ts", 3, ""},
		"entry missing":       {map[string]string{}, "main.ts", 0, "not there"},
		"module missing":      {map[string]string{"main.ts": "import \"./gone.ts\";\n" + ok}, "main.ts", 1, "./gone.ts"},
		"export missing":      {map[string]string{"main.ts": "import { y } from \"./a.ts\";\nconsole.log(y);\n" + ok, "a.ts": "export const x = 1;\n"}, "main.ts", 1, "y"},
		"package missing":     {map[string]string{"main.ts": "import { Hono } from \"hono\";\nnew Hono();\n" + ok}, "main.ts", 1, "npm install hono"},
		"scoped missing":      {map[string]string{"main.ts": "\nimport \"@scope/name/sub\";\n" + ok}, "main.ts", 2, "npm install @scope/name`"},
		"dynamic missing":     {map[string]string{"main.ts": ok + "await import(\"left-pad\");\n"}, "main.ts", 2, "npm install left-pad"},
		"https import":        {map[string]string{"main.ts": "import \"https://deno.land/x/a.ts\";\n" + ok}, "main.ts", 1, "Download"},
		"http import":         {map[string]string{"main.ts": "import \"http://example.org/a.ts\";\n" + ok}, "main.ts", 1, "Download"},
		"npm specifier":       {map[string]string{"main.ts": "import \"npm:hono@4/tiny\";\n" + ok}, "main.ts", 1, "npm install hono` and import \"hono\""},
		"npm scoped":          {map[string]string{"main.ts": "import \"npm:@a/b@1.2\";\n" + ok}, "main.ts", 1, "npm install @a/b`"},
		"jsr specifier":       {map[string]string{"main.ts": "import \"jsr:@std/path@1\";\n" + ok}, "main.ts", 1, "npx jsr add @std/path`"},
		"own app.js":          {map[string]string{"main.ts": ok, "app.js": "// mine\n"}, "app.js", 0, "another file"},
		"page syntax":         {map[string]string{"main.ts": ok, "public/page.ts": "const = 1;\n"}, "public/page.ts", 1, ""},
		"page beside script":  {map[string]string{"main.ts": ok, "public/page.ts": "export {};\n", "public/page.js": "x"}, "public/page.ts", 0, "page.js"},
		"page on the runtime": {map[string]string{"main.ts": ok, "public/page.ts": "import \"node:fs\";\n"}, "public/page.ts", 1, "browsers"},
	} {
		t.Run(name, func(t *testing.T) {
			c.files["paddock.json"] = server(t, "main.ts")
			_, _, err := packDir(t, folder(t, c.files))
			assertProblem(t, err, c.file, c.line, c.words)
		})
	}
	t.Run("no entry named or found", func(t *testing.T) {
		_, _, err := packDir(t, folder(t, map[string]string{"paddock.json": manifest(t, map[string]any{"mode": "server"}, nil)}))
		assertProblem(t, err, "paddock.json", 0, "serve.entry")
	})
	t.Run("link", func(t *testing.T) {
		dir := folder(t, map[string]string{"paddock.json": server(t, "main.ts"), "main.ts": ok})
		if err := os.Symlink("/etc/passwd", filepath.Join(dir, "users.txt")); err != nil {
			t.Fatal(err)
		}
		_, _, err := packDir(t, dir)
		assertProblem(t, err, "users.txt", 0, "link")
	})
	t.Run("manifest", func(t *testing.T) {
		_, _, err := packDir(t, folder(t, map[string]string{"paddock.json": `{"id": 1}`}))
		var bad *bundle.ManifestError
		if !errors.As(err, &bad) {
			t.Fatalf("%T: %v", err, err)
		}
		_, _, err = packDir(t, t.TempDir())
		var refused *bundle.RefusedError
		if !errors.As(err, &refused) || refused.Rule != bundle.RuleManifest {
			t.Fatalf("%T: %v", err, err)
		}
	})
	t.Run("what an installation would refuse", func(t *testing.T) {
		_, _, err := packDir(t, folder(t, map[string]string{"paddock.json": server(t, "main.ts"), "main.ts": ok, "icon.svg": "<svg/>"}))
		var refused *bundle.RefusedError
		if !errors.As(err, &refused) || refused.Rule != bundle.RuleIcon {
			t.Fatalf("%T: %v", err, err)
		}
		_, _, err = packDir(t, folder(t, map[string]string{"paddock.json": server(t, "main.ts"), "main.ts": ok, "Data.txt": "1", "data.TXT": "2"}))
		if !errors.As(err, &refused) || refused.Rule != bundle.RuleDuplicate {
			t.Fatalf("%T: %v", err, err)
		}
	})
	t.Run("out", func(t *testing.T) {
		dir := folder(t, map[string]string{"paddock.json": server(t, "main.ts"), "main.ts": ok})
		if _, err := Pack(context.Background(), dir, Options{}); err == nil {
			t.Error("no file named, no error")
		}
		if _, err := Pack(context.Background(), dir, Options{Out: filepath.Join(dir, "no", "such", "x")}); err == nil {
			t.Error("wrote into a missing folder")
		}
		out := filepath.Join(dir, "content.zip")
		first, err := Pack(context.Background(), dir, Options{Out: out})
		if err != nil {
			t.Fatal(err)
		}
		second, err := Pack(context.Background(), dir, Options{Out: out})
		if err != nil || first.SHA256 != second.SHA256 {
			t.Errorf("packing into the folder packs the last result: %v", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := Pack(ctx, dir, Options{Out: out}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

func TestMigration(t *testing.T) {
	dir := folder(t, map[string]string{
		"paddock.json": manifest(t, map[string]any{"mode": "server"}, map[string]any{"data": map[string]any{"schema": 2, "migrate": "steps/to2.ts"}}),
		"main.ts":      "export default { fetch() {} };\n", "steps/to2.ts": "import { x } from \"./x.ts\";\nexport default (from: number) => from + x;\n", "steps/x.ts": "export const x = 1;\n",
	})
	files, _ := mustPack(t, dir)
	m, err := bundle.ParseManifest([]byte(files["paddock.json"]))
	if err != nil || m.Data.Migrate != "migrate.js" || !strings.Contains(files["migrate.js"], "from + x") {
		t.Errorf("%v: %s\n%s", err, files["paddock.json"], files["migrate.js"])
	}
}

// denoProgram finds the runtime that apps run on.
func denoProgram(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("PADDOCK_DENO"); p != "" {
		return p
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("there is no go.mod above the test")
		}
	}
	p := filepath.Join(dir, "bin", "deno")
	if _, err := os.Stat(p); err != nil {
		t.Fatal("there is no Deno to run apps with: run `make headless`, or set PADDOCK_DENO")
	}
	return p
}

type answer struct {
	Status int    `json:"status"`
	Type   string `json:"type"`
	Body   string `json:"body"`
	Error  string `json:"error"`
}

// runApp installs a bundle as Paddock would, runs it in Deno with the rights that every app has, and asks
// it for paths.
func runApp(t *testing.T, file, api string, paths ...string) []answer {
	t.Helper()
	staged, err := bundle.Open(context.Background(), file, bundle.Options{Staging: t.TempDir(), Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	code := filepath.Join(t.TempDir(), "code")
	if err := staged.Commit(code); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bundle.RemoveTree(code) })
	data, runtime := t.TempDir(), t.TempDir()
	host, err := filepath.Abs(filepath.Join("testdata", "host.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	args := []string{
		"run", "--quiet", "--no-prompt", "--no-config", "--no-lock", "--no-remote", "--no-npm", "--cached-only", "--node-modules-dir=none",
		"--allow-import=127.0.0.1:1", "--allow-read=" + code + "," + data, "--allow-write=" + data, "--ignore-env",
		host, "file://" + filepath.Join(code, staged.Manifest.Serve.Entry), api,
	}
	cmd := exec.CommandContext(ctx, denoProgram(t), append(args, paths...)...)
	cmd.Dir = data
	cmd.Env = []string{"DENO_DIR=" + runtime, "TMPDIR=" + runtime, "HOME=" + data, "NO_COLOR=1", "DENO_NO_UPDATE_CHECK=1"}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the app does not run: %v\n%s\n%s", err, stderr.String(), out)
	}
	var answers []answer
	for line := range strings.Lines(string(out)) {
		var a answer
		if json.Unmarshal([]byte(line), &a) == nil {
			answers = append(answers, a)
		}
	}
	if len(answers) != len(paths) {
		t.Fatalf("%d answers to %d questions:\n%s\n%s", len(answers), len(paths), out, stderr.String())
	}
	return answers
}

func pack(t *testing.T, dir string) (string, Result) {
	t.Helper()
	secret, _, _, err := bundle.Keygen("")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "app.paddock")
	r, err := Pack(context.Background(), dir, Options{Out: out, Key: secret})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := bundle.Verify(out); err != nil || !v.OK || v.SHA256 != r.ContentSHA256 || v.FileSHA256 != r.SHA256 {
		t.Fatalf("verify %+v, %v; packed %+v", v, err, r)
	}
	return out, r
}

func TestTemplates(t *testing.T) {
	if got := Templates(); !slices.Equal(got, []string{"fetch", "express", "static"}) {
		t.Errorf("templates %v", got)
	}
	for _, name := range Templates() {
		dir := filepath.Join(t.TempDir(), "my little-app!")
		if err := Init(dir, name); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(dir, "paddock.json"))
		if err != nil {
			t.Fatal(err)
		}
		m, err := bundle.ParseManifest(raw)
		if err != nil || m.Name != "My little app" || m.ID != "com.example.my-little-app" {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		before := snapshot(t, dir)
		if err := Init(dir, name); !errors.Is(err, ErrExists) {
			t.Errorf("%s over itself: %v", name, err)
		}
		if snapshot(t, dir) != before {
			t.Errorf("%s: a failed Init changed something", name)
		}
	}
	if err := Init(t.TempDir(), "rails"); err == nil {
		t.Error("made an app from a template that is not there")
	}
	for folder, want := range map[string]string{"": "My app app", "…": "My app app", "Ärger": "Ärger rger", "dev": "Dev app", strings.Repeat("x", 99): "X" + strings.Repeat("x", 39) + " " + strings.Repeat("x", 40)} {
		if name, slug := appNames(folder); name+" "+slug != want {
			t.Errorf("%q gives %q and %q, want %q", folder, name, slug, want)
		}
	}
}

func TestTemplateFetchRuns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "counter")
	if err := Init(dir, ""); err != nil {
		t.Fatal(err)
	}
	file, r := pack(t, dir)
	if r.API != bundle.APIFetch {
		t.Errorf("API %q", r.API)
	}
	a := runApp(t, file, r.API, "/", "/page.js", "/style.css", "/api/count", "POST /api/count", "/api/count", "/../paddock.json", "/nothing")
	if a[0].Status != 200 || !strings.Contains(a[0].Body, "<h1>Counter</h1>") || a[1].Type != "text/javascript; charset=utf-8" || !strings.Contains(a[1].Body, "/api/count") ||
		a[2].Status != 200 || a[3].Body != `{"count":0}` || a[5].Body != `{"count":1}` || a[6].Status != 404 || a[7].Status != 404 {
		t.Errorf("answers %+v", a)
	}
}

// TestTraces shows that the source map is found: a trace names the author's file and line.
func TestTraces(t *testing.T) {
	dir := folder(t, map[string]string{
		"paddock.json": server(t, "main.ts"),
		"main.ts":      "type X = { a: number };\n\n\nfunction boom(x: X): never { throw new Error(\"boom \" + x.a); }\nexport default { fetch() { boom({ a: 1 }); } };\n",
	})
	file, r := pack(t, dir)
	if a := runApp(t, file, r.API, "/"); !strings.Contains(a[0].Error, "main.ts:4:") || !strings.Contains(a[0].Error, "main.ts:5:") {
		t.Errorf("the trace is %q", a[0].Error)
	}
}

// TestNamedImportsOfOS: a named import of node:os is what the default export has then, which the host's entry module
// gives neutral answers; without that it would be the runtime's own function, which throws.
func TestNamedImportsOfOS(t *testing.T) {
	for name, first := range map[string]string{
		"import":  `import os, { hostname, EOL } from "node:os"; import * as all from "os";`,
		"require": `const os = require("os"); const { EOL } = os; const hostname = () => os.hostname(); const all = require("node:os");`,
	} {
		dir := folder(t, map[string]string{
			"paddock.json": server(t, "main.js"),
			"main.js":      first + ` os.hostname = () => "neutral"; export default { fetch: () => new Response(hostname() + EOL.length + all.hostname() + all.platform().length) };`,
		})
		file, r := pack(t, dir)
		if a := runApp(t, file, r.API, "/"); a[0].Body != "neutral1neutral5" {
			t.Errorf("%s: %+v", name, a[0])
		}
	}
}

// TestServersRun runs the two other kinds of server.
func TestServersRun(t *testing.T) {
	for api, source := range map[string]string{
		"deno": "Deno.serve({ port: 1 }, (r: Request) => new Response(new URL(r.url).pathname));\n",
		"node": "import { createServer } from \"http\";\ncreateServer((q, s) => { s.end(q.url); }).listen(1);\n",
	} {
		file, r := pack(t, folder(t, map[string]string{"paddock.json": server(t, "main.ts"), "main.ts": source}))
		if a := runApp(t, file, api, "/hello"); r.API != api || a[0].Body != "/hello" {
			t.Errorf("%s: API %q, answers %+v", api, r.API, a)
		}
	}
}

func TestTemplateStatic(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "counter")
	if err := Init(dir, TemplateStatic); err != nil {
		t.Fatal(err)
	}
	pack(t, dir)
	files, _ := mustPack(t, dir)
	if got, want := names(files), "icon.svg paddock.json www/index.html www/page.js www/style.css"; got != want {
		t.Errorf("packed %s, want %s", got, want)
	}
}
