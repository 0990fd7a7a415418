package app_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paddock/app/control"
)

// mortal says in a file how far it has come, and stays there: in its first line or at its end when the file "die" says
// so, else at a path.
const mortal = `
const at = (step) => { Deno.writeTextFileSync("new", step + " " + Deno.pid); Deno.renameSync("new", "at"); };
let die = "", hanging = 0;
try { die = Deno.readTextFileSync("die"); } catch {}
if (die === "import") { at("import"); await new Promise(() => setInterval(() => {}, 1000)); }
Deno.addSignalListener("SIGTERM", () => die === "stop" ? at("stop") : Deno.exit(0));
export default { async fetch(r) {
	switch (new URL(r.url).pathname) {
	case "/hang":
		at("hang" + ++hanging);
		if (r.method === "POST" || die === "hang") await new Promise(() => {});
		break;
	case "/stream":
		return new Response(new ReadableStream({ start(c) { c.enqueue(new TextEncoder().encode("first")); } }));
	case "/flood": {
		const look = () => { for (let i = 0; i < 1000; i++) { try { Deno.statSync("/etc/x" + i); } catch {} } };
		setInterval(look, 1);
		look();
		at("flood");
		break;
	}
	case "/net":
		try { return new Response(await (await fetch("http://a.example/")).text()); } catch (e) { return new Response(e.name); }
	}
	return new Response("alive");
} };`

// bound is how long anything may take that waits for an app which has been killed: far more than it takes, and far less
// than any time-out, of which the shortest would be a minute.
const bound = 20 * time.Second

// victim is the app that is killed, and the browser that has it open.
type victim struct {
	*live
	data   string // its data folder
	client *http.Client
	origin string
	pid    int
	dir    string // of its sockets
}

func (v *victim) set(die string) {
	v.t.Helper()
	if err := errors.Join(os.RemoveAll(filepath.Join(v.data, "at")), os.WriteFile(filepath.Join(v.data, "die"), []byte(die), 0o600)); err != nil {
		v.t.Fatal(err)
	}
}

// reaches waits until the app says that it has come to a step, and takes note of which process does.
func (v *victim) reaches(step string) {
	v.t.Helper()
	v.wait("the app comes to "+step, func() bool {
		text, err := os.ReadFile(filepath.Join(v.data, "at"))
		if err != nil {
			return false
		}
		said := ""
		_, err = fmt.Sscan(string(text), &said, &v.pid)
		return err == nil && said == step
	})
}

func (v *victim) kill() {
	v.t.Helper()
	if err := syscall.Kill(v.pid, syscall.SIGKILL); err != nil {
		v.t.Errorf("kill process %d: %v", v.pid, err)
	}
}

// open opens the app as a person does and notes its process.
func (v *victim) open() {
	v.t.Helper()
	v.client, v.origin = v.enter(control.Open{App: "test-dev"})
	info, err := v.Info(v.t.Context(), control.AppRef{App: "test-dev"})
	if err != nil || info.Usage == nil {
		v.t.Fatalf("it does not run: %+v, %v", info, err)
	}
	v.pid, v.dir, v.data = info.Usage.PID, filepath.Dir(filepath.Dir(info.Paths.Socket)), info.Paths.Data
}

// held is a request under way. What it returns waits for its answer, which must come in time.
func (v *victim) held(path string) (answer func() (code int, body string)) {
	return v.ask(path, func() (int, string) { return load(v.client, v.origin+path) })
}

// sent is held for a request that changes something.
func (v *victim) sent(path string) (answer func() (code int, body string)) {
	return v.ask(path, func() (int, string) {
		resp, err := v.client.Post(v.origin+path, "text/plain", strings.NewReader("x"))
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, fmt.Sprint(string(body), err)
	})
}

func (v *victim) ask(path string, load func() (int, string)) (answer func() (code int, body string)) {
	type outcome struct {
		code int
		body string
	}
	got := make(chan outcome, 1)
	go func() {
		code, body := load()
		got <- outcome{code, body}
	}()
	return func() (int, string) {
		v.t.Helper()
		select {
		case o := <-got:
			return o.code, o.body
		case <-time.After(bound):
			v.t.Errorf("%s is not answered", path)
			return 0, ""
		}
	}
}

