package pack

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"paddock/app/bundle"
)

// maxRead bounds what Pack reads into memory, in bytes: a bundle may unpack to no more.
var maxRead = bundle.DefaultLimits.Unpacked

// toolFiles steer tools on the author's machine and mean nothing in a bundle.
var toolFiles = map[string]bool{
	"package.json": true, "package-lock.json": true, "npm-shrinkwrap.json": true, "pnpm-lock.yaml": true, "pnpm-workspace.yaml": true,
	"yarn.lock": true, "bun.lock": true, "bun.lockb": true, "tsconfig.json": true, "jsconfig.json": true,
	"deno.json": true, "deno.jsonc": true, "deno.lock": true, "import_map.json": true,
}

// collect reads the files that go into the bundle as they are.
func (p *packing) collect() error {
	named := p.namedFiles()
	var total int64
	return filepath.WalkDir(p.dir, func(full string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		if err := p.ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(p.dir, full)
		if err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		name := filepath.ToSlash(rel)
		if name == "." || name == bundle.ManifestName || full == p.out {
			return nil
		}
		if d.IsDir() {
			if why := bundle.LeftOut(name, true); why != "" {
				p.notes[name] = why
				return fs.SkipDir
			}
			return nil
		}
		if !p.wanted(name, named) {
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			return problem(name, "it is a link, and a bundle holds plain files only", "Put the file itself there.")
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		if !info.Mode().IsRegular() {
			return problem(name, "it is neither a file nor a folder", "")
		}
		if total += info.Size(); total > maxRead {
			return problem(name, fmt.Sprintf("the app has more than %d MiB of files", maxRead>>20), "")
		}
		content, err := os.ReadFile(full)
		if err != nil {
			return fmt.Errorf("pack: %w", err)
		}
		p.files[name] = content
		return nil
	})
}

// namedFiles are those that the manifest names: they go in wherever they lie.
func (p *packing) namedFiles() map[string]bool {
	m := p.manifest
	named := map[string]bool{m.Description: true, m.Changelog: true}
	for _, icon := range m.Icons {
		named[icon.Src] = true
	}
	for _, shot := range m.Screenshots {
		named[shot.Src] = true
	}
	for _, l := range m.Localization {
		named[l.Description] = true
	}
	return named
}

// wanted decides about one file, and notes what an author may miss.
func (p *packing) wanted(name string, named map[string]bool) bool {
	if _, made := p.files[name]; made {
		return false
	}
	if why := bundle.LeftOut(name, false); why != "" {
		p.notes[name] = why
		return false
	}
	if named[name] {
		return true
	}
	base := strings.ToLower(path.Base(name))
	public := p.isPublic(name)
	switch {
	case toolFiles[base] && !public:
		return false
	case isSource(base):
		if !p.inputs[name] && !strings.HasSuffix(base, ".d.ts") {
			p.notes[name] = "no module that was bundled imports this source"
		}
		return false
	case public:
		return true
	case p.manifest.Serve.Mode == bundle.ModeStatic:
		return isLicense(base)
	}
	return !p.inputs[name]
}

// isSource reports whether a file is one that only a bundler can read. Browsers and the runtime, without
// its settings, do not take them.
func isSource(base string) bool {
	switch path.Ext(base) {
	case ".ts", ".tsx", ".mts", ".cts", ".jsx":
		return true
	}
	return false
}

// isLicense finds licence texts, which travel with an app that serves only a folder below them.
func isLicense(base string) bool {
	stem, _, _ := strings.Cut(base, ".")
	return stem == "license" || stem == "licence" || stem == "copying" || stem == "notice"
}
