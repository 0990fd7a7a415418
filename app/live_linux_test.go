package app_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paddock/app"
	"paddock/app/control"
	"paddock/app/gateway"
	"paddock/sandbox"
	"paddock/sandbox/egress"
	"paddock/store"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// runtimePrograms are the real Deno and a launcher built for the test.
var launcher = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "paddock-app")
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, "paddock-launch")
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, "paddock/sandbox/launch")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, msg)
	}
	return out, nil
})

func deno(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("PADDOCK_DENO"); p != "" {
		return p
	}
	p, err := filepath.Abs(filepath.Join("..", "bin", "deno"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p); err != nil {
		t.Fatalf("%v: run “make headless” first", err)
	}
	return p
}

// live is an App with everything real but the windows: what a person answers is answer.
type live struct {
	*app.App
	t      *testing.T
	front  *gateway.Gateway
	answer func(control.Prompt) (control.Answer, error)
}

// AskPermissions makes live the person at the screen.
func (l *live) AskPermissions(_ context.Context, q control.Prompt) (control.Answer, error) {
	return l.answer(q)
}

func newLive(t *testing.T, resolve map[string]string, tune ...func(*app.Options)) *live {
	t.Helper()
	return newLiveBehind(t, func(g *gateway.Gateway) app.FrontDoor { return g }, resolve, tune...)
}

// newLiveBehind is newLive with the front door changed.
func newLiveBehind(t *testing.T, behind func(*gateway.Gateway) app.FrontDoor, resolve map[string]string, tune ...func(*app.Options)) *live {
	t.Helper()
	dir, err := os.MkdirTemp("", "paddock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	run, home := filepath.Join(dir, "run"), filepath.Join(dir, "home")
	links := filepath.Join(run, "open")
	for _, dir := range []string{run, links} {
		if err := control.MakeRuntimeDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.PrepareHome(home); err != nil {
		t.Fatal(err)
	}
	launch, err := launcher()
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(filepath.Join(home, "store.db"), store.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	l := &live{t: t}
	log := slog.New(slog.DiscardHandler)
	box, err := sandbox.New(sandbox.Options{
		Deno: deno(t), Launcher: launch, SocketDir: filepath.Join(run, "i"), EntryDir: filepath.Join(home, "entry"), Egress: egress.Options{Resolve: resolve},
		OnEgress:  func(id string, e egress.Event) { l.Egress(id, e) },
		OnMessage: func(id string, m sandbox.Message) sandbox.Message { return l.Message(id, m) },
		LoadFact:  app.LoadFact(db), SaveFact: app.SaveFact(db, log),
	})
	if err != nil {
		t.Fatal(err)
	}
	options := app.Options{
		Home: home, Store: db, Sandbox: box, Product: app.Product{Name: "Paddock", Version: "0.1.0"}, Prompter: l, Logger: log,
		Desktop: control.Desktop{Display: ":nowhere"}, Programs: app.Programs{Window: "/bin/false"},
	}
	for _, f := range tune {
		f(&options)
	}
	if l.App, err = app.New(options); err != nil {
		t.Fatal(err)
	}
	if l.front, err = gateway.Listen(gateway.Options{Addr: "127.0.0.1:0", Backend: l.App, LinkDir: links, Logger: log}); err != nil {
		t.Fatal(err)
	}
	l.Attach(behind(l.front))
	t.Cleanup(func() {
		for _, close := range []func() error{l.front.Close, l.Close, box.Close, db.Close} {
			if err := close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	})
	return l
}

// write makes an author's folder with an app of one module.
func write(t *testing.T, id string, code int, permissions, module string) string {
	t.Helper()
	dir := t.TempDir()
	manifest := fmt.Sprintf(`{"manifest_version":1,"id":%q,"version":"%d.0.0","version_code":%d,"name":"Test","summary":"A test.","author":{"name":"T"},"license":"MIT",
		"icons":[{"src":"icon.svg","size":128}],"serve":{"mode":"server","entry":"app.js"},"resources":{"memory_mb":96,"cpu_percent":100,"disk_mb":32},"permissions":%s}`, id, code, code, permissions)
	for name, text := range map[string]string{
		"paddock.json": manifest, "app.js": module,
		"icon.svg": `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><rect width="1" height="1"/></svg>`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (l *live) install(dir string) control.InstallResult {
	l.t.Helper()
	s, err := l.Stage(l.t.Context(), control.Stage{Source: dir, Dev: true}, func(control.Progress) error { return nil })
	if err != nil {
		l.t.Fatal(err)
	}
	res, err := l.Commit(l.t.Context(), control.Commit{Stage: s.Stage})
	if err != nil {
		l.t.Fatal(err)
	}
	return res
}

// visit opens an app, spends its link, and returns what loads its pages.
func (l *live) visit(in control.Open) func(path string) (int, string) {
	l.t.Helper()
	c, origin := l.enter(in)
	return func(path string) (int, string) { return load(c, origin+path) }
}

// load is one request and its whole answer; without one, 0 and the error.
func load(c *http.Client, url string) (int, string) {
	resp, err := c.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, err.Error()
	}
	return resp.StatusCode, string(body)
}

// enter opens an app and spends its link: the client is a browser that was let in at the origin.
func (l *live) enter(in control.Open) (c *http.Client, origin string) {
	l.t.Helper()
	o, err := l.Open(l.t.Context(), in)
	if err != nil {
		l.t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		l.t.Fatal(err)
	}
	c = &http.Client{Jar: jar, Timeout: patience, Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, l.front.Addr())
	}}}
	l.t.Cleanup(c.CloseIdleConnections)
	if code, body := load(c, o.AppURL); code != http.StatusOK {
		l.t.Fatalf("the link answers %d %s", code, body)
	}
	return c, o.Origin
}

func (l *live) wait(what string, ok func() bool) {
	l.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			l.t.Fatalf("does not happen: %s", what)
		}
	}
}

func (l *live) rows() map[string]string {
	l.t.Helper()
	all, err := l.Permissions(l.t.Context(), control.AppRef{App: "test-dev"})
	if err != nil {
		l.t.Fatal(err)
	}
	out := map[string]string{}
	for _, r := range all {
		out[r.Permission] = r.Decision + " " + r.Lifetime
	}
	return out
}

const asks = `{"network":[{"host":"a.example","port":80,"reason":"A."},{"host":"b.example","port":80,"reason":"B."}]}`

const fetcher = `export default { async fetch(r) {
	const u = new URL(r.url);
	if (u.pathname === "/pid") return new Response(String(Deno.pid));
	if (u.pathname === "/ask") return new Response(await paddock.permissions.request(u.searchParams.get("p")).catch(e => "error: " + e.message));
	if (u.pathname === "/eat") { const keep = []; for (;;) { keep.push(new Uint8Array(4 << 20).fill(1)); await 0; } }
	if (u.pathname === "/die") { setTimeout(() => Deno.exit(9), 0); await new Promise(() => {}); }
	try { return new Response(await (await fetch(u.searchParams.get("u"))).text()); } catch (e) { return new Response(e.name); }
} };`

// TestAnswersBecomeRights: what a person answers in the prompt is exactly what the process may do, what was
// not asked cannot be answered, and closing the prompt stores nothing.
func TestAnswersBecomeRights(t *testing.T) {
	site := newSite(t)
	l := newLive(t, map[string]string{"a.example:80": site, "b.example:80": site})
	l.install(write(t, "org.example.test", 1, asks, fetcher))
	open := control.Open{App: "test-dev", Ask: true}

	l.answer = func(control.Prompt) (control.Answer, error) {
		return control.Answer{}, control.NewError(control.ExitRefused, "cancelled", "Closed.", "", nil)
	}
	if _, err := l.Open(t.Context(), open); control.AsError(err).Code != "cancelled" {
		t.Fatalf("closing the prompt: %v", err)
	}
	if r := l.rows(); r["net:a.example:80"] != "ask always" || r["net:b.example:80"] != "ask always" {
		t.Fatalf("closing the prompt answered: %v", r)
	}

	l.answer = func(control.Prompt) (control.Answer, error) {
		return control.Answer{Rows: []control.RowAnswer{{Permission: "net:c.example:80", Allow: true}}}, nil
	}
	if _, err := l.Open(t.Context(), open); control.AsError(err).Code != "not_asked" {
		t.Fatalf("an answer to what was not asked: %v", err)
	}

	// Asked twice now; the third time nothing is asked, and the rows count as refused for this run.
	l.answer = func(control.Prompt) (control.Answer, error) {
		t.Error("asked a third time")
		return control.Answer{}, nil
	}
	get := l.visit(open)
	if _, body := get("/?u=http://a.example/"); body != "NotCapable" {
		t.Fatalf("unanswered: %s", body)
	}

	if err := l.Decide(t.Context(), control.Decide{App: "test-dev", Permission: "net:a.example:80", Decision: "allow", Session: true}); err != nil {
		t.Fatal(err)
	}
	if _, body := get("/?u=http://a.example/"); body != "from a.example" {
		t.Fatalf("allowed for the session: %s", body)
	}
	if _, body := get("/?u=http://b.example/"); body != "NotCapable" {
		t.Fatalf("not allowed: %s", body)
	}
	if err := l.Stop(t.Context(), control.AppRef{App: "test-dev"}); err != nil {
		t.Fatal(err)
	}
	if r := l.rows(); r["net:a.example:80"] != "ask always" {
		t.Fatalf("the session's answer outlives it: %v", r)
	}
	act, err := l.Activity(t.Context(), control.ActivityQuery{App: "test-dev"})
	if err != nil || len(act) == 0 || act[0].Permission != "net:a.example:80" || act[0].Outcome != "allowed" || act[0].BytesIn == 0 {
		t.Fatalf("activity: %+v %v", act, err)
	}
}

// TestPromptIsTheAnswer: the first launch asks each row once with the host's words and the author's, and
// starts with what was answered.
func TestPromptIsTheAnswer(t *testing.T) {
	site := newSite(t)
	l := newLive(t, map[string]string{"a.example:80": site, "b.example:80": site})
	l.install(write(t, "org.example.test", 1, asks, fetcher))
	l.answer = func(q control.Prompt) (control.Answer, error) {
		if len(q.Rows) != 2 || q.Rows[0].Reason != "A." || !strings.Contains(q.Rows[0].Sentence, "%s") || q.Name != "Test" || len(q.Icon.Data) == 0 {
			t.Errorf("the prompt: %+v", q)
		}
		return control.Answer{
			Rows:   []control.RowAnswer{{Permission: "net:a.example:80", Allow: true}, {Permission: "net:b.example:80"}},
			Budget: control.Budget{MemoryBytes: 128 << 20},
		}, nil
	}
	get := l.visit(control.Open{App: "test-dev", Ask: true})
	if r := l.rows(); r["net:a.example:80"] != "allow always" || r["net:b.example:80"] != "deny always" {
		t.Fatalf("answers: %v", r)
	}
	if _, body := get("/?u=http://a.example/"); body != "from a.example" {
		t.Fatalf("allowed: %s", body)
	}
	if b, err := l.SetBudget(t.Context(), control.SetBudget{App: "test-dev"}); err != nil || b.MemoryBytes != 128<<20 {
		t.Fatalf("budget: %+v %v", b, err)
	}
	// The app can ask, and it can never answer.
	for p, want := range map[string]string{"net:a.example:80": "granted", "net:b.example:80": "denied", "net:other.example": "denied"} {
		if _, body := get("/ask?p=" + p); body != want {
			t.Errorf("the app asks for %s: %s, want %s", p, body, want)
		}
	}
	info, err := l.Info(t.Context(), control.AppRef{App: "test-dev"})
	if err != nil {
		t.Fatal(err)
	}
	net := ""
	for _, f := range info.Flags {
		if v, ok := strings.CutPrefix(f, "--allow-net="); ok {
			net = v
		}
	}
	if !strings.Contains(net, "a.example:80") || strings.Contains(net, "b.example") || info.Walls.Level == "" {
		t.Errorf("info: %q %+v", info.Flags, info.Walls)
	}
}

// TestUpdateKeepsRunning: an update restarts the running app in its new version, keeps sessions and answers,
// and a refused one leaves everything as it is.
func TestUpdateKeepsRunning(t *testing.T) {
	l := newLive(t, nil)
	l.install(write(t, "org.example.test", 1, asks, fetcher))
	get := l.visit(control.Open{App: "test-dev"})
	if err := l.Decide(t.Context(), control.Decide{App: "test-dev", Permission: "net:b.example:80", Decision: "deny"}); err != nil {
		t.Fatal(err)
	}
	res := l.install(write(t, "org.example.test", 2, asks, `export default { fetch() { return new Response("second version"); } };`))
	if res.VersionCode != 2 {
		t.Fatalf("installed %+v", res)
	}
	if code, body := get("/"); body != "second version" {
		t.Fatalf("after the update: %d %s", code, body)
	}
	if r := l.rows(); r["net:b.example:80"] != "deny always" {
		t.Fatalf("the update changed an answer: %v", r)
	}
	bad := write(t, "org.example.test", 3, asks, "")
	if err := os.WriteFile(filepath.Join(bad, "paddock.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Stage(t.Context(), control.Stage{Source: bad, Dev: true}, func(control.Progress) error { return nil }); control.AsError(err).Exit != control.ExitRefused {
		t.Fatalf("a broken update: %v", err)
	}
	if _, body := get("/"); body != "second version" {
		t.Fatalf("after the refused update: %s", body)
	}
}

// TestEndsAreRecorded: a breach and a crash end in history, state, notice and page.
func TestEndsAreRecorded(t *testing.T) {
	l := newLive(t, nil)
	l.install(write(t, "org.example.test", 1, "{}", fetcher))
	get := l.visit(control.Open{App: "test"}) // what its author calls it
	get("/die")
	l.wait("the crash is recorded", func() bool {
		h, err := l.History(t.Context(), control.AppRef{App: "test-dev"})
		return err == nil && len(h) == 1 && h[0].EndedAt != nil
	})
	if code, _ := get("/pid"); code != http.StatusOK {
		t.Fatalf("a request after the crash answers %d", code)
	}
	get("/eat")
	l.wait("the breach is recorded", func() bool {
		h, err := l.History(t.Context(), control.AppRef{App: "test-dev"})
		return err == nil && len(h) == 2 && h[0].Reason == "over_budget" && h[0].Breach != nil && h[0].Breach.Budget == "memory"
	})
	if s := l.State(); s.Apps[0].State != control.StateOverBudget {
		t.Errorf("state: %s", s.Apps[0].State)
	}
	if code, body := get("/"); code != http.StatusServiceUnavailable || !strings.Contains(body, "memory") {
		t.Errorf("the page of a killed app: %d %s", code, body)
	}
	var notice control.Notice
	for _, n := range l.State().Notices {
		if n.Code == "over_budget" {
			notice = n
		}
	}
	if !strings.Contains(notice.Text, "96 MiB") {
		t.Fatalf("notices: %+v", l.State().Notices)
	}
	if err := l.NoticeAction(t.Context(), control.NoticeAction{ID: notice.ID, Action: "raise"}); err != nil {
		t.Fatal(err)
	}
	if b, err := l.SetBudget(t.Context(), control.SetBudget{App: "test-dev"}); err != nil || b.MemoryBytes != 192<<20 {
		t.Errorf("raised to %+v %v", b, err)
	}
	if code, _ := get("/pid"); code != http.StatusOK {
		t.Errorf("after the raise: %d", code)
	}
}

// TestRightsChangeUnderLoad: requests are held while an app is restarted with other rights, and from the answer of the
// command on none reaches a process that has them still.
func TestRightsChangeUnderLoad(t *testing.T) {
	site := newSite(t)
	l := newLive(t, map[string]string{"a.example:80": site})
	l.install(write(t, "org.example.test", 1, asks, fetcher))
	c, origin := l.enter(control.Open{App: "test-dev"})
	stop := make(chan struct{})
	var crowd sync.WaitGroup
	var answered atomic.Int64
	for range 4 {
		crowd.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if code, body := load(c, origin+"/pid"); code != http.StatusOK {
					t.Errorf("a request during a restart: %d %.300s", code, body)
					return
				}
				answered.Add(1)
			}
		})
	}
	for i := range 6 {
		decision, want := "allow", "from a.example"
		if i%2 == 1 {
			decision, want = "deny", "NotCapable"
		}
		if err := l.Decide(t.Context(), control.Decide{App: "test-dev", Permission: "net:a.example:80", Decision: decision}); err != nil {
			t.Fatal(err)
		}
		if code, body := load(c, origin+"/?u=http://a.example/"); code != http.StatusOK || body != want {
			t.Errorf("after %s: %d %.300s, want %s", decision, code, body, want)
		}
	}
	close(stop)
	crowd.Wait()
	if answered.Load() == 0 {
		t.Error("nothing was asked meanwhile")
	}
}

