package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"
)

func chromiumArgs(folder string, options Options) []string {
	args := []string{
		"--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
		"--user-data-dir=" + filepath.Join(folder, "profile"), "--disk-cache-dir=" + filepath.Join(folder, "home", "cache"),
		"--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-default-apps", "--disable-extensions", "--disable-quic", "--disable-dev-shm-usage",
		"--disable-popup-blocking", "--disable-breakpad", "--disable-crash-reporter", "--metrics-recording-only",
		"--password-store=basic", "--window-size=1280,800",
	}
	if len(options.Names) > 0 {
		rules := "--host-resolver-rules="
		for i, name := range options.Names {
			if i > 0 {
				rules += ","
			}
			rules += "MAP " + name + " 127.0.0.1"
		}
		args = append(args, rules)
	}
	return append(append(args, options.Args...), "about:blank")
}

// chromium speaks the DevTools protocol (https://chromedevtools.github.io/devtools-protocol/), with all tabs and the
// frames that have a process of their own on one connection, each a session.
type chromium struct {
	wire *wire
	rec  *record

	mu       sync.Mutex
	sessions map[string]string   // tab id → session
	parents  map[string]string   // session → session of the page it is a frame of
	worlds   map[string][]*world // session → execution contexts of its frames
}

// world is one document's place to evaluate in.
type world struct {
	frame  string
	unique string
}

func newChromium(ctx context.Context, endpoint string) (*chromium, error) {
	c := &chromium{rec: newRecord(), sessions: map[string]string{}, parents: map[string]string{}, worlds: map[string][]*world{}}
	w, err := dial(ctx, endpoint, c.on)
	if err != nil {
		return nil, err
	}
	c.wire = w
	return c, nil
}

func (c *chromium) seen() *record { return c.rec }

func (c *chromium) close() { c.wire.close() }

func (c *chromium) quit(ctx context.Context) error {
	return c.wire.call(ctx, "", "Browser.close", nil, nil)
}

