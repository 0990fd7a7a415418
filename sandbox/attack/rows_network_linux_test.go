package attack

import "slices"

const (
	abstractNames = "an app may take an abstract socket name when Deno's wall falls: Landlock keeps apps from connecting to them, not from binding them"
	ownFolder     = "an app may make more sockets in its own socket folder, which only the user can enter"
	localSockets  = "an app with network rights can reach sockets of local programs when Deno's wall falls, on kernels with a Landlock below ABI 9"
)

// networkRows are testdata/network.js: an app without any grant.
func networkRows() []row {
	const every = "issue 3: network by every API"
	return slices.Concat(
		group(row{origin: every},
			"fetch: 127.0.0.1", "fetch: localhost", "fetch: an address of this machine", "fetch: TLS",
			"fetch: a proxy of the app's own choice", "fetch: a proxy on a socket", "fetch: a proxy on TCP", "fetch: redirected",
			"fetch: from a worker", "EventSource", "WebSocket", "WebSocketStream", "import: a module of a site",
			"import: a worker of a site"),
		group(row{origin: "permissions.md: loopback in every spelling"},
			"fetch: 127.1", "fetch: 2130706433", "fetch: 0x7f.1", "fetch: 0.0.0.0", "fetch: [::ffff:127.0.0.1]", "fetch: [::1]"),
		group(row{origin: every},
			"Deno.connect: TCP", "Deno.connect: TCP by name", "Deno.connectTls", "Deno.startTls", "Deno.connect: a socket by path",
			"Deno.connect: a socket through /proc", "Deno.listenDatagram: send UDP", "Deno.listenDatagram: send to a path",
			"Deno.listenDatagram: join a multicast group", "net.connect: TCP", "net.connect: with an own look-up",
			"net.connect: a socket by path", "tls.connect", "http.get", "http.get: socketPath", "https.get", "http2.connect",
			"dns: Deno.resolveDns", "dns: node, a server of its own", "dns: node, look-up"),
		group(row{origin: every, seconds: 1}, "dgram: send", "listen: dgram"), // the error comes as an uncaught exception
		group(row{origin: every, witness: true}, "Deno.connectQuic", "WebTransport"),
		group(row{origin: "denoland/deno #24621: abstract sockets"},
			"Deno.connect: an abstract socket", "net.connect: an abstract socket"),
		group(row{origin: "security.md 2: the control socket and the session bus"}, "Deno.connect: the session bus"),
		group(row{origin: "deno-facts.md 1: the app's own socket"}, "Deno.connect: the app's own socket"),
		group(row{origin: "issue 3: app against app"}, "Deno.connect: another app's socket"),
		group(row{origin: "issue 3: listeners"},
			"listen: Deno.listen on loopback", "listen: Deno.listen on all", "listen: Deno.listen on ::", "listen: Deno.listenTls",
			"listen: Deno.listenDatagram", "listen: Deno.listen on a path", "listen: Deno.serve", "listen: net", "listen: net on a path", "listen: http",
			"listen: https", "listen: http2", "listen: tls", "listen: QUIC", "listen: the inspector"),
		group(row{origin: "issue 3: native code"},
			"socket: TCP", "socket: MPTCP", "socket: UDP", "socket: UDP over IPv6", "socket: netlink", "socket: vsock",
			"socket: Unix datagrams", "socket: abstract datagrams", "socket: a pair for datagrams",
			"socket: Unix by path", "socket: Unix by abstract name", "socket: bind in data"),
		group(row{origin: "denoland/deno #24621: abstract sockets", open: kernelOpen(abstractNames)},
			"listen: Deno.listen on an abstract name", "socket: bind an abstract name"),
		group(row{origin: "issue 3: listeners", open: kernelOpen(ownFolder)}, "listen: Deno.listen beside the own socket"),
	)
}
