package pack

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paddock/app/bundle"
)

// smallExpress has the parts of Express that the template uses, written in the same old way: CommonJS,
// built-in modules required by bare and by full names, __dirname, a lazy require in a try.
const smallExpress = `"use strict";
var http = require("http");
var path = require("node:path");
var fs = require("fs");
var EventEmitter = require("events").EventEmitter;
try { require("not-installed-and-not-needed"); } catch (e) { if (!/not-installed|require/.test(e.message)) throw e; }
module.exports = function express() {
  var routes = [];
  var app = function (req, res) {
    res.json = function (value) { res.setHeader("content-type", "application/json"); res.end(JSON.stringify(value)); };
    var index = 0;
    (function next(error) {
      if (error) { res.statusCode = 500; return res.end(String(error.stack)); }
      var route = routes[index++];
      if (!route) { res.statusCode = 404; return res.end("Cannot " + req.method + " " + req.url); }
      if (route.method && (route.method !== req.method || route.path !== req.url)) return next();
      Promise.resolve(route.handler(req, res, next)).catch(next);
    })();
  };
  app.get = function (path, handler) { routes.push({ method: "GET", path: path, handler: handler }); };
  app.post = function (path, handler) { routes.push({ method: "POST", path: path, handler: handler }); };
  app.use = function (handler) { routes.push({ handler: handler }); };
  app.listen = function () { var s = http.createServer(app); return s.listen.apply(s, arguments); };
  return Object.assign(app, EventEmitter.prototype);
};
module.exports.static = function (root) {
  if (typeof __dirname !== "string") throw new Error("no __dirname");
  return function (req, res, next) {
    fs.readFile(path.join(root, req.url === "/" ? "index.html" : path.normalize(req.url)), function (error, content) {
      if (error) return next();
      res.setHeader("content-type", /css$/.test(req.url) ? "text/css; charset=utf-8" : "text/html; charset=utf-8");
      res.end(content);
    });
  };
};
`

// askExpress packs the template in dir and asks the running app.
func askExpress(t *testing.T, dir string) {
	t.Helper()
	file, r := pack(t, dir)
	if r.API != bundle.APINode {
		t.Errorf("API %q", r.API)
	}
	a := runApp(t, file, r.API, "/api/count", "POST /api/count", "/api/count", "/nothing")
	if a[0].Body != `{"count":0}` || a[1].Body != `{"count":1}` || a[2].Body != `{"count":1}` || a[3].Status != 404 {
		t.Errorf("answers %+v", a)
	}
}

func initExpress(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "server")
	if err := Init(dir, TemplateExpress); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTemplateExpressRuns(t *testing.T) {
	dir := initExpress(t)
	_, _, err := packDir(t, dir)
	assertProblem(t, err, "server.ts", 5, "npm install express")
	writeFiles(t, dir, map[string]string{
		"node_modules/express/index.js":     smallExpress,
		"node_modules/express/package.json": `{"name":"express","version":"0.0.1","main":"index.js"}`,
	})
	askExpress(t, dir)
	file, r := pack(t, dir)
	a := runApp(t, file, r.API, "/", "/style.css")
	if !strings.Contains(a[0].Body, "<h1>Server</h1>") || a[1].Type != "text/css; charset=utf-8" {
		t.Errorf("answers %+v", a)
	}
}

// TestExpressItself does the same with the real Express. It needs the npm registry, so it is skipped where
// that is out of reach; PADDOCK_TEST_NPM=1 makes that a failure.
func TestExpressItself(t *testing.T) {
	dir := initExpress(t)
	must := os.Getenv("PADDOCK_TEST_NPM") == "1"
	npm, err := exec.LookPath("npm")
	if err != nil {
		if must {
			t.Fatal("npm is not installed")
		}
		t.Skip("npm is not installed")
	}
	cmd := exec.Command(npm, "install", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=20000")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		if must {
			t.Fatalf("npm install: %v\n%s", err, out)
		}
		t.Skipf("the npm registry cannot be reached: %v", err)
	}
	askExpress(t, dir)
}
