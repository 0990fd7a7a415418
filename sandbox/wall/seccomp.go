package wall

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
)

// The system call wall allows by default and refuses by list: Deno needs some two hundred calls that change with each
// version, while what an app must not do is known. It is assembled here and not by the library's Policy, of which only
// the system call tables are used, for two reasons found by reading it: it lets calls through the entry of another
// architecture (int 0x80) fall to the default action, which is "allow"; and after an argument test it compares
// later call numbers with what it loaded last, an argument.

// Return values of a filter (include/uapi/linux/seccomp.h).
const (
	retKill   = 0x80000000 // SECCOMP_RET_KILL_PROCESS
	retErrno  = 0x00050000 // SECCOMP_RET_ERRNO, the number in the low 16 bits
	retNotify = 0x7fc00000 // SECCOMP_RET_USER_NOTIF: whoever holds the filter's listener answers
	retAllow  = 0x7fff0000 // SECCOMP_RET_ALLOW
)

// Error numbers the filter answers with. They are the same on every architecture Paddock knows.
const (
	errPerm       = 1  // EPERM
	errAccess     = 13 // EACCES
	errNoSys      = 38 // ENOSYS: the caller falls back to an older call
	errNotSupport = 95 // EOPNOTSUPP: the caller falls back to writing
)

// Layout of struct seccomp_data; arguments are 64 bits each, low half first (little-endian machines only).
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// refusal refuses a call: always, or when every test of it holds.
type refusal struct {
	name   string
	errno  uint16
	notify bool // is not refused but left to the agent
	when   []test
}

// answer is what the filter returns for it.
func (r refusal) answer() bpf.RetConstant {
	if r.notify {
		return bpf.RetConstant{Val: retNotify}
	}
	return bpf.RetConstant{Val: retErrno | uint32(r.errno)}
}

// test looks at one argument. The kernel takes most arguments as 32-bit numbers and ignores the upper half, so that is
// what is compared unless wide is set; otherwise garbage in the upper half would slip past.
type test struct {
	arg   int
	op    op
	value uint64
	wide  bool
}

type op uint8

const (
	equal op = iota
	different
	anyBit // at least one of value's bits is set
	noBit  // none of value's bits is set
)

// pin holds what is only known at run time: where the launcher put execve's arguments, its own process id, whether
// the kernel lets the agent answer connects, and whether the process has a view of its own.
type pin struct {
	path, argv, envp uint64
	pid              uint32
	redirect         bool
	view             bool
}

// Flags the tests name, from the kernel's headers; the same on amd64 and arm64.
const (
	cloneThread = 0x00010000
	sockKinds   = 0xe // bits that any type but SOCK_STREAM has: datagrams could be sent to a path without connect
	afUnix      = 1
	openCreate  = 0x40 // O_CREAT
	setIDBits   = 0o6000
	tiocsti     = 0x5412 // push input into a terminal
	tioclinux   = 0x541c
	prPdeathsig = 1  // PR_SET_PDEATHSIG: would outlive the agent
	prSeccomp   = 22 // PR_SET_SECCOMP: like seccomp
	prDumpable  = 4  // PR_SET_DUMPABLE: would blind an unprivileged watchdog
	prSetMM     = 35 // PR_SET_MM
)

// never are calls that no app has a use for and that reach beyond its own process, or around a limit.
var never = []string{
	// other processes and their memory
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp", "pidfd_open",
	"pidfd_getfd", "pidfd_send_signal", "tkill", "setpriority", "ioprio_set", "sched_setscheduler", "sched_setparam",
	"sched_setattr", "sched_setaffinity", "setpgid", "setsid", "setns", "unshare", "rt_tgsigqueueinfo",
	// a second process
	"fork", "vfork", "execveat", "uselib",
	// the file system's shape
	"mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "open_tree_attr", "fsopen", "fsconfig",
	"fsmount", "fspick", "mount_setattr", "statmount", "listmount", "quotactl", "quotactl_fd", "name_to_handle_at",
	"open_by_handle_at", "fanotify_init", "fanotify_mark", "swapon", "swapoff", "acct", "nfsservctl", "lookup_dcookie",
	// the kernel's large side doors
	"bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl", "add_key",
	"request_key", "init_module", "finit_module", "create_module", "delete_module", "kexec_load", "kexec_file_load",
	"reboot", "syslog", "memfd_secret", "landlock_create_ruleset", "lsm_set_self_attr",
	"seccomp", // a filter with a listener of its own would answer connect before the agent's, once that is closed
	"iopl", "ioperm", "modify_ldt", "personality", "vhangup", "vm86", "vm86old",
	// the machine's settings
	"settimeofday", "clock_settime", "clock_settime64", "adjtimex", "clock_adjtime", "sethostname", "setdomainname",
	"setrlimit", "mbind", "set_mempolicy", "set_mempolicy_home_node", "migrate_pages", "move_pages",
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups", "capset",
	// memory and messages shared with other programs of the same user
	"msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semtimedop", "semctl", "shmget", "shmat", "shmctl", "ipc",
	"mq_open", "mq_unlink",
}

