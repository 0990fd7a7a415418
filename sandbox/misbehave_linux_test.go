package sandbox

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// Each bad start gives its reason and the end of its output.
func TestBadStarts(t *testing.T) {
	cases := map[string]struct {
		module string
		budget Budget
		reason string
		exit   Reason
		tail   string
	}{
		"exits at once": {
			module: `console.log("goodbye"); Deno.exit(3);`,
			reason: StartExited, exit: StartFailed, tail: "goodbye",
		},
		"throws at import": {
			module: `throw new Error("bad mood");`,
			reason: StartExited, exit: StartFailed, tail: "bad mood",
		},
		"syntax error": {
			module: `export default { fetch( };`,
			reason: StartExited, exit: StartFailed, tail: "app.js:1",
		},
		"missing import": {
			module: `import "./gone.js";`,
			reason: StartExited, exit: StartFailed, tail: "gone.js",
		},
		"never answers": {
			module: `console.error("thinking"); await new Promise(() => setInterval(() => {}, 1000));`,
			budget: Budget{StartTimeout: slowStart},
			reason: StartDeadline, exit: StartFailed, tail: "thinking",
		},
		"no server": {
			module: `export const nothing = 1;`,
			budget: Budget{StartTimeout: slowStart},
			reason: StartDeadline, exit: StartFailed, tail: "has no server yet",
		},
		"loops while starting": {
			module: `for (;;);`,
			budget: Budget{CPUPercent: 2, CPUBurst: 0.5}, // so little that even a busy machine gives more
			reason: StartExited, exit: OverBudget,
		},
		"closes the process's descriptors": {
			module: `Deno.stdout.close(); Deno.stderr.close(); Deno.exit(4);`,
			reason: StartExited, exit: StartFailed,
		},
	}
	sup := supervisorForTest(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.budget.StartTimeout > 0 {
				t.Parallel() // they only wait
			}
			spec := specForTest(t, c.module)
			spec.Budget = c.budget
			spec.ID = strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), "'", "")
			_, err := sup.Launch(t.Context(), spec)
			var failed *StartError
			if !errors.As(err, &failed) {
				t.Fatalf("launch: %v, want a StartError", err)
			}
			if failed.Reason != c.reason || failed.Exit.Reason != c.exit {
				t.Errorf("reason %s, exit %+v; want %s, %s", failed.Reason, failed.Exit, c.reason, c.exit)
			}
			if !strings.Contains(failed.Tail, c.tail) {
				t.Errorf("the tail lacks %q:\n%s", c.tail, failed.Tail)
			}
			lines, err := ReadLog(spec.LogDir, 0)
			if err != nil || len(lines) == 0 {
				t.Errorf("log: %v, %v", lines, err)
			}
		})
	}
}

// Bad lives end with their reason, and a well-behaved neighbour goes on answering meanwhile.
func TestBadLives(t *testing.T) {
	const serve = `export default { fetch: async (r) => { if (r.url.endsWith("/go")) await go(); return new Response("ok"); } };` + "\n"
	small := Budget{MemoryBytes: 128 << 20, Workers: -1, CPUPercent: 20, CPUBurst: 1, DiskBytes: 64 << 20}
	cases := map[string]struct {
		module string
		reason Reason
		budget string
	}{
		"exits":             {serve + `function go() { Deno.exit(0); }`, Finished, ""},
		"crashes":           {serve + `function go() { setTimeout(() => { throw new Error("oops"); }, 1); }`, Crashed, ""},
		"kills itself":      {serve + `function go() { Deno.kill(Deno.pid, "SIGKILL"); }`, Crashed, ""},
		"loops":             {serve + `function go() { for (;;); }`, OverBudget, BudgetCPU},
		"heap":              {serve + `function go() { const a = []; for (;;) a.push({ x: [1.5, a.length] }); }`, OverBudget, BudgetMemory},
		"array buffers":     {serve + `function go() { const a = []; for (;;) a.push(new Uint8Array(4 << 20).fill(1)); }`, OverBudget, BudgetMemory},
		"keeps the buffers": {serve + `const a = []; function go() { for (;;) try { a.push(new Uint8Array(4 << 20).fill(1)); } catch { return new Promise((r) => setTimeout(r, 60000)); } }`, OverBudget, BudgetMemory},
		"fills the disk": {
			serve + `function go() { for (let i = 0;; i++) Deno.writeFileSync(paddock.dataDir + "/" + i, new Uint8Array(4 << 20).fill(1)); }`,
			OverBudget, BudgetDisk,
		},
	}
	sup := supervisorForTest(t)
	neighbour := specForTest(t, `export default { fetch: () => new Response("fine") };`)
	neighbour.ID = "neighbour"
	well := launchForTest(t, sup, neighbour)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			spec := specForTest(t, c.module)
			spec.ID, spec.Budget = strings.ReplaceAll(name, " ", "-"), small
			if c.budget == BudgetCPU {
				spec.Budget.CPUPercent = 2 // so little that even a busy machine gives more
			}
			in := launchForTest(t, sup, spec)
			go func() { _, _ = tryAsk(context.Background(), in, "/go") }()
			e := ended(t, in)
			if e.Reason != c.reason {
				t.Errorf("ended as %+v, want %s", e, c.reason)
			}
			if c.budget != "" && (e.Breach == nil || e.Breach.Budget != c.budget || e.Breach.Limit <= 0 || e.Breach.Measured <= 0) {
				t.Errorf("breach %+v, want one of %s with figures", e.Breach, c.budget)
			}
			if got := ask(t, well, "/"); got != "fine" {
				t.Errorf("the neighbour answered %q", got)
			}
		})
	}
}

