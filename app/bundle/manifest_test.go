package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"paddock/sandbox/permission"
)

func TestSchemaCompiles(t *testing.T) {
	if _, err := schema(); err != nil {
		t.Fatal(err)
	}
	if schemaDoc() == nil || !json.Valid(Schema()) {
		t.Fatal("the schema is not JSON")
	}
}

// TestSchemaFitsTypes compares the schema's properties with the fields of Manifest, all the way down.
func TestSchemaFitsTypes(t *testing.T) {
	var compare func(path string, typ reflect.Type, place map[string]any)
	compare = func(path string, typ reflect.Type, place map[string]any) {
		if ref, ok := place["$ref"].(string); ok {
			place = schemaAt(ref)
		}
		switch typ.Kind() {
		case reflect.Pointer:
			compare(path, typ.Elem(), place)
		case reflect.Slice:
			if items, ok := place["items"].(map[string]any); ok && typ.Elem().Kind() != reflect.Uint8 {
				compare(path+"[]", typ.Elem(), items)
			}
		case reflect.Map:
			if values, ok := place["additionalProperties"].(map[string]any); ok {
				compare(path+".*", typ.Elem(), values)
			}
		case reflect.Struct:
			var fields, keys []string
			properties, _ := place["properties"].(map[string]any)
			for i := range typ.NumField() {
				key, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
				fields = append(fields, key)
				if inner, ok := properties[key].(map[string]any); ok {
					compare(path+"."+key, typ.Field(i).Type, inner)
				}
			}
			for key := range properties {
				if key != "$schema" {
					keys = append(keys, key)
				}
			}
			slices.Sort(fields)
			slices.Sort(keys)
			if !slices.Equal(fields, keys) {
				t.Errorf("%s: the type has %v, the schema %v", path, fields, keys)
			}
			if place["additionalProperties"] != false {
				t.Errorf("%s: the schema takes unknown keys", path)
			}
		}
	}
	compare("manifest", reflect.TypeFor[Manifest](), schemaAt("#"))
}

// everything is a manifest that uses every field.
func everything(t testing.TB) []byte {
	return sampleManifest(t, func(m map[string]any) {
		var more map[string]any
		if err := json.Unmarshal([]byte(`{
			"$schema": "https://paddock.example/schema/manifest-1.json",
			"min_upgrade_from": 3,
			"author": {"name": "Ada Lovelace", "email": "ada@example.org", "url": "https://example.org/ada"},
			"license": "MIT OR (Apache-2.0 WITH LLVM-exception)",
			"icons": [{"src": "icon.png", "size": 128}, {"src": "dark.svg", "size": 64, "theme": "dark"}],
			"description_file": "docs/about.md", "changelog_file": "CHANGES.md",
			"screenshots": [{"src": "shots/1.png", "caption": "The list"}],
			"categories": ["productivity"], "keywords": ["notes", "Zettel"], "accent_color": "#2f6f4f",
			"homepage": "https://example.org", "repository": "https://example.org/git", "support": "mailto:help@example.org",
			"privacy_policy": "https://example.org/privacy",
			"localization": {"de": {"name": "Notizen", "summary": "Dinge aufschreiben.", "description_file": "docs/de.md"}, "pt-BR": {}},
			"compat": {"paddock": ">=0.1, <2", "platforms": ["linux", "macos"], "arch": ["amd64"]},
			"serve": {"mode": "server", "entry": "app.js", "api": "fetch", "dir": "public", "health": "/health", "ready_timeout_s": 10},
			"permissions": {
				"network": [{"host": "API.Example.org", "reason": "To sync.", "required": true, "background": true},
					{"host": "*.example.net", "port": 8443, "reason": "Pictures."}],
				"local_network": {"reason": "Printers."},
				"files": [{"slot": "vault", "kind": "folder", "access": "readwrite", "reason": "Your notes.", "required": true},
					{"slot": "import", "kind": "file", "access": "read", "types": [".md", "text/*"], "reason": "To import."}],
				"sys": [{"name": "hostname", "reason": "To name this device."}],
				"browser": [{"feature": "camera", "reason": "Scans."}],
				"background": {"reason": "To sync at night.", "schedule": "0 3 * * *"},
				"notifications": {"reason": "Reminders."}, "links": {"reason": "To open sources."}
			},
			"resources": {"memory_mb": 256, "cpu_percent": 50, "disk_mb": 500, "workers": 0, "idle_stop_s": 600},
			"config": {"refresh": {"type": "integer", "title": "Minutes", "default": 15, "min": 1, "max": 60},
				"theme": {"type": "choice", "title": "Look", "choices": ["light", "dark"], "default": "dark"},
				"token": {"type": "secret", "title": "Token", "description": "From your account.", "required": true}},
			"data": {"schema": 2, "migrate": "migrate.js", "backup": {"exclude": ["cache/*"]}},
			"update": {"manifest_url": "https://example.org/notes.json", "channel": "stable"},
			"lineage": [{"old_key": "AAAA", "new_key": "BBBB", "seq": 1, "sig": "CCCC"}],
			"_meta": {"org.example.tool": {"anything": [1, {"goes": "\u202e"}]}}
		}`), &more); err != nil {
			t.Fatal(err)
		}
		for k, v := range more {
			m[k] = v
		}
	})
}