// enable is what a session is asked for as soon as it exists.
var enable = []struct {
	method string
	params any
}{
	{"Runtime.enable", nil},
	{"Page.enable", nil},
	{"Network.enable", nil},
	{"Log.enable", nil},
	{"Target.setAutoAttach", map[string]any{"autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true}},
}

func (c *chromium) open(ctx context.Context) (string, error) {
	var made struct{ TargetID string }
	// A window, since a tab in the background draws nothing, and what is not drawn is not fetched.
	if err := c.wire.call(ctx, "", "Target.createTarget", map[string]any{"url": "about:blank", "newWindow": true}, &made); err != nil {
		return "", err
	}
	var attached struct{ SessionID string }
	if err := c.wire.call(ctx, "", "Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true}, &attached); err != nil {
		return "", err
	}
	c.mu.Lock()
	c.sessions[made.TargetID] = attached.SessionID
	c.mu.Unlock()
	for _, e := range enable {
		if err := c.wire.call(ctx, attached.SessionID, e.method, e.params, nil); err != nil {
			return "", err
		}
	}
	return made.TargetID, nil
}

func (c *chromium) session(id string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sessions[id]; s != "" {
		return s, nil
	}
	return "", fmt.Errorf("no tab %s", id)
}

// on takes an event. It must not wait for the browser.
func (c *chromium) on(e event) {
	var p struct {
		SessionID  string `json:"sessionId"`
		TargetInfo struct {
			TargetID string `json:"targetId"`
			Type     string `json:"type"`
		} `json:"targetInfo"`
		Context struct {
			UniqueID string `json:"uniqueId"`
			AuxData  struct {
				FrameID   string `json:"frameId"`
				IsDefault bool   `json:"isDefault"`
			} `json:"auxData"`
		} `json:"context"`
		UniqueID  string `json:"executionContextUniqueId"`
		RequestID string `json:"requestId"`
		Request   struct{ Method, URL string }
		Response  struct{ Status int }
		ErrorText string `json:"errorText"`
		Blocked   string `json:"blockedReason"`
		Entry     struct{ Text string }
		Exception struct {
			Text      string
			Exception struct{ Description string }
		} `json:"exceptionDetails"`
		Args []struct{ Value any }
	}
	_ = json.Unmarshal(e.params, &p) // fields of the same name differ in type between events; the rest is read all the same
	switch e.method {
	case "Target.attachedToTarget":
		if p.TargetInfo.Type != "iframe" || e.session == "" {
			return
		}
		c.mu.Lock()
		c.parents[p.SessionID] = e.session
		c.mu.Unlock()
		for _, ask := range enable {
			_, _, _ = c.wire.send(p.SessionID, ask.method, ask.params)
		}
	case "Target.detachedFromTarget":
		c.mu.Lock()
		delete(c.parents, p.SessionID)
		delete(c.worlds, p.SessionID)
		c.mu.Unlock()
		c.wire.drop(p.SessionID)
	case "Runtime.executionContextCreated":
		if p.Context.AuxData.IsDefault {
			c.mu.Lock()
			c.worlds[e.session] = append(c.worlds[e.session], &world{p.Context.AuxData.FrameID, p.Context.UniqueID})
			c.mu.Unlock()
		}
	case "Runtime.executionContextDestroyed":
		c.mu.Lock()
		kept := c.worlds[e.session][:0]
		for _, w := range c.worlds[e.session] {
			if w.unique != p.UniqueID {
				kept = append(kept, w)
			}
		}
		c.worlds[e.session] = kept
		c.mu.Unlock()
	case "Runtime.executionContextsCleared":
		c.mu.Lock()
		delete(c.worlds, e.session)
		c.mu.Unlock()
	case "Network.requestWillBeSent":
		c.rec.request(p.RequestID, func(q *Request) { q.Method, q.URL, q.Status, q.Failed = p.Request.Method, p.Request.URL, 0, "" })
	case "Network.responseReceived":
		c.rec.request(p.RequestID, func(q *Request) { q.Status = p.Response.Status })
	case "Network.loadingFailed":
		c.rec.request(p.RequestID, func(q *Request) { q.Failed = p.ErrorText + p.Blocked })
	case "Log.entryAdded":
		c.rec.say(p.Entry.Text)
	case "Runtime.exceptionThrown":
		c.rec.say(p.Exception.Text + " " + p.Exception.Exception.Description)
	case "Runtime.consoleAPICalled":
		for _, a := range p.Args {
			c.rec.say(fmt.Sprint(a.Value))
		}
	}
}

func (c *chromium) navigate(ctx context.Context, id, url string) error {
	session, err := c.session(id)
	if err != nil {
		return err
	}
	var went struct{ ErrorText string }
	if err := c.wire.call(ctx, session, "Page.navigate", map[string]any{"url": url}, &went); err != nil {
		return err
	}
	// A page that replaces itself while it loads counts as aborted here, though the other one is on its way.
	if went.ErrorText != "" && went.ErrorText != "net::ERR_ABORTED" {
		return errors.New(went.ErrorText)
	}
	return untilLoaded(ctx, c, id)
}

// untilLoaded waits until the document that is there is complete. A page that replaces itself makes asking fail.
func untilLoaded(ctx context.Context, d driver, id string) error {
	for {
		state, err := d.eval(ctx, id, "document.readyState", false)
		if state == "complete" {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("not loaded: %q, %w", state, errors.Join(err, ctx.Err()))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// place is the session of a tab or frame, and the context of a frame ("": the tab's own document).
func (c *chromium) place(id string) (session, unique string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sessions[id]; s != "" {
		return s, "", nil
	}
	for session, worlds := range c.worlds {
		for _, w := range worlds {
			if w.frame == id {
				return session, w.unique, nil
			}
		}
	}
	return "", "", fmt.Errorf("no tab or frame %s", id)
}

func (c *chromium) eval(ctx context.Context, id, expression string, activated bool) (string, error) {
	session, unique, err := c.place(id)
	if err != nil {
		return "", err
	}
	return c.evalIn(ctx, session, unique, expression, activated)
}

func (c *chromium) evalIn(ctx context.Context, session, unique, expression string, activated bool) (string, error) {
	params := map[string]any{
		"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": activated,
		"allowUnsafeEvalBlockedByCSP": false, // what the page may not, a test of it may not either
	}
	if unique != "" {
		params["uniqueContextId"] = unique
	}
	var got struct {
		Result           struct{ Value any }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	if err := c.wire.call(ctx, session, "Runtime.evaluate", params, &got); err != nil {
		return "", err
	}
	if got.ExceptionDetails != nil {
		return "", fmt.Errorf("%s %s", got.ExceptionDetails.Text, got.ExceptionDetails.Exception.Description)
	}
	return fmt.Sprint(got.Result.Value), nil
}

// frames asks every document of a tab but the top one where it is.
func (c *chromium) frames(ctx context.Context, id string) ([]frame, error) {
	top, err := c.session(id)
	if err != nil {
		return nil, err
	}
	type placed struct{ session, frame, unique string }
	var within []placed
	c.mu.Lock()
	for session, worlds := range c.worlds {
		of := session
		for c.parents[of] != "" {
			of = c.parents[of]
		}
		for _, w := range worlds {
			if of == top && w.frame != id {
				within = append(within, placed{session, w.frame, w.unique})
			}
		}
	}
	c.mu.Unlock()
	var all []frame
	var errs []error
	for _, w := range within {
		one, cancel := context.WithTimeout(ctx, time.Second) // a frame that shows an error page may never answer
		url, err := c.evalIn(one, w.session, w.unique, "location.href", false)
		cancel()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, frame{w.frame, url})
	}
	return all, errors.Join(errs...)
}

func (c *chromium) tabs(ctx context.Context) ([]frame, error) {
	var got struct {
		TargetInfos []struct{ TargetID, Type, URL string }
	}
	if err := c.wire.call(ctx, "", "Target.getTargets", nil, &got); err != nil {
		return nil, err
	}
	var all []frame
	for _, t := range got.TargetInfos {
		if t.Type == "page" {
			all = append(all, frame{t.TargetID, t.URL})
		}
	}
	return all, nil
}

func (c *chromium) cookies(ctx context.Context) ([]Cookie, error) {
	var got struct{ Cookies []Cookie }
	if err := c.wire.call(ctx, "", "Storage.getCookies", nil, &got); err != nil {
		return nil, err
	}
	return got.Cookies, nil
}

func (c *chromium) screenshot(ctx context.Context, id string) (string, error) {
	session, err := c.session(id)
	if err != nil {
		return "", err
	}
	var got struct{ Data string }
	err = c.wire.call(ctx, session, "Page.captureScreenshot", map[string]any{"format": "png"}, &got)
	return got.Data, err
}

func (c *chromium) click(ctx context.Context, id string, x, y float64) error {
	session, _, err := c.place(id)
	if err != nil {
		return err
	}
	for _, kind := range []string{"mouseMoved", "mousePressed", "mouseReleased"} {
		params := map[string]any{"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
		if kind == "mouseMoved" {
			params["button"], params["clickCount"] = "none", 0
		}
		if err := c.wire.call(ctx, session, "Input.dispatchMouseEvent", params, nil); err != nil {
			return err
		}
	}
	return nil
}

func (c *chromium) back(ctx context.Context, id string, steps int) error {
	session, err := c.session(id)
	if err != nil {
		return err
	}
	var history struct {
		CurrentIndex int
		Entries      []struct{ ID int }
	}
	if err := c.wire.call(ctx, session, "Page.getNavigationHistory", nil, &history); err != nil {
		return err
	}
	to := history.CurrentIndex - steps
	if to < 0 || to >= len(history.Entries) {
		return fmt.Errorf("there are %d entries, and %d is none of them", len(history.Entries), to)
	}
	return c.wire.call(ctx, session, "Page.navigateToHistoryEntry", map[string]any{"entryId": history.Entries[to].ID}, nil)
}

func (c *chromium) closeTab(ctx context.Context, id string) error {
	if _, err := c.session(id); err != nil {
		return err // a frame
	}
	err := c.wire.call(ctx, "", "Target.closeTarget", map[string]any{"targetId": id}, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.worlds, c.sessions[id])
	delete(c.sessions, id)
	return err
}
