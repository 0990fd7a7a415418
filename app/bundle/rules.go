package bundle

import (
	"errors"
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

// permissionRules checks every scope, and that nothing is asked for twice.
func (p *problems) permissionRules(list *Permissions) {
	seen := map[permission.Permission]string{}
	check := func(field, text, got string) {
		perm, err := permission.Parse(text)
		var bad *permission.ScopeError
		switch {
		case errors.As(err, &bad):
			p.add(field, scopeExpected(bad), quote(got)+" ("+bad.Rule+")")
			return
		case err != nil:
			p.add(field, "something that can be granted", quote(got)+" ("+printable(err.Error(), 120)+")")
			return
		}
		if first, twice := seen[perm]; twice {
			p.add(field, "each permission once", fmt.Sprintf("%s, which %s asks for already", perm, first))
			return
		}
		seen[perm] = field
	}
	for i, r := range list.Network {
		if r.Host != "" {
			field := fmt.Sprintf("permissions.network[%d].host", i)
			if hostHasPort(r.Host) {
				p.add(field, "a host without a port; the port has a field of its own", quote(r.Host))
				continue
			}
			check(field, netPermission(r), r.Host)
		}
	}
	for i, r := range list.Files {
		if r.Slot != "" {
			check(fmt.Sprintf("permissions.files[%d].slot", i), string(permission.Files)+":"+r.Slot, r.Slot)
		}
		if r.Kind == "folder" && len(r.Types) > 0 {
			p.add(fmt.Sprintf("permissions.files[%d].types", i), "nothing, as the user picks a folder", fmt.Sprintf("%d types", len(r.Types)))
		}
	}
	for i, r := range list.Sys {
		if r.Name != "" {
			check(fmt.Sprintf("permissions.sys[%d].name", i), string(permission.Sys)+":"+r.Name, r.Name)
		}
	}
	for i, r := range list.Browser {
		if r.Feature != "" {
			check(fmt.Sprintf("permissions.browser[%d].feature", i), string(permission.Browser)+":"+r.Feature, r.Feature)
		}
	}
}

func scopeExpected(bad *permission.ScopeError) string {
	if bad.Hint != "" {
		return "something that can be granted; " + strings.TrimSuffix(bad.Hint, ".")
	}
	return "something that can be granted"
}

// hostHasPort reports whether a host is written like example.org:8443. Addresses with colons are not.
func hostHasPort(host string) bool {
	if strings.HasPrefix(host, "[") {
		return !strings.HasSuffix(host, "]")
	}
	return strings.Count(host, ":") == 1
}

// netPermission is the text of a permission; a bare IPv6 address gets its brackets.
func netPermission(r NetworkRequest) string {
	host := r.Host
	if strings.Count(host, ":") > 1 && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	if r.Port == 0 || r.Port == 443 {
		return string(permission.Net) + ":" + host
	}
	return fmt.Sprintf("%s:%s:%d", permission.Net, host, r.Port)
}

// kindWords are names of permissions elsewhere that an author may try, and what they are in Deno.
var kindWords = map[string]string{
	"net_listen": "net-listen", "listen": "net-listen", "native": "ffi", "subprocess": "run", "exec": "run",
	"environment": "env", "read_files": "read", "write_files": "write",
}

// kindKeys are the words of permission strings that have another key in the manifest.
var kindKeys = map[string]string{"net": "network", "lan": "local_network"}

// unknownPermission explains a key under permissions that this version does not know.
func (p *problems) unknownPermission(key string) {
	field, got := join("permissions", key), "the unknown kind "+quote(key)
	word := key
	if w, ok := kindWords[key]; ok {
		word = w
	}
	var bad *permission.ScopeError
	if _, err := permission.Parse(word); errors.Is(err, permission.ErrNeverGrantable) && errors.As(err, &bad) {
		p.add(field, "nothing: "+bad.Rule, "a request for "+quote(key))
		return
	}
	keys := p.known("#/properties/permissions")
	if right, ok := kindKeys[key]; ok {
		p.add(field, "the key "+right, got)
		return
	}
	expected := "one of the kinds " + strings.Join(keys, ", ") + "; a newer Paddock may be needed for others"
	if near := nearest(key, keys); near != "" {
		expected = "perhaps " + near + "; a newer Paddock may be needed for other kinds"
	}
	p.add(field, expected, got)
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

// Requests lists what the manifest asks for, in the order of the fields. m must come from ParseManifest.
func (m *Manifest) Requests() []permission.Request {
	var list []permission.Request
	add := func(text string, r permission.Request) {
		perm, err := permission.Parse(text)
		if err != nil {
			return // ParseManifest refuses such a manifest
		}
		r.Permission = perm
		list = append(list, r)
	}
	for _, r := range m.Permissions.Network {
		add(netPermission(r), permission.Request{Reason: r.Reason, Required: r.Required, Background: r.Background})
	}
	if r := m.Permissions.LocalNetwork; r != nil {
		add(string(permission.LAN), permission.Request{Reason: r.Reason, Required: r.Required})
	}
	for _, r := range m.Permissions.Files {
		access := permission.Read
		if r.Access == "readwrite" {
			access = permission.ReadWrite
		}
		add(string(permission.Files)+":"+r.Slot, permission.Request{
			Access: access, Folder: r.Kind == "folder", Types: slices.Clone(r.Types), Reason: r.Reason, Required: r.Required,
		})
	}
	for _, r := range m.Permissions.Sys {
		add(string(permission.Sys)+":"+r.Name, permission.Request{Reason: r.Reason})
	}
	for _, r := range m.Permissions.Browser {
		add(string(permission.Browser)+":"+r.Feature, permission.Request{Reason: r.Reason})
	}
	if r := m.Permissions.Background; r != nil {
		add(string(permission.Background), permission.Request{Reason: r.Reason, Required: r.Required, Background: true})
	}
	if r := m.Permissions.Notifications; r != nil {
		add(string(permission.Notifications), permission.Request{Reason: r.Reason, Required: r.Required})
	}
	if r := m.Permissions.Links; r != nil {
		add(string(permission.Links), permission.Request{Reason: r.Reason, Required: r.Required})
	}
	return list
}
