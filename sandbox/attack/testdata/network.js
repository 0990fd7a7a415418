// Reaching what the app was not given, and being reached.
import dgram from "node:dgram";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import { bytes, call, collect, event, fresh, leak, must, script } from "./kit.js";

const text = async (url, options) => leak(await (await fetch(url, options)).text());
const port = (w) => w.net.HTTP;

async function read(conn) {
  try {
    return leak(await collect(conn));
  } finally {
    conn.close();
  }
}

// inTheWay wants fn to fail as it does when a name is taken.
function inTheWay(fn, how) {
  try {
    fn();
  } catch (error) {
    return must(how.test(String(error)), String(error));
  }
  throw new Error("the name is not taken here");
}

// received is the text that a node stream brings.
const received = (stream) =>
  new Promise((resolve, reject) => {
    let all = "";
    stream.on("data", (d) => {
      all += d;
      if (all.includes("SECRET")) {
        stream.destroy?.();
        resolve(leak(all));
      }
    });
    stream.on("end", () => reject(new Error("no secret: " + all.slice(0, 60))));
    stream.on("error", reject);
  });

const got = (request) =>
  new Promise((resolve, reject) => {
    request.on("response", (r) => received(r).then(resolve, reject));
    request.on("error", reject);
  });

// listening succeeds when somebody else could connect.
async function listening(server, ...where) {
  const ready = event(server, "listening");
  server.listen(...where);
  await ready;
  const address = server.address();
  const conn = typeof address === "string" ? net.connect(address) : net.connect(address.port, "127.0.0.1");
  try {
    await event(conn, "connect");
    return "listens on " + JSON.stringify(address);
  } finally {
    conn.destroy();
    server.close();
  }
}

const closed = (thing) => (thing.close(), "done");

const sockaddr = (w) => { // struct sockaddr_in of the HTTP server
  const a = new Uint8Array(16);
  const v = new DataView(a.buffer);
  v.setUint16(0, 2, true);
  v.setUint16(2, w.net.HTTP);
  a.set([127, 0, 0, 1], 4);
  return a;
};

const sockaddrUnix = (path) => {
  const name = new TextEncoder().encode(path);
  const a = new Uint8Array(2 + name.length + (path.startsWith("\0") ? 0 : 1));
  a[0] = 1;
  a.set(name, 2);
  return a;
};

