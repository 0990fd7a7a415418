package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paddock/sandbox/wall"
)

// mountsOf are the options of what is mounted for a process, by path.
func mountsOf(t testing.TB, pid string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	mounts := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line) // proc_pid_mountinfo(5): 5 is the path, 6 the options of this mount
		mounts[fields[4]] = strings.Split(fields[5], ",")
	}
	return mounts
}

// What an app sees is the list of the plan, each with no more than its role needs: nothing that can be written runs,
// nothing has set-uid bits, and the root itself cannot be written.
func TestViewHoldsThePlanOnly(t *testing.T) {
	sup := supervisorForTest(t)
	spec := specForTest(t, `export default { fetch: () => new Response("ok") };`)
	spec.Allow = setOf(t, "net:example.com")
	picked := filepath.Join(filepath.Dir(spec.AppDir), "picked")
	mkdir(t, picked)
	mkdir(t, picked+"/inner")
	if err := os.WriteFile(picked+"/inner/note", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	spec.Slots = []Slot{
		{Name: "outer", Path: picked, Folder: true},
		{Name: "inner", Path: picked + "/inner", Folder: true, Write: true},
		{Name: "note", Path: picked + "/inner/note"},
	}
	in := launchForTest(t, sup, spec)
	if own, err := wall.OwnView(in.PID()); err != nil || !own {
		t.Fatalf("a view of its own: %v, %v; applied %+v", own, err, in.applied)
	}
	mounts := mountsOf(t, fmt.Sprint(in.PID()))
	expected := map[string]string{"/": "ro,nodev,noexec"}
	for _, r := range in.plan.Landlock.Rules {
		real, err := filepath.EvalSymlinks(r.Path)
		switch {
		case r.Path == in.paths.Audit: // has no name any more once the app runs
			real = r.Path
		case err != nil && r.Optional:
			continue
		case err != nil:
			t.Fatal(err)
		}
		switch {
		case r.Path == "/proc/self":
			expected[fmt.Sprintf("/proc/%d", in.PID())] = "ro,nodev,noexec"
		case r.Path == picked+"/inner/note", strings.HasPrefix(real, "/usr/share/zoneinfo/"): // lies in another one
		case r.Role == wall.RunFile || r.Role == wall.LoadFile:
			expected[real] = "ro,nodev"
		case r.Role == wall.WriteTree || r.Role == wall.Listen:
			expected[real] = "rw,nodev,noexec"
		case r.Path == "/dev/null":
			expected[real] = "rw,noexec"
		case r.Role == wall.WriteFile:
			expected[real] = "rw,nodev,noexec"
		case strings.HasPrefix(real, "/dev/"):
			expected[real] = "ro,noexec"
		default:
			expected[real] = "ro,nodev,noexec"
		}
	}
	for path, want := range expected {
		options, there := mounts[path]
		for _, option := range append(strings.Split(want, ","), "nosuid") {
			if !slices.Contains(options, option) {
				t.Errorf("%s is mounted %v (%v), want %s", path, options, there, want)
			}
		}
		if !strings.Contains(want, "noexec") != !slices.Contains(options, "noexec") {
			t.Errorf("%s is mounted %v", path, options)
		}
	}
	for path := range mounts {
		if _, want := expected[path]; !want {
			t.Errorf("%s is there", path)
		}
	}
	if n := len(mountsOf(t, "self")); n == len(mounts) {
		t.Error("the agent sees as many mounts as the app")
	}
}

// viewAttempts are made with Deno's own wall down. What they try needs no right that Landlock knows.
const viewAttempts = `
const { secret, picked, data, hostname } = JSON.parse(Deno.args[0]);
const results = {};
function attempt(name, fn) {
  try { results[name] = "allowed: " + fn(); } catch (e) { results[name] = "refused: " + String(e).split("\n")[0]; }
}
const must = (ok) => { if (!ok) throw new Error("no"); return ok; };
Deno.writeTextFileSync(data + "/own", "x");
for (const [where, file] of Object.entries({ "beside": secret, "picked": picked })) {
  if (where === "beside") attempt("stat " + where, () => Deno.statSync(file).size);
  attempt("chmod " + where, () => Deno.chmodSync(file, 0o777));
  attempt("chown " + where, () => Deno.chownSync(file, Deno.uid(), Deno.gid()));
  attempt("utime " + where, () => Deno.utimeSync(file, 1, 1));
}
attempt("times of a picked file", () => { using f = Deno.openSync(picked); f.utimeSync(1, 1); });
attempt("name of the machine", () => must(Deno.hostname() === hostname));
attempt("interfaces", () => must(Deno.readTextFileSync("/proc/self/net/dev").split("\n").length > 4));
results["own: mode"] = (() => { Deno.chmodSync(data + "/own", 0o700); return Deno.statSync(data + "/own").mode & 0o777; })() === 0o700;
results["own: times"] = (() => { Deno.utimeSync(data + "/own", 1, 1); return Deno.statSync(data + "/own").mtime.getTime(); })() === 1000;
console.log(JSON.stringify(Object.fromEntries(Object.entries(results).map(([k, v]) => [k, String(v)]))));
`

// Behind the kernel's wall alone nothing but an app's own files can be looked at or changed, and those as ever.
func TestViewAlone(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, walled := range []bool{true, false} {
		t.Run(fmt.Sprint("walled ", walled), func(t *testing.T) {
			spec := specForTest(t, viewAttempts)
			dir := filepath.Dir(spec.AppDir)
			for _, file := range []string{"secret", "picked"} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte("the secret"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			picked := filepath.Join(dir, "picked")
			spec.Slots = []Slot{{Name: "a", Path: picked}}
			results := behindKernelWall(t, optionsForTest(t), spec, map[string]any{
				"secret": filepath.Join(dir, "secret"), "picked": picked, "data": spec.DataDir, "hostname": name,
			}, walled)
			for _, own := range []string{"own: mode", "own: times"} {
				if results[own] != "true" {
					t.Errorf("%s: %s", own, results[own])
				}
				delete(results, own)
			}
			if walled {
				allRefused(t, results, 10)
				return
			}
			for name, result := range results {
				if !strings.HasPrefix(result, "allowed") && name != "interfaces" { // a machine may have but one
					t.Errorf("%s is refused without the wall too, so it proves nothing: %s", name, result)
				}
			}
		})
	}
}

// wantsNoView is about an app where there can be no view: it runs and the report says so, and where everything is
// required it does not run.
func wantsNoView(t *testing.T, report Report, strict error) {
	t.Helper()
	if report.Level != "partial" || !strings.Contains(report.Open, "names, sizes and dates") {
		t.Errorf("report: %+v", report)
	}
	for _, w := range report.Walls {
		if w.Name == "other files (own view)" && (w.State != Absent || w.Why == "") {
			t.Errorf("wall: %+v", w)
		}
	}
	var failed *StartError
	if !errors.As(strict, &failed) || failed.Reason != StartRefused || !strings.Contains(strict.Error(), "names, sizes and dates") {
		t.Errorf("launch with everything required: %v", strict)
	}
}

// A system may give the agent a user namespace and keep its processes from mounting in it, as AppArmor does on
// Ubuntu 24.04: the stand-in gives up what it was given before it becomes the launcher.
func TestWithoutMounting(t *testing.T) {
	launcher := standIn(t, powerless)
	spec := specForTest(t, `export default { fetch: () => new Response("ok") };`)
	sup := supervisorForTest(t, func(o *Options) { o.Launcher = launcher })
	in := launchForTest(t, sup, spec)
	if ask(t, in, "/") != "ok" {
		t.Error("it does not answer")
	}
	r := in.Report()
	in.Kill()
	ended(t, in)
	spec.Require = Full
	_, err := sup.Launch(t.Context(), spec)
	wantsNoView(t, r, err)
	spec.Require = Partial
	launchForTest(t, sup, spec)
}

// A system may keep user namespaces from the agent: here one in which the limit is none.
func TestWithoutNamespaces(t *testing.T) {
	sup := supervisorForTest(t)
	base, err := sup.baseData(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := optionsForTest(t)
	work, err := json.Marshal(agentWork{
		Deno: o.Deno, Launcher: o.Launcher, SocketDir: o.SocketDir, EntryDir: o.EntryDir, Base: base, NoNamespaces: true,
		Spec: specForTest(t, `export default { fetch: () => new Response("ok") };`),
	})
	if err != nil {
		t.Fatal(err)
	}
	agent := exec.Command(os.Args[0])
	agent.Env = append(os.Environ(), agentMode+"="+string(work))
	agent.Stderr = os.Stderr
	agent.SysProcAttr = ownNamespace()
	agent.SysProcAttr.AmbientCaps = append(agent.SysProcAttr.AmbientCaps, unix.CAP_SYS_RESOURCE)
	out, err := agent.Output()
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Report Report
		Strict string
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wantsNoView(t, said.Report, &StartError{Reason: StartRefused, Err: errors.New(said.Strict)})
	if i := slices.IndexFunc(said.Report.Walls, func(w Wall) bool { return strings.Contains(w.Why, "user.max_user_namespaces is 0") }); i < 0 {
		t.Errorf("the switch is not named: %+v", said.Report.Walls)
	}
}

// agentWithoutNamespaces takes user namespaces from itself, launches the app twice, the second time with everything
// required, and prints what came of it.
func agentWithoutNamespaces(sup *Supervisor, spec Spec) error {
	defer func() { _ = sup.Close() }()
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
		return err
	}
	in, err := sup.Launch(context.Background(), spec)
	if err != nil {
		return err
	}
	report := in.Report()
	in.Kill()
	<-in.Done()
	spec.Require = Full
	_, err = sup.Launch(context.Background(), spec)
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"Report": report, "Strict": fmt.Sprint(err)})
}

