// Package wall is the second wall around an app: what the kernel enforces on its process, whatever happens inside it.
//
// A [Plan] is pure data: package sandbox builds it, golden tests print it, and it travels as JSON to paddock-launch,
// which calls [Apply] on itself and so becomes the app's Deno. What can be enforced differs between kernels; Apply
// reports what it really did as an [Applied], from the Landlock ABI number and from results of system calls, never
// from what was wished for, and [Applied.Level] puts it into one word and names the doors that stay open.
//
// Layers, in the order in which they are put up: own session and parent-death signal, resource limits, a view of its
// own (user, mount, network and name namespaces), no capabilities, no_new_privs, Landlock, seccomp with an execve that
// is possible exactly once. One part of the wall stays outside the process: on Linux a Redirect in the agent answers
// its connects.
//
// The view is made by paddock-launch itself and not by bubblewrap, which does the same with the same system calls: so
// there is no second program to find, no monitor process between agent and app, the process id, the parent-death signal
// and the exit code stay the app's, what is mounted and what Landlock allows come from one list, and every app gets it,
// not only those with a way to the network. bubblewrap 0.8 with the same mounts took 3.2 ms at best and 9.7 ms at the
// median of a busy machine; figures for this one are at BenchmarkLaunch in package sandbox.
//
// The package must not know apps, manifests, permissions or Deno's flags: it knows paths, numbers and system calls.
package wall

import (
	"errors"
	"fmt"
)

// Descriptors on which paddock-launch finds its work: it reads the plan from one and reports on the other.
const (
	PlanFD   = 3 // one JSON document, then end of file
	StatusFD = 4 // a Unix socket: JSON lines, the last an Applied; end of file after it means that execve worked
)

// MaxPlanBytes bounds a plan document.
const MaxPlanBytes = 4 << 20

// Plan is everything paddock-launch needs to turn itself into a confined program.
type Plan struct {
	Parent   int       `json:"parent"`   // process id that must still be the parent; 0 skips the check and the parent-death signal
	Exec     Exec      `json:"exec"`     // what to become
	Limits   Limits    `json:"limits"`   // resource limits
	Landlock *Landlock `json:"landlock"` // nil: no file wall (measuring only)
	Seccomp  *Seccomp  `json:"seccomp"`  // nil: no system call wall (measuring only)
	View     *View     `json:"view"`     // nil: the agent's own view of files, network and names
	Require  Level     `json:"require"`  // refuse to start when less than this can be had
}

// Exec is the program to become. The environment is used as it is and nothing is inherited.
type Exec struct {
	Path string   `json:"path"` // absolute
	Args []string `json:"args"` // argv, the name included
	Env  []string `json:"env"`
	Dir  string   `json:"dir"` // working folder, absolute
}

// Limits are the process's resource limits. Soft and hard are the same, and the seccomp wall keeps them so. Core
// dumps and POSIX message queues are always 0.
type Limits struct {
	DataBytes int64 `json:"data_bytes"` // RLIMIT_DATA; 0 leaves it alone
	FileBytes int64 `json:"file_bytes"` // RLIMIT_FSIZE: the largest file; 0 leaves it alone
	OpenFiles int64 `json:"open_files"` // RLIMIT_NOFILE; 0 leaves it alone
}

// Landlock is the list of what the process may reach in the file system; everything else is refused, and so are TCP
// ports, abstract sockets and signals to others where the kernel can refuse them.
type Landlock struct {
	Rules []Rule `json:"rules"`
}

// Rule opens one file or one folder with all it contains. Rights add up along a path: a folder inside a readable one
// is readable too.
type Rule struct {
	Path     string `json:"path"`
	Role     Role   `json:"role"`
	Optional bool   `json:"optional,omitempty"` // a missing path is no error
}

// Role names a set of rights. No role both writes and executes.
type Role string

// The roles of a Rule.
const (
	RunFile   Role = "run-file"   // read and execute one file
	LoadFile  Role = "load-file"  // read one shared library and map it as code
	ReadFile  Role = "read-file"  // read one file
	WriteFile Role = "write-file" // read, write and truncate one file
	ReadTree  Role = "read-tree"  // read files and list folders
	WriteTree Role = "write-tree" // read, write, make and remove files and folders; no links, sockets, devices, no execute
	Listen    Role = "listen"     // make sockets in the folder, nothing else: not even removing them
	Connect   Role = "connect"    // connect to the sockets in the folder, where the kernel asks (ABI 9)
)

// Seccomp chooses among the variants of the system call wall. The refusal list itself is fixed: see refusals.
type Seccomp struct {
	// ConnectTo is the one Unix socket that the process may connect to: its egress proxy's. "" refuses connect. Where
	// the kernel can (see Redirect), connect does not reach the kernel's own code at all and always leads there;
	// elsewhere it is allowed, to any Unix socket that Landlock does not refuse.
	ConnectTo string `json:"connect_to"`
	Watch     bool   `json:"watch"` // may watch files for changes (inotify, which Landlock does not see)
}

