package sandbox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paddock/sandbox/wall"
)

// agentMode in the environment makes the test program act as an agent that launches one app and waits to be killed.
const agentMode = "PADDOCK_TEST_AGENT"

type agentWork struct {
	Deno, Launcher, SocketDir, EntryDir string
	Spec                                Spec
	Base                                int64
	NoNamespaces                        bool // see agentWithoutNamespaces
}

func actAsAgent(text string) error {
	var work agentWork
	if err := json.Unmarshal([]byte(text), &work); err != nil {
		return err
	}
	sup, err := New(Options{
		Deno: work.Deno, Launcher: work.Launcher, SocketDir: work.SocketDir, EntryDir: work.EntryDir,
		LoadFact: func(string) (int64, bool) { return work.Base, true },
	})
	if err != nil {
		return err
	}
	if work.NoNamespaces {
		return agentWithoutNamespaces(sup, work.Spec)
	}
	in, err := sup.Launch(context.Background(), work.Spec)
	if err != nil {
		return err
	}
	fmt.Println(in.PID())
	<-in.Done() // for ever: the test kills this process
	return errors.New("the app ended by itself")
}

// When the agent is killed, without a chance to clean up, its apps die with it, also while it makes their connections.
func TestAppsDieWithTheAgent(t *testing.T) {
	const deaf = `for (const s of ["SIGTERM", "SIGHUP", "SIGINT"]) Deno.addSignalListener(s, () => {});
export default { fetch: () => new Response("ok") };
`
	t.Run("idle", func(t *testing.T) { diesWithTheAgent(t, specForTest(t, deaf)) })
	t.Run("connecting", func(t *testing.T) {
		spec := specForTest(t, deaf+`(async () => { for (;;) { try { await (await fetch("http://example.com/")).text(); } catch {} } })();`)
		spec.Allow = setOf(t, "net:example.com:80")
		diesWithTheAgent(t, spec)
	})
}

func diesWithTheAgent(t *testing.T, spec Spec) {
	sup := supervisorForTest(t)
	base, err := sup.baseData(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := optionsForTest(t)
	work, err := json.Marshal(agentWork{Deno: o.Deno, Launcher: o.Launcher, SocketDir: o.SocketDir, EntryDir: o.EntryDir, Spec: spec, Base: base})
	if err != nil {
		t.Fatal(err)
	}
	agent := exec.Command(os.Args[0])
	agent.Env = append(os.Environ(), agentMode+"="+string(work))
	agent.Stderr = os.Stderr
	out, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = agent.Process.Kill(); _ = agent.Wait() }()
	var pid int
	if _, err := fmt.Fscan(bufio.NewReader(out), &pid); err != nil {
		t.Fatalf("the agent did not name its app: %v", err)
	}
	session, err := unix.Getsid(pid)
	if err != nil || session != pid {
		t.Errorf("the app's session is %d, %v; want its own, %d", session, err, pid)
	}
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	waitFor(t, "the app to die", func() bool {
		status, err := procStatus(pid)
		return err != nil || strings.HasPrefix(status["State"], "Z")
	})
	if took := time.Since(killed); took > time.Second {
		t.Errorf("the app outlived its agent by %v", took)
	}
}

// The process carries what the plan says, read back from the kernel, also when the agent is root.
func TestReportIsReadBack(t *testing.T) {
	sup := supervisorForTest(t)
	spec := specForTest(t, `export default { fetch: () => new Response("ok") };`)
	spec.Budget.Workers = -1
	in := launchForTest(t, sup, spec)
	status, err := procStatus(in.PID())
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"Seccomp": "2", "NoNewPrivs": "1", "CapEff": "0000000000000000", "CapPrm": "0000000000000000",
		"CapInh": "0000000000000000", "CapAmb": "0000000000000000",
	} {
		if status[field] != want {
			t.Errorf("%s is %q, want %q", field, status[field], want)
		}
	}
	if os.Geteuid() == 0 && status["CapBnd"] != "0000000000000000" {
		t.Errorf("the bounding set is %s", status["CapBnd"])
	}
	var core, files unix.Rlimit
	if err := errors.Join(unix.Prlimit(in.PID(), unix.RLIMIT_CORE, nil, &core), unix.Prlimit(in.PID(), unix.RLIMIT_FSIZE, nil, &files)); err != nil {
		t.Fatal(err)
	}
	if core.Max != 0 || files.Max != uint64(DefaultBudget().DiskBytes) {
		t.Errorf("limits: core %d, file size %d", core.Max, files.Max)
	}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", in.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", in.PID(), e.Name()))
		if strings.HasPrefix(target, "/") && !strings.HasPrefix(target, spec.RuntimeDir) && !strings.HasPrefix(target, "/dev/") &&
			target != in.paths.Audit+" (deleted)" {
			t.Errorf("descriptor %s is %s", e.Name(), target)
		}
	}
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", in.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range strings.Split(strings.TrimRight(string(environment), "\x00"), "\x00") {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "LANG", "HOME", "DENO_DIR", "DENO_NO_PROMPT", "DENO_NO_UPDATE_CHECK", "NO_COLOR", "TMPDIR", "SQLITE_TMPDIR", "DENO_AUDIT_PERMISSIONS":
		default:
			t.Errorf("the environment holds %s", v)
		}
	}
	r := in.Report()
	if r.Level != "full" || r.Open != "" {
		t.Errorf("report: %+v", r)
	}
	for _, w := range r.Walls {
		if w.State != Enforced || w.Why == "" {
			t.Errorf("wall %+v", w)
		}
	}
	if p := sup.Probe(t.Context()); p.Level != "full" || len(p.Walls) != len(r.Walls) {
		t.Errorf("probe: %+v", p)
	}
}