func TestParseManifestEverything(t *testing.T) {
	m, err := ParseManifest(everything(t))
	if err != nil {
		t.Fatal(err)
	}
	if m.Resources.Workers == nil || *m.Resources.Workers != 0 || m.VersionCode != 7 || string(m.Config["refresh"].Default) != "15" {
		t.Errorf("parsed %+v", m)
	}
	var got []string
	for _, r := range m.Requests() {
		got = append(got, r.Permission.String())
	}
	want := "net:api.example.org net:*.example.net:8443 lan files:vault files:import sys:hostname browser:camera background notifications links"
	if strings.Join(got, " ") != want {
		t.Errorf("requests %v, want %s", got, want)
	}
	if r := m.Requests()[0]; !r.Required || !r.Background || r.Reason != "To sync." {
		t.Errorf("request %+v", r)
	}
	if r := m.Requests()[3]; r.Access != permission.ReadWrite || !r.Folder || !r.Required {
		t.Errorf("request %+v", r)
	}
	if r := m.Requests()[4]; r.Access != permission.Read || r.Folder || !slices.Equal(r.Types, []string{".md", "text/*"}) {
		t.Errorf("request %+v", r)
	}
}

func TestParseManifestRefuses(t *testing.T) {
	set := func(path string, value any) func(map[string]any) {
		return func(m map[string]any) {
			parts := strings.Split(path, ".")
			for _, p := range parts[:len(parts)-1] {
				if m[p] == nil {
					m[p] = map[string]any{}
				}
				m = m[p].(map[string]any)
			}
			m[parts[len(parts)-1]] = value
		}
	}
	without := func(key string) func(map[string]any) { return func(m map[string]any) { delete(m, key) } }
	list := func(items ...any) []any { return items }
	obj := func(kv ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i].(string)] = kv[i+1]
		}
		return m
	}
	net := func(host any, more ...any) func(map[string]any) {
		return set("permissions.network", list(obj(append([]any{"host", host, "reason", "r"}, more...)...)))
	}
	for name, c := range map[string]struct {
		change func(map[string]any)
		path   string // of a problem
		words  string // in what was expected or found
	}{
		"no id":                 {without("id"), "id", "nothing"},
		"no name":               {without("name"), "name", "nothing"},
		"no resources":          {without("resources"), "resources", "nothing"},
		"no icons":              {without("icons"), "icons", "nothing"},
		"null id":               {set("id", nil), "id", "null"},
		"wrong version":         {set("manifest_version", 2), "manifest_version", "2"},
		"version as text":       {set("manifest_version", "1"), "manifest_version", `"1"`},
		"id upper case":         {set("id", "org.Example.notes"), "id", "reverse-DNS"},
		"id one word":           {set("id", "notes"), "id", "reverse-DNS"},
		"id too long":           {set("id", "org."+strings.Repeat("a.", 70)+"x"), "id", "128"},
		"id with hyphen end":    {set("id", "org.example-.x"), "id", "reverse-DNS"},
		"id for dev":            {set("id", "org.example.notes.dev"), "id", ".dev"},
		"version not semver":    {set("version", "1.2"), "version", "semantic"},
		"code zero":             {set("version_code", 0), "version_code", "at least 1"},
		"code too big":          {set("version_code", 4294967296), "version_code", "at most 4294967295"},
		"code fraction":         {set("version_code", 1.5), "version_code", "whole"},
		"code as text":          {set("version_code", "7"), "version_code", "whole"},
		"min upgrade too high":  {set("min_upgrade_from", 7), "min_upgrade_from", "below"},
		"name too long":         {set("name", strings.Repeat("ä", 41)), "name", "40"},
		"name empty":            {set("name", ""), "name", "1"},
		"name of spaces":        {set("name", "  "), "name", "spaces"},
		"name bidi":             {set("name", "Notes\u202etxt"), "name", "direction"},
		"name control":          {set("name", "No\x07tes"), "name", "control"},
		"name line break":       {set("name", "No\ntes"), "name", "line break"},
		"name invisible":        {set("name", "\u200bNotes"), "name", "invisible"},
		"name zalgo":            {set("name", "a\u0300\u0301\u0302\u0303\u0304"), "name", "marks"},
		"summary too long":      {set("summary", strings.Repeat("x", 141)), "summary", "140"},
		"reason bidi":           {set("permissions.links", obj("reason", "a\u2066b")), "permissions.links.reason", "direction"},
		"author as text":        {set("author", "Ada"), "author", "an object"},
		"author unknown key":    {set("author.mail", "x@y.z"), "author.mail", "email"},
		"author url http":       {set("author.url", "http://example.org"), "author.url", "https"},
		"home page with user":   {set("homepage", "https://a:b@example.org"), "homepage", "user"},
		"home page without":     {set("homepage", "https://"), "homepage", "https"},
		"support ftp":           {set("support", "ftp://example.org"), "support", "mailto"},
		"licence":               {set("license", "do what you want"), "license", "SPDX"},
		"icon gif":              {set("icons", list(obj("src", "a.gif", "size", 128))), "icons[0].src", "PNG or SVG"},
		"icon path":             {set("icons", list(obj("src", "../a.png", "size", 128))), "icons[0].src", "path inside"},
		"icons small":           {set("icons", list(obj("src", "a.png", "size", 64))), "icons", "128"},
		"icon size":             {set("icons", list(obj("src", "a.png", "size", 4096))), "icons[0].size", "1024"},
		"description html":      {set("description_file", "about.html"), "description_file", "Markdown"},
		"screenshot absolute":   {set("screenshots", list(obj("src", "/a.png"))), "screenshots[0].src", "path inside"},
		"colour":                {set("accent_color", "red"), "accent_color", "#2f6f4f"},
		"language":              {set("localization", obj("German", obj())), "localization.German", "language tag"},
		"compat range":          {set("compat.paddock", "latest"), "compat.paddock", "range"},
		"platform":              {set("compat.platforms", list("beos")), "compat.platforms[0]", "linux"},
		"mode":                  {set("serve.mode", "dynamic"), "serve.mode", `"server", "static"`},
		"entry path":            {set("serve.entry", "../app.js"), "serve.entry", "path inside"},
		"entry backslash":       {set("serve.entry", `src\app.js`), "serve.entry", "path inside"},
		"api":                   {set("serve.api", "cgi"), "serve.api", "fetch"},
		"static without dir":    {set("serve", obj("mode", "static")), "serve.dir", "folder"},
		"static with entry":     {set("serve", obj("mode", "static", "dir", "w", "entry", "a.js")), "serve.entry", "static"},
		"server dir":            {set("serve.dir", "."), "serve.dir", "below"},
		"health":                {set("serve.health", "/.paddock/ready"), "serve.health", "Paddock"},
		"ready timeout":         {set("serve.ready_timeout_s", 999), "serve.ready_timeout_s", "120"},
		"unknown key":           {set("nmae", "x"), "nmae", "perhaps name"},
		"strange unknown key":   {set("a b\u202e", 1), `["a b\u{202e}"]`, "unknown key"},
		"network object":        {set("permissions.network", obj()), "permissions.network", "an array"},
		"network no reason":     {set("permissions.network", list(obj("host", "a.org"))), "permissions.network[0].reason", "nothing"},
		"network no host":       {set("permissions.network", list(obj("reason", "a"))), "permissions.network[0].host", "nothing"},
		"host loopback":         {net("localhost"), "permissions.network[0].host", "localhost"},
		"host short loopback":   {net("127.1"), "permissions.network[0].host", "127.1"},
		"host number":           {net("2130706433"), "permissions.network[0].host", "2130706433"},
		"host v6 loopback":      {net("[::1]"), "permissions.network[0].host", "::1"},
		"host private":          {net("192.168.1.1"), "permissions.network[0].host", "192.168.1.1"},
		"host url":              {net("https://a.org/"), "permissions.network[0].host", "a.org"},
		"host with port":        {net("a.org:8443"), "permissions.network[0].host", "port"},
		"host star inside":      {net("a.*.org"), "permissions.network[0].host", "a.*.org"},
		"host empty":            {net(""), "permissions.network[0].host", "1"},
		"host number type":      {net(5), "permissions.network[0].host", "a string"},
		"port":                  {net("a.org", "port", 0), "permissions.network[0].port", "1"},
		"port too big":          {net("a.org", "port", 65536), "permissions.network[0].port", "65535"},
		"host twice":            {set("permissions.network", list(obj("host", "A.org", "reason", "r"), obj("host", "a.org.", "port", 443, "reason", "s"))), "permissions.network[1].host", "once"},
		"slot":                  {set("permissions.files", list(obj("slot", "../x", "kind", "file", "access", "read", "reason", "r"))), "permissions.files[0].slot", "../x"},
		"slot access":           {set("permissions.files", list(obj("slot", "x", "kind", "file", "access", "write", "reason", "r"))), "permissions.files[0].access", "readwrite"},
		"folder types":          {set("permissions.files", list(obj("slot", "x", "kind", "folder", "access", "read", "types", list(".md"), "reason", "r"))), "permissions.files[0].types", "folder"},
		"user path":             {set("permissions.files", list(obj("slot", "x", "path", "/home", "kind", "file", "access", "read", "reason", "r"))), "permissions.files[0].path", "unknown key"},
		"sys":                   {set("permissions.sys", list(obj("name", "everything", "reason", "r"))), "permissions.sys[0].name", "everything"},
		"browser":               {set("permissions.browser", list(obj("feature", "usb", "reason", "r"))), "permissions.browser[0].feature", "usb"},
		"run":                   {set("permissions.run", list("ls")), "permissions.run", "never granted"},
		"ffi":                   {set("permissions.ffi", true), "permissions.ffi", "never granted"},
		"env":                   {set("permissions.env", true), "permissions.env", "never granted"},
		"read":                  {set("permissions.read", true), "permissions.read", "never granted"},
		"write":                 {set("permissions.write", true), "permissions.write", "never granted"},
		"import":                {set("permissions.import", true), "permissions.import", "never granted"},
		"listen":                {set("permissions.net-listen", true), "permissions.net-listen", "never granted"},
		"unknown kind":          {set("permissions.telepathy", true), "permissions.telepathy", "newer Paddock"},
		"kind by other name":    {set("permissions.net", list()), "permissions.net", "network"},
		"schedule too often":    {set("permissions.background", obj("reason", "r", "schedule", "*/5 * * * *")), "permissions.background.schedule", "every 15 minutes"},
		"schedule field":        {set("permissions.background", obj("reason", "r", "schedule", "0 25 * * *")), "permissions.background.schedule", "hour"},
		"schedule":              {set("permissions.background", obj("reason", "r", "schedule", "daily")), "permissions.background.schedule", "cron"},
		"memory":                {set("resources.memory_mb", "128M"), "resources.memory_mb", "whole"},
		"workers":               {set("resources.workers", 9), "resources.workers", "8"},
		"config type":           {set("config", obj("a", obj("type", "date", "title", "t"))), "config.a.type", "secret"},
		"config key":            {set("config", obj("A-b", obj("type", "string", "title", "t"))), "config.A-b", "key"},
		"config default":        {set("config", obj("a", obj("type", "integer", "title", "t", "default", "x"))), "config.a.default", "whole"},
		"config default range":  {set("config", obj("a", obj("type", "number", "title", "t", "default", 5, "max", 1))), "config.a.default", "between"},
		"config secret default": {set("config", obj("a", obj("type", "secret", "title", "t", "default", "x"))), "config.a.default", "secret"},
		"config choices":        {set("config", obj("a", obj("type", "choice", "title", "t"))), "config.a.choices", "choose"},
		"config range":          {set("config", obj("a", obj("type", "number", "title", "t", "min", 2, "max", 1))), "config.a.max", "at least"},
		"migrate path":          {set("data", obj("schema", 1, "migrate", "/m.js")), "data.migrate", "path inside"},
		"exclude":               {set("data", obj("schema", 1, "backup", obj("exclude", list("../*")))), "data.backup.exclude[0]", "below"},
		"update http":           {set("update", obj("manifest_url", "http://example.org")), "update.manifest_url", "https"},
		"lineage twice": {
			set("lineage", list(obj("old_key", "AA", "new_key", "BB", "seq", 1, "sig", "CC"), obj("old_key", "AA", "new_key", "DD", "seq", 1, "sig", "CC"))),
			"lineage[1].seq", "once",
		},
		"meta key":   {set("_meta", obj("tool", obj())), "_meta.tool", "reverse-DNS"},
		"meta value": {set("_meta", obj("org.example", 1)), `_meta["org.example"]`, "object"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseManifest(sampleManifest(t, c.change))
			var bad *ManifestError
			if !errors.As(err, &bad) {
				t.Fatalf("want a ManifestError, got %v", err)
			}
			for _, p := range bad.Problems {
				if p.Expected == "" || p.Got == "" {
					t.Errorf("a problem without words: %+v", p)
				}
				if p.Path == c.path && strings.Contains(p.Expected+" / "+p.Got, c.words) {
					return
				}
			}
			t.Fatalf("no problem at %s with %q in %v", c.path, c.words, err)
		})
	}
}

