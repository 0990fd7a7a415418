package pack

import (
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// builtins are the modules that the runtime brings (Node's names, as Deno 2.9 knows them). A bare name of
// one means it even when a package of that name is installed, as in Node.
var builtins = set(`assert assert/strict async_hooks buffer child_process cluster console constants crypto dgram
	diagnostics_channel dns dns/promises domain events fs fs/promises http http2 https inspector inspector/promises module net os
	path path/posix path/win32 perf_hooks process punycode querystring readline readline/promises repl stream stream/consumers
	stream/promises stream/web string_decoder sys timers timers/promises tls trace_events tty url util util/types v8 vm wasi
	worker_threads zlib`)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// Namespaces of the virtual modules that stand between require("http") or an import and the runtime's ES module.
const (
	spaceRequire = "paddock-require" // CommonJS: module.exports is what require returns
	spaceImport  = "paddock-import"  // ES module: imports the runtime's module
	spaceOS      = "paddock-os"      // ES module: node:os, whose named imports call the default export's functions
)

var virtualSpaces = []string{spaceRequire, spaceImport, spaceOS}

// osModule stands for node:os. The entry module gives the default export's functions neutral answers where a fact is not
// granted; named imports lead to the runtime's own functions, which throw then, and no module can change that.
var osModule = func() string {
	code := "import os from \"node:os\";\nexport default os;\nexport const { EOL, constants, devNull } = os;\n"
	for _, name := range []string{
		"arch", "availableParallelism", "cpus", "endianness", "freemem", "getPriority", "homedir", "hostname", "loadavg", "machine",
		"networkInterfaces", "platform", "release", "setPriority", "tmpdir", "totalmem", "type", "uptime", "userInfo", "version",
	} {
		code += "export function " + name + "(...given) { return os." + name + "(...given); }\n"
	}
	return code
}()

// resolving marks resolutions that a plugin started itself.
type resolving struct{}

// importRules is the plugin that decides about imports that are no local file.
func importRules(dir string, server bool) api.Plugin {
	return api.Plugin{Name: "paddock", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: `^(https?|jsr|npm):`}, refuseRemote)
		if server {
			// `require` of a runtime module would need require at run time, which a module does not have.
			b.OnResolve(api.OnResolveOptions{Filter: `.*`, Namespace: spaceRequire}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
				return api.OnResolveResult{Path: a.Path, Namespace: spaceImport}, nil
			})
			b.OnResolve(api.OnResolveOptions{Filter: `.*`, Namespace: spaceImport}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
				return api.OnResolveResult{Path: a.Path, External: true}, nil
			})
			b.OnLoad(api.OnLoadOptions{Filter: `.*`, Namespace: spaceRequire}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
				code := "module.exports = require(" + quoteJS(a.Path) + ").default;"
				return api.OnLoadResult{Contents: &code, Loader: api.LoaderJS}, nil
			})
			b.OnLoad(api.OnLoadOptions{Filter: `.*`, Namespace: spaceImport}, func(a api.OnLoadArgs) (api.OnLoadResult, error) {
				code := "export { default } from " + quoteJS(a.Path) + ";"
				return api.OnLoadResult{Contents: &code, Loader: api.LoaderJS}, nil
			})
			b.OnResolve(api.OnResolveOptions{Filter: `.*`, Namespace: spaceOS}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
				return api.OnResolveResult{Path: a.Path, External: true}, nil
			})
			b.OnLoad(api.OnLoadOptions{Filter: `.*`, Namespace: spaceOS}, func(api.OnLoadArgs) (api.OnLoadResult, error) {
				return api.OnLoadResult{Contents: &osModule, Loader: api.LoaderJS}, nil
			})
			b.OnResolve(api.OnResolveOptions{Filter: `^[a-z_0-9:/]+$`}, resolveBuiltin)
		}
		b.OnResolve(api.OnResolveOptions{Filter: `^[^./]`}, func(a api.OnResolveArgs) (api.OnResolveResult, error) {
			return resolvePackage(b, a, server)
		})
	}}
}

