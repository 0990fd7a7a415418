package attack

import (
	"os"
	"path/filepath"
	"slices"
)

// importHosts are the sites from which Deno imports modules when nothing is said of it: since 2.0 without any right,
// and without a question (the default of --allow-import). Here they all lead to the world's web server.
var importHosts = []string{
	"deno.land", "jsr.io", "esm.sh", "raw.esm.sh", "cdn.jsdelivr.net", "raw.githubusercontent.com", "gist.githubusercontent.com",
}

// remoteRows are testdata/remote.js, and attempts on the launch itself.
func remoteRows() []row {
	// The text of #25437 could not be found. It is of September 2024, when Deno 2.0 brought these two changes.
	const (
		sites = "denoland/deno #25437, as far as it can be guessed: imports from some sites need no right by default"
		words = "denoland/deno #25434, and #25437 as far as it can be guessed: what errors tell of paths"
	)
	var named []string
	for _, host := range importHosts {
		named = append(named, "remote: "+host)
	}
	return slices.Concat(
		group(row{origin: sites, grants: some}, named...),
		group(row{origin: sites, grants: some},
			"remote: a static import of a module in data", "remote: a re-export of a data: module", "remote: a worker's module",
			"remote: what a data: worker imports", "remote: a worker that asks for the right to import", "remote: text", "remote: JSON",
			"remote: a redirect to another site", "remote: worker_threads", "remote: after the right was asked for"),
		[]row{{name: "static graph: a module of deno.land", origin: sites, host: remoteImport}},
		group(row{origin: words}, "errors: where a link leads", "errors: where a program lies"),
	)
}

// remoteImport starts an app whose module imports one of a site. In the control run Deno runs it as it comes, with no
// right at all and no question.
func remoteImport(s *stage) (string, error) {
	spec := s.newSpec(s.budget(row{}))
	spec.Entry = "case.js"
	module := filepath.Join(spec.AppDir, spec.Entry)
	text := `import t from "https://deno.land/module.js"; export default { fetch: () => new Response(t) }; if (import.meta.main) console.log(t);`
	if err := os.WriteFile(module, []byte(text), 0o600); err != nil {
		return "", err
	}
	if s.Setting == settingControl {
		return leaked(s.simpleHost(module))
	}
	spec.Allow = s.grants(some)
	return s.launched(spec, "Requires import access", "failed: 403") // by Deno, and by the proxy
}
