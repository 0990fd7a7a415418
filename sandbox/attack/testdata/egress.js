// What an app with some rights to the network does to get more of it. The proxy on the app's own socket is the host's.
import http from "node:http";
import net from "node:net";
import { bytes, call, collect, leak, must } from "./kit.js";

const text = async (url, options) => leak(await (await fetch(url, options)).text());

// talk sends bytes to the proxy and returns what comes back. Without walls it is the proxy that refuses nothing.
async function talk(w, request) {
  const [hostname, port] = w.net.OpenProxy.split(":");
  const conn = w.control
    ? await Deno.connect({ hostname, port: Number(port) })
    : await Deno.connect({ transport: "unix", path: w.proxy });
  try {
    await conn.write(new TextEncoder().encode(request.replaceAll("\n", "\r\n")));
    return await collect(conn);
  } finally {
    conn.close();
  }
}

// stolen is an answer that carries a secret for a host that was not granted.
function stolen(answer, host) {
  must(/^HTTP\/1\.1 200/m.test(answer), answer.split("\r\n")[0]);
  must(answer.includes("SECRET web for " + host), "answered, but not as " + host);
  return leak(answer);
}

const get = (url, host, more = "") => `GET ${url} HTTP/1.1\nHost: ${host}\n${more}Connection: close\n\n`;
const wild = (w, label) => `http://${label}.wild.example.com:${w.net.HTTP}/`;

const rebound = (label) => (w) => text(wild(w, label));

