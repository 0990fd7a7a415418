package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// realLauncher, beside a copy of the test program, holds the path of paddock-launch. The copy then stands in for it.
const realLauncher = "real-launcher"

func init() {
	if os.Args[0] != "paddock-launch" {
		return
	}
	runtime.LockOSThread() // a filter belongs to a thread, and execve keeps this one
	fmt.Fprintln(os.Stderr, "stand-in for paddock-launch:", behindAnotherListener())
	os.Exit(126)
}

// behindAnotherListener becomes paddock-launch as it is in a container whose manager answers system calls: the kernel
// allows one listener for each process and its children.
func behindAnotherListener() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	path, err := os.ReadFile(filepath.Join(filepath.Dir(self), realLauncher))
	if err != nil {
		return err
	}
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
	if _, err := unix.FcntlInt(listener, unix.F_SETFD, 0); err != nil { // it must outlive this execve
		return err
	}
	return unix.Exec(string(path), os.Args, nil)
}

// Where the agent cannot answer for connects the app still has its way out, and the report names what that leaves open.
func TestWithoutTheRedirect(t *testing.T) {
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
	if err := os.WriteFile(launcher, text, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, realLauncher), []byte(launcherForTest(t)), 0o644); err != nil {
		t.Fatal(err)
	}
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
	_, err = sup.Launch(t.Context(), spec)
	var failed *StartError
	if in.applied.LandlockABI < 9 && (!errors.As(err, &failed) || failed.Reason != StartRefused || !strings.Contains(err.Error(), "local programs")) {
		t.Errorf("launch with everything required: %v, want refused", err)
	}
}
