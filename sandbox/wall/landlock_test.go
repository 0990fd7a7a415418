package wall

import (
	"encoding/json"
	"math/bits"
	"testing"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// No role that writes executes, and none makes anything but files and folders.
func TestRolesAreNarrow(t *testing.T) {
	const writes = ll.AccessFSWriteFile | ll.AccessFSMakeReg | ll.AccessFSMakeDir | ll.AccessFSTruncate
	const nobody = ll.AccessFSMakeChar | ll.AccessFSMakeBlock | ll.AccessFSMakeFifo | ll.AccessFSMakeSym | ll.AccessFSIoctlDev
	for role, set := range roleRights {
		if set&writes != 0 && set&ll.AccessFSExecute != 0 {
			t.Errorf("%s writes and executes", role)
		}
		if set&nobody != 0 {
			t.Errorf("%s allows %b, which nothing needs", role, set&nobody)
		}
		if set&ll.AccessFSMakeSock != 0 && role != Listen {
			t.Errorf("%s makes sockets", role)
		}
		if set&ll.AccessFSExecute != 0 && role != RunFile {
			t.Errorf("%s executes", role)
		}
	}
}

// A newer kernel refuses all that an older one does, and a rule never asks for what the kernel does not know (which
// would be an error) or what means nothing on a file (which would be one, too).
func TestHandledGrows(t *testing.T) {
	before := ll.RulesetAttr{}
	for abi := range 13 {
		now := handled(abi)
		if before.HandledAccessFS&^now.HandledAccessFS != 0 || before.HandledAccessNet&^now.HandledAccessNet != 0 || before.Scoped&^now.Scoped != 0 {
			t.Errorf("ABI %d refuses less than the one before", abi)
		}
		before = now
		for role := range roleRights {
			if r := rights(role, abi, true); r&^now.HandledAccessFS != 0 {
				t.Errorf("ABI %d, %s: asks for unknown rights %b", abi, role, r)
			}
			if r := rights(role, abi, false); r&^uint64(fileRights) != 0 {
				t.Errorf("ABI %d, %s: asks for a folder's rights on a file %b", abi, role, r)
			}
		}
	}
	if handled(0) != (ll.RulesetAttr{}) {
		t.Error("ABI 0 means no Landlock")
	}
	for abi, want := range map[int]int{1: 13, 2: 14, 3: 15, 5: 16, 9: 17} {
		if got := bits.OnesCount64(handled(abi).HandledAccessFS); got != want {
			t.Errorf("ABI %d handles %d rights, want %d", abi, got, want)
		}
	}
}

func TestPlanCheck(t *testing.T) {
	good := Plan{Exec: Exec{Path: "/bin/true", Args: []string{"true"}, Dir: "/"}}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	bad := map[string]func(*Plan){
		"relative socket":  func(p *Plan) { p.Seccomp = &Seccomp{ConnectTo: "proxy.sock"} },
		"relative program": func(p *Plan) { p.Exec.Path = "true" },
		"no arguments":     func(p *Plan) { p.Exec.Args = nil },
		"relative folder":  func(p *Plan) { p.Exec.Dir = "x" },
		"unknown role":     func(p *Plan) { p.Landlock = &Landlock{Rules: []Rule{{Path: "/x", Role: "all"}}} },
		"empty path":       func(p *Plan) { p.Landlock = &Landlock{Rules: []Rule{{Role: ReadTree}}} },
		"detour":           func(p *Plan) { p.Landlock = &Landlock{Rules: []Rule{{Path: "/x/../y", Role: ReadTree}}} },
	}
	for name, spoil := range bad {
		p := good
		spoil(&p)
		if p.Check() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func TestLevelText(t *testing.T) {
	for l := None; l <= Full; l++ {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		var back Level
		if err := json.Unmarshal(text, &back); err != nil || back != l {
			t.Errorf("%s reads back as %v, %v", text, back, err)
		}
	}
	if err := new(Level).UnmarshalText([]byte("strong")); err == nil {
		t.Error("an unknown level is accepted")
	}
}
