package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Beside a copy of the test program that stands in for paddock-launch: the path of that, and what to do before.
const (
	realLauncher = "real-launcher"
	standInFor   = "stand-in"

	listenedTo = "listened to" // a filter with a listener is there already
	powerless  = "powerless"   // no capabilities in the new user namespace
	noLandlock = "no landlock" // a kernel without it
	noSeccomp  = "no seccomp"  // a kernel without filters
	noLayer    = "no layer"    // neither
)

func init() {
	if os.Args[0] != "paddock-launch" {
		return
	}
	runtime.LockOSThread() // a filter belongs to a thread, and so do capabilities; execve keeps this one
	fmt.Fprintln(os.Stderr, "stand-in for paddock-launch:", actAsLauncher())
	os.Exit(126)
}

func actAsLauncher() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	path, err := os.ReadFile(filepath.Join(filepath.Dir(self), realLauncher))
	if err != nil {
		return err
	}
	part, err := os.ReadFile(filepath.Join(filepath.Dir(self), standInFor))
	if err != nil {
		return err
	}
	switch string(part) {
	case listenedTo:
		err = behindAnotherListener()
	case powerless:
		var none [2]unix.CapUserData
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		err = errors.Join(unix.Prctl(unix.PR_SET_SECUREBITS, 1, 0, 0, 0), // root is nobody special at the next execve
			unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), unix.Capset(&header, &none[0]))
	case noLandlock:
		err = withoutCalls(unix.SYS_LANDLOCK_CREATE_RULESET)
	case noSeccomp:
		err = withoutCalls(unix.SYS_SECCOMP)
	case noLayer:
		err = withoutCalls(unix.SYS_LANDLOCK_CREATE_RULESET, unix.SYS_SECCOMP)
	default:
		err = fmt.Errorf("no part %q", part)
	}
	if err != nil {
		return err
	}
	return unix.Exec(string(path), os.Args, nil)
}

// standIn is the path of a launcher that plays the part before it becomes the real one.
func standIn(t *testing.T, part string) string {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	launcher := filepath.Join(dir, "paddock-launch")
	if err := errors.Join(os.WriteFile(launcher, text, 0o755), os.WriteFile(filepath.Join(dir, standInFor), []byte(part), 0o644),
		os.WriteFile(filepath.Join(dir, realLauncher), []byte(launcherForTest(t)), 0o644)); err != nil {
		t.Fatal(err)
	}
	return launcher
}

// behindAnotherListener makes it as it is in a container whose manager answers system calls: the kernel
// allows one listener for each process and its children.
func behindAnotherListener() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	program := unix.SockFprog{Len: 1, Filter: &allow}
	listener, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	_, err := unix.FcntlInt(listener, unix.F_SETFD, 0) // it must outlive this execve
	return err
}

// withoutCalls makes it as it is on a kernel that does not know these system calls.
func withoutCalls(numbers ...uint32) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // the number
	for i, n := range numbers {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: n, Jt: uint8(len(numbers) - i)})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)})
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})), 0, 0)
}

// A kernel without one layer, or without both: the app runs, held by what there is and by Deno as ever; the report says
// which door is open; and where more is required, it is not started, and told why.
func TestKernelWithoutALayer(t *testing.T) {
	const files, calls = "files outside the app's folders are kept closed by Deno only", "system calls are not filtered by the kernel"
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	module := fmt.Sprintf(`
async function name(attempt) { try { return "succeeded with " + await attempt(); } catch (e) { return e.name; } }
export default { async fetch() { return new Response([
	await name(() => Deno.readTextFile(%q)), await name(() => Deno.writeTextFile(%[1]q, "x")),
	await name(() => Deno.connect({ port: 80 })), await name(() => new Deno.Command("/bin/true").output()),
	await name(async () => (await fetch("http://evil.example/")).status),
].join(" ")); } };`, outside)
	var flags []string // of the first, which all must have
	for part, open := range map[string][]string{noLandlock: {files}, noSeccomp: {calls}, noLayer: {files, calls}} {
		t.Run(part, func(t *testing.T) {
			launcher := standIn(t, part)
			sup := supervisorForTest(t, sitesForTest(t), func(o *Options) { o.Launcher = launcher })
			spec := specForTest(t, module)
			spec.Allow = setOf(t, "net:example.com:80")
			in := launchForTest(t, sup, spec)
			if got, want := ask(t, in, "/"), "NotCapable NotCapable NotCapable NotCapable NotCapable"; got != want {
				t.Errorf("the app's attempts: %s, want %s", got, want)
			}
			r := in.Report()
			if r.Level != "basic" {
				t.Errorf("report: %+v", r)
			}
			for _, door := range []string{files, calls} {
				if strings.Contains(r.Open, door) != slices.Contains(open, door) {
					t.Errorf("the report says %q", r.Open)
				}
			}
			args := []string{}
			for _, arg := range in.plan.Exec.Args {
				if strings.HasPrefix(arg, "--") {
					name, _, _ := strings.Cut(arg, "=")
					args = append(args, name)
				}
			}
			if flags == nil {
				flags = args
			}
			if !slices.Equal(args, flags) {
				t.Errorf("Deno's flags are %q, and %q elsewhere", args, flags)
			}
			for _, level := range []Level{Partial, Full} {
				strict := spec
				strict.ID, strict.Require = "strict", level
				_, err := sup.Launch(t.Context(), strict)
				var failed *StartError
				if !errors.As(err, &failed) || failed.Reason != StartRefused || !strings.Contains(err.Error(), open[0]) {
					t.Errorf("launch with %v required: %v, want refused", level, err)
				}
			}
		})
	}
}

// Where the agent cannot answer for connects the app still has its way out, and the report names what that leaves open.
func TestWithoutTheRedirect(t *testing.T) {
	launcher := standIn(t, listenedTo)
	sup := supervisorForTest(t, sitesForTest(t), func(o *Options) { o.Launcher = launcher })
	spec := specForTest(t, fetching)
	spec.Allow = setOf(t, "net:example.com:80")
	in := launchForTest(t, sup, spec)
	if f := fetchFrom(t, in, "http://example.com/", 3); f.All[2] != "site /2 tls=false" || f.Took > 2000 {
		t.Errorf("fetched %+v", f)
	}
	if in.applied.Redirect || in.proc.redirects() || in.applied.RedirectWhy == "" {
		t.Errorf("applied %+v", in.applied)
	}
	r := in.Report()
	if in.applied.LandlockABI < 9 && (r.Level != "partial" || !strings.Contains(r.Open, "local programs")) {
		t.Errorf("report: %+v", r)
	}
	for _, w := range r.Walls {
		if w.Name == "local programs" && in.applied.LandlockABI < 9 && (w.State != Absent || !strings.Contains(w.Why, "busy")) {
			t.Errorf("wall: %+v", w)
		}
	}
	none := specForTest(t, fetching)
	none.ID = "none"
	if r := launchForTest(t, sup, none).Report(); r.Level != "full" { // it may not connect at all
		t.Errorf("report without a grant: %+v", r)
	}

	spec.ID, spec.Require = "strict", Full
	_, err := sup.Launch(t.Context(), spec)
	var failed *StartError
	if in.applied.LandlockABI < 9 && (!errors.As(err, &failed) || failed.Reason != StartRefused || !strings.Contains(err.Error(), "local programs")) {
		t.Errorf("launch with everything required: %v, want refused", err)
	}
}
