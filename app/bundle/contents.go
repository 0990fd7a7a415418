package bundle

import (
	"io"
	"path"
)

// manifestOf reads paddock.json out of an archive.
func manifestOf(r io.ReaderAt, entries []zipEntry, l Limits) ([]byte, error) {
	for _, e := range entries {
		if e.name == ManifestName && !e.folder {
			return readEntry(r, e, l.Manifest, RuleManifest)
		}
	}
	return nil, refuse(RuleManifest, ManifestName, "the bundle has no manifest at its root")
}

// checkFiles makes sure that every file the manifest names is there and is what it should be.
func checkFiles(m *Manifest, t *tree, dev bool) error {
	for _, f := range fileFields(m) {
		if _, ok := t.files[f.name]; !ok {
			return refuse(RuleMissing, f.name, "%s names this file, but it is not in the bundle", f.path)
		}
	}
	documents := []string{m.Description, m.Changelog}
	for _, l := range m.Localization {
		documents = append(documents, l.Description)
	}
	for _, name := range documents {
		if name == "" {
			continue
		}
		content, err := t.read(name, t.limits.Document)
		if err != nil {
			return refuse(RuleDocument, name, "it has more than %d KiB", t.limits.Document>>10)
		}
		if err := checkDocument(name, content, t.limits); err != nil {
			return err
		}
	}
	if m.Serve.Dir != "" && m.Serve.Dir != "." && !t.folders[m.Serve.Dir] {
		return refuse(RuleMissing, m.Serve.Dir, "serve.dir names this folder, but it is not in the bundle")
	}
	if m.Serve.Mode != ModeServer {
		return nil
	}
	switch {
	case m.Serve.Entry == "":
		return refuse(RuleMissing, ManifestName, "serve.entry is not set: a bundle has one JavaScript module that starts the app").
			hint("`paddock pack` makes that module and sets serve.entry.")
	case !isModule(m.Serve.Entry, dev):
		return refuse(RuleManifest, ManifestName, "serve.entry is %q, which is no JavaScript module", m.Serve.Entry).
			hint("`paddock pack` makes one from TypeScript.")
	}
	if _, ok := t.files[m.Serve.Entry]; !ok {
		return refuse(RuleMissing, m.Serve.Entry, "serve.entry names this file, but it is not in the bundle")
	}
	return nil
}

// isModule reports whether a name is one of a module that runs as it is: JavaScript, and in an author's
// own unsigned work TypeScript without JSX, which the runtime strips itself.
func isModule(name string, dev bool) bool {
	switch path.Ext(name) {
	case ".js", ".mjs":
		return true
	case ".ts", ".mts":
		return dev
	}
	return false
}
