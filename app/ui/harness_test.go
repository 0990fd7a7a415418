package ui

import (
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"paddock/app/control"
)

// fakeAgent speaks the control protocol on a Unix socket and remembers what it was told.
type fakeAgent struct {
	t      *testing.T
	socket string
	srv    *http.Server

	mu      sync.Mutex
	calls   []agentCall
	answers map[string]func(raw json.RawMessage, s *control.Stream, r *http.Request)
	state   control.State
	changed chan struct{} // closed when there is another state
}

type agentCall struct {
	method string
	raw    json.RawMessage
}

func newFakeAgent(t *testing.T) *fakeAgent {
	t.Helper()
	dir, err := os.MkdirTemp("", "paddock-ui")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	a := &fakeAgent{t: t, socket: filepath.Join(dir, "c.sock"), answers: map[string]func(json.RawMessage, *control.Stream, *http.Request){}, changed: make(chan struct{})}
	l, err := net.Listen("unix", a.socket)
	if err != nil {
		t.Fatal(err)
	}
	a.srv = &http.Server{Handler: http.HandlerFunc(a.serve)}
	done := make(chan struct{})
	go func() { defer close(done); _ = a.srv.Serve(l) }()
	t.Cleanup(func() { _ = a.srv.Close(); <-done })
	a.reply(control.MethodAnswer, control.Empty{})
	a.reply(control.MethodDecide, control.Empty{})
	a.reply(control.MethodStop, control.Empty{})
	a.reply(control.MethodRestart, control.Empty{})
	a.reply(control.MethodAhead, control.Empty{})
	a.reply(control.MethodNotice, control.Empty{})
	a.reply(control.MethodDiscard, control.Empty{})
	a.reply(control.MethodUninstall, control.Empty{})
	a.reply(control.MethodGreet, control.Greeting{Name: "Paddock", ID: "org.paddock.Paddock", Version: "0.1.0", Protocol: control.Protocol})
	return a
}

func (a *fakeAgent) serve(w http.ResponseWriter, r *http.Request) {
	method := strings.TrimPrefix(r.URL.Path, "/v1/")
	var raw json.RawMessage
	_ = json.NewDecoder(r.Body).Decode(&raw)
	s := control.NewStream(w)
	if method == control.MethodWatch {
		for {
			a.mu.Lock()
			state, changed := a.state, a.changed
			a.mu.Unlock()
			_ = s.Event(state)
			select {
			case <-changed:
			case <-r.Context().Done():
				return
			}
		}
	}
	a.mu.Lock()
	a.calls = append(a.calls, agentCall{method, raw})
	answer := a.answers[method]
	a.mu.Unlock()
	if answer == nil {
		_ = s.Fail(control.NewError(control.ExitFailed, "test", "No answer for "+method+".", "", nil))
		return
	}
	answer(raw, s, r)
}

// become sets the state that is there, and tells who watches.
func (a *fakeAgent) become(s control.State) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.state = s
	close(a.changed)
	a.changed = make(chan struct{})
}

// on sets how a method is answered.
func (a *fakeAgent) on(method string, f func(raw json.RawMessage, s *control.Stream, r *http.Request)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[method] = f
}

func (a *fakeAgent) reply(method string, v any) {
	a.on(method, func(_ json.RawMessage, s *control.Stream, _ *http.Request) { _ = s.Result(v) })
}

func (a *fakeAgent) refuse(method string, e *control.Error) {
	a.on(method, func(_ json.RawMessage, s *control.Stream, _ *http.Request) { _ = s.Fail(e) })
}

// got are the calls of a method, decoded.
func got[T any](a *fakeAgent, method string) (out []T) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.calls {
		if c.method == method {
			var v T
			if err := json.Unmarshal(c.raw, &v); err != nil {
				a.t.Fatalf("%s: %v", method, err)
			}
			out = append(out, v)
		}
	}
	return out
}

// handClock is time that only moves when told.
type handClock struct {
	mu    sync.Mutex
	at    time.Time
	timed []*handTimer
}

type handTimer struct {
	due  time.Time
	do   func()
	over bool
}

func (c *handClock) clock() Clock {
	return Clock{
		Now: func() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at },
		After: func(d time.Duration, do func()) func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			t := &handTimer{due: c.at.Add(d), do: do}
			c.timed = append(c.timed, t)
			return func() { c.mu.Lock(); t.over = true; c.mu.Unlock() }
		},
	}
}

func (c *handClock) advance(d time.Duration) {
	c.mu.Lock()
	c.at = c.at.Add(d)
	var due []func()
	for _, t := range c.timed {
		if !t.over && !t.due.After(c.at) {
			t.over = true
			due = append(due, t.do)
		}
	}
	c.mu.Unlock()
	for _, f := range due {
		f()
	}
}

// rig is the windows under test with a fake agent, clock and picker. The test's goroutine is the main goroutine:
// what the background wants to do there waits in a queue until the test pumps it.
type rig struct {
	t      *testing.T
	agent  *fakeAgent
	clock  *handClock
	app    fyne.App
	ws     *Windows
	queue  chan func()
	opened []string
	openMu sync.Mutex
	empty  int
	picks  []Pick
	pick   func() (string, error)
}

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func newRig(t *testing.T, look string) *rig {
	t.Helper()
	r := &rig{t: t, agent: newFakeAgent(t), clock: &handClock{at: noon}, queue: make(chan func(), 4096)}
	r.app = test.NewTempApp(t)
	r.app.Preferences().SetString(lookKey, look)
	r.start()
	return r
}

