package permission_test

import (
	"reflect"
	"strings"
	"testing"

	"paddock/sandbox/permission"
)

// Every kind, what it says and what it becomes: a reader can check the wording here.
func TestSentencesAndRisks(t *testing.T) {
	type R = permission.Request
	for _, c := range []struct {
		scope    string
		request  permission.Request
		sentence string // with the scope in place, between * as the prompt's bold
		risk     permission.Risk
	}{
		{"net:api.example.com", R{}, "Send and receive data with *api.example.com*", permission.Normal},
		{"net:api.example.com:8443", R{}, "Send and receive data with *api.example.com:8443*", permission.Normal},
		{"net:*.example.com", R{}, "Send and receive data with *example.com* and every site under it", permission.Normal},
		{"net:*", R{}, "Send and receive data with *any site on the internet*", permission.High},
		{"lan", R{}, "Send and receive data with *devices on your local network*", permission.High},
		{"files:n", R{Access: permission.Read}, "Read *a file you choose*", permission.Normal},
		{"files:n", R{Access: permission.ReadWrite}, "Read and change *a file you choose*", permission.Normal},
		{"files:n", R{Access: permission.Read, Folder: true}, "Read files in *a folder you choose*", permission.Normal},
		{"files:n", R{Access: permission.ReadWrite, Folder: true}, "Read and change files in *a folder you choose*", permission.Normal},
		{"sys:hostname", R{}, "See *the name of this computer*", permission.Low},
		{"browser:camera", R{}, "Use *the camera*", permission.High},
		{"browser:microphone", R{}, "Use *the microphone*", permission.High},
		{"browser:geolocation", R{}, "See *where you are*", permission.Normal},
		{"browser:clipboard-read", R{}, "Read *what you copied*", permission.Normal},
		{"browser:clipboard-write", R{}, "Put things into *the clipboard*", permission.Low},
		{"browser:fullscreen", R{}, "Fill *the whole screen*", permission.Low},
		{"browser:inline-script", R{}, "Run *code written inside its page*", permission.Normal},
		{"browser:eval", R{}, "Run *code that its page puts together while it runs*", permission.Normal},
		{"browser:wasm", R{}, "Run *compiled code in its page*", permission.Low},
		{"browser:popups", R{}, "Open *more browser windows*", permission.Normal},
		{"background", R{}, "Keep working when no page is open", permission.High},
		{"notifications", R{}, "Show notifications", permission.Low},
		{"links", R{}, "Open *links to other sites* in your browser", permission.Low},
	} {
		c.request.Permission = parse(c.scope)
		format, scope := permission.Sentence(c.request)
		if strings.Contains(format, "%s") != (scope != "") {
			t.Errorf("%s: format %q and scope %q do not fit", c.scope, format, scope)
		}
		if got := strings.Replace(format, "%s", "*"+scope+"*", 1); got != c.sentence {
			t.Errorf("%s: %q, want %q", c.scope, got, c.sentence)
		}
		if got := permission.RiskOf(c.request); got != c.risk {
			t.Errorf("%s: risk %s, want %s", c.scope, got, c.risk)
		}
	}
}

// ui.md 12: words that nobody should have to know.
func TestSentencesUsePlainWords(t *testing.T) {
	for _, s := range scopes {
		format, scope := permission.Sentence(permission.Request{Permission: parse(s)})
		for _, word := range strings.Fields(strings.ToLower(strings.Replace(format, "%s", scope, 1))) {
			switch strings.Trim(word, ".,;") {
			case "sandbox", "port", "env", "ffi", "subprocess", "flag":
				t.Errorf("%s: %q uses the word %q", s, format, word)
			}
		}
	}
	unknown := permission.Request{Permission: permission.Permission{Kind: "bluetooth", Scope: "all"}}
	if permission.RiskOf(unknown) != permission.High {
		t.Error("an unknown kind is not high risk")
	}
	if _, scope := permission.Sentence(unknown); scope != "bluetooth:all" {
		t.Errorf("an unknown kind is shown as %q", scope)
	}
}

func TestEffects(t *testing.T) {
	s, err := permission.ParseSet("net:api.example.com,net:*.example.org:8443,net:[2001:4860:4860::8888]:53,net:8.8.8.8:80," +
		"lan,files:notes,sys:hostname,sys:cpus,browser:camera,browser:eval,browser:wasm,browser:popups,background,links")
	if err != nil {
		t.Fatal(err)
	}
	equal := func(what string, got, want []string) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", what, got, want)
		}
	}
	equal("DenoNet", s.DenoNet(), []string{"*.example.org:8443", "8.8.8.8:80", "[2001:4860:4860::8888]:53", "api.example.com:443"})
	equal("SysNames", s.SysNames(), []string{"cpus", "hostname"})
	equal("BrowserFeatures", s.BrowserFeatures(), []string{"camera", "eval", "popups", "wasm"})
	equal("PagePolicies", s.PagePolicies(), []string{"camera"})
	equal("ScriptCSP", permission.ScriptCSP(s), []string{"'unsafe-eval'", "'wasm-unsafe-eval'"})
	equal("SourcesCSP", permission.SourcesCSP(s), []string{
		"https://*.example.org:8443", "https://example.org:8443", "wss://*.example.org:8443", "wss://example.org:8443",
		"http://*.example.org:8443", "http://example.org:8443", "ws://*.example.org:8443", "ws://example.org:8443",
		"https://8.8.8.8:80", "wss://8.8.8.8:80", "http://8.8.8.8:80", "ws://8.8.8.8:80",
		"https://api.example.com", "wss://api.example.com",
	})
	if !s.NeedsEgress() || s.AnyNet() {
		t.Errorf("NeedsEgress %v, AnyNet %v", s.NeedsEgress(), s.AnyNet())
	}

	star := permission.NewSet(parse("net:*"))
	equal("DenoNet of net:*", star.DenoNet(), nil)
	equal("SourcesCSP of net:*", permission.SourcesCSP(star), []string{"https:", "wss:", "http:", "ws:"})
	if !star.AnyNet() || !star.NeedsEgress() || !permission.NewSet(parse("lan")).NeedsEgress() {
		t.Error("net:* and lan need the proxy")
	}
	if permission.NewSet(parse("background"), parse("sys:uid")).NeedsEgress() {
		t.Error("the proxy is needed without net or lan")
	}
}

// A hand-made scope must not smuggle a second value or a bare host into a flag.
func TestEffectsOfScopesThatParseDidNotMake(t *testing.T) {
	for _, scope := range []string{"", "a:b", "a:99999", "*."} {
		s := permission.NewSet(permission.Permission{Kind: permission.Net, Scope: scope})
		for _, value := range s.DenoNet() {
			if !strings.HasSuffix(value, ":443") || value == ":443" {
				t.Errorf("%q became the flag value %q", scope, value)
			}
		}
	}
}
