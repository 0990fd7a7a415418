// Package egress is the only way out to the network for a running app: a proxy of its own on a Unix socket.
//
// Deno's fetch and WebSocket send absolute-form requests to it when HTTP_PROXY and HTTPS_PROXY are "unix:" and the
// path of the socket, for https: addresses too, so the proxy does the TLS itself and sees host, path, method and
// bytes.
//
//	proxy, err := egress.Listen(egress.Options{
//		Socket:  "/run/user/1000/paddock-…/i/…/out/s",
//		Policy:  egress.Policy{Allow: granted, Deny: denied},
//		OnEvent: record,
//	})
//	…
//	defer proxy.Close()
//
// It must not know: apps, manifests, grants and how they were given, windows, the store. It is handed two permission
// sets and tells what it did as events.
//
// # Guarantees
//
//   - A request goes out only to a host and port that a net permission in Allow names and none in Deny, or to a device
//     on the local network when lan is in Allow. The list is the same that the user saw.
//   - The address that was checked is the address that is dialled; the name is not resolved again in between. Loopback,
//     this computer's own addresses, metadata services, multicast, and everything else that is no site on the internet
//     are refused, however IPv6 wraps them. Private and directly connected networks need lan. See Refused. The only way
//     around is Options.Resolve, which the user writes on a command line.
//   - Host, server name (SNI) and framing of what goes out are made from the absolute target alone. One connection
//     carries one request, so there is no boundary between requests to be confused about.
//   - A redirect is passed back to the app; following it is a new request, checked like the first.
//   - What is refused is answered with a sentence that says what, why and what to do, and with the reason in the header
//     Paddock-Refused.
//   - Connections, waiting, header bytes, requests per second and idle time are bounded; Close ends everything.
//
// # Limits
//
// CONNECT is refused: there is no way out for what is not HTTP. Node's clients do not speak to a proxy in absolute form
// by themselves; the entry module makes them (sandbox/entry/outgoing.js). An allowed site can pass on whatever it
// is sent. A name that may be asked for is also looked up, which tells the name server so.
package egress