// A node:http app can close the server that the host listens with, which it finds on every request. Then it stops
// answering, nobody else does, and it can be stopped and started again.
func TestClosesTheHostsServer(t *testing.T) {
	sup := supervisorForTest(t)
	neighbour := specForTest(t, `export default { fetch: () => new Response("fine") };`)
	neighbour.ID = "neighbour"
	well := launchForTest(t, sup, neighbour)
	spec := specForTest(t, `
import http from "node:http";
http.createServer((request, response) => {
  if (request.url === "/close") request.socket.server.close();
  response.end("ok");
}).listen();`)
	in := launchForTest(t, sup, spec)
	if got := ask(t, in, "/"); got != "ok" {
		t.Fatal(got)
	}
	_, _ = tryAsk(t.Context(), in, "/close")
	waitFor(t, "the app to stop answering", func() bool {
		_, err := tryAsk(t.Context(), in, "/")
		return err != nil
	})
	if got := ask(t, well, "/"); got != "fine" {
		t.Errorf("the neighbour answered %q", got)
	}
	in.Kill()
	ended(t, in)
	if got := ask(t, launchForTest(t, sup, spec), "/"); got != "ok" {
		t.Errorf("started again, it answers %q", got)
	}
}

// An app deaf to signals is stopped all the same, within the grace, also while frozen.
func TestDeafToSignals(t *testing.T) {
	const deaf = `for (const s of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT"]) Deno.addSignalListener(s, () => console.log("no"));
export default { fetch: () => new Response("ok") };`
	sup := supervisorForTest(t)
	for name, frozen := range map[string]bool{"running": false, "frozen": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := specForTest(t, deaf)
			spec.ID = name
			in := launchForTest(t, sup, spec)
			if frozen {
				if err := in.Freeze(); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			if err := in.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took < stopGrace || took > stopGrace+20*time.Second {
				t.Errorf("stopping took %v", took)
			}
			if e := in.Exit(); e.Reason != Stopped || e.Signal != "SIGKILL" {
				t.Errorf("ended as %+v", e)
			}
		})
	}
}

// A flood of output costs the app: the log stays within its budget, the reader keeps a pace, the app goes on.
func TestOutputFlood(t *testing.T) {
	sup := supervisorForTest(t)
	spec := specForTest(t, `
const line = new TextEncoder().encode("spam ".repeat(200) + "\n");
let written = 0;
setInterval(() => { for (let i = 0; i < 200; i++) written += Deno.stdout.writeSync(line); }, 1);
export default { fetch: () => new Response(String(written)) };`)
	spec.Budget = Budget{LogBytes: 256 << 10, CPUPercent: 200, CPUBurst: 60}
	in := launchForTest(t, sup, spec)
	var written int64
	waitFor(t, "eight megabytes of output", func() bool {
		text := ask(t, in, "/")
		written = 0
		for _, c := range text {
			written = written*10 + int64(c-'0')
		}
		return written > 8<<20
	})
	took := time.Since(in.StartedAt())
	if most := drainBurst + int64(took.Seconds()*drainPerS) + 1<<20; written > most {
		t.Errorf("took %d bytes in %v, the pace allows %d", written, took, most)
	}
	began := time.Now()
	in.Kill()
	ended(t, in)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("ending a flooding app took %v", took)
	}
	lines, err := ReadLog(spec.LogDir, 0)
	if err != nil {
		t.Fatal(err)
	}
	var kept int64
	remarks := 0
	for _, line := range lines {
		kept += int64(len(line.Text))
		if line.Stream == StreamHost && strings.Contains(line.Text, "not kept") {
			remarks++
		}
	}
	if kept == 0 || kept > spec.Budget.LogBytes {
		t.Errorf("kept %d bytes of log, budget %d", kept, spec.Budget.LogBytes)
	}
	if remarks == 0 {
		t.Error("the log does not say that output was left out")
	}
}

func TestFreeze(t *testing.T) {
	sup := supervisorForTest(t)
	in := launchForTest(t, sup, specForTest(t, `let n = 0; setInterval(() => n++, 1); export default { fetch: () => new Response(String(n)) };`))
	if err := in.Freeze(); err != nil || !in.Frozen() {
		t.Fatalf("freeze: %v, frozen %v", err, in.Frozen())
	}
	waitFor(t, "the process to stop", func() bool {
		status, err := procStatus(in.PID())
		return err == nil && strings.HasPrefix(status["State"], "T")
	})
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if text, err := tryAsk(short, in, "/"); err == nil {
		t.Errorf("a frozen app answered %q", text)
	}
	if err := in.Thaw(); err != nil || in.Frozen() {
		t.Fatalf("thaw: %v, frozen %v", err, in.Frozen())
	}
	if text := ask(t, in, "/"); text == "" {
		t.Error("a thawed app answered nothing")
	}
}

func TestCloseEndsEverything(t *testing.T) {
	o := optionsForTest(t)
	sup, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var all []*Instance
	for _, id := range []string{"a", "b"} {
		spec := specForTest(t, `export default { fetch: () => new Response("ok") };`)
		spec.ID = id
		all = append(all, launchForTest(t, sup, spec))
	}
	if err := sup.Close(); err != nil {
		t.Fatal(err)
	}
	for _, in := range all {
		if e := ended(t, in); e.Reason != HostClosed {
			t.Errorf("ended as %+v, want host_closed", e)
		}
	}
	if _, err := sup.Launch(t.Context(), specForTest(t, "")); !errors.Is(err, ErrClosed) {
		t.Errorf("launch after close: %v", err)
	}
	if err := sup.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}
