package pack

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// A BuildProblem is one thing that kept an app from being bundled.
type BuildProblem struct {
	File   string `json:"file"`             // relative to the author's folder; may be empty
	Line   int    `json:"line,omitempty"`   // from 1; 0: the file as a whole
	Column int    `json:"column,omitempty"` // from 1, in bytes
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"` // what to do, a sentence
}

func (p BuildProblem) String() string {
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
	text := p.Text
	if place != "" {
		text = place + ": " + text
	}
	if p.Hint != "" {
		text += ". " + p.Hint
	}
	return text
}

// BuildError lists what is wrong in an author's sources.
type BuildError struct {
	Problems []BuildProblem
}

func (e *BuildError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// problem makes a BuildError about one file.
func problem(file, text, hint string) *BuildError {
	return &BuildError{Problems: []BuildProblem{{File: file, Text: text, Hint: hint}}}
}

// maxBuildProblems bounds a report.
const maxBuildProblems = 50

// buildError turns the bundler's messages into ours.
func buildError(messages []api.Message) *BuildError {
	e := &BuildError{}
	for _, m := range messages[:min(len(messages), maxBuildProblems)] {
		p := BuildProblem{Text: m.Text}
		if hint, ok := m.Detail.(string); ok {
			p.Hint = hint
		}
		if l := m.Location; l != nil {
			p.File, p.Line, p.Column = filepath.ToSlash(l.File), l.Line, l.Column+1
		}
		e.Problems = append(e.Problems, p)
	}
	return e
}

// built is what became of one module of the server.
type built struct {
	files   map[string][]byte // the module and its source map
	inputs  map[string]bool   // files of the folder that went in
	imports map[string]bool   // modules of the runtime that it imports, like node:http
	exports []string
}

// metafile is the part of esbuild's report that is read here (esbuild.github.io/api/#metafile).
type metafile struct {
	Inputs  map[string]struct{} `json:"inputs"`
	Outputs map[string]struct {
		EntryPoint string   `json:"entryPoint"`
		Exports    []string `json:"exports"`
		Imports    []struct {
			Path     string `json:"path"`
			External bool   `json:"external"`
		} `json:"imports"`
	} `json:"outputs"`
}

// baseOptions are common to servers and pages: nothing outside the folder decides about the result, no
// file is written, no path of this machine gets in.
func baseOptions(dir string) api.BuildOptions {
	o := api.BuildOptions{
		AbsWorkingDir: dir,
		Bundle:        true,
		Format:        api.FormatESModule,
		Charset:       api.CharsetUTF8,
		LogLevel:      api.LogLevelSilent,
		LegalComments: api.LegalCommentsEndOfFile,
		Metafile:      true,
		Define:        map[string]string{"process.env.NODE_ENV": `"production"`},
		JSX:           api.JSXAutomatic,
	}
	// Packages behind a link would be named by where they really lie, in comments and traces: paths of this machine.
	if info, err := os.Lstat(filepath.Join(dir, "node_modules")); err == nil && info.Mode()&os.ModeSymlink != 0 {
		o.PreserveSymlinks = true
	}
	// Without one of its own, a folder would get the settings of a folder above it.
	if _, err := os.Stat(filepath.Join(dir, "tsconfig.json")); err == nil {
		o.Tsconfig = filepath.Join(dir, "tsconfig.json")
		o.JSX = api.JSXTransform // the file decides
	} else {
		o.TsconfigRaw = `{}`
	}
	return o
}

// buildModule bundles entry into the module out for the runtime.
func buildModule(dir, entry, out string) (*built, error) {
	o := baseOptions(dir)
	o.EntryPoints = []string{filepath.Join(dir, filepath.FromSlash(entry))}
	o.Outfile = filepath.Join(dir, out)
	o.AllowOverwrite = true // nothing is written; this is about an entry that is called app.js itself
	o.Platform = api.PlatformNeutral
	o.Target = api.ESNext
	o.MainFields = []string{"main", "module"}
	o.Conditions = []string{"deno", "node"} // as Deno resolves packages itself
	o.Sourcemap = api.SourceMapLinked
	o.SourcesContent = api.SourcesContentExclude // traces need names and lines, not the author's sources
	o.Define["__dirname"] = "import.meta.dirname"
	o.Define["__filename"] = "import.meta.filename"
	o.Loader = map[string]api.Loader{
		".txt": api.LoaderText, ".md": api.LoaderText, ".html": api.LoaderText, ".css": api.LoaderText, ".sql": api.LoaderText,
		".svg": api.LoaderText, ".png": api.LoaderBinary, ".jpg": api.LoaderBinary, ".ico": api.LoaderBinary, ".wasm": api.LoaderBinary,
	}
	o.Plugins = []api.Plugin{importRules(dir, true)}
	result := api.Build(o)
	if len(result.Errors) > 0 {
		return nil, buildError(result.Errors)
	}
	var meta metafile
	if err := json.Unmarshal([]byte(result.Metafile), &meta); err != nil {
		return nil, fmt.Errorf("pack: read the bundler's report: %w", err)
	}
	b := &built{files: outputs(dir, result.OutputFiles), inputs: inputs(meta), imports: map[string]bool{}}
	for _, file := range meta.Outputs {
		if file.EntryPoint == "" {
			continue
		}
		b.exports = file.Exports
		for _, i := range file.Imports {
			if i.External {
				b.imports[i.Path] = true
			}
		}
	}
	return b, nil
}

// buildPage bundles a source of a page for browsers. What it makes lies beside it: NAME.js, and NAME.css
// when it imports styles.
func buildPage(dir, source string) (files map[string][]byte, in map[string]bool, err error) {
	o := baseOptions(dir)
	o.EntryPoints = []string{filepath.Join(dir, filepath.FromSlash(source))}
	o.Outfile = filepath.Join(dir, filepath.FromSlash(strings.TrimSuffix(source, path.Ext(source))+".js"))
	o.Platform = api.PlatformBrowser
	o.Target = api.ES2022
	o.MinifyWhitespace, o.MinifySyntax, o.MinifyIdentifiers = true, true, true
	o.Loader = map[string]api.Loader{
		".txt": api.LoaderText, ".md": api.LoaderText, ".html": api.LoaderText,
		".svg": api.LoaderDataURL, ".png": api.LoaderDataURL, ".jpg": api.LoaderDataURL, ".woff2": api.LoaderDataURL,
	}
	o.Plugins = []api.Plugin{importRules(dir, false)}
	result := api.Build(o)
	if len(result.Errors) > 0 {
		return nil, nil, buildError(result.Errors)
	}
	var meta metafile
	if err := json.Unmarshal([]byte(result.Metafile), &meta); err != nil {
		return nil, nil, fmt.Errorf("pack: read the bundler's report: %w", err)
	}
	return outputs(dir, result.OutputFiles), inputs(meta), nil
}

func outputs(dir string, files []api.OutputFile) map[string][]byte {
	m := map[string][]byte{}
	for _, f := range files {
		rel, err := filepath.Rel(dir, f.Path)
		if err != nil {
			rel = filepath.Base(f.Path)
		}
		m[filepath.ToSlash(rel)] = f.Contents
	}
	return m
}

// inputs are the files that went in, relative to the folder; those of virtual modules are left away.
func inputs(meta metafile) map[string]bool {
	m := map[string]bool{}
	for name := range meta.Inputs {
		if !slices.Contains(virtualSpaces, before(name, ":")) {
			m[name] = true
		}
	}
	return m
}

func before(s, sep string) string {
	head, _, _ := strings.Cut(s, sep)
	return head
}
