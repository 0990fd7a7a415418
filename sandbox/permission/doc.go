// Package permission is the vocabulary of what an app may do, and the whole policy over it.
//
// It must not know: files, processes, sockets, the store, windows. It does no input or output at all, so
// everything here is a pure function that tests can call a million times. It imports the standard library and
// golang.org/x/net/idna only.
//
// # The words
//
// A [Permission] is a kind and a scope, written "kind" or "kind:scope":
//
//	net:api.example.com        one site, port 443
//	net:api.example.com:8443   one site on another port
//	net:*.example.com          example.com and every name under it
//	net:*                      any site on the internet (private addresses stay refused)
//	net:[2606:4700::1111]      one public address
//	lan                        devices on the local network, never this computer itself
//	files:notes                the file or folder that the user picked for the slot "notes"
//	sys:hostname               one fact about this computer
//	browser:camera             one ability of the app's page
//	background                 work with no page open
//	notifications, links       show notices, open links
//
// run, ffi, import, env, read, write and net-listen exist in Deno but are never granted ([ErrNeverGrantable]).
//
// [Parse] is the only way in. What it returns is canonical: lower-case punycode names without a trailing dot,
// addresses in one spelling, the default port dropped. So two permissions mean the same exactly when they are
// equal with ==, and Parse(p.String()) returns p. This computer is refused in every spelling ("127.1",
// "0x7f.0.0.1", "2130706433", "localhost."), not matched as a name.
//
// A [Request] is what an app's manifest asks for, a [Grant] is what the user answered, and [Resolve] turns both
// into what is allowed, denied or still to be asked. Start reading there: resolve.go.
//
//	requests := []permission.Request{{Permission: weather, Reason: "to show the forecast"}}
//	r := permission.Resolve(requests, grants)
//	if r.Ask.Len() > 0 { … ask the user … }
//	flags := "--allow-net=" + strings.Join(r.Allow.DenoNet(), ",")
//
// # Guarantees
//
//   - The zero values are safe: a zero [Decision] asks, a zero [Lifetime] ends with the session, a zero [Access]
//     gives no access, a zero [Set] allows nothing.
//   - Nothing that was not requested is ever allowed; a denial wins over any number of grants; a wider permission
//     never arises from narrower ones. Property tests hold all three.
//   - Wider and narrower are decided in one place, [Permission.Covers].
//   - Each kind is one row in table.go, which yields its scope syntax, sentence, risk, Deno flag and page headers.
//     A new kind is a new row.
//
// # Limits
//
// Names are compared as names: whether a name leads to a private address is known only after resolution, and that
// check belongs to the outgoing proxy. Whether a picked path is a link, or holds program code, needs the disk, and
// belongs to the caller; [CheckSlotPath] and [RiskOfPath] judge the text of a path only.
package permission
