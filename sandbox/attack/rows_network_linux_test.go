package attack

import "slices"

const (
	ownFolder = "an app may make more sockets in its own socket folder, which only the user can enter"
	listening = "where only Deno stands, an app may listen on an address that it may connect to: to Deno the two are one right"
)

// networkRows are testdata/network.js: an app without any grant.
func networkRows() []row {
	const every = "issue 3: network by every API"
	return slices.Concat(
		group(row{origin: every},
			"fetch: 127.0.0.1", "fetch: localhost", "fetch: an address of this machine", "fetch: TLS",
			"fetch: redirected",
			"fetch: from a worker", "EventSource", "WebSocket", "WebSocketStream", "import: a module of a site",
			"import: a worker of a site"),
		group(row{origin: "denoland/deno #35231, #36217: a client's proxy without the right to it"},
			"fetch: a proxy of the app's own choice", "fetch: a proxy on a socket", "fetch: a proxy on TCP"),
		group(row{origin: "GHSA-rjhc-mq2r-fp9w: Unix sockets by the right to a file"}, "Deno.connect: a socket by path"),
		group(row{origin: "permissions.md: loopback in every spelling"},
			"fetch: 127.1", "fetch: 2130706433", "fetch: 0x7f.1", "fetch: 0.0.0.0", "fetch: [::ffff:127.0.0.1]", "fetch: [::1]"),
		group(row{origin: every},
			"Deno.connect: TCP", "Deno.connect: TCP by name", "Deno.connectTls", "Deno.startTls",
			"Deno.connect: a socket through /proc", "Deno.listenDatagram: send UDP", "Deno.listenDatagram: send to a path",
			"Deno.listenDatagram: join a multicast group", "net.connect: TCP", "net.connect: with an own look-up",
			"net.connect: a socket by path", "tls.connect", "http.get", "http.get: socketPath", "https.get", "http2.connect",
			"dns: Deno.resolveDns", "dns: node, a server of its own", "dns: node, look-up"),
		group(row{origin: every, seconds: 0.4}, "dgram: send", "listen: dgram"), // the error comes as an uncaught exception
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
		group(row{origin: "denoland/deno #24621: abstract sockets"},
			"listen: Deno.listen on an abstract name", "socket: bind an abstract name"),
		group(row{origin: "issue 3: listeners", open: kernelOpen(ownFolder)}, "listen: Deno.listen beside the own socket"),
	)
}

// egressRows are testdata/egress.js: an app with grants.
func egressRows() []row {
	const (
		rebinding = "denoland/deno #21227, GHSA-cpgj-f7g3-2pp2 (CVE-2026-49859): an allowed name that leads to a private address"
		byHand    = "security.md 9: abuse of the proxy"
		anySite   = "issue 3: own addresses and on-link hosts under net:*"
	)
	return slices.Concat(
		group(row{origin: rebinding, grants: some},
			"rebinding: 127.0.0.1", "rebinding: 127.7.7.7", "rebinding: 0.0.0.0", "rebinding: ::", "rebinding: ::ffff:127.0.0.1",
			"rebinding: ::127.0.0.1", "rebinding: 64:ff9b::7f00:1", "rebinding: 2002:7f00:1::", "rebinding: an answer that changes"),
		group(row{origin: "GHSA-83pc-3rw9-qpwj (CVE-2026-49860): the same by WebSocket", grants: some}, "rebinding: by WebSocket"),
		group(row{origin: rebinding, grants: some, optional: "no IPv6 here"},
			"rebinding: ::1", "rebinding: a v6 address of this machine"),
		group(row{origin: rebinding, grants: some, optional: "no address but loopback here"},
			"rebinding: an address of this machine", "rebinding: a host on the same network"),
		group(row{origin: "GHSA-fhjh-jqv7-m238: a look-up's token", grants: some}, "socket: an own look-up with a stolen token"),
		group(row{origin: "issue 3: redirects", grants: some},
			"redirect: to loopback", "redirect: to a host that is not granted", "redirect: to a name that leads to loopback"),
		group(row{origin: "issue 3: network by every API", grants: some},
			"other host: fetch", "other port: fetch", "loopback: fetch", "proxy: one of the app's own",
			"proxy: node:http to loopback", "socket: net.connect to loopback"),
		group(row{origin: "security.md 9: proxy variables at run time", grants: some},
			"proxy variables: set at run time", "proxy variables: NO_PROXY at run time"),
		group(row{origin: "security.md 2: the control socket and the session bus", grants: some},
			"socket: the control socket", "socket: the session bus", "socket: another app's"),
		group(row{origin: "the wall leads every connect to the proxy", grants: some, seconds: 1},
			"socket: a path as long as the proxy's", "socket: an abstract name as long as the proxy's path",
			"socket: a path as long as the proxy's, by native code"),
		group(row{origin: "denoland/deno #24621: abstract sockets", grants: some}, "socket: an abstract one"),
		group(row{
			origin: "denoland/deno #2705: a right to connect is a right to listen", grants: some, open: denoOpen(listening),
			optional: "no address but loopback here",
		}, "listen: on a granted address"),
		group(row{origin: "denoland/deno #2705: a right to connect is a right to listen", grants: some}, "listen: on a granted name"),
		group(row{origin: byHand, grants: some},
			"proxy by hand: another host", "proxy by hand: loopback", "proxy by hand: loopback as a number",
			"proxy by hand: a Host that differs", "proxy by hand: a Host that differs from the target", "proxy by hand: two Hosts",
			"proxy by hand: CONNECT", "proxy by hand: CONNECT to loopback", "proxy by hand: a request behind two lengths",
			"proxy by hand: a line break in the target", "proxy by hand: user info", "proxy by hand: another scheme",
			"proxy by hand: a file"),
		group(row{origin: anySite, grants: every},
			"any: loopback by number", "any: loopback by name", "any: loopback by a longer name", "any: a name that leads to loopback",
			"any: by hand, loopback", "any: by hand, [::ffff:127.0.0.1]", "any: TCP", "any: an abstract socket", "any: listen",
			"any: a module of a site"),
		group(row{origin: anySite, grants: every, optional: "no IPv6 address but loopback here"}, "any: a v6 address of this machine"),
		group(row{origin: anySite, grants: every, optional: "no address but loopback here"},
			"any: an address of this machine", "any: a name that leads to this machine", "any: by hand, an address of this machine",
			"any: listen on an address of this machine"),
	)
}