// View gives the process namespaces of its own: a file system that holds what Landlock's rules name and nothing else,
// no network interfaces and no abstract sockets, and a machine name. It needs Linux 5.12 and an agent that may make user
// namespaces. Where that cannot be had the process starts without, and Applied says why.
type View struct {
	// Why there is none: the agent could get no user namespace. "" when it got one.
	Why string `json:"why,omitempty"`
	// Hostname is what the process takes for the machine's name; "" leaves it the real one.
	Hostname string `json:"hostname"`
}

// Level says in one word how much of the wall holds.
type Level uint8

// The levels, weakest first.
const (
	None    Level = iota // nothing was asked for
	Basic                // Deno's permissions and the watchdog only
	Partial              // both kernel walls, with an open door that is named
	Full                 // both kernel walls, no open door known
)

var levelNames = []string{"none", "basic", "partial", "full"}

// String is the word for l.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return fmt.Sprintf("level %d", uint8(l))
}

// MarshalText writes the word.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the word.
func (l *Level) UnmarshalText(text []byte) error {
	for i, name := range levelNames {
		if name == string(text) {
			*l = Level(i)
			return nil
		}
	}
	return fmt.Errorf("unknown level %q: use none, basic, partial or full", text)
}

// Applied is what paddock-launch did to itself, reported just before it became the program, or why it gave up.
type Applied struct {
	LandlockABI int    `json:"landlock_abi"` // 0: the kernel has none or it was not asked for
	LandlockWhy string `json:"landlock_why,omitempty"`
	View        bool   `json:"view"` // the process sees the plan's paths and nothing else, and has no network
	ViewWhy     string `json:"view_why,omitempty"`
	Seccomp     bool   `json:"seccomp"`
	SeccompWhy  string `json:"seccomp_why,omitempty"`
	Redirect    bool   `json:"redirect,omitempty"` // connect was tried, and the agent answered it
	RedirectWhy string `json:"redirect_why,omitempty"`
	NoCaps      bool   `json:"no_caps"`         // all capabilities are gone, the bounding set is empty where that was allowed
	Error       string `json:"error,omitempty"` // the launch failed here
}

// ABI numbers of Landlock from which on it refuses what its name says (kernel documentation, userspace-api/landlock).
const (
	TruncateABI = 3 // emptying a file
	UnixABI     = 9 // connecting to a Unix socket by its path

	abiRefer  = 2
	abiTCP    = 4
	abiIoctl  = 5
	abiScopes = 6
	abiUDP    = 10
)

// Level is the word for what a holds of the plan p, with the doors that stay open, each a phrase for people.
func (a Applied) Level(p Plan) (level Level, open []string) {
	if p.Landlock == nil && p.Seccomp == nil {
		return None, nil
	}
	if a.LandlockABI == 0 || !a.Seccomp {
		if a.LandlockABI == 0 {
			open = append(open, "files outside the app's folders are kept closed by Deno only")
		}
		if !a.Seccomp {
			open = append(open, "system calls are not filtered by the kernel")
		}
		return Basic, open
	}
	if a.LandlockABI < TruncateABI {
		open = append(open, "files outside the app's folders can be emptied, though not read or written")
	}
	if p.Seccomp != nil && p.Seccomp.ConnectTo != "" && !a.Redirect && a.LandlockABI < UnixABI {
		open = append(open, "local programs reachable through their sockets")
	}
	if !a.View {
		open = append(open, "names, sizes and dates of files outside the app's folders can be seen")
	}
	if len(open) > 0 {
		return Partial, open
	}
	return Full, nil
}

// Check finds mistakes in a plan that would make Apply fail late or confine less than meant.
func (p Plan) Check() error {
	var errs []error
	if !cleanAbs(p.Exec.Path) || len(p.Exec.Args) == 0 {
		errs = append(errs, errors.New("the program must be an absolute path with arguments"))
	}
	if !cleanAbs(p.Exec.Dir) {
		errs = append(errs, errors.New("the working folder must be an absolute path"))
	}
	if p.Seccomp != nil && p.Seccomp.ConnectTo != "" && !cleanAbs(p.Seccomp.ConnectTo) {
		errs = append(errs, fmt.Errorf("the socket to connect to, %q, must be an absolute path", p.Seccomp.ConnectTo))
	}
	if p.View != nil && p.Landlock == nil {
		errs = append(errs, errors.New("a view holds what the file wall's rules name, and there are none"))
	}
	if p.Landlock != nil {
		for _, r := range p.Landlock.Rules {
			if _, ok := roleRights[r.Role]; !ok {
				errs = append(errs, fmt.Errorf("unknown role %q for %s", r.Role, r.Path))
			}
			if !cleanAbs(r.Path) {
				errs = append(errs, fmt.Errorf("rule for %q: the path must be absolute and clean", r.Path))
			}
		}
	}
	return errors.Join(errs...)
}
