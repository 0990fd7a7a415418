// Package pack turns an author's folder into a bundle: it bundles TypeScript, JSX, npm packages and local
// modules into the one JavaScript module that a bundle carries, copies the other files, and writes a zip
// that has the same bytes on every machine. It also holds the templates that new apps start from.
//
// What goes in, for serve.mode "server": the bundled module as app.js with app.js.map beside it, and every
// other file of the folder but sources that were bundled, TypeScript, settings of tools, hidden files,
// node_modules and what looks like a secret. For "static": serve.dir, and the files that the manifest names.
// In both, each NAME.ts or NAME.tsx lying directly in the folder of public files (serve.dir, or public when
// that is not set) is bundled for the browser and becomes NAME.js there.
//
// Everything here runs on the author's machine with the author's rights; nothing of it may ever run where an
// app is installed, because a bundler reads whatever a hostile source names. The package must not know
// users, grants or processes.
package pack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"paddock/app/bundle"
)

// Names of what Pack makes inside a bundle.
const (
	moduleName  = "app.js"
	migrateName = "migrate.js"
)

// entryCandidates are tried in this order when the manifest names no entry.
var entryCandidates = []string{
	"main.ts", "main.tsx", "main.js", "main.mjs", "server.ts", "server.tsx", "server.js", "server.mjs",
	"mod.ts", "index.ts", "index.tsx", "index.js", "index.mjs", "app.ts", "app.tsx", "app.js",
}

// Options of Pack.
type Options struct {
	Out      string // the file to write; replaced only when everything worked
	Key      []byte // a minisign secret key file: Out is a signed bundle. Empty: Out is a bare content zip
	Password string // of Key, when it is encrypted
}

// Result says what Pack wrote.
type Result struct {
	File          string   `json:"file"`
	SHA256        string   `json:"sha256"` // of File
	Bytes         int64    `json:"bytes"`  // of File
	Entries       int      `json:"entries"`
	ContentSHA256 string   `json:"content_sha256"` // of content.zip: what a signature names
	API           string   `json:"api,omitempty"`  // serve.api as found or given; empty for static apps
	Notes         []string `json:"notes"`          // what was left out and why, for the author
}

// Pack bundles the app in dir and writes o.Out. It does not change dir. What it writes was checked as an
// installation would check it. Errors are *bundle.ManifestError, *bundle.RefusedError, *BuildError,
// bundle.ErrPassword, or failures of this machine.
func Pack(ctx context.Context, dir string, o Options) (Result, error) {
	if o.Out == "" {
		return Result{}, errors.New("pack: no file to write was named")
	}
	// Links in the path would end up in source maps as "../../…".
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return Result{}, fmt.Errorf("pack: %w", err)
	}
	out, err := filepath.Abs(o.Out)
	if err != nil {
		return Result{}, fmt.Errorf("pack: %w", err)
	}
	p := &packing{ctx: ctx, dir: abs, out: out, files: map[string][]byte{}, notes: map[string]string{}}
	if err := p.run(); err != nil {
		return Result{}, err
	}
	return p.write(o)
}

// packing is one call of Pack.
type packing struct {
	ctx      context.Context
	dir      string // absolute, no links
	out      string // absolute
	manifest *bundle.Manifest
	public   string            // the folder of public files, with slashes; empty when there is none
	files    map[string][]byte // what goes into the bundle
	inputs   map[string]bool   // files of dir that were bundled into a module
	notes    map[string]string // left out → why
}

