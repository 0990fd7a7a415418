package sandbox

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"paddock/sandbox/entry"
	"paddock/sandbox/permission"
)

// Command is how Deno is started: nothing of the agent's environment is inherited.
type Command struct {
	Path string   // the executable
	Args []string // without the executable's name
	Env  []string // NAME=value
	Dir  string   // working folder
}

// appPort is the port an app believes to listen on when it does not ask for one. Nothing listens there.
const appPort = 8000

// Plan computes Deno's command line for s: the first wall. It is pure: the same spec gives the same command.
//
// The rules behind the flags, each found by experiment with Deno 2.9.6 (deno-facts.md, security.md 14):
//   - A bare --deny-X is there exactly when nothing of X is granted: deny beats allow. There is none for read, write
//     and net, of which the app's folders and its socket are always granted.
//   - The environment is hidden with --ignore-env, not denied: packages that look at it while loading then see nothing
//     instead of failing.
//   - --allow-import=127.0.0.1:1 replaces Deno's default list of sites; a bare --deny-import does nothing.
//   - Never a bare --allow-net: it also opens listening and abstract Unix sockets. See netValues for net:*.
func Plan(o Options, s Spec, p Paths) (Command, error) {
	if err := s.check(o); err != nil {
		return Command{}, err
	}
	read, write := []string{s.AppDir, s.DataDir}, []string{s.DataDir}
	for _, slot := range s.Slots {
		read = append(read, slot.Path)
		if slot.Write {
			write = append(write, slot.Path)
		}
	}
	var unix []string
	for _, socket := range []string{p.Socket, p.NodeSocket, p.Proxy} {
		if socket == "" {
			continue
		}
		if err := checkPath("the socket", socket); err != nil {
			return Command{}, err
		}
		read, write = append(read, socket), append(write, socket)
		unix = append(unix, "unix:"+socket)
	}
	net, denyNet := netValues(s.Allow, s.Deny)
	config, err := json.Marshal(s.entryConfig(p, o.OnMessage != nil))
	if err != nil {
		return Command{}, fmt.Errorf("the entry module's settings: %w", err)
	}

	args := []string{
		"run", "--quiet", "--no-prompt", "--no-config", "--no-lock", "--no-remote", "--no-npm", "--cached-only",
		"--node-modules-dir=none", "--allow-import=127.0.0.1:1",
		"--location=" + s.location(),
		fmt.Sprintf("--v8-flags=--max-old-space-size=%d", heapMiB(s.Budget)),
		"--allow-read=" + strings.Join(read, ","),
		"--allow-write=" + strings.Join(write, ","),
		"--allow-net=" + strings.Join(slices.Concat(unix, net), ","),
	}
	if len(denyNet) > 0 {
		args = append(args, "--deny-net="+strings.Join(denyNet, ","))
	}
	args = append(args, "--deny-run", "--deny-ffi")
	if sys := s.Allow.Diff(s.Deny).SysNames(); len(sys) > 0 {
		args = append(args, "--allow-sys="+strings.Join(sys, ","))
	} else {
		args = append(args, "--deny-sys")
	}
	args = append(args, "--ignore-env")
	if facts := s.sortedFacts(); len(facts) > 0 {
		args = append(args, "--allow-env="+strings.Join(facts, ","))
	}
	args = append(args, p.Entry.Entry, string(config))
	return Command{Path: o.Deno, Args: args, Env: s.environment(p), Dir: s.DataDir}, nil
}

// environment is all the variables Deno starts with.
func (s Spec) environment(p Paths) []string {
	temporary := filepath.Join(s.RuntimeDir, "tmp")
	env := []string{
		"LANG=C.UTF-8",
		"HOME=" + s.DataDir,
		"DENO_DIR=" + filepath.Join(s.RuntimeDir, "deno"),
		"DENO_NO_PROMPT=1",
		"DENO_NO_UPDATE_CHECK=1",
		"NO_COLOR=1",
		"TMPDIR=" + temporary,
		"SQLITE_TMPDIR=" + temporary,
	}
	if p.Proxy != "" {
		// Deno's fetch then speaks to the egress proxy in absolute form, over this socket and nothing else.
		env = append(env, "HTTP_PROXY=unix:"+p.Proxy, "HTTPS_PROXY=unix:"+p.Proxy)
	}
	if p.Audit != "" {
		env = append(env, "DENO_AUDIT_PERMISSIONS="+p.Audit)
	}
	for _, name := range s.sortedFacts() {
		env = append(env, name+"="+s.Facts[name])
	}
	return env
}

// entryConfig is the entry module's argument.
func (s Spec) entryConfig(p Paths, channel bool) entry.Config {
	app := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(s.AppDir, s.Entry))}
	c := entry.Config{
		Socket: p.Socket, NodeSocket: p.NodeSocket, App: app.String(), Data: s.DataDir, Port: appPort, Channel: channel,
		NodeOS: p.NodeSocket != "", Proxy: p.Proxy, NodeClient: p.NodeClient, Memory: s.Budget.WithDefaults().MemoryBytes,
		Sys: s.Allow.Diff(s.Deny).SysNames(), Slots: map[string]entry.Slot{},
	}
	if c.Sys == nil {
		c.Sys = []string{}
	}
	for _, slot := range s.Slots {
		c.Slots[slot.Name] = entry.Slot{Path: slot.Path, Write: slot.Write, Folder: slot.Folder}
	}
	return c
}

func (s Spec) location() string {
	if s.Location != "" {
		return s.Location
	}
	return "http://" + strings.ToLower(strings.NewReplacer(".", "-", "_", "-").Replace(s.ID)) + ".localhost/"
}

// heapMiB is V8's limit on the heap of one isolate. An idle Deno holds about 33 MB outside it, so that a heap that
// grows to its limit meets V8's own report of it before the watchdog.
func heapMiB(b Budget) int64 { return max(b.WithDefaults().MemoryBytes>>20-48, 32) }

// Address ranges, as Deno's flags know them: v4 only, v6 can be named one address at a time.
var (
	neverRanges = []string{"0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "[::]", "[::1]"}
	localRanges = []string{"10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"}
	// localNames are the endings that name devices of the local network (RFC 6762, RFC 8375, and habit).
	localNames = []string{"*.local", "*.lan", "*.home.arpa", "*.internal", "*.home", "*.localdomain"}
)

// netValues are the values of --allow-net, the sockets aside, and of --deny-net.
//
// Deno checks names before it resolves them and refusals again afterwards, for listening too; the refused ranges thus
// keep an allowed name that leads to 127.0.0.1 or to the local network from being reached or listened on, even
// without the proxy and the kernel wall.
//
// net:* has no spelling in Deno but the bare flag, which must not be used. What comes next is every top-level domain
// with a wildcard: "*.com" covers every host under com. Checking a name against 1,450 of them was measured at 0.03 ms.
// Addresses written as numbers and names without a public ending are thereby left out of "any site", as they should be.
func netValues(allow, deny permission.Set) (allowed, denied []string) {
	allow = allow.Diff(deny)
	if !allow.NeedsEgress() {
		return nil, nil
	}
	allowed = allow.DenoNet()
	if allow.AnyNet() {
		for _, tld := range topLevelDomains() {
			allowed = append(allowed, "*."+tld)
		}
	}
	denied = slices.Clone(neverRanges)
	if len(allow.OfKind(permission.LAN)) > 0 {
		allowed = slices.Concat(allowed, localRanges, localNames)
	} else {
		denied = append(denied, localRanges...)
	}
	return allowed, append(denied, deny.DenoNet()...)
}