// A worker fits where the budget allows one, and its room is not given where it allows none.
func TestWorkerRoom(t *testing.T) {
	sup := supervisorForTest(t)
	const module = `
const w = () => new Promise((ok, no) => {
  const worker = new Worker("data:application/javascript,self.postMessage(1)", { type: "module" });
  worker.onmessage = () => ok("a worker ran");
  worker.onerror = no;
});
export default { fetch: async () => new Response(await w()) };`
	with := specForTest(t, module)
	with.Budget.Workers = 1
	in := launchForTest(t, sup, with)
	if text := ask(t, in, "/"); text != "a worker ran" {
		t.Errorf("answered %q", text)
	}
	in.Kill()
	ended(t, in)

	without := specForTest(t, module)
	without.Budget.Workers = -1
	in = launchForTest(t, sup, without)
	if text, err := tryAsk(t.Context(), in, "/"); err == nil {
		t.Errorf("a worker ran without room for it: %q", text)
	}
	if e := ended(t, in); e.Reason != OverBudget || e.Breach.Budget != BudgetMemory {
		t.Errorf("ended as %+v", e)
	}
}

func TestRuntimeIsChecked(t *testing.T) {
	o := optionsForTest(t)
	sum, err := hashFile(o.Deno)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		change func(*Options)
		reason string
	}{
		"pinned":     {func(o *Options) { o.RuntimeSHA256 = strings.ToUpper(sum) }, ""},
		"altered":    {func(o *Options) { o.RuntimeSHA256 = strings.Repeat("0", 64) }, StartRuntimeAltered},
		"missing":    {func(o *Options) { o.Deno = "/nowhere/deno" }, StartRuntimeMissing},
		"no program": {func(o *Options) { o.Deno = "/etc/passwd" }, StartRuntimeMissing},
		"a folder":   {func(o *Options) { o.Deno = "/etc" }, StartRuntimeMissing},
		"no launcher": {func(o *Options) {
			o.Launcher = "/nowhere/paddock-launch"
		}, StartRefused},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			sup := supervisorForTest(t, c.change)
			in, err := sup.Launch(t.Context(), specForTest(t, `export default { fetch: () => new Response("ok") };`))
			if c.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				in.Kill()
				return
			}
			var failed *StartError
			if !errors.As(err, &failed) || failed.Reason != c.reason {
				t.Errorf("launch: %v, want %s", err, c.reason)
			}
		})
	}
}

