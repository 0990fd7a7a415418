// Package gateway is the front door: the only listener on the machine, between the browser and the apps.
//
// Each install has an origin of its own, http://LABEL.localhost:PORT, served from one port on 127.0.0.1 and ::1; for
// browsers that do not resolve such names it can be an address of its own, http://127.X.Y.Z:PORT.
//
//	g, err := gateway.Listen(gateway.Options{Backend: app, Sessions: store})
//	g.Set(gateway.App{Install: "i1", Label: "notes-k3v9q2ab", Name: "Notes", Mode: "server", Allow: granted})
//	url, appURL, err := g.Mint("i1") // links that open the app once, within 30 seconds: for a browser, for a tool
//	defer g.Close()
//
// Every request passes the same checks, cheapest and strictest first: peer user (at accept), form of the target,
// exact Host, reserved paths, cross-origin rules, session. Only then is the app woken and the request forwarded;
// what comes back passes an allow list of headers and gets the policy made from the app's grants. Paths with a
// segment ".paddock" belong to the host and never reach an app.
//
// Guarantees: no app code runs and no app is woken without a session; a cookie, token or header of one app is
// worth nothing at another; Set with other grants changes the policy of the next response; one app that hangs
// or floods uses up its own slots only; whatever an app answers, others are not affected.
//
// A browser shows an app's page in a frame of the host's shell page, which is an origin of its own,
// http://shell.LABEL.localhost:PORT, or the port beside the app's at its own address; SHELL.md says why, what that
// closes in which browser and what it does not.
//
// Not stopped here: WebRTC and connecting ahead to a name from a page. Where the owner of a connection cannot be
// looked up (anywhere but Linux), PeerCheck says so, and LinkFile hides a link from other users until it is spent. A
// client that sends both Content-Length and Transfer-Encoding is not refused but re-framed: the standard library drops
// the length, and the app sees exactly one request.
//
// It must not know the store, processes, manifests or windows: an app is whatever Backend hands out.
package gateway