export default {
  "fetch: 127.0.0.1": (w) => text(`http://127.0.0.1:${port(w)}/`),
  "fetch: localhost": (w) => text(`http://localhost:${port(w)}/`),
  "fetch: 127.1": (w) => text(`http://127.1:${port(w)}/`),
  "fetch: 2130706433": (w) => text(`http://2130706433:${port(w)}/`),
  "fetch: 0x7f.1": (w) => text(`http://0x7f.1:${port(w)}/`),
  "fetch: 0.0.0.0": (w) => text(`http://0.0.0.0:${port(w)}/`),
  "fetch: [::ffff:127.0.0.1]": (w) => text(`http://[::ffff:127.0.0.1]:${port(w)}/`),
  "fetch: [::1]": (w) => text(`http://[::1]:${w.net.HTTP6}/`),
  "fetch: an address of this machine": (w) => text(`http://${w.net.OwnAddress}:${w.net.OwnHTTP}/`),
  "fetch: TLS": (w) =>
    text(`https://127.0.0.1:${w.net.TLS}/`, { client: Deno.createHttpClient({ caCerts: [w.net.Authority] }) }),
  "fetch: a proxy of the app's own choice": (w) =>
    text("http://example.com/", { client: Deno.createHttpClient({ proxy: { url: "http://" + w.net.OpenProxy } }) }),
  "fetch: a proxy on a socket": (w) =>
    text("http://example.com/", { client: Deno.createHttpClient({ proxy: { transport: "unix", path: w.net.Control } }) }),
  "fetch: a proxy on TCP": (w) =>
    text("http://example.com/", {
      client: Deno.createHttpClient({
        proxy: { transport: "tcp", hostname: "127.0.0.1", port: Number(w.net.OpenProxy.split(":")[1]) },
      }),
    }),
  "fetch: redirected": (w) => text(`http://127.0.0.1:${port(w)}/redirect?to=/`),
  "fetch: from a worker": async (w) =>
    leak(
      await new Promise((resolve, reject) => {
        const worker = new Worker(
          script(`fetch("http://127.0.0.1:${port(w)}/").then((r) => r.text()).then(postMessage, (e) => postMessage(String(e)))`),
          { type: "module" },
        );
        worker.onmessage = (m) => (worker.terminate(), resolve(m.data));
        worker.onerror = (e) => (e.preventDefault(), reject(new Error(e.message)));
      }),
    ),
  "EventSource": (w) =>
    new Promise((resolve, reject) => {
      const source = new EventSource(`http://127.0.0.1:${port(w)}/events`);
      source.onmessage = (m) => (source.close(), resolve(leak(m.data)));
      source.onerror = (e) => (source.close(), reject(new Error(e.message ?? "refused")));
    }),
  "WebSocket": (w) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port(w)}/ws`);
      socket.onmessage = (m) => (socket.close(), resolve(leak(m.data)));
      socket.onerror = (e) => reject(new Error(e.message ?? "refused"));
    }),
  "WebSocketStream": async (w) => {
    const stream = new WebSocketStream(`ws://127.0.0.1:${port(w)}/ws`);
    const { readable } = await stream.opened;
    return leak((await readable.getReader().read()).value);
  },
  "import: a module of a site": async (w) => leak((await import(`http://127.0.0.1:${port(w)}/module.js`)).default),
  "import: a worker of a site": async (w) => {
    const text = `import t from "http://127.0.0.1:${port(w)}/module.js?worker"; postMessage(t);`;
    return leak(
      await new Promise((resolve, reject) => {
        const worker = new Worker(script(text), { type: "module" });
        worker.onmessage = (m) => (worker.terminate(), resolve(m.data));
        worker.onerror = (e) => (e.preventDefault(), reject(new Error(e.message)));
      }),
    );
  },

  "Deno.connect: TCP": async (w) => await read(await Deno.connect({ hostname: "127.0.0.1", port: w.net.TCP })),
  "Deno.connect: TCP by name": async (w) => await read(await Deno.connect({ hostname: "localhost", port: w.net.TCP })),
  "Deno.connectTls": async (w) =>
    closed(await Deno.connectTls({ hostname: "127.0.0.1", port: w.net.TLS, caCerts: [w.net.Authority] })),
  "Deno.startTls": async (w) =>
    closed(await Deno.startTls(await Deno.connect({ hostname: "127.0.0.1", port: w.net.TLS }), { hostname: "127.0.0.1", caCerts: [w.net.Authority] })),
  "Deno.connect: a socket by path": async (w) => await read(await Deno.connect({ transport: "unix", path: w.net.Control })),
  "Deno.connect: the session bus": async (w) => await read(await Deno.connect({ transport: "unix", path: w.net.Bus })),
  "Deno.connect: an abstract socket": async (w) => await read(await Deno.connect({ transport: "unix", path: "\0" + w.net.Abstract })),
  "Deno.connect: the app's own socket": async (w) => closed(await Deno.connect({ transport: "unix", path: w.socket })),
  "Deno.connect: another app's socket": async (w) => closed(await Deno.connect({ transport: "unix", path: w.neighbour.socket })),
  "Deno.connect: a socket through /proc": async (w) =>
    await read(await Deno.connect({ transport: "unix", path: "/proc/self/root" + w.net.Control })),
  "Deno.listenDatagram: send UDP": async (w) => {
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
    try {
      return must(await socket.send(new Uint8Array(3), { transport: "udp", hostname: "127.0.0.1", port: w.net.UDP }));
    } finally {
      socket.close();
    }
  },
  "Deno.listenDatagram: send to a path": async (w) => {
    const socket = Deno.listenDatagram({ transport: "unixpacket", path: fresh(w.data) });
    try {
      return must(await socket.send(new Uint8Array(3), { transport: "unixpacket", path: w.net.Datagrams }));
    } finally {
      socket.close();
    }
  },
  "Deno.listenDatagram: join a multicast group": async () => {
    const socket = Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 });
    try {
      return must(await socket.joinMulticastV4("224.0.0.251", "127.0.0.1"));
    } finally {
      socket.close();
    }
  },
  "Deno.connectQuic": (w) =>
    void Deno.connectQuic({ hostname: "127.0.0.1", port: w.net.UDP, alpnProtocols: ["h3"] }).catch(() => {}) ?? "sent",
  "WebTransport": (w) => {
    const t = new WebTransport(`https://127.0.0.1:${w.net.UDP}/`);
    t.ready.catch(() => {});
    t.closed.catch(() => {});
    return "sent";
  },

  "net.connect: TCP": async (w) => await received(net.connect(w.net.TCP, "127.0.0.1")),
  "net.connect: with an own look-up": async (w) =>
    await received(net.connect({ port: w.net.TCP, host: "x.example", lookup: (_h, _o, done) => done(null, [{ address: "127.0.0.1", family: 4 }]) })),
  "net.connect: a socket by path": async (w) => await received(net.connect(w.net.Control)),
  "net.connect: an abstract socket": async (w) => await received(net.connect("\0" + w.net.Abstract)),
  "tls.connect": async (w) => {
    const socket = tls.connect(w.net.TLS, "127.0.0.1", { ca: w.net.Authority });
    await event(socket, "secureConnect");
    socket.destroy();
    return "connected";
  },
  "http.get": (w) => got(http.get(`http://127.0.0.1:${port(w)}/`)),
  "http.get: socketPath": (w) => got(http.get({ socketPath: w.net.Control, path: "/" })),
  "https.get": (w) => got(https.get({ hostname: "127.0.0.1", port: w.net.TLS, ca: w.net.Authority })),
  "http2.connect": (w) =>
    new Promise((resolve, reject) => {
      const session = http2.connect(`https://127.0.0.1:${w.net.TLS}`, { ca: w.net.Authority });
      session.on("error", reject);
      const request = session.request({ ":path": "/" });
      request.on("error", reject);
      received(request).then((t) => (session.destroy(), resolve(t)), reject);
    }),
  "dgram: send": (w) =>
    new Promise((resolve, reject) => {
      const socket = dgram.createSocket("udp4");
      socket.on("error", reject);
      socket.send("x", w.net.UDP, "127.0.0.1", (e) => (socket.close(), e ? reject(e) : resolve("sent")));
    }),

  "dns: Deno.resolveDns": async (w) =>
    must((await Deno.resolveDns("leaked.example.com", "A", { nameServer: { ipAddr: "127.0.0.1", port: w.net.DNS } })).length),
  "dns: node, a server of its own": async (w) => {
    const { Resolver } = (await import("node:dns")).promises;
    const resolver = new Resolver();
    resolver.setServers([`127.0.0.1:${w.net.DNS}`]);
    return must((await resolver.resolve4("leaked.example.com")).length);
  },
  "dns: node, look-up": async () => must((await (await import("node:dns")).promises.lookup("localhost")).address),

  // listening
  "listen: Deno.listen on loopback": () => closed(Deno.listen({ hostname: "127.0.0.1", port: 0 })),
  "listen: Deno.listen on all": () => closed(Deno.listen({ port: 0 })),
  "listen: Deno.listen on ::": () => closed(Deno.listen({ hostname: "::", port: 0 })),
  "listen: Deno.listenTls": (w) => closed(Deno.listenTls({ port: 0, cert: w.net.Certificate, key: w.net.Key })),
  "listen: Deno.listenDatagram": () => closed(Deno.listenDatagram({ transport: "udp", hostname: "0.0.0.0", port: 0 })),
  "listen: Deno.listen on a path": (w) => closed(Deno.listen({ transport: "unix", path: fresh(w.data) })),
  // a name counts as taken where the machine's other names are in the way
  "listen: Deno.listen on an abstract name": (w) => {
    closed(Deno.listen({ transport: "unix", path: "\0" + w.net.Abstract + "-listen" }));
    return inTheWay(() => closed(Deno.listen({ transport: "unix", path: "\0" + w.net.Abstract })), /in use/i);
  },
  "listen: Deno.listen beside the own socket": (w) => closed(Deno.listen({ transport: "unix", path: fresh(w.sockets) })),
  "listen: Deno.serve": () =>
    new Promise((resolve, reject) => {
      const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: (a) => (setTimeout(() => server.shutdown()), resolve(a.port)) }, () => new Response());
      server.finished.catch(reject);
    }),
  "listen: net": () => listening(net.createServer(), 0),
  "listen: net on a path": (w) => listening(net.createServer(), fresh(w.data)),
  "listen: http": () => listening(http.createServer(), 0),
  "listen: https": (w) => listening(https.createServer({ cert: w.net.Certificate, key: w.net.Key }), 0),
  "listen: http2": () => listening(http2.createServer(), 0),
  "listen: tls": (w) => listening(tls.createServer({ cert: w.net.Certificate, key: w.net.Key }), 0),
  "listen: dgram": () =>
    new Promise((resolve, reject) => {
      const socket = dgram.createSocket("udp4");
      socket.on("error", reject);
      socket.bind(0, () => (socket.close(), resolve("bound")));
    }),
  "listen: QUIC": () => closed(new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 })),
  "listen: the inspector": async (w) => {
    const inspector = await import("node:inspector");
    inspector.open(w.net.OwnPort, "127.0.0.1");
    inspector.close();
    return "opened";
  },

  // sockets by native code
  "socket: TCP": (w) => must(call("connect", call("socket", 2, 1, 0), sockaddr(w), 16) === 0),
  "socket: MPTCP": () => call("socket", 2, 1, 262),
  "socket: UDP": (w) => call("sendto", call("socket", 2, 2, 0), bytes("x"), 1, 0, sockaddr({ net: { HTTP: w.net.UDP } }), 16),
  "socket: UDP over IPv6": () => call("socket", 10, 2, 0),
  "socket: netlink": () => call("socket", 16, 3, 0),
  "socket: vsock": () => call("socket", 40, 1, 0),
  "socket: Unix datagrams": (w) => {
    const to = sockaddrUnix(w.net.Datagrams);
    return call("sendto", call("socket", 1, 2, 0), bytes("x"), 1, 0, to, to.length);
  },
  "socket: abstract datagrams": (w) => {
    const to = sockaddrUnix("\0" + w.net.AbstractDatagrams);
    return call("sendto", call("socket", 1, 2, 0), bytes("x"), 1, 0, to, to.length);
  },
  "socket: a pair for datagrams": () => call("socketpair", 1, 2, 0, new Int32Array(2)) === 0,
  "socket: Unix by path": (w) => {
    const to = sockaddrUnix(w.net.Control);
    return call("connect", call("socket", 1, 1, 0), to, to.length) === 0;
  },
  "socket: Unix by abstract name": (w) => {
    const to = sockaddrUnix("\0" + w.net.Abstract);
    return call("connect", call("socket", 1, 1, 0), to, to.length) === 0;
  },
  "socket: bind in data": (w) => {
    const to = sockaddrUnix(fresh(w.data));
    return call("bind", call("socket", 1, 1, 0), to, to.length) === 0;
  },
  "socket: bind an abstract name": (w) => {
    const bind = (name) => call("bind", call("socket", 1, 1, 0), sockaddrUnix(name), sockaddrUnix(name).length);
    bind("\0" + w.net.Abstract + "-bound");
    return inTheWay(() => bind("\0" + w.net.Abstract), /98/); // EADDRINUSE
  },
};
