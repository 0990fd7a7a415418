package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"paddock/app/control"
)

// stays is an app that stays where the file "die" in its data folder says, and names its process in the file "at".
func stays(id string) source {
	return source{
		id:       "org.example." + id,
		manifest: map[string]any{"permissions": map[string]any{"network": []any{map[string]any{"host": "a.example", "reason": "A."}}}},
		main: `
const at = (step: string) => { Deno.writeTextFileSync("new", step + " " + Deno.pid); Deno.renameSync("new", "at"); };
let die = "";
try { die = Deno.readTextFileSync("die"); } catch {}
if (die === "import") { at("import"); await new Promise(() => setInterval(() => {}, 1000)); }
Deno.addSignalListener("SIGTERM", () => die === "stop" ? at("stop") : Deno.exit(0));
export default { async fetch(r: Request) {
	if (new URL(r.url).pathname === "/hang") { at("hang"); await new Promise(() => {}); }
	return new Response("alive");
} };`,
	}
}

// below lists the processes whose parent is pid.
func below(t *testing.T, pid int) (children []int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, after, _ := strings.Cut(string(raw), ") ")
		if f := strings.Fields(after); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			children = append(children, child)
		}
	}
	return children
}

// TestKilledAgentAtEachStep: the agent is killed while one app starts, one answers, one is frozen, one is about to end,
// and one starts again with fewer rights. A second later no process is there; who waited is told; and the next agent
// finds all in order, and the rights as they were answered.
func TestKilledAgentAtEachStep(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	key := m.key()
	a := m.start()
	apps := []string{"imports", "hangs", "frozen", "stops", "narrows"}
	data := map[string]string{}
	for _, app := range apps {
		must[okayInstall](m, "install", m.pack(stays(app), key), "--grant", "net:a.example")
		data[app] = must[struct{ Paths struct{ Data string } }](m, "info", app).Paths.Data
		if err := os.MkdirAll(data[app], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	set := func(app, die string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(data[app], "die"), []byte(die), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reaches := func(app, step string) {
		t.Helper()
		eventually(t, app+" comes to "+step, deadline, func() bool {
			text, err := os.ReadFile(filepath.Join(data[app], "at"))
			return err == nil && strings.HasPrefix(string(text), step+" ")
		})
	}
	var waiting sync.WaitGroup
	told := map[string]int{} // what the commands that wait end with
	var guard sync.Mutex
	command := func(name, app string) {
		waiting.Go(func() {
			code := m.run("--json", name, app).code
			guard.Lock()
			defer guard.Unlock()
			told[name] = code
		})
	}

	hangs := visit(t, a.gateway, must[opened](m, "open", "hangs"))
	status := make(chan int, 1)
	waiting.Go(func() {
		code, _ := hangs.try("/hang", deadline)
		status <- code
	})
	reaches("hangs", "hang")
	must[opened](m, "open", "frozen")
	client := control.NewClient(controlSocket(t, m))
	if _, err := control.Do[control.Empty](t.Context(), client, control.MethodRest, control.Rest{App: "frozen"}); err != nil {
		t.Fatal(err)
	}
	must[opened](m, "open", "narrows")
	set("narrows", "import")
	must[okay](m, "deny", "narrows", "net:a.example")
	reaches("narrows", "import")
	set("stops", "stop")
	must[opened](m, "open", "stops")
	command("stop", "stops")
	reaches("stops", "stop")
	set("imports", "import")
	command("open", "imports")
	reaches("imports", "import")

	if s := m.state("frozen"); s != "frozen" {
		t.Errorf("the frozen app is %s", s)
	}
	children := below(t, a.pid)
	if len(children) < len(apps) {
		t.Errorf("only %d processes belong to the agent", len(children))
	}
	a.end(syscall.SIGKILL)
	eventually(t, "all processes of the agent are gone", time.Second, func() bool {
		for _, pid := range children {
			if alive(pid) {
				return false
			}
		}
		return true
	})
	done := make(chan struct{})
	go func() { waiting.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(deadline):
		t.Fatal("somebody still waits for the agent")
	}
	if code := <-status; code != 0 {
		t.Errorf("the request under way is answered with %d", code)
	}
	if told["open"] == 0 || told["stop"] == 0 {
		t.Errorf("the commands that waited end with %v", told)
	}

	b := m.start()
	if left := below(t, b.pid); len(left) > 2 { // a launcher that stands by, and the one whose figures are read
		t.Errorf("the next agent starts with %d processes", len(left))
	}
	sockets, err := os.ReadDir(filepath.Join(filepath.Dir(controlSocket(t, m)), "i"))
	if err != nil || len(sockets) > 0 {
		t.Errorf("sockets are left: %v, %v", sockets, err)
	}
	for _, app := range apps {
		if s := m.state(app); s != "stopped" {
			t.Errorf("%s is %s", app, s)
		}
		h := must[[]launch](m, "history", app)
		for _, run := range h {
			if run.EndedAt == nil || run.Reason != "host_closed" && (app != "narrows" || run.Reason != "stopped") {
				t.Errorf("history of %s: %+v", app, h)
			}
		}
		if len(h) == 0 {
			t.Errorf("%s has no history", app)
		}
		want := "allow"
		if app == "narrows" {
			want = "deny"
		}
		if p := must[[]answer](m, "permissions", app); len(p) != 1 || p[0].Decision != want {
			t.Errorf("rights of %s: %+v", app, p)
		}
		set(app, "")
		visit(t, b.gateway, must[opened](m, "open", app)).expect("/", "alive")
	}
}

// controlSocket is where the agent of m listens: in its runtime folder, or where that is too deep, in the temp folder.
func controlSocket(t *testing.T, m *machine) string {
	t.Helper()
	name, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(control.RuntimeDir(m.home)), "paddock-"), "-") // of the home
	for _, dir := range []string{filepath.Join(filepath.Dir(m.home), "run"), os.TempDir()} {
		if found, _ := filepath.Glob(filepath.Join(dir, "paddock-"+name+"*", "control.sock")); len(found) == 1 {
			return found[0]
		}
	}
	t.Fatal("there is no control socket")
	return ""
}