// What makes a launch impossible is said before anything starts, and nothing is left behind.
func TestLaunchRefusals(t *testing.T) {
	sup := supervisorForTest(t)
	cases := map[string]func(t *testing.T, s *Spec){
		"no module":          func(_ *testing.T, s *Spec) { s.Entry = "gone.js" },
		"module is a link":   func(t *testing.T, s *Spec) { link(t, "/etc/passwd", s.AppDir+"/link.js"); s.Entry = "link.js" },
		"module is a folder": func(t *testing.T, s *Spec) { mkdir(t, s.AppDir+"/dir.js"); s.Entry = "dir.js" },
		"slot is gone":       func(_ *testing.T, s *Spec) { s.Slots = []Slot{{Name: "a", Path: "/nowhere/at/all"}} },
		"slot became a link": func(t *testing.T, s *Spec) {
			p := t.TempDir() + "/l"
			link(t, "/etc", p)
			s.Slots = []Slot{{Name: "a", Path: p, Folder: true}}
		},
		"slot changed kind":   func(t *testing.T, s *Spec) { s.Slots = []Slot{{Name: "a", Path: t.TempDir()}} },
		"slot is a device":    func(_ *testing.T, s *Spec) { s.Slots = []Slot{{Name: "a", Path: "/dev/null"}} },
		"comma in the folder": func(t *testing.T, s *Spec) { p := t.TempDir() + "/x,etc"; mkdir(t, p); s.DataDir = p },
	}
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			spec := specForTest(t, `export default { fetch: () => new Response("ok") };`)
			spoil(t, &spec)
			_, err := sup.Launch(t.Context(), spec)
			var failed *StartError
			if !errors.As(err, &failed) || failed.Reason != StartBadSpec {
				t.Errorf("launch: %v, want bad_spec", err)
			}
			entries, err := os.ReadDir(sup.options.SocketDir)
			if err != nil || len(entries) != 0 {
				t.Errorf("left in the socket folder: %v, %v", entries, err)
			}
		})
	}
	spec := specForTest(t, `export default { fetch: () => new Response("ok") };`)
	launchForTest(t, sup, spec)
	var failed *StartError
	if _, err := sup.Launch(t.Context(), spec); !errors.As(err, &failed) || failed.Reason != StartBadSpec {
		t.Errorf("a second instance of one id: %v", err)
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

// Giving up the wait ends the half-started app.
func TestLaunchCanceled(t *testing.T) {
	sup := supervisorForTest(t)
	if _, err := sup.baseData(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := sup.Launch(ctx, specForTest(t, `await new Promise((r) => setTimeout(r, 60000));`))
	var failed *StartError
	if !errors.As(err, &failed) || failed.Reason != StartCanceled {
		t.Errorf("launch: %v, want canceled", err)
	}
}

// The health check is asked where the app answers, and one that fails keeps the app from counting as started.
func TestHealth(t *testing.T) {
	sup := supervisorForTest(t)
	spec := specForTest(t, `let n = 0; export default { fetch: (r) => new Response("x", { status: r.url.endsWith("/health") && n++ < 3 ? 503 : 404 }) };`)
	spec.Health = "/health"
	launchForTest(t, sup, spec)
	sick := specForTest(t, `export default { fetch: () => new Response("x", { status: 500 }) };`)
	sick.ID, sick.Health, sick.Budget.StartTimeout = "sick", "/health", slowStart
	_, err := sup.Launch(t.Context(), sick)
	var failed *StartError
	if !errors.As(err, &failed) || failed.Reason != StartDeadline || !errors.Is(err, errNotHealthy) {
		t.Errorf("launch: %v, want a failed health check", err)
	}
}

// A required wall that is there lets the app start, with and without a way to the network.
func TestRequiredLevel(t *testing.T) {
	sup := supervisorForTest(t)
	spec := specForTest(t, `export default { fetch: () => new Response("ok") };`)
	spec.Require = Full
	launchForTest(t, sup, spec)
	open := specForTest(t, `export default { fetch: () => new Response("ok") };`)
	open.ID, open.Allow, open.Require = "open", setOf(t, "net:example.com"), Full
	launchForTest(t, sup, open)
}

// A required wall that cannot be had refuses the launch, and says which door would have stayed open.
func TestRequiredLevelCannotBeHad(t *testing.T) {
	o := optionsForTest(t)
	sup := supervisorForTest(t)
	for name, want := range map[string]string{"files": "files outside", "calls": "system calls"} {
		t.Run(name, func(t *testing.T) {
			plan := wall.Plan{
				Parent: os.Getpid(), Exec: wall.Exec{Path: "/bin/true", Args: []string{"true"}, Dir: "/"}, Require: wall.Partial,
				Landlock: &wall.Landlock{}, Seccomp: &wall.Seccomp{},
			}
			if name == "files" {
				plan.Landlock = nil
			} else {
				plan.Seccomp = nil
			}
			var g *guest
			var err error
			sup.onStarter(func() { g, err = spawn(o.Launcher, plan, os.Stderr, nil) })
			if err != nil {
				t.Fatal(err)
			}
			_, err = g.confirm(time.Minute)
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "required") {
				t.Errorf("confirm: %v, want it to name %q", err, want)
			}
			if code, signal := g.wait(); code != 126 {
				t.Errorf("ended with %d %s", code, signal)
			}
		})
	}
}
