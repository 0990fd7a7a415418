package bundle

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"paddock/sandbox/permission"
)

// This file holds the rules of a manifest that a JSON Schema cannot say. Each skips values that are
// empty: those are missing, or the schema has already said what is wrong with them.

// minIconSide is the size that at least one icon must have, in pixels: what the prompt and the library
// draw on a dense screen.
const minIconSide = 128

// texts checks every text and key outside _meta for characters that deceive.
func (p *problems) texts(root map[string]any) {
	for key, value := range root {
		if key != "_meta" {
			p.text(join("", key), key)
			p.textsIn(join("", key), value)
		}
	}
	for _, key := range []string{"name", "summary"} {
		if s, ok := root[key].(string); ok {
			p.label(key, s)
		}
	}
	if author, ok := root["author"].(map[string]any); ok {
		if s, ok := author["name"].(string); ok {
			p.label("author.name", s)
		}
	}
}

func (p *problems) textsIn(path string, value any) {
	switch v := value.(type) {
	case string:
		p.text(path, v)
	case []any:
		for i, item := range v {
			p.textsIn(fmt.Sprintf("%s[%d]", path, i), item)
		}
	case map[string]any:
		for key, item := range v {
			p.text(join(path, key), key)
			p.textsIn(join(path, key), item)
		}
	}
}

func (p *problems) text(path, s string) {
	if bad := checkText(s); bad != "" {
		p.add(path, "plain text on one line, without control, invisible or direction-changing characters", bad)
	}
}

// label checks a text that stands alone in a window.
func (p *problems) label(path, s string) {
	if s != "" && (!visible(s) || strings.TrimSpace(s) != s) {
		p.add(path, "a text without spaces around it", quote(s))
	}
}

// rules checks what could be decoded.
func (p *problems) rules(m *Manifest) {
	if strings.HasSuffix(m.ID, ".dev") {
		p.add("id", "an id that does not end in .dev, which Paddock adds to apps installed with --dev", quote(m.ID))
	}
	if m.MinUpgradeFrom > 0 && m.VersionCode > 0 && m.MinUpgradeFrom >= m.VersionCode {
		p.add("min_upgrade_from", fmt.Sprintf("a number below version_code (%d)", m.VersionCode), fmt.Sprint(m.MinUpgradeFrom))
	}
	p.iconRules(m.Icons)
	for _, f := range fileFields(m) {
		p.file(f.path, f.name)
	}
	p.link("author.url", m.Author.URL, "https")
	p.link("homepage", m.Homepage, "https")
	p.link("repository", m.Repository, "https")
	p.link("privacy_policy", m.PrivacyPolicy, "https")
	p.link("support", m.Support, "https", "mailto")
	if m.Update != nil {
		p.link("update.manifest_url", m.Update.ManifestURL, "https")
	}
	if m.Compat != nil && m.Compat.Paddock != "" {
		if _, err := parseRange(m.Compat.Paddock); err != nil {
			p.add("compat.paddock", "a range of versions like >=0.1 or >=0.2, <2", quote(m.Compat.Paddock))
		}
	}
	p.serveRules(m.Serve)
	p.permissionRules(&m.Permissions)
	for key, s := range m.Config {
		p.settingRules("config."+key, s)
	}
	if m.Data != nil && m.Data.Backup != nil {
		for i, pattern := range m.Data.Backup.Exclude {
			if _, err := path.Match(pattern, ""); err != nil || strings.HasPrefix(pattern, "/") || strings.Contains(pattern, "..") {
				p.add(fmt.Sprintf("data.backup.exclude[%d]", i), "a pattern like cache/* below the data folder", quote(pattern))
			}
		}
	}
	p.lineageRules(m.Lineage)
}

func (p *problems) iconRules(icons []Icon) {
	big := false
	for _, icon := range icons {
		big = big || icon.Size >= minIconSide || icon.Size == 0
	}
	if len(icons) > 0 && !big {
		p.add("icons", fmt.Sprintf("one icon of at least %d pixels", minIconSide), "only smaller ones")
	}
}

// fileField is a field of the manifest that names a file of the bundle.
type fileField struct {
	path, name string
}