// Whenever the launcher is killed, nothing of it stays: no process, no mount, no folder.
func TestKilledWhileStarting(t *testing.T) {
	sup := supervisorForTest(t)
	if _, err := sup.baseData(t.Context()); err != nil {
		t.Fatal(err)
	}
	spec := specForTest(t, `export default { fetch: () => new Response("ok") };`)
	before := slices.Sorted(maps.Keys(mountsOf(t, "self")))
	steps := map[string]int{}
	for i := range 24 { // some 4 ms from the start to the program
		if err := sup.reserve(spec.ID); err != nil {
			t.Fatal(err)
		}
		in, err := sup.prepare(spec, 0)
		if err != nil {
			t.Fatal(err)
		}
		sup.dog.add(in)
		sup.reapers.Go(in.reap)
		timer := time.AfterFunc(time.Duration(i)*250*time.Microsecond, func() { _ = in.proc.kill() })
		err = in.start(t.Context())
		timer.Stop()
		in.Kill()
		ended(t, in)
		var failed *StartError
		if errors.As(err, &failed) {
			steps[failed.Reason]++
		} else {
			steps["started"]++
		}
		if err := unix.Kill(in.PID(), 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("killed after %d: the process is there: %v", i, err)
		}
		if entries, err := os.ReadDir(sup.options.SocketDir); err != nil || len(entries) > 0 {
			t.Errorf("killed after %d: left in the socket folder: %v, %v", i, entries, err)
		}
	}
	if after := slices.Sorted(maps.Keys(mountsOf(t, "self"))); !slices.Equal(before, after) {
		t.Errorf("mounts before %q, after %q", before, after)
	}
	if steps[StartRefused]+steps[StartExited] == 0 {
		t.Errorf("nothing was killed while starting: %v", steps)
	}
}