export default {
  // names that lead where no app may go
  "rebinding: 127.0.0.1": rebound("loopback"),
  "rebinding: 127.7.7.7": rebound("far"),
  "rebinding: 0.0.0.0": rebound("zero"),
  "rebinding: ::": rebound("zero6"),
  "rebinding: ::1": (w) => text(`http://loopback6.wild.example.com:${w.net.HTTP6}/`),
  "rebinding: ::ffff:127.0.0.1": rebound("mapped"),
  "rebinding: ::127.0.0.1": rebound("compatible"),
  "rebinding: 64:ff9b::7f00:1": rebound("nat64"),
  "rebinding: 2002:7f00:1::": rebound("sixtofour"),
  "rebinding: an address of this machine": (w) => text(`http://own.wild.example.com:${w.net.OwnHTTP}/`),
  "rebinding: a v6 address of this machine": (w) => text(`http://own6.wild.example.com:${w.net.HTTP6}/`),
  "rebinding: a host on the same network": rebound("onlink"),
  "rebinding: an answer that changes": async (w) => {
    let last;
    for (let i = 0; i < 4; i++) {
      try {
        return await text(wild(w, "flip"));
      } catch (error) {
        last = error;
      }
    }
    throw last;
  },
  "rebinding: by WebSocket": (w) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(wild(w, "loopback").replace("http", "ws") + "ws");
      socket.onmessage = (m) => (socket.close(), resolve(leak(m.data)));
      socket.onerror = (e) => reject(new Error(e.message ?? "refused"));
    }),
  "redirect: to loopback": (w) => text(`http://api.example.com/redirect?to=http://127.0.0.1:${w.net.HTTP}/`),
  "redirect: to a host that is not granted": (w) => text("http://api.example.com/redirect?to=http://other.example.org/"),
  "redirect: to a name that leads to loopback": (w) =>
    text(`http://api.example.com/redirect?to=${encodeURIComponent(wild(w, "loopback"))}`),

  // around the proxy
  "other host: fetch": () => text("http://other.example.org/"),
  "other port: fetch": () => text("http://api.example.com:81/"),
  "loopback: fetch": (w) => text(`http://127.0.0.1:${w.net.HTTP}/`),
  "proxy variables: set at run time": async (w) => {
    for (const name of ["HTTP_PROXY", "http_proxy", "ALL_PROXY"]) {
      try {
        Deno.env.set(name, "http://" + w.net.OpenProxy);
      } catch { /* the next one */ }
    }
    return await text("http://unlisted.example.org/");
  },
  "proxy variables: NO_PROXY at run time": async (w) => {
    try {
      Deno.env.set("NO_PROXY", "*");
    } catch { /* then it is not */ }
    return await text(wild(w, "loopback"));
  },
  "proxy: one of the app's own": (w) =>
    text("http://api.example.com/", { client: Deno.createHttpClient({ proxy: { url: "http://" + w.net.OpenProxy } }) })
      .then((t) => must(w.control, "through the host's proxy after all") && t),
  "proxy: node:http to loopback": (w) =>
    new Promise((resolve, reject) =>
      http.get(`http://127.0.0.1:${w.net.HTTP}/`, (r) => {
        r.on("data", (d) => resolve(leak(String(d))));
      }).on("error", reject)
    ),
  "socket: net.connect to loopback": (w) =>
    new Promise((resolve, reject) => net.connect(w.net.TCP, "127.0.0.1", () => resolve("connected")).on("error", reject)),
  "socket: an own look-up with a stolen token": async (w) => {
    const dns = await import("node:dns");
    const token = await new Promise((resolve) => dns.lookup("localhost", { family: 4 }, (_e, _a, _f, token) => resolve(token)));
    const socket = net.connect({
      host: "api.example.com", port: w.net.TCP, family: 4,
      lookup: (_h, o, done) => o.all ? done(null, [{ address: "127.0.0.1", family: 4 }], token) : done(null, "127.0.0.1", 4, token),
    });
    return await new Promise((resolve, reject) => socket.on("connect", () => (socket.destroy(), resolve("connected"))).on("error", reject));
  },
  "socket: the control socket": async (w) => leak(await collect(await Deno.connect({ transport: "unix", path: w.net.Control }))),
  "socket: the session bus": async (w) => leak(await collect(await Deno.connect({ transport: "unix", path: w.net.Bus }))),
  "socket: another app's": async (w) => (await Deno.connect({ transport: "unix", path: w.neighbour.socket })).close() ?? "connected",
  "socket: an abstract one": async (w) => leak(await collect(await Deno.connect({ transport: "unix", path: "\0" + w.net.Abstract }))),
  "socket: a path as long as the proxy's": async (w) => leak(await collect(await Deno.connect({ transport: "unix", path: w.twin }))),
  "socket: an abstract name as long as the proxy's path": (w) =>
    new Promise((resolve, reject) => {
      const socket = net.connect("\0" + w.twin.slice(1) + "_");
      socket.on("error", reject);
      socket.on("data", (d) => {
        try {
          resolve(leak(d));
        } catch (error) {
          reject(error);
        }
      });
      socket.on("end", () => reject(new Error("nothing")));
      socket.on("connect", () => socket.write("x"));
    }),
  "socket: a path as long as the proxy's, by native code": (w) => {
    const name = new TextEncoder().encode(w.twin);
    const address = new Uint8Array(3 + name.length);
    address[0] = 1;
    address.set(name, 2);
    const fd = call("socket", 1, 1, 0);
    call("connect", fd, address, address.length);
    call("write", fd, bytes("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 27);
    const buffer = new Uint8Array(200);
    let last;
    for (let i = 0; i < 100; i++) { // the descriptor may not wait by itself
      try {
        call("read", fd, buffer, 200);
        return leak(buffer);
      } catch (error) {
        last = error;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      }
    }
    throw last;
  },
  "listen: on a granted address": (w) => {
    const listener = Deno.listen({ hostname: w.net.OwnAddress, port: w.net.OwnPort });
    listener.close();
    return "listens";
  },
  "listen: on a granted name": (w) => {
    const listener = Deno.listen({ hostname: w.control ? "127.0.0.1" : "api.example.com", port: w.control ? 0 : 80 });
    listener.close();
    return "listens";
  },

  // speaking to the proxy by hand
  "proxy by hand: another host": async (w) => stolen(await talk(w, get("http://other.example.org/", "other.example.org")), "other.example.org"),
  "proxy by hand: loopback": async (w) => leak(await talk(w, get(`http://127.0.0.1:${w.net.HTTP}/`, `127.0.0.1:${w.net.HTTP}`))),
  "proxy by hand: loopback as a number": async (w) => leak(await talk(w, get(`http://2130706433:${w.net.HTTP}/`, "x"))),
  "proxy by hand: a Host that differs": async (w) => stolen(await talk(w, get("/", "internal.example.org")), "internal.example.org"),
  "proxy by hand: a Host that differs from the target": async (w) => {
    const answer = await talk(w, get(w.control ? "/" : "http://api.example.com/", "internal.example.org"));
    return stolen(answer, "internal.example.org");
  },
  "proxy by hand: two Hosts": async (w) => {
    const request = w.control
      ? get("/", "internal.example.org")
      : get("http://api.example.com/", "api.example.com", "Host: internal.example.org\n");
    return stolen(await talk(w, request), "internal.example.org");
  },
  "proxy by hand: CONNECT": async (w) => {
    const target = `api.example.com:80`;
    const answer = await talk(w, `CONNECT ${target} HTTP/1.1\nHost: ${target}\n\n` + get("/", "internal.example.org"));
    return stolen(answer, "internal.example.org");
  },
  "proxy by hand: CONNECT to loopback": async (w) => {
    const target = `127.0.0.1:${w.net.HTTP}`;
    return leak(await talk(w, `CONNECT ${target} HTTP/1.1\nHost: ${target}\n\n` + get("/", target)));
  },
  "proxy by hand: a request behind two lengths": async (w) => {
    const inner = get("http://other.example.org/", "other.example.org");
    const answer = await talk(
      w,
      `POST ${w.control ? "/redirect?to=/" : "http://api.example.com/redirect?to=/"} HTTP/1.1\nHost: api.example.com\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\n\n` + inner,
    );
    return stolen(answer, "other.example.org");
  },
  "proxy by hand: a line break in the target": async (w) => {
    const request = w.control
      ? get("/", "internal.example.org")
      : `GET http://api.example.com/\u0085x HTTP/1.1\nHost: api.example.com\nX: y\rHost: internal.example.org\nConnection: close\n\n`;
    return stolen(await talk(w, request), "internal.example.org");
  },
  "proxy by hand: user info": async (w) =>
    stolen(await talk(w, get("http://api.example.com@other.example.org/", "other.example.org")), "other.example.org"),
  "proxy by hand: another scheme": async (w) =>
    stolen(await talk(w, get(w.control ? "/" : "ftp://api.example.com/", "internal.example.org")), "internal.example.org"),
  "proxy by hand: a file": async (w) => {
    if (w.control) return leak(Deno.readTextFileSync(w.secret));
    return leak(await talk(w, get("file://" + w.secret, "localhost")));
  },

  // the socket itself
  "proxy socket: remove": (w) => {
    const path = w.proxy;
    Deno.renameSync(path, path + ".gone");
    Deno.renameSync(path + ".gone", path);
    return "moved";
  },
  "proxy socket: replace": (w) => {
    Deno.writeTextFileSync(w.proxy + ".new", "x");
    Deno.removeSync(w.proxy + ".new");
    return "made beside it";
  },
  "proxy socket: listen beside it": (w) => {
    Deno.listen({ transport: "unix", path: w.proxy + ".own" }).close();
    Deno.removeSync(w.proxy + ".own");
    return "listens";
  },
  "proxy socket: mode": (w) => {
    Deno.chmodSync(w.proxy, 0o777);
    return "changed";
  },

  // "any site" is no licence for this machine and its network
  "any: loopback by number": (w) => text(`http://127.0.0.1:${w.net.HTTP}/`),
  "any: loopback by name": (w) => text(`http://localhost:${w.net.HTTP}/`),
  "any: loopback by a longer name": (w) => text(`http://app.localhost:${w.net.HTTP}/`),
  "any: an address of this machine": (w) => text(`http://${w.net.OwnAddress}:${w.net.OwnHTTP}/`),
  "any: a v6 address of this machine": (w) => text(`http://[${w.net.OwnAddress6}]:${w.net.HTTP6}/`),
  "any: a name that leads to loopback": rebound("loopback"),
  "any: a name that leads to this machine": (w) => text(`http://own.wild.example.com:${w.net.OwnHTTP}/`),
  "any: by hand, loopback": async (w) => leak(await talk(w, get(`http://127.0.0.1:${w.net.HTTP}/`, `127.0.0.1:${w.net.HTTP}`))),
  "any: by hand, an address of this machine": async (w) =>
    leak(await talk(w, get(`http://${w.net.OwnAddress}:${w.net.OwnHTTP}/`, `${w.net.OwnAddress}:${w.net.OwnHTTP}`))),
  "any: by hand, [::ffff:127.0.0.1]": async (w) =>
    leak(await talk(w, get(`http://[::ffff:127.0.0.1]:${w.net.HTTP}/`, "x"))),
  "any: TCP": async (w) => (await Deno.connect({ hostname: "127.0.0.1", port: w.net.TCP })).close() ?? "connected",
  "any: an abstract socket": async (w) => leak(await collect(await Deno.connect({ transport: "unix", path: "\0" + w.net.Abstract }))),
  "any: listen": () => Deno.listen({ hostname: "0.0.0.0", port: 0 }).close() ?? "listens",
  "any: listen on an address of this machine": (w) => Deno.listen({ hostname: w.net.OwnAddress, port: 0 }).close() ?? "listens",
  "any: a module of a site": async (w) => leak((await import(`http://127.0.0.1:${w.net.HTTP}/module.js?any`)).default),
};