// pathModes change modes, owners, times and attributes of a file that a path names.
var pathModes = []string{
	"chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat", "utime", "utimes", "futimesat",
	"setxattr", "lsetxattr", "setxattrat", "removexattr", "lremovexattr", "removexattrat",
}

// refusals lists everything that is refused under s, in a fixed order.
func refusals(s Seccomp, p pin) []refusal {
	var list []refusal
	for _, name := range never {
		list = append(list, refusal{name: name, errno: errPerm})
	}
	add := func(errno uint16, name string, when ...test) {
		list = append(list, refusal{name: name, errno: errno, when: when})
	}
	// clone3 and openat2 hide their flags in a structure that a filter cannot read; every caller has a fall-back
	add(errNoSys, "clone3")
	add(errNoSys, "openat2")
	// space taken this way moves no write counter; glibc then writes zeros, which are counted
	add(errNotSupport, "fallocate")
	// threads, but no second process
	add(errPerm, "clone", test{arg: 0, op: noBit, value: cloneThread})
	// the launcher's own execve, then never again: the new program cannot know these addresses
	add(errPerm, "execve", test{arg: 0, op: different, value: p.path, wide: true})
	add(errPerm, "execve", test{arg: 1, op: different, value: p.argv, wide: true})
	add(errPerm, "execve", test{arg: 2, op: different, value: p.envp, wide: true})
	// signals to itself only, on every kernel (Landlock does so from ABI 6 on)
	for _, name := range []string{"kill", "tgkill", "rt_sigqueueinfo"} {
		add(errPerm, name, test{arg: 0, op: different, value: uint64(p.pid)})
	}
	// Unix stream sockets only
	for _, name := range []string{"socket", "socketpair"} {
		add(errPerm, name, test{arg: 0, op: different, value: afUnix})
		add(errPerm, name, test{arg: 1, op: anyBit, value: sockKinds})
	}
	switch {
	case s.ConnectTo == "":
		add(errPerm, "connect")
	case p.redirect:
		// The agent leads every connect to that socket, whatever address was meant. So that programs which look for
		// another one learn that it is not there (the C library asks a name cache, and would wait 5 s for what the
		// proxy answers), only addresses as long as the right one get that far. The length may end with a zero or not.
		exact := uint64(sockaddrLength(s.ConnectTo))
		add(errAccess, "connect", test{arg: 2, op: different, value: exact}, test{arg: 2, op: different, value: exact - 1})
		list = append(list, refusal{name: "connect", notify: true})
	}
	if !s.Watch {
		add(errPerm, "inotify_init")
		add(errPerm, "inotify_init1")
	}
	add(errPerm, "prlimit64", test{arg: 2, op: different, value: 0, wide: true})
	add(errPerm, "prlimit64", test{arg: 0, op: different, value: 0}, test{arg: 0, op: different, value: uint64(p.pid)})
	if !p.view {
		// Landlock has no right for these, so that they would work on every file of the user's. What they do to a file
		// that the process could open, it can do through the descriptor.
		for _, name := range pathModes {
			add(errPerm, name)
		}
		add(errPerm, "utimensat", test{arg: 1, op: different, value: 0, wide: true})
	}
	for _, option := range []uint64{prPdeathsig, prDumpable, prSeccomp, prSetMM} {
		add(errPerm, "prctl", test{arg: 0, op: equal, value: option})
	}
	for _, request := range []uint64{tiocsti, tioclinux} {
		add(errPerm, "ioctl", test{arg: 1, op: equal, value: request})
	}
	// set-uid and set-gid bits, by every call that sets a mode
	setID := func(arg int) test { return test{arg: arg, op: anyBit, value: setIDBits} }
	creates := func(arg int) test { return test{arg: arg, op: anyBit, value: openCreate} }
	for name, arg := range map[string]int{
		"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "mkdir": 1, "mkdirat": 2, "mknod": 1, "mknodat": 2, "creat": 1,
	} {
		add(errPerm, name, setID(arg))
	}
	add(errPerm, "open", creates(1), setID(2))
	add(errPerm, "openat", creates(2), setID(3))
	slices.SortStableFunc(list[len(never):], func(a, b refusal) int { return compareNames(a.name, b.name) })
	return list
}

