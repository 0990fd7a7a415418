package wall

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"pgregory.net/rapid"
)

var testPin = pin{path: 0x1234_5678_9ab0, argv: 0x2234_5678_9ab0, envp: 0x3234_5678_9ab0, pid: 4242}

// filter runs the assembled filter the way the kernel would. x/net's machine reads big-endian words and seccomp's data
// is in the machine's order, so each word is stored big-endian at its place.
type filter struct {
	vm *bpf.VM
	on *arch.Info
}

func filterFor(t testing.TB, s Seccomp, on *arch.Info) filter { return filterOf(t, s, testPin, on) }

func filterOf(t testing.TB, s Seccomp, at pin, on *arch.Info) filter {
	t.Helper()
	program, err := assemble(refusals(s, at), on)
	if err != nil {
		t.Fatal(err)
	}
	if len(program) > 4096 { // BPF_MAXINSNS
		t.Fatalf("%d instructions", len(program))
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return filter{vm, on}
}

func (f filter) number(t testing.TB, audit uint32, number uint32, args ...uint64) uint32 {
	t.Helper()
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[0:], number)
	binary.BigEndian.PutUint32(data[4:], audit)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[16+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[20+8*i:], uint32(a>>32))
	}
	got, err := f.vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(got)
}

func (f filter) call(t testing.TB, name string, args ...uint64) uint32 {
	t.Helper()
	number, ok := f.on.SyscallNames[name]
	if !ok {
		t.Fatalf("no call %s on %s", name, f.on.Name)
	}
	return f.number(t, uint32(f.on.ID), uint32(number), args...)
}

const x32Bit = 0x40000000 // marks calls of amd64's x32 variant

const (
	allow = uint32(retAllow)
	eperm = uint32(retErrno | errPerm)
)

func TestFilterDecides(t *testing.T) {
	const high = 0xdead_beef_0000_0000 // garbage in the half that the kernel ignores
	p := testPin
	cases := []struct {
		name string
		args []uint64
		want uint32
	}{
		{"read", nil, allow},
		{"mmap", []uint64{0, 4096, 7}, allow},
		{"ptrace", nil, eperm},
		{"clone", []uint64{0x3d0f00}, allow},
		{"clone", []uint64{17}, eperm},
		{"clone", []uint64{high | 17}, eperm},
		{"clone", []uint64{0x10000000}, eperm},
		{"clone", []uint64{high | 0x80000000}, eperm},
		{"clone3", nil, retErrno | errNoSys},
		{"openat2", nil, retErrno | errNoSys},
		{"fallocate", []uint64{3, 0, 0, 4096}, retErrno | errNotSupport},
		{"execve", []uint64{p.path, p.argv, p.envp}, allow},
		{"execve", []uint64{p.path + 1, p.argv, p.envp}, eperm},
		{"execve", []uint64{p.path, p.argv ^ 1<<40, p.envp}, eperm},
		{"execve", []uint64{p.path, p.argv, 0}, eperm},
		{"execve", []uint64{p.path & 0xffffffff, p.argv & 0xffffffff, p.envp & 0xffffffff}, eperm},
		{"execveat", nil, eperm},
		{"kill", []uint64{4242, 18}, allow},
		{"kill", []uint64{high | 4242, 18}, allow},
		{"kill", []uint64{4243, 18}, eperm},
		{"kill", []uint64{high | 4243, 18}, eperm},
		{"kill", []uint64{^uint64(0), 9}, eperm},
		{"kill", []uint64{0, 9}, eperm},
		{"tgkill", []uint64{4242, 4250, 18}, allow},
		{"tgkill", []uint64{1, 1, 18}, eperm},
		{"socket", []uint64{1, 1, 0}, allow},
		{"socket", []uint64{1, 1 | 0x80800, 0}, allow},
		{"socket", []uint64{1, 2, 0}, eperm},
		{"socket", []uint64{1, 3, 0}, eperm},
		{"socket", []uint64{1, 5 | 0x80800, 0}, eperm},
		{"socket", []uint64{2, 1, 0}, eperm},
		{"socket", []uint64{2, 1, 262}, eperm},
		{"socket", []uint64{10, 2, 0}, eperm},
		{"socket", []uint64{high | 2, 1, 0}, eperm},
		{"socketpair", []uint64{1, 1 | 0x80000, 0, 0}, allow},
		{"socketpair", []uint64{1, 2, 0, 0}, eperm},
		{"connect", nil, eperm},
		{"inotify_init1", nil, eperm},
		{"prlimit64", []uint64{0, 7, 0, 8}, allow},
		{"prlimit64", []uint64{4242, 7, 0, 8}, allow},
		{"prlimit64", []uint64{4243, 7, 0, 8}, eperm},
		{"prlimit64", []uint64{0, 7, 8, 0}, eperm},
		{"prlimit64", []uint64{0, 7, 1 << 32, 0}, eperm},
		{"setrlimit", nil, eperm},
		{"prctl", []uint64{15}, allow}, // PR_SET_NAME
		{"prctl", []uint64{1, 0}, eperm},
		{"prctl", []uint64{22, 2}, eperm}, // PR_SET_SECCOMP
		{"seccomp", []uint64{1, 8}, eperm},
		{"prctl", []uint64{high | 1, 0}, eperm},
		{"prctl", []uint64{4, 0}, eperm},
		{"ioctl", []uint64{0, 0x5401}, allow},
		{"ioctl", []uint64{0, 0x5412}, eperm},
		{"ioctl", []uint64{0, high | 0x5412}, eperm},
		{"fchmod", []uint64{3, 0o755}, allow},
		{"fchmod", []uint64{3, 0o4755}, eperm},
		{"fchmodat", []uint64{0, 0, 0o2755}, eperm},
		{"fchmodat", []uint64{0, 0, 0o755}, eperm}, // by path, with no view that hides others' files
		{"fchownat", nil, eperm},
		{"fchown", []uint64{3, 1, 1}, allow},
		{"utimensat", []uint64{3, 0, 0}, allow}, // without a path: of an open file
		{"utimensat", []uint64{3, 0x7000, 0}, eperm},
		{"utimensat", []uint64{3, 0x7000 << 32, 0}, eperm},
		{"setxattr", nil, eperm},
		{"fsetxattr", nil, allow},
		{"mkdirat", []uint64{0, 0, 0o755}, allow},
		{"mkdirat", []uint64{0, 0, 0o2755}, eperm},
		{"mknodat", []uint64{0, 0, 0o100644 | 0o4000}, eperm},
		{"openat", []uint64{0, 0, 0o101, 0o644}, allow},
		{"openat", []uint64{0, 0, 0o101, 0o4644}, eperm},
		{"openat", []uint64{0, 0, 0, 0o4644}, allow}, // without O_CREAT the mode is garbage
	}
	for _, on := range []*arch.Info{arch.X86_64, arch.AARCH64} {
		f := filterFor(t, Seccomp{}, on)
		for _, c := range cases {
			if _, has := on.SyscallNames[c.name]; !has {
				t.Errorf("%s has no %s", on.Name, c.name)
				continue
			}
			if got := f.call(t, c.name, c.args...); got != c.want {
				t.Errorf("%s: %s %#x: %#x, want %#x", on.Name, c.name, c.args, got, c.want)
			}
		}
	}
}

