package pack

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"paddock/app/bundle"
)

var (
	usesDenoServe = regexp.MustCompile(`\bDeno\.serve\b|\bserve\b[^;]{0,80}\}\s*=\s*Deno\b|\bDeno\["serve"\]`)
	usesListen    = regexp.MustCompile(`\.listen\s*\(`)
	// usesServer finds packages that start a node:http server without a word of it in the author's code, like
	// serve(app) or new WebSocketServer({ port }). To be wrong about it costs a little time at each start: an app
	// of the kind "node" that exports { fetch } after all is served all the same.
	usesServer = regexp.MustCompile(`\b(?:from|import|require\()\s*"(?:@hono/node-server|socket\.io|ws)"`)
)

// detectAPI finds out which kind of server a module is, from what it exports, what it imports and what the
// author's own part of it calls.
func detectAPI(dir, entry string, b *built) (string, error) {
	exports := slices.Contains(b.exports, "default") || slices.Contains(b.exports, "fetch")
	http := b.imports["node:http"] || b.imports["node:https"] || b.imports["node:http2"]
	code := ownCode(dir, b)
	switch {
	case usesDenoServe.MatchString(code):
		return bundle.APIDeno, nil
	case http && (!exports || usesListen.MatchString(code) || usesServer.MatchString(code)):
		return bundle.APINode, nil
	case exports:
		return bundle.APIFetch, nil
	}
	return "", problem(entry, "this module neither exports { fetch }, nor calls Deno.serve, nor starts a node:http server",
		"Write `export default { fetch(request) { … } }`, or set serve.api when Paddock does not see what you do.")
}

// ownCode is the author's part of the sources without comments and types. Packages are left away: what
// they could do is not what the app does.
func ownCode(dir string, b *built) string {
	var code strings.Builder
	for name := range b.inputs {
		loader, known := map[string]api.Loader{
			".ts": api.LoaderTS, ".mts": api.LoaderTS, ".cts": api.LoaderTS, ".tsx": api.LoaderTSX,
			".js": api.LoaderJS, ".mjs": api.LoaderJS, ".cjs": api.LoaderJS, ".jsx": api.LoaderJSX,
		}[path.Ext(name)]
		if !known || strings.Contains("/"+name, "/node_modules/") {
			continue
		}
		source, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			continue // it was read a moment ago; without it the decision is asked of the author
		}
		result := api.Transform(string(source), api.TransformOptions{
			Loader: loader, MinifyWhitespace: true, LegalComments: api.LegalCommentsNone, LogLevel: api.LogLevelSilent, TsconfigRaw: `{}`,
		})
		code.Write(result.Code)
		code.WriteByte('\n')
	}
	return code.String()
}