// sockaddrLength is how long the address of the Unix socket at path is: the family, the path, a zero.
func sockaddrLength(path string) int { return 2 + len(path) + 1 }

func compareNames(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// assemble turns refusals into a filter for the architecture. Calls it does not have are left out. Each call gets its
// own small block that ends in a return, so no block sees what another one loaded. Blocks are found by halving: the
// kernel runs the filter once for every call number as it is loaded, which took 0.25 ms with one block after the other.
func assemble(list []refusal, on *arch.Info) ([]bpf.Instruction, error) {
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(on.ID), SkipTrue: 1},
		bpf.RetConstant{Val: retKill}, // another architecture's entry: its numbers mean other calls
		bpf.LoadAbsolute{Off: offNumber, Size: 4},
	}
	// Calls younger than the table could do anything, and amd64's x32 calls have numbers beyond it too. A program that
	// tries a new call has to live with its absence on older kernels.
	newest := slices.Max(slices.Collect(maps.Keys(on.SyscallNumbers)))
	program = append(program,
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: uint32(newest), SkipFalse: 1},
		bpf.RetConstant{Val: retErrno | errNoSys})
	var blocks []block
	for i := 0; i < len(list); {
		end := i + 1
		for end < len(list) && list[end].name == list[i].name {
			end++
		}
		if number, known := on.SyscallNames[list[i].name]; known {
			code, err := assembleCall(uint32(number), list[i:end])
			if err != nil {
				return nil, err
			}
			blocks = append(blocks, block{uint32(number), code})
		}
		i = end
	}
	slices.SortFunc(blocks, func(a, b block) int { return cmp.Compare(a.number, b.number) })
	return append(program, search(blocks)...), nil
}

// block is what a filter does about one call.
type block struct {
	number uint32
	code   []bpf.Instruction
}

// search finds the block for the number that was loaded, and allows what has none. blocks are in the numbers' order.
func search(blocks []block) []bpf.Instruction {
	const few = 3
	if len(blocks) <= few {
		var code []bpf.Instruction
		for _, b := range blocks {
			code = append(code, b.code...)
		}
		return append(code, bpf.RetConstant{Val: retAllow})
	}
	middle := len(blocks) / 2
	lower, upper := search(blocks[:middle]), search(blocks[middle:])
	code := []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: blocks[middle].number, SkipFalse: 1},
		bpf.Jump{Skip: uint32(len(lower))}, // may be far: a conditional jump skips 255 at most
	}
	return slices.Concat(code, lower, upper)
}

// assembleCall is the block for one call number.
func assembleCall(number uint32, list []refusal) ([]bpf.Instruction, error) {
	var body []bpf.Instruction
	always := false
	for _, r := range list {
		if len(r.when) == 0 {
			body, always = append(body, r.answer()), true
			break
		}
		body = append(body, assembleTests(r)...)
	}
	if !always {
		body = append(body, bpf.RetConstant{Val: retAllow})
	}
	if len(body) > 255 {
		return nil, fmt.Errorf("too many rules for %s", list[0].name)
	}
	return append([]bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: number, SkipFalse: uint8(len(body))},
	}, body...), nil
}

// assembleTests refuses when all tests hold and otherwise falls through to what follows.
func assembleTests(r refusal) []bpf.Instruction {
	out := []bpf.Instruction{r.answer()}
	for i := len(r.when) - 1; i >= 0; i-- { // from the back: each test needs to know how far it is to the end
		out = append(assembleTest(r.when[i], uint8(len(out))), out...)
	}
	return out
}

// assembleTest goes on when t holds and skips over the next rest instructions when it does not.
func assembleTest(t test, rest uint8) []bpf.Instruction {
	low := bpf.LoadAbsolute{Off: offArgs + uint32(t.arg)*8, Size: 4}
	high := bpf.LoadAbsolute{Off: offArgs + uint32(t.arg)*8 + 4, Size: 4}
	lo, hi := uint32(t.value), uint32(t.value>>32)
	switch {
	case t.wide: // only "different" is ever needed for 64 bits
		return []bpf.Instruction{
			high,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: hi, SkipTrue: 2},
			low,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: lo, SkipTrue: rest},
		}
	case t.op == equal:
		return []bpf.Instruction{low, bpf.JumpIf{Cond: bpf.JumpEqual, Val: lo, SkipFalse: rest}}
	case t.op == different:
		return []bpf.Instruction{low, bpf.JumpIf{Cond: bpf.JumpEqual, Val: lo, SkipTrue: rest}}
	case t.op == anyBit:
		return []bpf.Instruction{low, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: lo, SkipFalse: rest}}
	default: // noBit
		return []bpf.Instruction{low, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: lo, SkipTrue: rest}}
	}
}