// fileFields lists all of them that are set, but for serve, which depends on the mode.
func fileFields(m *Manifest) []fileField {
	list := []fileField{
		{"description_file", m.Description},
		{"changelog_file", m.Changelog},
	}
	for i, icon := range m.Icons {
		list = append(list, fileField{fmt.Sprintf("icons[%d].src", i), icon.Src})
	}
	for i, shot := range m.Screenshots {
		list = append(list, fileField{fmt.Sprintf("screenshots[%d].src", i), shot.Src})
	}
	tags := make([]string, 0, len(m.Localization))
	for tag := range m.Localization {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	for _, tag := range tags {
		list = append(list, fileField{join("localization", tag) + ".description_file", m.Localization[tag].Description})
	}
	if m.Data != nil {
		list = append(list, fileField{"data.migrate", m.Data.Migrate})
	}
	return slices.DeleteFunc(list, func(f fileField) bool { return f.name == "" })
}

// file checks a path inside the bundle.
func (p *problems) file(field, name string) {
	if name == "" {
		return
	}
	if bad := checkName(name); bad != nil {
		p.add(field, "a path inside the bundle with / between its parts, like assets/icon.png", quote(name)+" ("+bad.Why+")")
	}
}

func (p *problems) link(field, text string, schemes ...string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || !slices.Contains(schemes, u.Scheme):
	case u.Scheme == "mailto" && strings.Contains(u.Opaque, "@"):
		return
	case u.Scheme == "https" && u.Host != "" && u.User == nil:
		if _, err := permission.CanonicalHost(u.Hostname()); err == nil {
			return
		}
	}
	p.add(field, "an address that starts with "+strings.Join(schemes, ": or ")+":, without a user name", quote(text))
}

func (p *problems) serveRules(s Serve) {
	switch s.Mode {
	case ModeStatic:
		if s.Dir == "" {
			p.add("serve.dir", "the folder to serve, as serve.mode is static", "nothing")
		}
		for _, f := range []fileField{{"serve.entry", s.Entry}, {"serve.api", s.API}, {"serve.health", s.Health}} {
			if f.name != "" {
				p.add(f.path, "nothing, as a static app runs no code", quote(f.name))
			}
		}
	case ModeServer:
		p.file("serve.entry", s.Entry)
		if s.Dir == "." {
			p.add("serve.dir", "a folder below the bundle's root", quote(s.Dir))
		}
	}
	if s.Dir != "." {
		p.file("serve.dir", s.Dir)
	}
	if s.Health == "/.paddock" || strings.HasPrefix(s.Health, "/.paddock/") {
		p.add("serve.health", "a path of the app's own; /.paddock belongs to Paddock", quote(s.Health))
	}
}

// settingRules checks that a setting's parts fit its type.
func (p *problems) settingRules(field string, s Setting) {
	numeric := s.Type == "number" || s.Type == "integer"
	if s.Type == "choice" && len(s.Choices) == 0 {
		p.add(field+".choices", "the values to choose from", "nothing")
	}
	if s.Type != "" && s.Type != "choice" && len(s.Choices) > 0 {
		p.add(field+".choices", "nothing, as the type is "+s.Type, fmt.Sprintf("%d choices", len(s.Choices)))
	}
	if s.Type != "" && !numeric && (s.Min != nil || s.Max != nil) {
		p.add(field, "min and max only for numbers", "the type "+quote(s.Type))
	}
	if s.Min != nil && s.Max != nil && *s.Min > *s.Max {
		p.add(field+".max", "a number of at least min ("+number(*s.Min)+")", number(*s.Max))
	}
	if len(s.Default) == 0 || string(s.Default) == "null" {
		return
	}
	var value any
	if err := json.Unmarshal(s.Default, &value); err != nil {
		return // the whole document was parsed before
	}
	expected := ""
	switch s.Type {
	case "secret":
		expected = "nothing: a secret in a bundle is none"
	case "string":
		if _, ok := value.(string); !ok {
			expected = "a string"
		}
	case "boolean":
		if _, ok := value.(bool); !ok {
			expected = "true or false"
		}
	case "choice":
		if text, ok := value.(string); !ok || !slices.Contains(s.Choices, text) {
			expected = "one of the choices"
		}
	case "number", "integer":
		n, ok := value.(float64)
		switch {
		case !ok || s.Type == "integer" && n != float64(int64(n)):
			expected = typeWords[s.Type]
		case s.Min != nil && n < *s.Min || s.Max != nil && n > *s.Max:
			expected = "a number between min and max"
		}
	}
	if expected != "" {
		p.add(field+".default", expected, show(value))
	}
}

// lineageRules refuses two successors for one step, which would let a stolen old key fork an app.
func (p *problems) lineageRules(list []Succession) {
	steps := map[uint32]int{}
	for i, s := range list {
		if s.Seq == 0 {
			continue
		}
		if first, twice := steps[s.Seq]; twice {
			p.add(fmt.Sprintf("lineage[%d].seq", i), "each number once", fmt.Sprintf("%d, as in lineage[%d]", s.Seq, first))
			continue
		}
		steps[s.Seq] = i
	}
}
