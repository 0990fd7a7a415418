package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// quiet are Firefox's preferences for a browser that calls nobody by itself and greets nobody. Preferences that
// change what pages can do are left as users have them, but for the popup blocker.
var quiet = map[string]any{
	"app.normandy.enabled":                                       false,
	"app.update.disabledForTesting":                              true,
	"app.update.enabled":                                         false,
	"browser.aboutwelcome.enabled":                               false,
	"browser.download.folderList":                                2,
	"browser.newtabpage.enabled":                                 false,
	"browser.places.speculativeConnect.enabled":                  false,
	"browser.region.network.url":                                 "",
	"browser.safebrowsing.blockedURIs.enabled":                   false,
	"browser.safebrowsing.downloads.enabled":                     false,
	"browser.safebrowsing.downloads.remote.enabled":              false,
	"browser.safebrowsing.malware.enabled":                       false,
	"browser.safebrowsing.phishing.enabled":                      false,
	"browser.safebrowsing.provider.mozilla.updateURL":            "",
	"browser.search.update":                                      false,
	"browser.sessionstore.resume_from_crash":                     false,
	"browser.shell.checkDefaultBrowser":                          false,
	"browser.startup.homepage_override.mstone":                   "ignore",
	"browser.startup.page":                                       0,
	"browser.tabs.firefox-view":                                  false,
	"browser.topsites.contile.enabled":                           false,
	"browser.urlbar.suggest.searches":                            false,
	"datareporting.healthreport.uploadEnabled":                   false,
	"datareporting.policy.dataSubmissionEnabled":                 false,
	"dom.disable_open_during_load":                               false, // the popup blocker
	"dom.ipc.processPrelaunch.enabled":                           false,
	"dom.push.connection.enabled":                                false,
	"extensions.blocklist.enabled":                               false,
	"extensions.getAddons.cache.enabled":                         false,
	"extensions.systemAddon.update.enabled":                      false,
	"extensions.update.enabled":                                  false,
	"geo.provider.network.url":                                   "",
	"media.gmp-manager.updateEnabled":                            false,
	"media.gmp-manager.url":                                      "",
	"messaging-system.rsexperimentloader.enabled":                false,
	"network.captive-portal-service.enabled":                     false,
	"network.connectivity-service.enabled":                       false,
	"network.trr.mode":                                           5,
	"remote.retry-on-abort":                                      false, // a script is not run again in the page that comes after
	"nimbus.rollouts.enabled":                                    false,
	"security.OCSP.enabled":                                      0,
	"security.certerrors.mitm.priming.enabled":                   false,
	"services.settings.server":                                   "data:,",
	"signon.autofillForms":                                       false,
	"startup.homepage_welcome_url":                               "",
	"toolkit.startup.max_resumed_crashes":                        -1,
	"toolkit.telemetry.archive.enabled":                          false,
	"toolkit.telemetry.enabled":                                  false,
	"toolkit.telemetry.reportingpolicy.firstRun":                 false,
	"toolkit.telemetry.server":                                   "",
	"toolkit.telemetry.unified":                                  false,
	"trailhead.firstrun.didSeeAboutWelcome":                      true,
	"browser.newtabpage.activity-stream.feeds.system.topstories": false,
}

func writePrefs(folder string, options Options) error {
	prefs := maps.Clone(quiet)
	prefs["browser.download.dir"] = filepath.Join(folder, "downloads")
	if len(options.Names) > 0 {
		prefs["network.dns.localDomains"] = strings.Join(options.Names, ",")
	}
	maps.Copy(prefs, options.Prefs)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(prefs)) {
		value, err := json.Marshal(prefs[name])
		if err != nil {
			return fmt.Errorf("preference %s: %w", name, err)
		}
		fmt.Fprintf(&b, "user_pref(%q, %s);\n", name, value)
	}
	return os.WriteFile(filepath.Join(folder, "profile", "user.js"), []byte(b.String()), 0o600)
}

func firefoxArgs(folder string, options Options) []string {
	return append([]string{
		"--headless", "--no-remote", "--remote-debugging-port=0", "--profile", filepath.Join(folder, "profile"),
		"--width", "1280", "--height", "800",
	}, append(slices.Clone(options.Args), "about:blank")...)
}

// firefox speaks WebDriver BiDi (https://w3c.github.io/webdriver-bidi/).
type firefox struct {
	wire *wire
	rec  *record

	mu     sync.Mutex
	places map[string]*place
	turn   chan struct{} // closed by the next event about a place
}

func newFirefox(ctx context.Context, endpoint string) (*firefox, error) {
	f := &firefox{rec: newRecord(), places: map[string]*place{}, turn: make(chan struct{})}
	w, err := dial(ctx, endpoint+"/session", f.on)
	if err != nil {
		return nil, err
	}
	f.wire = w
	if err := w.call(ctx, "", "session.new", map[string]any{"capabilities": map[string]any{}}, nil); err != nil {
		w.close()
		return nil, err
	}
	events := []string{
		"network.beforeRequestSent", "network.responseCompleted", "network.fetchError", "log.entryAdded", "script.realmCreated",
		"script.realmDestroyed", "browsingContext.contextDestroyed", "browsingContext.navigationStarted", "browsingContext.navigationCommitted",
		"browsingContext.navigationFailed",
	}
	if err := w.call(ctx, "", "session.subscribe", map[string]any{"events": events}, nil); err != nil {
		w.close()
		return nil, err
	}
	return f, nil
}

func (f *firefox) seen() *record { return f.rec }

