package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"paddock/assets"
	"paddock/packaging"
)

//go:embed deno.txt
var denoText []byte

// emojiNotice: Fyne embeds this font without its licence; this is what the font says of itself.
const emojiNotice = `EmojiOne Color, copyright 2016 Adobe Systems Incorporated.
Emoji art supplied by EmojiOne, http://emojione.com, under the Creative Commons Attribution 4.0
International licence (CC BY 4.0), https://creativecommons.org/licenses/by/4.0/.
It is part of the Fyne toolkit inside paddock-window and was not changed.`

// part is one thing by other people that is linked in or shipped.
type part struct {
	name     string // module path, or the name of what is shipped
	version  string
	url      string // package URL (purl), or ""
	sha256   string // hex, or "" where the bytes are not one file
	files    []file
	licences []string // SPDX ids, sorted; set by judge
}

// file is one legal text, by its path inside the part.
type file struct {
	name string
	text []byte
}

// listed is what is needed of `go list -json`.
type listed struct {
	Dir        string
	Standard   bool
	EmbedFiles []string
	CgoFiles   []string
	Module     *struct {
		Path, Version, Dir string
		Main               bool
		Replace            *struct{ Path, Version, Dir string }
	}
}

// linked returns the modules that the programs link on this platform, and Go's own library.
func linked(programs []string) ([]part, error) {
	// With cgo on, the programs that need no C list the same modules, and the desktop ones are whole.
	args := append([]string{"list", "-deps", "-json=Dir,Standard,EmbedFiles,CgoFiles,Module"}, programs...)
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.Bytes())
	}
	modules := map[string]*part{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		m := p.Module
		name, version, root := m.Path, m.Version, m.Dir
		if m.Replace != nil {
			version, root = m.Replace.Version, m.Replace.Dir
		}
		entry := modules[name]
		if entry == nil {
			entry = &part{name: name, version: version, url: "pkg:golang/" + name + "@" + version}
			modules[name] = entry
		}
		dirs := []string{p.Dir}
		for _, e := range p.EmbedFiles {
			dirs = append(dirs, filepath.Dir(filepath.Join(p.Dir, e)))
		}
		if len(p.CgoFiles) > 0 { // C sources come in folders that are no Go packages
			below, err := folders(p.Dir)
			if err != nil {
				return nil, fmt.Errorf("licences of %s: %w", name, err)
			}
			dirs = append(dirs, below...)
		}
		if err := entry.collect(root, dirs); err != nil {
			return nil, err
		}
	}
	if len(modules) == 0 {
		return nil, errors.New("go list named no module: are the programs given as ./folders of this repository?")
	}
	goLicence, err := goLibrary()
	if err != nil {
		return nil, err
	}
	parts := []part{goLicence}
	for _, p := range modules {
		slices.SortFunc(p.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
		parts = append(parts, *p)
	}
	return parts, nil
}

// folders returns dir and everything below it.
func folders(dir string) (list []string, err error) {
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			list = append(list, name)
		}
		return err
	})
	return list, err
}

// collect takes the legal files of the given folders of a module and of those above them: of a
// package's own folder, and of what it embeds or compiles (fonts and C libraries have their own).
func (p *part) collect(root string, folders []string) error {
	dirs := map[string]bool{}
	for _, d := range folders {
		for ; ; d = filepath.Dir(d) {
			dirs[d] = true
			if d == root || d == filepath.Dir(d) {
				break
			}
		}
	}
	for d := range dirs {
		entries, err := os.ReadDir(d)
		if err != nil {
			return fmt.Errorf("licences of %s: %w", p.name, err)
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || !isLegal(e.Name()) {
				continue
			}
			rel, err := filepath.Rel(root, filepath.Join(d, e.Name()))
			if err != nil {
				return fmt.Errorf("licences of %s: %w", p.name, err)
			}
			rel = filepath.ToSlash(rel)
			if slices.ContainsFunc(p.files, func(f file) bool { return f.name == rel }) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(d, e.Name()))
			if err != nil {
				return fmt.Errorf("licences of %s: %w", p.name, err)
			}
			p.files = append(p.files, file{rel, text})
		}
	}
	return nil
}

// goLibrary is the Go standard library and runtime, linked into every program.
func goLibrary() (part, error) {
	out, err := exec.Command("go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return part{}, fmt.Errorf("go env: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2 {
		return part{}, fmt.Errorf("go env: unexpected answer %q", out)
	}
	p := part{name: "Go standard library", version: strings.TrimPrefix(lines[1], "go")}
	p.url = "pkg:golang/std@" + p.version
	for _, name := range []string{"LICENSE", "PATENTS"} {
		text, err := os.ReadFile(filepath.Join(lines[0], name))
		if errors.Is(err, fs.ErrNotExist) && name == "PATENTS" {
			continue
		}
		if err != nil { // distributions move it: Debian has /usr/share/doc/golang-*/copyright
			return part{}, fmt.Errorf("licence of Go: %w", err)
		}
		p.files = append(p.files, file{name, text})
	}
	return p, nil
}

// shipped returns what is not a Go module: the runtime, the typeface, the example apps' libraries.
func shipped() ([]part, error) {
	d, err := packaging.ThisPlatform()
	if err != nil {
		return nil, err
	}
	parts := []part{
		{
			name: "Deno", version: d.Version, sha256: d.SHA256,
			url:   "pkg:npm/" + strings.Replace(d.Package, "@", "%40", 1) + "@" + d.Version,
			files: []file{{"LICENSE", denoText}},
		},
		{name: "EmojiOne Color typeface", version: "1.000", files: []file{{"notice", []byte(emojiNotice)}}},
		{name: "Inter typeface", version: "4.0", files: []file{{"OFL.txt", []byte(assets.FontLicense)}}},
	}
	bundled, err := fs.Glob(assets.Examples(), "*/package.json")
	if err != nil {
		return nil, fmt.Errorf("examples: %w", err)
	}
	for _, name := range bundled {
		raw, err := fs.ReadFile(assets.Examples(), name)
		if err != nil {
			return nil, fmt.Errorf("examples: %w", err)
		}
		var pkg struct {
			Dependencies map[string]string `json:"dependencies"`
		}
		if err := json.Unmarshal(raw, &pkg); err != nil {
			return nil, fmt.Errorf("example %s: %w", path.Dir(name), err)
		}
		for dep, version := range pkg.Dependencies {
			// Its text has to be put beside it; until then this fails, as it should.
			parts = append(parts, part{name: "npm " + dep, version: version})
		}
	}
	return parts, nil
}

// platform is what the bill of materials is about.
func platform() string { return runtime.GOOS + "-" + runtime.GOARCH }