// fails insists that an answer is a page of the host which says that the app is not there.
func (v *victim) fails(answer func() (int, string)) {
	v.t.Helper()
	if code, body := answer(); code != http.StatusServiceUnavailable && code != http.StatusBadGateway || !strings.Contains(body, "<html") {
		v.t.Errorf("a held request is answered by %d %.300s", code, body)
	}
}

// failsOrLives insists that an answer is such a page, or comes from the next process: which of them depends on whether
// the front door or the agent sees the death first.
func (v *victim) failsOrLives(answer func() (int, string)) {
	v.t.Helper()
	if code, body := answer(); code != http.StatusOK || body != "alive" {
		v.fails(func() (int, string) { return code, body })
	}
}

// soon insists that a call returns in time.
func (v *victim) soon(what string, call func() error) (result func() error) {
	done := make(chan error, 1)
	go func() { done <- call() }()
	return func() error {
		v.t.Helper()
		select {
		case err := <-done:
			return err
		case <-time.After(bound):
			v.t.Errorf("%s hangs", what)
			return nil
		}
	}
}

func (v *victim) decide(decision string) func() error {
	return v.soon("a decision", func() error {
		return v.Decide(v.t.Context(), control.Decide{App: "test-dev", Permission: "net:a.example:80", Decision: decision})
	})
}

// ok insists on success.
func (v *victim) ok(result func() error) {
	v.t.Helper()
	if err := result(); err != nil {
		v.t.Error(err)
	}
}

func (v *victim) restart() {
	v.t.Helper()
	v.ok(v.soon("a restart", func() error { return v.Restart(v.t.Context(), control.AppRef{App: "test-dev"}) }))
}

func (v *victim) rest(stop bool) {
	v.t.Helper()
	if err := v.Rest(v.t.Context(), control.Rest{App: "test-dev", Stop: stop}); err != nil {
		v.t.Fatal(err)
	}
}