func (f *firefox) close() { f.wire.close() }

func (f *firefox) quit(ctx context.Context) error {
	err := f.wire.call(ctx, "", "browser.close", nil, nil)
	if errors.Is(err, errClosed) {
		return nil
	}
	return err
}

func (f *firefox) on(e event) {
	if strings.HasPrefix(e.method, "script.") || strings.HasPrefix(e.method, "browsingContext.") {
		f.moved(e.method, e.params)
		return
	}
	var p struct {
		Request struct {
			Request string // its id
			Method  string
			URL     string
		}
		Response  struct{ Status int }
		ErrorText string
		Text      string
	}
	_ = json.Unmarshal(e.params, &p) // fields of the same name differ in type between events; the rest is read all the same
	id := p.Request.Request
	switch e.method {
	case "network.beforeRequestSent":
		f.rec.request(id, func(q *Request) { q.Method, q.URL, q.Status, q.Failed = p.Request.Method, p.Request.URL, 0, "" })
	case "network.responseCompleted":
		f.rec.request(id, func(q *Request) { q.Status = p.Response.Status })
	case "network.fetchError":
		f.rec.request(id, func(q *Request) { q.Failed = p.ErrorText })
	case "log.entryAdded":
		f.rec.say(p.Text)
	}
}

func (f *firefox) open(ctx context.Context) (string, error) {
	var made struct{ Context string }
	// A window, since a tab in the background draws nothing, and what is not drawn is not fetched.
	err := f.ask(ctx, "browsingContext.create", map[string]any{"type": "window"}, &made)
	return made.Context, err
}

func (f *firefox) eval(ctx context.Context, id, expression string, activated bool) (string, error) {
	var got struct {
		Type   string
		Result struct {
			Type  string
			Value any
		}
		ExceptionDetails struct{ Text string }
	}
	ctx, done := f.whileThere(ctx, id)
	defer done()
	err := f.wire.call(ctx, "", "script.evaluate", map[string]any{
		"expression": expression, "target": map[string]any{"context": id}, "awaitPromise": true, "userActivation": activated,
	}, &got)
	switch {
	case err != nil:
		return "", err
	case got.Type == "exception":
		return "", errors.New(got.ExceptionDetails.Text)
	}
	return fmt.Sprint(got.Result.Value), nil
}

// context is a node of BiDi's tree.
type bidiContext struct {
	Context  string
	URL      string
	Children []bidiContext
}

func (f *firefox) tree(ctx context.Context, params map[string]any) ([]bidiContext, error) {
	var got struct{ Contexts []bidiContext }
	err := f.ask(ctx, "browsingContext.getTree", params, &got)
	return got.Contexts, err
}

func (f *firefox) frames(ctx context.Context, id string) ([]frame, error) {
	tops, err := f.tree(ctx, map[string]any{"root": id})
	var all []frame
	var walk func([]bidiContext)
	walk = func(children []bidiContext) {
		for _, c := range children {
			all = append(all, frame{c.Context, c.URL})
			walk(c.Children)
		}
	}
	for _, top := range tops {
		walk(top.Children)
	}
	return all, err
}

func (f *firefox) tabs(ctx context.Context) ([]frame, error) {
	tops, err := f.tree(ctx, map[string]any{"maxDepth": 0})
	var all []frame
	for _, c := range tops {
		all = append(all, frame{c.Context, c.URL})
	}
	return all, err
}

func (f *firefox) cookies(ctx context.Context) ([]Cookie, error) {
	var got struct {
		Cookies []struct {
			Name, Domain, Path, SameSite string
			Value                        struct{ Value string }
			HTTPOnly, Secure             bool
		}
	}
	if err := f.ask(ctx, "storage.getCookies", nil, &got); err != nil {
		return nil, err
	}
	var all []Cookie
	for _, c := range got.Cookies {
		all = append(all, Cookie{Name: c.Name, Value: c.Value.Value, Domain: c.Domain, Path: c.Path, SameSite: c.SameSite, HTTPOnly: c.HTTPOnly, Secure: c.Secure})
	}
	return all, nil
}

func (f *firefox) screenshot(ctx context.Context, id string) (string, error) {
	var got struct{ Data string }
	err := f.ask(ctx, "browsingContext.captureScreenshot", map[string]any{"context": id}, &got)
	return got.Data, err
}

func (f *firefox) click(ctx context.Context, id string, x, y float64) error {
	ctx, done := f.whileThere(ctx, id)
	defer done()
	err := f.wire.call(ctx, "", "input.performActions", map[string]any{"context": id, "actions": []any{map[string]any{
		"type": "pointer", "id": "mouse", "parameters": map[string]any{"pointerType": "mouse"}, "actions": []any{
			map[string]any{"type": "pointerMove", "x": int(x), "y": int(y), "origin": "viewport"},
			map[string]any{"type": "pointerDown", "button": 0},
			map[string]any{"type": "pointerUp", "button": 0},
		},
	}}}, nil)
	if errors.Is(err, errGone) {
		return nil // by the click
	}
	return err
}

func (f *firefox) back(ctx context.Context, id string, steps int) error {
	return f.wire.call(ctx, "", "browsingContext.traverseHistory", map[string]any{"context": id, "delta": -steps}, nil)
}

func (f *firefox) closeTab(ctx context.Context, id string) error {
	ctx, done := context.WithTimeout(ctx, answerTime)
	defer done()
	return f.wire.call(ctx, "", "browsingContext.close", map[string]any{"context": id}, nil)
}
