package sandbox

import (
	"os"
	"strings"
	"testing"
)

// The three kinds of server run unmodified and get the same things.
func TestKindsOfServer(t *testing.T) {
	kinds := map[string]struct{ api, module string }{
		"fetch export":           {"", `export default { fetch: (r) => new Response("hello " + r.method + " " + r.url) };`},
		"fetch declared":         {APIFetch, `export default { fetch: (r) => new Response("hello " + r.method + " " + r.url) };`},
		"fetch named export":     {"", `export const fetch = (r) => new Response("hello " + r.method + " " + r.url);`},
		"Deno.serve":             {"", `Deno.serve((r) => new Response("hello " + r.method + " " + r.url));`},
		"Deno.serve options":     {APIDeno, `Deno.serve({ port: 3000, handler: (r) => new Response("hello " + r.method + " " + r.url) });`},
		"Deno.serve awaited":     {"", `await Deno.serve({ port: 1 }, (r) => new Response("hello " + r.method + " " + r.url)).finished;`},
		"Deno.serve later":       {"", `setTimeout(() => Deno.serve((r) => new Response("hello " + r.method + " " + r.url)), 50);`},
		"node:http":              {"", `import http from "node:http"; http.createServer((q, r) => r.end("hello " + q.method + " http://" + q.headers.host + q.url)).listen(3000);`},
		"node:http declared":     {APINode, `const h = await import("node:" + "http"); h.createServer((q, r) => r.end("hello " + q.method + " http://" + q.headers.host + q.url)).listen();`},
		"fetch beside node:http": {APINode, `import "node:http"; export default { fetch: (r) => new Response("hello " + r.method + " " + r.url) };`},
	}
	sup := supervisorForTest(t)
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			spec := specForTest(t, kind.module)
			spec.ID, spec.API = strings.Map(func(r rune) rune {
				if r == ' ' || r == ',' || r == ':' {
					return '-'
				}
				return r
			}, name), kind.api
			in := launchForTest(t, sup, spec)
			if got, want := ask(t, in, "/a/b?c=d"), "hello GET http://app.localhost:7777/a/b?c=d"; got != want {
				t.Errorf("answered %q, want %q", got, want)
			}
			if err := in.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			if e := in.Exit(); e.Reason != Stopped {
				t.Errorf("ended as %+v, want stopped", e)
			}
			if _, err := os.Stat(in.paths.Dir); !os.IsNotExist(err) {
				t.Errorf("the socket folder is still there: %v", err)
			}
		})
	}
}