// With a view there is nothing to change but what the app was given.
func TestFilterBehindAView(t *testing.T) {
	at := testPin
	at.view = true
	for _, on := range []*arch.Info{arch.X86_64, arch.AARCH64} {
		f := filterOf(t, Seccomp{}, at, on)
		for _, name := range append(slices.Clone(pathModes), "utimensat") {
			if _, has := on.SyscallNames[name]; !has {
				continue
			}
			if got := f.call(t, name, 0, 0x7000, 0o755); got != allow {
				t.Errorf("%s: %s gives %#x", on.Name, name, got)
			}
		}
		for name, mode := range map[string][]uint64{"fchmodat": {0, 0, 0o4755}, "fchmodat2": {0, 0, 0o2755}, "fchmod": {3, 0o6755}} {
			if got := f.call(t, name, mode...); got != eperm {
				t.Errorf("%s: set-id bits by %s give %#x", on.Name, name, got)
			}
		}
	}
}

func TestFilterSwitches(t *testing.T) {
	for i, s := range []Seccomp{{}, {ConnectTo: "/p"}, {Watch: true}, {ConnectTo: "/p", Watch: true}, {}, {ConnectTo: "/p"}, {Watch: true}} {
		on := []*arch.Info{arch.X86_64, arch.AARCH64}[i/4]
		f := filterFor(t, s, on)
		for name, open := range map[string]bool{"connect": s.ConnectTo != "", "inotify_init": s.Watch, "inotify_init1": s.Watch} {
			if _, has := on.SyscallNames[name]; !has {
				continue
			}
			want := eperm
			if open {
				want = allow
			}
			if got := f.call(t, name); got != want {
				t.Errorf("%+v: %s gives %#x, want %#x", s, name, got, want)
			}
		}
		if got := f.call(t, "socket", 2, 1, 0); got != eperm {
			t.Errorf("%+v: an IP socket gives %#x", s, got)
		}
	}
}

// With the agent's answer at hand no connect is ever allowed: it is refused or left to the agent, whatever the arguments.
func TestFilterRedirects(t *testing.T) {
	const path = "/run/p/proxy.sock"
	at := testPin
	at.redirect = true
	for _, on := range []*arch.Info{arch.X86_64, arch.AARCH64} {
		program, err := assemble(refusals(Seccomp{ConnectTo: path}, at), on)
		if err != nil {
			t.Fatal(err)
		}
		vm, err := bpf.NewVM(program)
		if err != nil {
			t.Fatal(err)
		}
		f := filter{vm, on}
		rapid.Check(t, func(rt *rapid.T) {
			near := rapid.Uint64Range(0, 128).Draw(rt, "length")
			high := uint64(rapid.Uint32().Draw(rt, "high")) << 32 // which the kernel ignores
			want := uint32(retErrno | errAccess)
			if near == uint64(len(path))+2 || near == uint64(len(path))+3 {
				want = retNotify
			}
			got := f.call(t, "connect", rapid.Uint64().Draw(rt, "descriptor"), rapid.Uint64().Draw(rt, "address"), near|high)
			if got != want {
				rt.Errorf("%s: connect with %d bytes gives %#x, want %#x", on.Name, near, got, want)
			}
		})
		if got := f.call(t, "ptrace"); got != eperm {
			t.Errorf("%s: ptrace gives %#x", on.Name, got)
		}
	}
}

