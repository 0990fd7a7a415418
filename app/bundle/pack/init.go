package pack

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"paddock/app/bundle"
)

//go:embed templates
var templates embed.FS

// Names of templates.
const (
	TemplateFetch   = "fetch"   // a TypeScript module that exports { fetch }; the default
	TemplateExpress = "express" // an Express server; needs `npm install` before it can be packed
	TemplateStatic  = "static"  // a page without a server
)

// Templates lists the names that Init knows, the default first.
func Templates() []string { return []string{TemplateFetch, TemplateExpress, TemplateStatic} }

// ErrExists means that Init would have to overwrite a file.
var ErrExists = errors.New("a file of the template is there already")

// Init writes a new app into dir, which it makes when missing. An empty template means the default. The
// app's name and id come from the folder's name. Nothing is written when a file of the template is there
// already.
func Init(dir, template string) error {
	if template == "" {
		template = TemplateFetch
	}
	if !slices.Contains(Templates(), template) {
		return fmt.Errorf("init: there is no template %q; the templates are %s", template, strings.Join(Templates(), ", "))
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("init: %w", err)
	}
	files, err := templateFiles(template, filepath.Base(abs))
	if err != nil {
		return fmt.Errorf("init: %w", err)
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
		if _, err := os.Lstat(filepath.Join(abs, filepath.FromSlash(name))); err == nil {
			return fmt.Errorf("init %s: %s: %w", dir, name, ErrExists)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("init: %w", err)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		full := filepath.Join(abs, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return fmt.Errorf("init: %w", err)
		}
		if err := os.WriteFile(full, files[name], 0o644); err != nil {
			return fmt.Errorf("init: %w", err)
		}
	}
	return nil
}

// templateFiles are the files of a template with the app's names in them.
func templateFiles(template, folder string) (map[string][]byte, error) {
	name, slug := appNames(folder)
	fill := strings.NewReplacer("APP_NAME", name, "APP_SLUG", slug)
	root := path.Join("templates", template)
	files := map[string][]byte{}
	take := func(from, to string) error {
		content, err := templates.ReadFile(from)
		if err != nil {
			return err
		}
		files[to] = []byte(fill.Replace(string(content)))
		return nil
	}
	err := fs.WalkDir(templates, root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return take(name, strings.TrimPrefix(name, root+"/"))
	})
	pages := "public"
	if template == TemplateStatic {
		pages = "www"
	}
	err = errors.Join(err,
		take("templates/icon.svg", "icon.svg"), take("templates/gitignore", ".gitignore"), take("templates/style.css", pages+"/style.css"))
	if err == nil {
		_, err = bundle.ParseManifest(files[bundle.ManifestName])
	}
	return files, err
}

// appNames makes an app's name and the last part of its id out of a folder's name. Only letters, digits
// and single spaces survive, so that the result fits into JSON and HTML as it is.
func appNames(folder string) (name, slug string) {
	words := strings.FieldsFunc(folder, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	name = strings.Join(words, " ")
	for utf8.RuneCountInString(name) > 40 {
		_, size := utf8.DecodeLastRuneInString(name)
		name = strings.TrimSpace(name[:len(name)-size])
	}
	for _, r := range strings.ToLower(strings.Join(words, "-")) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			slug += string(r)
		}
	}
	slug = strings.Trim(slug[:min(len(slug), 40)], "-")
	if name == "" {
		name = "My app"
	}
	if slug == "" || slug == "dev" {
		slug = "app"
	}
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToUpper(first)) + name[size:], slug
}
