package wall

import (
	"path/filepath"

	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Rights that mean something on a file; the kernel refuses a rule for a file that carries any other.
const fileRights = ll.AccessFSExecute | ll.AccessFSWriteFile | ll.AccessFSReadFile | ll.AccessFSTruncate | ll.AccessFSIoctlDev

const (
	readTree  = ll.AccessFSReadFile | ll.AccessFSReadDir
	writeTree = readTree | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSMakeReg | ll.AccessFSMakeDir |
		ll.AccessFSRemoveFile | ll.AccessFSRemoveDir | ll.AccessFSRefer
)

// roleRights are the rights behind each role, spelled out: the library's ready-made sets (RODirs, RWDirs) include
// execute, and a program dropped into a data folder ran under them.
var roleRights = map[Role]uint64{
	RunFile:   ll.AccessFSReadFile | ll.AccessFSExecute,
	LoadFile:  ll.AccessFSReadFile, // mapping is not asked for: what may be mapped as code is the view's business
	ReadFile:  ll.AccessFSReadFile,
	WriteFile: ll.AccessFSReadFile | ll.AccessFSWriteFile | ll.AccessFSTruncate,
	ReadTree:  readTree,
	WriteTree: writeTree,
	Listen:    ll.AccessFSMakeSock,
	Connect:   ll.AccessFSResolveUnix,
}

// handled is what a ruleset refuses by default on a kernel with that ABI: all that it can refuse.
func handled(abi int) ll.RulesetAttr {
	var a ll.RulesetAttr
	if abi < 1 {
		return a
	}
	a.HandledAccessFS = ll.AccessFSMakeSym<<1 - 1 // the first thirteen rights came with ABI 1
	if abi >= abiRefer {
		a.HandledAccessFS |= ll.AccessFSRefer
	}
	if abi >= TruncateABI {
		a.HandledAccessFS |= ll.AccessFSTruncate
	}
	if abi >= abiTCP {
		a.HandledAccessNet = ll.AccessNetBindTCP | ll.AccessNetConnectTCP
	}
	if abi >= abiIoctl {
		a.HandledAccessFS |= ll.AccessFSIoctlDev
	}
	if abi >= abiScopes {
		a.Scoped = ll.ScopeAbstractUnixSocket | ll.ScopeSignal
	}
	if abi >= UnixABI {
		a.HandledAccessFS |= ll.AccessFSResolveUnix
	}
	if abi >= abiUDP {
		a.HandledAccessNet |= ll.AccessNetBindUDP | ll.AccessNetConnectSendUDP
	}
	return a
}

// rights is what a rule adds on a kernel with that ABI; 0 means that the rule says nothing there and is left out.
func rights(role Role, abi int, folder bool) uint64 {
	r := roleRights[role] & handled(abi).HandledAccessFS
	if !folder {
		r &= fileRights
	}
	return r
}

func cleanAbs(path string) bool { return filepath.IsAbs(path) && filepath.Clean(path) == path }