// An app that is killed at any step of its life: whoever waits for it is answered, the state and the history say what
// happened, no process and no socket is left, its rights are what they were, and it can be started again.
// The steps before its first line are tested in package sandbox.
func TestDeathAtEachStepOfALife(t *testing.T) {
	site := newSite(t)
	v := &victim{live: newLive(t, map[string]string{"a.example:80": site})}
	v.install(write(t, "org.example.test", 1, asks, mortal))
	v.open()

	const maybeAgain = "failed or running again"
	steps := []struct {
		name   string
		die    func()
		state  string // afterwards
		reason string // in the history
		answer string // to the question for the network; "" is "ask"
	}{
		{"while it starts for a request", func() {
			v.rest(true)
			v.set("import")
			crowd := []func() (int, string){v.held("/"), v.held("/hang"), v.held("/stream")}
			v.reaches("import")
			v.kill()
			for _, one := range crowd {
				v.fails(one)
			}
		}, control.StateFailed, "start_failed", ""},
		{"while a person opens it", func() {
			v.rest(true)
			v.set("import")
			opened := v.soon("open", func() error {
				_, err := v.Open(t.Context(), control.Open{App: "test-dev"})
				return err
			})
			v.reaches("import")
			v.kill()
			if e := control.AsError(opened()); e.Exit != control.ExitNotStarted || e.Code != "start_failed" || !strings.Contains(e.Message, "SIGKILL") {
				t.Errorf("opening it says %+v", e)
			}
		}, control.StateFailed, "start_failed", ""},
		{"before its first request", func() {
			v.kill()
			if code, body := v.held("/")(); code != http.StatusOK || body != "alive" { // by the next process
				t.Errorf("the first request after the death: %d %.300s", code, body)
			}
		}, control.StateRunning, "crashed", ""},
		{"during requests that must not be repeated", func() {
			v.set("")
			crowd := []func() (int, string){v.sent("/hang"), v.sent("/hang"), v.sent("/hang")}
			v.reaches("hang3")
			v.kill()
			for _, one := range crowd {
				v.fails(one)
			}
		}, control.StateFailed, "crashed", ""},
		{"during a request that may be repeated", func() {
			v.set("hang")
			v.restart()
			answer := v.held("/hang")
			v.reaches("hang1")
			v.set("")
			v.kill()
			v.failsOrLives(answer)
		}, maybeAgain, "crashed", ""},
		{"during a stream", func() {
			r, err := v.client.Get(v.origin + "/stream")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			first := make([]byte, 5)
			if _, err := io.ReadFull(r.Body, first); err != nil || string(first) != "first" {
				t.Fatalf("the stream begins with %q, %v", first, err)
			}
			v.kill()
			if err := v.soon("a stream", func() error { _, err := io.Copy(io.Discard, r.Body); return err })(); err == nil {
				t.Error("the stream ends as if it were whole")
			}
		}, control.StateFailed, "crashed", ""},
		{"while it is frozen by the agent", func() {
			rest := v.soon("freezing", func() error { return v.Rest(t.Context(), control.Rest{App: "test-dev"}) })
			v.kill()
			_ = rest() // whichever came first
		}, control.StateFailed, "crashed", ""},
		{"frozen", func() {
			v.rest(false)
			v.wait("it is frozen", func() bool { return v.state() == control.StateFrozen })
			v.kill()
		}, control.StateFailed, "crashed", ""},
		{"while it is thawed", func() {
			v.rest(false)
			answer := v.held("/")
			v.kill()
			v.failsOrLives(answer)
		}, maybeAgain, "crashed", ""},
		{"while it starts with a wider right", func() {
			v.set("import")
			decided := v.decide(control.DecideAllow)
			v.reaches("import")
			answer := v.held("/")
			v.kill()
			_ = decided() // the answer is stored, and that the app did not start is told
			v.fails(answer)
		}, control.StateFailed, "start_failed", "allow always"},
		{"while it starts with a narrower right", func() {
			v.set("import")
			v.ok(v.decide(control.DecideDeny))
			v.reaches("import")
			answer := v.held("/net")
			v.kill()
			v.fails(answer)
		}, control.StateFailed, "start_failed", "deny always"},
		{"while it is stopped", func() {
			v.set("stop")
			v.restart()
			stopped := v.soon("a stop", func() error { return v.Stop(t.Context(), control.AppRef{App: "test-dev"}) })
			v.reaches("stop")
			v.kill()
			v.ok(stopped)
		}, control.StateStopped, "stopped", "deny always"},
		{"while it floods the pipe of its reports", func() {
			v.set("")
			if code, body := v.held("/flood")(); code != http.StatusOK {
				t.Errorf("%d %.300s", code, body)
			}
			v.reaches("flood")
			v.kill()
		}, control.StateFailed, "crashed", "deny always"},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			v.t = t
			step.die()
			v.wait("a clear state", func() bool {
				state := v.state()
				return state == step.state || step.state == maybeAgain && (state == control.StateFailed || state == control.StateRunning)
			})
			v.wait("the end in the history", func() bool {
				h, err := v.History(t.Context(), control.AppRef{App: "test-dev"})
				if err != nil {
					t.Fatal(err)
				}
				for _, run := range h { // the newest that has ended
					if run.EndedAt != nil {
						return run.Reason == step.reason
					}
				}
				return false
			})
			if err := syscall.Kill(v.pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("process %d is left: %v", v.pid, err)
			}
			if v.state() != control.StateRunning {
				if p := v.Ps(); len(p) > 0 {
					t.Errorf("ps lists %+v", p)
				}
				if _, err := os.Stat(v.dir); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("its sockets are left: %v", err)
				}
			}
			want, net := "ask always", "NotCapable"
			if step.answer != "" {
				want = step.answer
			}
			if want == "allow always" {
				net = "from a.example"
			}
			if got := v.rows()["net:a.example:80"]; got != want {
				t.Errorf("the answer is %q, want %q", got, want)
			}
			v.set("")
			v.open()
			if code, body := v.held("/net")(); code != http.StatusOK || body != net {
				t.Errorf("started again, the network answers %d %.300s, want %s", code, body, net)
			}
		})
	}
	v.t = t
}