func TestParseManifestSyntax(t *testing.T) {
	good := string(sampleManifest(t, nil))
	for name, c := range map[string]struct{ text, path, words string }{
		"empty":         {"", "", "valid JSON"},
		"not JSON":      {"hello", "", "valid JSON"},
		"array":         {"[]", "", "a JSON object"},
		"cut":           {good[:50], "", "valid JSON"},
		"trailing":      {good + "x", "", "valid JSON"},
		"two documents": {good + "{}", "", "valid JSON"},
		"comment":       {"// hi\n" + good, "", "line 1"},
		"comma":         {strings.Replace(good, "}", ",}", 1), "", "valid JSON"},
		"BOM":           {"\xef\xbb\xbf" + good, "", "byte order mark"},
		"bad UTF-8":     {strings.Replace(good, "Ada", "A\xffa", 1), "", "valid JSON"},
		"duplicate":     {strings.Replace(good, `"name":"Ada"`, `"name":"Ada","name":"Eve"`, 1), "author.name", "again"},
		"duplicate top": {strings.Replace(good, `"id":`, `"id":"org.evil.x","id":`, 1), "id", "again"},
		"escaped twin":  {strings.Replace(good, `"id":`, `"\u0069d":"org.evil.x","id":`, 1), "id", "again"},
		"fraction":      {strings.Replace(good, `"version_code":7`, `"version_code":7.0`, 1), "version_code", "without a fraction"},
		"exponent":      {strings.Replace(good, `"version_code":7`, `"version_code":7e0`, 1), "version_code", "without a fraction"},
		"too big":       {good + strings.Repeat(" ", 256<<10), "", "256 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseManifest([]byte(c.text))
			var bad *ManifestError
			if !errors.As(err, &bad) {
				t.Fatalf("want a ManifestError, got %v", err)
			}
			for _, p := range bad.Problems {
				if (p.Path == c.path || c.path == "") && strings.Contains(p.Expected+" / "+p.Got, c.words) {
					return
				}
			}
			t.Fatalf("no problem at %q with %q in %v", c.path, c.words, err)
		})
	}
}

