package sandbox

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"paddock/sandbox/permission"
	"paddock/sandbox/wall"
)

// Report says which walls really stand, from what was read back.
type Report struct {
	Level string // "full", "partial" or "basic"
	Open  string // what stays open, for people; "" with "full"
	Walls []Wall
}

// States of a Wall.
const (
	Enforced = "enforced"
	Partly   = "partial"
	Absent   = "absent"
)

// Wall is one layer.
type Wall struct {
	Name  string
	State string // Enforced, Partly or Absent
	Why   string // what it rests on, or why it is not there
}

// Report looks at the running process. After its end it says what held.
func (in *Instance) Report() Report {
	status, err := procStatus(in.proc.pid)
	alive := err == nil
	select {
	case <-in.done: // the process id may be somebody else's by now
		alive = false
	default:
	}
	read := func(field, want string) bool { return !alive || status[field] == want }
	applied := in.applied
	applied.Seccomp = applied.Seccomp && read("Seccomp", "2")
	if applied.View && alive {
		applied.View, applied.ViewWhy = readView(in.proc.pid)
	}
	word, open := applied.Level(in.plan)
	r := Report{Level: max(word, wall.Basic).String(), Open: strings.Join(open, "; ")}
	r.Walls = append(r.Walls, Wall{"Deno permissions", Enforced, "only the granted flags; the app's own socket is given up before the app is loaded"})
	add := func(name string, held bool, how, whyNot string) {
		state := Enforced
		if !held {
			state, how = Absent, whyNot
		}
		r.Walls = append(r.Walls, Wall{name, state, how})
	}

	add("other files (own view)", applied.View,
		"the app sees its own folders, what was picked for it and the runtime's files; nothing else of this computer is there, neither files nor network addresses", applied.ViewWhy)
	r.Walls = append(r.Walls, in.fileWall(applied.View))
	add("system calls (seccomp)", applied.Seccomp, "a filter is loaded", in.applied.SeccompWhy)
	add("privileges", in.applied.NoCaps && read("NoNewPrivs", "1") && read("CapEff", "0000000000000000"),
		"no capabilities, and none can be gained", "the process has privileges it should not have")
	group, noGroup := scopeLimits{}, "the app has ended"
	if alive {
		group, noGroup = in.scopeLimits()
	}
	r.Walls = append(r.Walls,
		in.memoryWall(alive, group, noGroup),
		timeWall(group, noGroup),
		in.socketWall(),
		in.networkWall())
	return r
}

// readView asks the kernel whether a running process has a view of its own, and says why it is not believed to.
func readView(pid int) (bool, string) {
	own, err := ownView(pid)
	switch {
	case err != nil:
		return false, "it cannot be read back: " + err.Error()
	case !own:
		return false, "the process sees this computer's files, which it should not"
	}
	return true, ""
}

// fileWall is about what is in files. What stays open behind it on every kernel is said even so.
func (in *Instance) fileWall(view bool) Wall {
	w := Wall{Name: "files (Landlock)", State: Enforced}
	abi := in.applied.LandlockABI
	switch {
	case abi == 0:
		w.State, w.Why = Absent, in.applied.LandlockWhy
		return w
	case abi < wall.TruncateABI:
		w.State, w.Why = Partly, fmt.Sprintf("Landlock ABI %d, with which other files can be emptied, though not read or written (from ABI %d on they cannot); ",
			abi, wall.TruncateABI)
	default:
		w.Why = fmt.Sprintf("Landlock ABI %d; ", abi)
	}
	if view {
		w.Why += "what the app has no right to it can neither read nor write nor run"
	} else {
		w.Why += "if Deno's wall falls, names, sizes and dates of other files can be seen, not what is in them"
	}
	return w
}

