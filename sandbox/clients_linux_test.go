package sandbox

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"paddock/sandbox/egress"
)

// clientSite answers with what it was asked, so that a test sees what reached it.
func clientSite(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/redirect":
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	case "/slow":
		for i := range 3 {
			fmt.Fprintf(w, "piece %d\n", i)
			w.(http.Flusher).Flush()
		}
	case "/ws":
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello by socket")
		_ = rw.Flush()
		_, _ = bufio.NewReader(rw).ReadByte()
	default:
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s%s %q %s", r.Method, r.Host, r.URL.RequestURI(), body, r.Header.Get("X-Test"))
	}
}

// nodeClientsModule makes requests with each of Node's modules, as their documentation says, and says what came of each.
const nodeClientsModule = `
import http from "node:http";
import https, { request as secureRequest } from "node:https";
import net, { connect as namedConnect } from "node:net";
import tls from "node:tls";
import http2 from "node:http2";
import dgram from "node:dgram";
import dns from "node:dns";

const whole = (r) => new Promise((ok, no) => { let all = ""; r.setEncoding("utf8").on("data", (d) => all += d).on("end", () => ok(r.statusCode + " " + all)).on("error", no); });
const got = (request) => new Promise((ok, no) => request.on("response", (r) => whole(r).then(ok, no)).on("error", no));
const talk = (socket, text) => new Promise((ok, no) => {
  let all = "";
  socket.on("data", (d) => all += d).on("end", () => ok(all)).on("error", no);
  if (text) socket.write(text);
});
const agent = new http.Agent({ keepAlive: true });

const tries = {
  "http.get": () => got(http.get("http://plain.example.com/a?b=c")),
  "http.request, a body": () => { const r = http.request("http://plain.example.com/", { method: "POST", headers: { "X-Test": "t" } }); r.end("body"); return got(r); },
  "http.request, pieces of a body": () => { const r = http.request({ host: "plain.example.com", method: "PUT", path: "/x" }); r.write("one "); r.end("two"); return got(r); },
  "http, one agent for two": async () => await got(http.get("http://plain.example.com/1", { agent })) + "; " + await got(http.get("http://plain.example.com/2", { agent })),
  "http, no agent": () => got(http.get("http://plain.example.com/", { agent: false })),
  "http, streamed": () => got(http.get("http://plain.example.com/slow")),
  "http, another port": () => got(http.get("http://plain.example.com:8080/")),
  "http, upgrade": () => new Promise((ok, no) => http.get("http://plain.example.com/ws", { headers: { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Key": "x" } })
    .on("upgrade", (r, socket, head) => {
      let text = "";
      const more = (piece) => { text += piece; if (text.endsWith("by socket")) { socket.destroy(); ok(r.statusCode + " " + text); } };
      socket.on("data", more).on("close", () => no(new Error("it closed after " + text)));
      more(head);
    }).on("error", no)),
  "https.get": () => got(https.get("https://example.com/s")),
  "https.request by name": () => { const r = secureRequest({ hostname: "example.com", path: "/n", method: "POST" }); r.end("body"); return got(r); },
  "https, own agent": () => got(https.get("https://example.com/", { agent: new https.Agent({ keepAlive: true, rejectUnauthorized: false }) })),
  "net, HTTP by hand": () => talk(net.connect(80, "plain.example.com"), "GET /hand HTTP/1.1\r\nHost: anything\r\n\r\n"),
  "net, a byte at a time": async () => {
    const socket = net.connect({ port: 80, host: "plain.example.com" });
    const answer = talk(socket);
    for (const c of "GET /slowly HTTP/1.1\r\nHost: x\r\n\r\n") { socket.write(c); await 0; }
    return await answer;
  },
  "tls, HTTP by hand": () => new Promise((ok, no) => {
    const socket = tls.connect({ host: "example.com", port: 443, servername: "example.com" }, () =>
      ok(talk(socket, "GET /tls HTTP/1.1\r\nHost: x\r\n\r\n").then((t) => [socket.encrypted, socket.authorized, t].join(" "))));
    socket.on("error", no);
  }),

  "refused: not granted": () => got(http.get("http://other.example.org/")),
  "refused: not granted, https": () => got(https.get("https://other.example.org/")),
  "refused: another port": () => got(http.get("http://plain.example.com:81/")),
  "refused: loopback": () => got(http.get("http://127.0.0.1:%[1]d/")),
  "refused: localhost": () => got(http.get("http://localhost:%[1]d/")),
  "refused: by its address": () => talk(net.connect(%[1]d, "127.0.0.1"), "GET / HTTP/1.1\r\n\r\n"),
  "missing: not HTTP": () => talk(net.connect(80, "plain.example.com"), "\x16\x03\x01\x00"),
  "missing: named connect, not HTTP": () => talk(namedConnect(80, "plain.example.com"), "HELO\r\n"),
  "missing: the server speaks first": () => talk(net.connect(80, "plain.example.com")),
  "missing: HTTP/2": () => new Promise((ok, no) => http2.connect("https://example.com", ok).on("error", no)),
  "missing: CONNECT": () => new Promise((ok, no) => http.request({ host: "plain.example.com", method: "CONNECT", path: "x:1" }).on("connect", ok).on("error", no).end()),
  "missing: a client certificate": () => got(https.get("https://example.com/", { cert: "x", key: "y" })),
  "missing: Deno.connect": () => Deno.connect({ hostname: "plain.example.com", port: 80 }),
  "missing: Deno.connectTls": () => Deno.connectTls({ hostname: "example.com", port: 443 }),
  "gone: Deno.connect, not granted": () => Deno.connect({ hostname: "other.example.org", port: 80 }),
  "missing: dgram": () => new Promise((ok, no) => dgram.createSocket("udp4").on("error", no).send("x", 9, "plain.example.com", (e) => e ? no(e) : ok("sent"))),
  "gone: dns": () => new Promise((ok, no) => dns.resolve4("plain.example.com", (e, a) => e ? no(e) : ok(a))),
};

addEventListener("unhandledrejection", (e) => e.preventDefault());
addEventListener("error", (e) => e.preventDefault());
export default {
  async fetch() {
    const results = {};
    await Promise.all(Object.keys(tries).map(async (name) => {
      const began = Date.now();
      try { results[name] = "ok: " + await Promise.race([tries[name](), new Promise((_, no) => setTimeout(() => no(new Error("no end")), 5000))]); } catch (e) { results[name] = "error: " + (e?.message ?? e) + " in " + (Date.now() - began) + " ms"; }
    }));
    return Response.json(results);
  },
};
`