func (p *packing) run() error {
	raw, err := os.ReadFile(filepath.Join(p.dir, bundle.ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return &bundle.RefusedError{Rule: bundle.RuleManifest, Entry: bundle.ManifestName, Why: "the folder has no manifest", Hint: "`paddock init` writes one."}
	}
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	if p.manifest, err = bundle.ParseManifest(raw); err != nil {
		return err
	}
	p.inputs = map[string]bool{}
	p.public = p.publicFolder()
	if p.manifest.Serve.Mode == bundle.ModeServer {
		if err := p.buildServer(); err != nil {
			return err
		}
	}
	if err := p.buildMigration(); err != nil {
		return err
	}
	if err := p.buildPages(); err != nil {
		return err
	}
	if err := p.collect(); err != nil {
		return err
	}
	text, err := json.Marshal(p.manifest, jsontext.WithIndent("  "), json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("pack: write the manifest: %w", err)
	}
	p.files[bundle.ManifestName] = append(text, '\n')
	return nil
}

// publicFolder is serve.dir, else the folder public when there is one.
func (p *packing) publicFolder() string {
	if p.manifest.Serve.Dir != "" {
		return p.manifest.Serve.Dir
	}
	if info, err := os.Lstat(filepath.Join(p.dir, "public")); err == nil && info.IsDir() {
		return "public"
	}
	return ""
}

// isPublic reports whether name lies in the folder of public files.
func (p *packing) isPublic(name string) bool {
	return p.public == "." || p.public != "" && strings.HasPrefix(name, p.public+"/")
}

// buildServer makes app.js and decides serve.api.
func (p *packing) buildServer() error {
	entry, err := p.findEntry()
	if err != nil {
		return err
	}
	built, err := p.module(entry, moduleName)
	if err != nil {
		return err
	}
	if p.manifest.Serve.API == "" {
		api, err := detectAPI(p.dir, entry, built)
		if err != nil {
			return err
		}
		p.manifest.Serve.API = api
	}
	p.manifest.Serve.Entry = moduleName
	return nil
}

// module bundles entry for the server under the name out, and takes what comes of it.
func (p *packing) module(entry, out string) (*built, error) {
	b, err := buildModule(p.dir, entry, out)
	if err != nil {
		return nil, err
	}
	for name := range b.inputs {
		p.inputs[name] = true
	}
	if !p.inputs[out] {
		if _, err := os.Lstat(filepath.Join(p.dir, out)); err == nil {
			return nil, problem(out, "the bundled module gets this name, but the folder has another file of it",
				"Rename yours, or name it as serve.entry.")
		}
	}
	for name, content := range b.files {
		p.files[name] = content
	}
	return b, nil
}

func (p *packing) findEntry() (string, error) {
	if entry := p.manifest.Serve.Entry; entry != "" {
		if info, err := os.Stat(filepath.Join(p.dir, filepath.FromSlash(entry))); err != nil || !info.Mode().IsRegular() {
			return "", problem(entry, "serve.entry names this file, but it is not there", "Name the module that starts your server.")
		}
		return entry, nil
	}
	for _, name := range entryCandidates {
		if info, err := os.Stat(filepath.Join(p.dir, name)); err == nil && info.Mode().IsRegular() {
			return name, nil
		}
	}
	return "", problem(bundle.ManifestName, "serve.entry is not set, and the folder has no main.ts, server.ts or the like",
		"Set serve.entry to the module that starts your server.")
}

// buildMigration bundles the module that brings data to a new form.
func (p *packing) buildMigration() error {
	data := p.manifest.Data
	if data == nil || data.Migrate == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Join(p.dir, filepath.FromSlash(data.Migrate))); err != nil {
		return problem(data.Migrate, "data.migrate names this file, but it is not there", "")
	}
	if _, err := p.module(data.Migrate, migrateName); err != nil {
		return err
	}
	data.Migrate = migrateName
	return nil
}

// buildPages bundles the TypeScript lying directly in the folder of public files.
func (p *packing) buildPages() error {
	if p.public == "" {
		return nil
	}
	list, err := os.ReadDir(filepath.Join(p.dir, filepath.FromSlash(p.public)))
	if errors.Is(err, fs.ErrNotExist) {
		return problem(p.public, "serve.dir names this folder, but it is not there", "")
	}
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	for _, e := range list {
		if !e.Type().IsRegular() || !isPageSource(e.Name()) || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		source := path.Join(p.public, e.Name())
		files, inputs, err := buildPage(p.dir, source)
		if err != nil {
			return err
		}
		for name := range inputs {
			p.inputs[name] = true
		}
		for name, content := range files {
			if _, err := os.Lstat(filepath.Join(p.dir, filepath.FromSlash(name))); err == nil || p.files[name] != nil {
				return problem(source, "it becomes "+name+", but the folder has a file of that name too", "Rename one of the two.")
			}
			p.files[name] = content
		}
	}
	return nil
}

// isPageSource reports whether a file becomes a script of a page.
func isPageSource(name string) bool {
	return (strings.HasSuffix(name, ".ts") || strings.HasSuffix(name, ".tsx")) && !strings.HasSuffix(name, ".d.ts")
}

// write makes the zip, checks it, and signs it or puts it in place.
func (p *packing) write(o Options) (_ Result, err error) {
	work, err := os.MkdirTemp("", "paddock-pack-")
	if err != nil {
		return Result{}, fmt.Errorf("pack: make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	content := filepath.Join(work, "content.zip")
	if err := bundle.WriteFile(content, 0o600, func(w io.Writer) error { return writeZip(p.ctx, w, p.files) }); err != nil {
		return Result{}, fmt.Errorf("pack: %w", err)
	}
	if _, err := bundle.CheckContent(p.ctx, content); err != nil {
		return Result{}, err
	}
	result := Result{File: p.out, Entries: len(p.files), API: p.manifest.Serve.API, Notes: p.noteList()}
	if result.ContentSHA256, _, err = hashFile(content); err != nil {
		return Result{}, fmt.Errorf("pack: %w", err)
	}
	if len(o.Key) > 0 {
		err = bundle.Sign(content, o.Key, o.Password, p.out)
	} else {
		err = copyFile(content, p.out)
	}
	if err != nil {
		return Result{}, err
	}
	if result.SHA256, result.Bytes, err = hashFile(p.out); err != nil {
		return Result{}, fmt.Errorf("pack: %w", err)
	}
	return result, nil
}

func (p *packing) noteList() []string {
	list := make([]string, 0, len(p.notes))
	for name, why := range p.notes {
		list = append(list, name+" was left out: "+why)
	}
	slices.Sort(list)
	return list
}

func hashFile(name string) (sum string, size int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), size, err
}

func copyFile(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	defer f.Close()
	return bundle.WriteFile(to, 0o644, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}
