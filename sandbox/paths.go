package sandbox

import (
	"fmt"
	"path/filepath"
	"runtime"

	"paddock/sandbox/entry"
)

// maxSocketPath is what fits into a Unix socket address: 108 bytes with the ending zero on Linux.
const maxSocketPath = 107

// socketsName is the name of the folder of an instance's own sockets. It is short because their paths must be.
const socketsName = "s"

// Paths are the places of one instance that the supervisor chooses.
type Paths struct {
	Entry      entry.Files
	Dir        string // the instance's folder, 0700
	Sockets    string // Dir/s: the instance's own sockets
	Socket     string // Sockets/app.sock
	NodeSocket string // Sockets/node.sock, or "" when the app has no node:http
	Proxy      string // Dir/p/proxy.sock, alone in its folder, or "" without egress
	NodeClient bool   // the app mentions one of Node's clients of the network, and has a Proxy
	Audit      string // Dir/audit, the pipe on which Deno reports; "" for none: see withAudit
}

// PathsOf is where an instance of s has its sockets. node says whether the app may listen with node:http.
func PathsOf(o Options, s Spec, node bool) (Paths, error) {
	p := Paths{Entry: entry.At(o.EntryDir), Dir: filepath.Join(o.SocketDir, s.ID)}
	p.Sockets = filepath.Join(p.Dir, socketsName)
	p.Socket = filepath.Join(p.Sockets, "app.sock")
	if node {
		p.NodeSocket = filepath.Join(p.Sockets, "node.sock")
	}
	if s.Allow.NeedsEgress() {
		p.Proxy = filepath.Join(p.Dir, "p", "proxy.sock")
	}
	for _, path := range []string{p.Socket, p.NodeSocket, p.Proxy} {
		if len(path) > maxSocketPath {
			return Paths{}, fmt.Errorf("the socket path %s is %d bytes long and the limit is %d: use a shorter runtime folder",
				path, len(path), maxSocketPath)
		}
	}
	return p, nil
}

// withAudit is p with a pipe for reports, which has to be there when Deno starts. Windows has no pipes that Deno could
// open as a file.
func (p Paths) withAudit() Paths {
	if runtime.GOOS != "windows" {
		p.Audit = filepath.Join(p.Dir, "audit")
	}
	return p
}