// Node's own clients reach granted sites through the proxy, written as they are for Node; what cannot be is refused at
// once, by an error that says what is missing.
func TestNodeClients(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(clientSite))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(clientSite)) // its certificate is for example.com
	defer secure.Close()
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	sup := supervisorForTest(t, func(o *Options) {
		o.Egress = egress.Options{
			RootCAs: roots, Resolve: map[string]string{
				"plain.example.com:80": plain.Listener.Addr().String(), "plain.example.com:8080": plain.Listener.Addr().String(),
				"example.com:443": secure.Listener.Addr().String(), "other.example.org:80": plain.Listener.Addr().String(),
			},
		}
	})
	spec := specForTest(t, fmt.Sprintf(nodeClientsModule, plain.Listener.Addr().(*net.TCPAddr).Port))
	spec.API = APIFetch
	spec.Allow = setOf(t, "net:plain.example.com:80", "net:plain.example.com:8080", "net:example.com")
	in := launchForTest(t, sup, spec)
	var results map[string]string
	if err := json.Unmarshal([]byte(ask(t, in, "/")), &results); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"http.get":                       `200 GET plain.example.com/a?b=c "" `,
		"http.request, a body":           `200 POST plain.example.com/ "body" t`,
		"http.request, pieces of a body": `200 PUT plain.example.com/x "one two" `,
		"http, one agent for two":        `200 GET plain.example.com/1 "" ; 200 GET plain.example.com/2 "" `,
		"http, no agent":                 `200 GET plain.example.com/ "" `,
		"http, streamed":                 "200 piece 0\npiece 1\npiece 2\n",
		"http, another port":             `200 GET plain.example.com:8080/ "" `,
		"http, upgrade":                  "101 hello by socket",
		"https.get":                      `200 GET example.com/s "" `,
		"https.request by name":          `200 POST example.com/n "body" `,
		"https, own agent":               `200 GET example.com/ "" `,
	} {
		if results[name] != "ok: "+want {
			t.Errorf("%s: %q, want %q", name, results[name], want)
		}
	}
	for name, want := range map[string]string{
		"net, HTTP by hand": `GET plain.example.com/hand`, "net, a byte at a time": `GET plain.example.com/slowly`,
		"tls, HTTP by hand": `GET example.com/tls`,
	} {
		if !strings.HasPrefix(results[name], "ok: ") || !strings.Contains(results[name], want) {
			t.Errorf("%s: %q, want %q in it", name, results[name], want)
		}
	}
	for name, result := range results {
		kind, _, _ := strings.Cut(name, ":")
		want := map[string]string{"refused": "net:", "missing": "not available to apps", "gone": ""}[kind]
		if want == "" && kind != "gone" {
			continue
		}
		if !strings.HasPrefix(result, "error: ") || !strings.Contains(result, want) {
			t.Errorf("%s: %q, want an error with %q", name, result, want)
		}
	}
}