// TestAllProblemsAtOnce shows that schema, rules, texts and duplicates are reported together, in order.
func TestAllProblemsAtOnce(t *testing.T) {
	text := string(sampleManifest(t, func(m map[string]any) {
		m["version_code"] = "seven"
		m["name"] = "No\u202etes"
		delete(m, "license")
		m["permissions"] = map[string]any{
			"run": true,
			"network": []any{
				map[string]any{"host": "a.org", "reason": "r"},
				map[string]any{"host": "localhost", "port": "x", "reason": "r"},
				map[string]any{"host": "b.org", "reason": "r"},
				map[string]any{"host": "c.org", "reason": "r"},
				map[string]any{"host": "d.org", "reason": "r"},
				map[string]any{"host": "e.org", "reason": "r"},
				map[string]any{"host": "f.org", "reason": "r"},
				map[string]any{"host": "g.org", "reason": "r"},
				map[string]any{"host": "h.org", "reason": "r"},
				map[string]any{"host": "i.org", "reason": "r"},
				map[string]any{"host": "127.1", "reason": "r"},
			},
		}
	}))
	text = strings.Replace(text, `"id":`, `"id":"x.y","id":`, 1)
	_, err := ParseManifest([]byte(text))
	var bad *ManifestError
	if !errors.As(err, &bad) {
		t.Fatal(err)
	}
	var paths []string
	for _, p := range bad.Problems {
		paths = append(paths, p.Path)
	}
	want := "id license name permissions.network[1].host permissions.network[1].port permissions.network[10].host permissions.run version_code"
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("problems at\n%s, want\n%s\n%v", got, want, err)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	_, err := ParseManifest([]byte("{" + strings.TrimSuffix(strings.Repeat(`"a":1,`, 20000), ",") + "}"))
	var bad *ManifestError
	if !errors.As(err, &bad) || len(bad.Problems) > maxProblems+1 {
		t.Fatalf("%T with %d problems", err, len(bad.Problems))
	}
	var many bytes.Buffer
	for i := range 5000 {
		many.WriteString(`"k` + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + number(float64(i)) + `":1,`)
	}
	_, err = ParseManifest([]byte("{" + strings.TrimSuffix(many.String(), ",") + "}"))
	if !errors.As(err, &bad) || len(bad.Problems) > maxProblems+1 || len(err.Error()) > 64<<10 {
		t.Fatalf("%T with %d problems", err, len(bad.Problems))
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add(everything(f))
	f.Add(sampleManifest(f, nil))
	f.Add([]byte(`{"permissions":{"network":[{"host":"127.1"}],"run":1},"_meta":{"a.b":{}},"a":[[{"b":"\u202e"}]]}`))
	f.Add([]byte(`{"id":1,"id":[],"serve":null,"config":{"a":{"type":"choice","default":{}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data)
		if err != nil {
			var bad *ManifestError
			if !errors.As(err, &bad) || len(bad.Problems) == 0 {
				t.Fatalf("an error without problems: %v", err)
			}
			for _, p := range bad.Problems {
				if why := checkText(strings.ReplaceAll(p.String(), "\ufffd", "")); why != "" && !strings.Contains(why, "marks") {
					t.Fatalf("a problem that shows %s: %q", why, p.String())
				}
			}
			return
		}
		for _, r := range m.Requests() {
			if !r.Permission.Valid() {
				t.Fatalf("request for %q", r.Permission)
			}
		}
		p := m.Permissions
		want := len(p.Network) + len(p.Files) + len(p.Sys) + len(p.Browser)
		for _, set := range []bool{p.LocalNetwork != nil, p.Background != nil, p.Notifications != nil, p.Links != nil} {
			if set {
				want++
			}
		}
		if len(m.Requests()) != want {
			t.Fatalf("%d requests of %d", len(m.Requests()), want)
		}
	})
}