func quoteJS(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// refuseRemote explains why code cannot come from elsewhere.
func refuseRemote(a api.OnResolveArgs) (api.OnResolveResult, error) {
	switch a.Kind {
	case api.ResolveCSSURLToken: // an image of a style sheet: the page loads it, if the app may
		return api.OnResolveResult{Path: a.Path, External: true}, nil
	case api.ResolveEntryPoint:
		return api.OnResolveResult{}, nil
	}
	scheme := before(a.Path, ":")
	text := "cannot import \"" + a.Path + "\": a bundle holds all its code, and nothing is loaded from elsewhere"
	hint := "Download the module into your folder and import that file."
	switch scheme {
	case "npm":
		name := packageName(strings.TrimLeft(strings.TrimPrefix(a.Path, "npm:"), "/"))
		hint = "Run `npm install " + name + "` and import \"" + name + "\"."
	case "jsr":
		name := packageName(strings.TrimLeft(strings.TrimPrefix(a.Path, "jsr:"), "/"))
		hint = "Run `npx jsr add " + name + "` and import \"" + name + "\"."
	}
	return failed(text, hint), nil
}

// resolveBuiltin leaves the runtime's modules to the runtime.
func resolveBuiltin(a api.OnResolveArgs) (api.OnResolveResult, error) {
	name, explicit := strings.CutPrefix(a.Path, "node:")
	if !explicit && !builtins[a.Path] || a.Kind == api.ResolveEntryPoint {
		return api.OnResolveResult{}, nil
	}
	if a.Kind == api.ResolveJSRequireCall {
		return api.OnResolveResult{Path: "node:" + name, Namespace: spaceRequire}, nil
	}
	if name == "os" {
		return api.OnResolveResult{Path: "node:os", Namespace: spaceOS, SideEffects: api.SideEffectsFalse}, nil
	}
	return api.OnResolveResult{Path: "node:" + name, External: true}, nil
}

// resolvePackage resolves a bare name as the bundler does, and says what to do when that fails.
func resolvePackage(b api.PluginBuild, a api.OnResolveArgs, server bool) (api.OnResolveResult, error) {
	if _, again := a.PluginData.(resolving); again {
		return api.OnResolveResult{}, nil
	}
	if a.Kind != api.ResolveJSImportStatement && a.Kind != api.ResolveJSDynamicImport {
		return api.OnResolveResult{}, nil // a failing require may be caught by the package that tries it
	}
	name := packageName(a.Path)
	if !server && (strings.HasPrefix(a.Path, "node:") || builtins[a.Path]) {
		r := b.Resolve(a.Path, resolveOptions(a))
		if len(r.Errors) > 0 {
			return failed("cannot import \""+a.Path+"\" in a page: browsers do not have the runtime's modules", "Move that part to the server."), nil
		}
		return api.OnResolveResult{}, nil
	}
	if r := b.Resolve(a.Path, resolveOptions(a)); len(r.Errors) > 0 {
		return failed("cannot find the package \""+name+"\"", "Run `npm install "+name+"` in the app's folder, or correct the name."), nil
	}
	return api.OnResolveResult{}, nil
}

func resolveOptions(a api.OnResolveArgs) api.ResolveOptions {
	return api.ResolveOptions{
		Importer: a.Importer, Namespace: a.Namespace, ResolveDir: a.ResolveDir, Kind: a.Kind, PluginData: resolving{}, With: a.With,
	}
}

func failed(text, hint string) api.OnResolveResult {
	return api.OnResolveResult{Errors: []api.Message{{Text: text, Detail: hint}}}
}

// packageName takes the path and version off a specifier: @scope/name@1/sub → @scope/name.
func packageName(specifier string) string {
	parts := strings.Split(specifier, "/")
	n := 1
	if strings.HasPrefix(specifier, "@") && len(parts) > 1 {
		n = 2
	}
	last := parts[n-1]
	if at := strings.LastIndex(last, "@"); at > 0 {
		parts[n-1] = last[:at]
	}
	return strings.Join(parts[:n], "/")
}
