package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"paddock/sandbox/permission"
)

func TestMain(m *testing.M) {
	if runAsStranger() {
		return
	}
	goleak.VerifyTestMain(m)
}

// patience bounds every wait of a test.
const patience = 12 * time.Second

// instance is a real server on a Unix socket, as a running app is for the front door.
type instance struct {
	path  string
	key   string
	busy  atomic.Int32
	dials atomic.Int32
}

func (i *instance) Dial(ctx context.Context) (net.Conn, error) {
	i.dials.Add(1)
	var d net.Dialer
	return d.DialContext(ctx, "unix", i.path)
}
func (i *instance) Key() string { return i.key }
func (i *instance) Busy() func() {
	i.busy.Add(1)
	return func() { i.busy.Add(-1) }
}

// backend hands out instances and notes what it was asked.
type backend struct {
	mu    sync.Mutex
	ups   map[string]Upstream
	state error
	woken atomic.Int32
	acts  []string
	used  []string
	soon  []string // who is expected
	wake  func(ctx context.Context, install string) (Upstream, error)
}

func (b *backend) Wake(ctx context.Context, install string) (Upstream, error) {
	b.woken.Add(1)
	b.mu.Lock()
	wake, state, up := b.wake, b.state, b.ups[install]
	b.mu.Unlock()
	if wake != nil {
		return wake(ctx, install)
	}
	if state != nil {
		return nil, state
	}
	return up, nil
}

func (b *backend) Act(_ context.Context, install, action string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acts = append(b.acts, install+" "+action)
	return nil
}

func (b *backend) Used(install, side, perm string, allowed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used = append(b.used, fmt.Sprint(install, " ", side, " ", perm, " ", allowed))
}

func (b *backend) Expect(install string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.soon = append(b.soon, install)
}

func (b *backend) set(install string, up Upstream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ups[install] = up
}

// memory keeps sessions as the store would.
type memory struct {
	mu       sync.Mutex
	sessions map[[32]byte]Session
}

func (m *memory) Put(s Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sessions == nil {
		m.sessions = map[[32]byte]Session{}
	}
	m.sessions[s.Hash] = s
	return nil
}

func (m *memory) All() (all []Session, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		all = append(all, s)
	}
	return all, nil
}

func (m *memory) Delete(install string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for hash, s := range m.sessions {
		if s.Install == install {
			delete(m.sessions, hash)
		}
	}
	return nil
}

// clock can be moved.
type clock struct{ shift atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.shift.Load())) }
func (c *clock) advance(d time.Duration) { c.shift.Add(int64(d)) }

// rig is a front door with one app, "notes", let in already.
type rig struct {
	t       testing.TB
	g       *Gateway
	back    *backend
	store   *memory
	clock   *clock
	app     App
	host    string // Host of the app
	cookie  string // name=value
	log     *lockedBuffer
	options Options // for the next restart
	restart func() *Gateway
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func grants(t testing.TB, list ...string) permission.Set {
	t.Helper()
	var ps []permission.Permission
	for _, text := range list {
		p, err := permission.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return permission.NewSet(ps...)
}

// shortDir is a folder whose path leaves room for a socket's name.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// serveApp runs a handler on a socket of its own.
func serveApp(t testing.TB, h http.Handler) *instance {
	t.Helper()
	path := filepath.Join(shortDir(t), "app.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	server.Start()
	t.Cleanup(server.Close)
	return &instance{path: path, key: path}
}

// serveRaw runs an app that speaks bytes.
func serveRaw(t testing.TB, talk func(c net.Conn, br *bufio.Reader)) *instance {
	t.Helper()
	path := filepath.Join(shortDir(t), "app.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				talk(c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return &instance{path: path, key: path}
}

func newRig(t testing.TB, up Upstream, change ...func(*App)) *rig {
	t.Helper()
	r := &rig{
		t: t, store: &memory{}, clock: &clock{}, log: &lockedBuffer{},
		back: &backend{ups: map[string]Upstream{"i1": up}},
		app:  App{Install: "i1", ID: "org.example.notes", Label: "notes-abcdefgh", Name: "Notes", Mode: ModeServer},
	}
	for _, c := range change {
		c(&r.app)
	}
	r.options = Options{
		Backend: r.back, Sessions: r.store, Now: r.clock.now, LinkDir: shortDir(t),
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	open := func() *Gateway {
		g, err := Listen(r.options)
		if err != nil {
			t.Fatal(err)
		}
		g.Set(r.app)
		r.g = g
		return g
	}
	open()
	t.Cleanup(func() {
		if err := r.g.Close(); err != nil {
			t.Error(err)
		}
	})
	r.restart = func() *Gateway {
		r.options.Addr = r.g.Addr()
		if err := r.g.Close(); err != nil {
			t.Fatal(err)
		}
		return open()
	}
	r.host = strings.TrimPrefix(r.g.Origin(r.app.Install), "http://")
	r.cookie = r.letIn("i1", r.host)
	return r
}

// letIn opens an app with a fresh link and returns its cookie as name=value.
func (r *rig) letIn(install, host string) string {
	r.t.Helper()
	_, url, err := r.g.Mint(install)
	if err != nil {
		r.t.Fatal(err)
	}
	res := r.raw("GET " + strings.TrimPrefix(url, "http://"+host) + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
	if res.StatusCode != 200 || len(res.Cookies()) != 1 {
		r.t.Fatalf("open: %s, %d cookies", res.Status, len(res.Cookies()))
	}
	return res.Cookies()[0].Name + "=" + res.Cookies()[0].Value
}

// answer is a response whose body was read.
type answer struct {
	*http.Response
	body string
}

// dial connects to the front door.
func (r *rig) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.g.Addr())
	if err != nil {
		r.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// raw sends bytes and reads one answer.
func (r *rig) raw(request string) answer {
	r.t.Helper()
	c := r.dial()
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		r.t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		r.t.Fatalf("no answer to %q: %v", request, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatalf("body of the answer to %q: %v", request, err)
	}
	return answer{res, string(body)}
}

// lines builds a request from its first line and headers; Host, the session and Connection are added.
func (r *rig) lines(first string, headers ...string) string {
	return first + " HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: " + r.cookie + "\r\nConnection: close\r\n" + strings.Join(append(headers, ""), "\r\n") + "\r\n"
}

func (r *rig) get(path string, headers ...string) answer {
	r.t.Helper()
	return r.raw(r.lines("GET "+path, headers...))
}

// await polls a condition.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
		time.Sleep(time.Millisecond)
	}
}

func hello(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
}