func (r *rig) start() {
	client := control.NewClient(r.agent.socket)
	r.ws = New(Options{
		App: r.app, Client: client, Home: "/home/ada", Clock: r.clock.clock(),
		Enter:  func(f func()) { r.queue <- f },
		Browse: func(u string) error { r.openMu.Lock(); r.opened = append(r.opened, u); r.openMu.Unlock(); return nil },
		Empty:  func() { r.empty++ },
		Pick: func(_ fyne.Window, what Pick, chosen func(string, error)) {
			r.picks = append(r.picks, what)
			chosen(r.pick())
		},
	})
	r.t.Cleanup(func() { r.ws.Close(); client.Close() })
}

// patience bounds every wait of a test.
const patience = 60 * time.Second

// until pumps the main goroutine's queue until ok, or fails.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	deadline := time.After(patience)
	for !ok() {
		select {
		case f := <-r.queue:
			f()
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			r.t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// settle pumps what is waiting now.
func (r *rig) settle() {
	for {
		select {
		case f := <-r.queue:
			f()
		default:
			return
		}
	}
}

// state gives the agent a state with a number of its own, and returns when the windows have it.
func (r *rig) state(s control.State) {
	r.t.Helper()
	r.agent.become(s)
	r.until("a state", func() bool { return r.ws.state.Seq == s.Seq })
}

func (r *rig) frame(kind string) *frame {
	for k, f := range r.ws.frames {
		if k == kind || strings.HasPrefix(k, kind+"\x00") {
			return f
		}
	}
	return nil
}

// shot writes a picture of a window to the folder in PADDOCK_SHOTS, and always checks that it is not blank.
func (r *rig) shot(f *frame, name string) image.Image {
	r.t.Helper()
	f.win.Canvas().(test.WindowlessCanvas).SetScale(2)
	for _, tree := range append([]fyne.CanvasObject{f.win.Content()}, f.win.Canvas().Overlays().List()...) {
		refreshAll(tree)
	}
	im := f.win.Canvas().Capture()
	if n := colors(im); n < 12 {
		r.t.Errorf("%s: only %d colours: blank?", name, n)
	}
	r.keepForReadme(name, im)
	if dir := os.Getenv("PADDOCK_SHOTS"); dir != "" {
		out, err := os.Create(filepath.Join(dir, name+".png"))
		if err != nil {
			r.t.Fatal(err)
		}
		defer out.Close()
		if err := png.Encode(out, im); err != nil {
			r.t.Fatal(err)
		}
	}
	return im
}

// refreshAll makes vector pictures draw again at the canvas's present scale.
func refreshAll(o fyne.CanvasObject) {
	switch o := o.(type) {
	case *fyne.Container:
		for _, c := range o.Objects {
			refreshAll(c)
		}
	case fyne.Widget:
		for _, c := range test.WidgetRenderer(o).Objects() {
			refreshAll(c)
		}
	}
	o.Refresh()
}

func colors(im image.Image) int {
	seen := map[string]bool{}
	b := im.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y += 7 {
		for x := b.Min.X; x < b.Max.X; x += 7 {
			seen[fmt.Sprint(im.At(x, y))] = true
		}
	}
	return len(seen)
}

// walk visits every visible object of a window, overlays last.
func walk(f *frame, visit func(o fyne.CanvasObject)) {
	var down func(o fyne.CanvasObject)
	down = func(o fyne.CanvasObject) {
		if !o.Visible() {
			return
		}
		visit(o)
		switch o := o.(type) {
		case *fyne.Container:
			for _, c := range o.Objects {
				down(c)
			}
		case fyne.Widget:
			for _, c := range test.WidgetRenderer(o).Objects() {
				down(c)
			}
		}
	}
	down(f.win.Content())
	for _, o := range f.win.Canvas().Overlays().List() {
		down(o)
	}
}

// texts is everything that can be read in a window.
func texts(f *frame) string {
	var b strings.Builder
	walk(f, func(o fyne.CanvasObject) {
		if p, ok := o.(*paragraph); ok {
			b.WriteString(p.String())
			b.WriteString("\n")
		}
	})
	return b.String()
}

// buttonNamed finds a visible button.
func buttonNamed(t *testing.T, f *frame, name string) *button {
	t.Helper()
	var found *button
	walk(f, func(o fyne.CanvasObject) {
		if b, ok := o.(*button); ok && b.name == name {
			found = b
		}
	})
	if found == nil {
		t.Fatalf("no button %q among:\n%s", name, texts(f))
	}
	return found
}

func key(f *frame, name fyne.KeyName) {
	e := &fyne.KeyEvent{Name: name}
	if o := f.win.Canvas().Focused(); o != nil {
		o.TypedKey(e)
		return
	}
	f.win.Canvas().OnTypedKey()(e)
}