// socketWall is about the programs on this computer that listen on Unix sockets: the session bus, a key agent, the
// desktop. Reaching some of them is as good as having no wall.
func (in *Instance) socketWall() Wall {
	w := Wall{Name: "local programs", State: Enforced}
	switch {
	case !in.applied.Seccomp:
		w.State, w.Why = Absent, "their sockets are kept closed by Deno only"
	case in.plan.Seccomp.ConnectTo == "":
		w.Why = "the app can open no connection"
	case in.applied.Redirect && in.proc.redirects():
		w.Why = "every connection the app opens is made by the agent, and leads to the app's own proxy"
	case in.applied.Redirect:
		w.Why = "no connections any more: the agent has stopped making them"
	case in.applied.LandlockABI >= wall.UnixABI:
		w.Why = fmt.Sprintf("Landlock ABI %d keeps their sockets closed", in.applied.LandlockABI)
	default:
		w.State, w.Why = Absent, "their sockets are kept closed by Deno only: "+in.applied.RedirectWhy
	}
	return w
}

func (in *Instance) networkWall() Wall {
	switch {
	case in.proxy == nil && in.applied.Seccomp:
		return Wall{"network", Enforced, "no connections at all: nothing is granted"}
	case in.proxy == nil:
		return Wall{"network", Absent, "kept closed by Deno only"}
	case !in.applied.Seccomp:
		return Wall{"network", Absent, "the proxy can be bypassed when Deno's wall falls"}
	case in.applied.Redirect && !in.proc.redirects():
		return Wall{"network", Enforced, "no connections any more: the agent has stopped making them"}
	}
	return Wall{"network", Enforced, "only through the app's own proxy, to what is granted"}
}

// timeWall is about the budgets that the agent enforces. A control group keeps the worst of what can happen between
// two looks small on a computer with many processors.
func timeWall(group scopeLimits, noGroup string) Wall {
	w := Wall{"processor time and disk space", Enforced, "by the agent, which looks every 10 to 250 ms and ends the app; "}
	switch {
	case group.cpu:
		w.Why += "in between the kernel gives it two processors at most (control group)"
	case noGroup == "":
		w.Why += "the kernel limits memory, but is given no limit on processor time (control group)"
	default:
		w.Why += "the kernel is given no limit (no control group: " + noGroup + ")"
	}
	return w
}

func (in *Instance) memoryWall(alive bool, group scopeLimits, noGroup string) Wall {
	w := Wall{"memory (kernel limit)", Enforced, fmt.Sprintf("%d MB of address space", in.plan.Limits.DataBytes>>20)}
	if in.plan.Limits.DataBytes == 0 || runtime.GOOS != "linux" {
		return Wall{w.Name, Absent, "memory is checked every 10 to 250 ms, not by the kernel"}
	}
	if alive {
		if have, err := dataLimitOf(in.proc.pid); err == nil && have != uint64(in.plan.Limits.DataBytes) {
			return Wall{w.Name, Absent, "the kernel holds another limit than was set"}
		}
	}
	if noGroup == "" { // holds whatever asks for the memory, workers included
		w.Why += fmt.Sprintf(", and %d MB of memory in all (control group)", group.memory>>20)
		return w
	}
	if n := in.budget().WorkerCount(); n > 0 {
		w.State = Partly
		w.Why += fmt.Sprintf("; room for %d workers is included, so up to then memory is checked every 10 to 250 ms", n)
	}
	return w
}

// CheckRuntime says whether Deno's file is the pinned one, as a launch would find it: a *StartError with
// StartRuntimeMissing or StartRuntimeAltered when not. The file is hashed again only after it changed.
func (s *Supervisor) CheckRuntime() error {
	_, err := s.runtime.inspect(s.options.Deno, s.options.RuntimeSHA256)
	return err
}

// probeAllow gives the app that Probe starts a proxy, because that needs the most of the kernel.
var probeAllow = permission.NewSet(permission.Permission{Kind: permission.Net, Scope: "paddock.invalid"})

// Probe says what this machine can enforce, by starting an idle app and looking at it.
func (s *Supervisor) Probe(ctx context.Context) Report {
	var r Report
	base, err := s.baseData(ctx)
	if err == nil {
		err = s.withIdle(ctx, base, probeAllow, func(in *Instance) { r = in.Report() })
	}
	if err != nil {
		return Report{Level: "basic", Open: err.Error(), Walls: []Wall{{"start of an idle app", Absent, err.Error()}}}
	}
	return r
}