// The entry of another architecture has other numbers: no call may come in that way. amd64's x32 calls neither.
func TestFilterOtherEntries(t *testing.T) {
	f := filterFor(t, Seccomp{ConnectTo: "/p", Watch: true}, arch.X86_64)
	arm := filterFor(t, Seccomp{ConnectTo: "/p", Watch: true}, arch.AARCH64)
	rapid.Check(t, func(rt *rapid.T) {
		number := rapid.Uint32().Draw(rt, "number")
		for _, other := range []*arch.Info{arch.I386, arch.ARM, arch.X86_64} { // ARM is what 32-bit programs use on arm64
			if got := arm.number(t, uint32(other.ID), number); got != retKill {
				rt.Errorf("%s call %d on arm64: %#x", other.Name, number, got)
			}
		}
		if got := arm.number(t, uint32(arch.AARCH64.ID), max(number, 1000)); got != retErrno|errNoSys {
			rt.Errorf("call %d on arm64: %#x", number, got)
		}
		for _, other := range []*arch.Info{arch.I386, arch.ARM, arch.AARCH64} {
			if got := f.number(t, uint32(other.ID), number); got != retKill {
				rt.Errorf("%s call %d: %#x", other.Name, number, got)
			}
		}
		for _, beyond := range []uint32{number | x32Bit, max(number, 1000)} {
			if got := f.number(t, uint32(arch.X86_64.ID), beyond); got != retErrno|errNoSys {
				rt.Errorf("call %d: %#x", beyond, got)
			}
		}
	})
}

// Whatever the arguments, a call on the list is refused and a call that is on no list is allowed.
func TestFilterHoldsForAnyArguments(t *testing.T) {
	listed := map[string]bool{}
	for _, r := range refusals(Seccomp{}, testPin) {
		listed[r.name] = true
	}
	for _, on := range []*arch.Info{arch.X86_64, arch.AARCH64} {
		f := filterFor(t, Seccomp{}, on)
		names := slices.Sorted(maps.Keys(on.SyscallNames))
		rapid.Check(t, func(rt *rapid.T) {
			args := rapid.SliceOfN(rapid.Uint64(), 6, 6).Draw(rt, "args")
			for _, name := range names {
				got := f.call(t, name, args...)
				switch {
				case slices.Contains(never, name) && got != eperm:
					rt.Errorf("%s: %s: %#x", on.Name, name, got)
				case !listed[name] && got != allow:
					rt.Errorf("%s: %s, which is on no list: %#x", on.Name, name, got)
				}
			}
		})
	}
}

// Each block is found by its call's name: a name in two places would leave one of them dead.
func TestRefusalsAreGrouped(t *testing.T) {
	seen, last := map[string]bool{}, ""
	for _, r := range refusals(Seccomp{}, testPin) {
		if r.name != last && seen[r.name] {
			t.Errorf("%s stands in two places", r.name)
		}
		seen[r.name], last = true, r.name
	}
}

// A misspelt name would be left out silently, as if the machine had no such call.
func TestRefusalsAreKnown(t *testing.T) {
	for _, r := range refusals(Seccomp{}, testPin) {
		known := false
		for _, on := range []*arch.Info{arch.X86_64, arch.AARCH64, arch.I386} {
			_, has := on.SyscallNames[r.name]
			known = known || has
		}
		if !known {
			t.Errorf("no architecture has a call %q", r.name)
		}
	}
}

func BenchmarkAssemble(b *testing.B) {
	for b.Loop() {
		if _, err := assemble(refusals(Seccomp{}, testPin), arch.X86_64); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleApplied_Level() {
	plan := Plan{Landlock: &Landlock{}, Seccomp: &Seccomp{ConnectTo: "/p"}}
	for _, a := range []Applied{
		{},
		{LandlockABI: 2, View: true},
		{LandlockABI: 7, View: true},
		{LandlockABI: 7, Redirect: true, View: true},
		{LandlockABI: 9, View: true},
		{LandlockABI: 9},
	} {
		a.Seccomp = true
		level, open := a.Level(plan)
		fmt.Println(a.LandlockABI, a.Redirect, a.View, level, open)
	}
	// Output:
	// 0 false false basic [files outside the app's folders are kept closed by Deno only]
	// 2 false true partial [files outside the app's folders can be emptied, though not read or written local programs reachable through their sockets]
	// 7 false true partial [local programs reachable through their sockets]
	// 7 true true full []
	// 9 false true full []
	// 9 false false partial [names, sizes and dates of files outside the app's folders can be seen]
}