// TestAgentEndIsGraceful: an app may tidy up when the agent ends, and history says who ended it.
func TestAgentEndIsGraceful(t *testing.T) {
	l := newLive(t, nil)
	l.install(write(t, "org.example.test", 1, "{}", `Deno.addSignalListener("SIGTERM", () => { Deno.writeTextFileSync("farewell", "tidy"); Deno.exit(0); });
		export default { fetch() { return new Response("ok"); } };`))
	get := l.visit(control.Open{App: "test-dev"})
	get("/")
	info, err := l.Info(t.Context(), control.AppRef{App: "test-dev"})
	if err != nil {
		t.Fatal(err)
	}
	l.StopAll(t.Context())
	if text, err := os.ReadFile(filepath.Join(info.Paths.Data, "farewell")); err != nil || string(text) != "tidy" {
		t.Errorf("the app could not tidy up: %q %v", text, err)
	}
	h, err := l.History(t.Context(), control.AppRef{App: "test-dev"})
	if err != nil || len(h) != 1 || h[0].Reason != "host_closed" {
		t.Errorf("history: %+v %v", h, err)
	}
}

// newSite is a server that says for which host it was asked; it returns its address.
func newSite(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "from "+r.Host) }), ReadHeaderTimeout: patience}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(ln) }()
	t.Cleanup(func() { s.Close(); <-done })
	return ln.Addr().String()
}

// TestClosedSocketMeansEnded: who finds the socket of an app closed and asks again gets the next instance,
// not the word that the one which has just died does not answer.
func TestClosedSocketMeansEnded(t *testing.T) {
	l := newLive(t, nil)
	l.install(write(t, "org.example.test", 1, "{}", fetcher))
	get := l.visit(control.Open{App: "test-dev"})
	info, err := l.Info(t.Context(), control.AppRef{App: "test-dev"})
	if err != nil {
		t.Fatal(err)
	}
	install := filepath.Base(filepath.Dir(info.Paths.Data))
	for range 2 { // a third death would be answered by a pause
		_, pid := get("/pid")
		up, err := l.Wake(t.Context(), install)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for err == nil {
			var c net.Conn
			if c, err = up.Dial(t.Context()); err == nil {
				_ = c.Close()
			}
		}
		next, err := l.Wake(t.Context(), install)
		if err != nil {
			t.Fatal(err)
		}
		if next.Key() == up.Key() {
			t.Fatal("the instance that has just ended is offered again")
		}
	}
}
