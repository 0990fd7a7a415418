package browser

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// oneTry bounds one look at a page that changes: a document that goes while it is asked may never answer.
const oneTry = patience / 20

// ownTask is a promise that comes true in a task of its own.
const ownTask = `new Promise((ok) => { const c = new MessageChannel(); c.port1.onmessage = ok; c.port2.postMessage(0) })`

// Page is a tab, or a frame in one. Its methods fail the test that opened it when the browser does not answer.
type Page struct {
	b  *Browser
	t  testing.TB
	id string
}

// frame is a tab or frame by id, with its address.
type frame struct{ id, url string }

// Open opens a tab, goes to an address and waits until it is loaded. An empty address leaves the tab blank. The tab is
// closed when the test ends.
func (b *Browser) Open(t testing.TB, url string) *Page {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	id, err := b.driver.open(ctx)
	if err != nil {
		t.Fatalf("%s: open a tab: %v\n%s", b.Kind, err, b.output)
	}
	p := &Page{b: b, t: t, id: id}
	t.Cleanup(p.Close)
	if url != "" {
		if err := p.Navigate(url); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// Close closes the tab; it may be closed already.
func (p *Page) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = p.b.driver.closeTab(ctx, p.id)
}

// Navigate goes to an address as if it were typed, and waits until it is loaded. It fails where the browser shows an
// error page instead, or nothing new (a download, a status of 204).
func (p *Page) Navigate(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := p.b.driver.navigate(ctx, p.id, url)
	if errors.Is(err, errLost) {
		// Rare, and for good: the tab answers nothing any more. Another one takes its place, without the history.
		p.t.Logf("%s: go to %s: %v: once more in another tab", p.b.Kind, url, err)
		p.Close()
		if p.id, err = p.b.driver.open(ctx); err == nil {
			err = p.b.driver.navigate(ctx, p.id, url)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: go to %s: %w", p.b.Kind, url, err)
	}
	return nil
}

// Back goes back in the history of the tab, as its button does; with -1 it goes forward.
func (p *Page) Back(steps int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.b.driver.back(ctx, p.id, steps); err != nil {
		p.t.Fatalf("%s: back: %v", p.b.Kind, err)
	}
}

// outcome is what an expression came to, in JSON of the page itself: the protocols disagree on how to write values.
type outcome struct {
	Value  json.RawMessage `json:"value"`
	Thrown *string         `json:"thrown"`
}

// run evaluates an expression, which may be a promise. It runs in a task of its own: within the protocols' own call
// browsers lift some of a page's restrictions (eval under a policy that refuses it). Not by a timer, which a tab in
// the background gets once a second.
func (p *Page) run(ctx context.Context, expression string, activated bool) (outcome, error) {
	const wrapped = `(async () => { await ` + ownTask + `; try { return JSON.stringify({value: await (%s)}) } catch (e) { return JSON.stringify({thrown: String(e)}) } })()`
	text, err := p.b.driver.eval(ctx, p.id, fmt.Sprintf(wrapped, expression), activated)
	if err != nil {
		return outcome{}, err
	}
	var o outcome
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return outcome{}, fmt.Errorf("not the page's JSON: %w: %.200q", err, text)
	}
	return o, nil
}

// Eval evaluates an expression in a page and waits for the promise it may be. It fails the test where it throws.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	return value[T](p, expression, false)
}

// Act is Eval as in the handler of the user's click: with what a browser allows only then.
func Act[T any](p *Page, expression string) T {
	p.t.Helper()
	return value[T](p, expression, true)
}

func value[T any](p *Page, expression string, activated bool) (v T) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o, err := p.run(ctx, expression, activated)
	switch {
	case err != nil:
		p.t.Fatalf("%s: %s: %v", p.b.Kind, expression, err)
	case o.Thrown != nil:
		p.t.Fatalf("%s: %s: threw %s", p.b.Kind, expression, *o.Thrown)
	case o.Value == nil:
	default:
		if err := json.Unmarshal(o.Value, &v); err != nil {
			p.t.Fatalf("%s: %s: %v in %.300s", p.b.Kind, expression, err, o.Value)
		}
	}
	return v
}

// Try evaluates an expression as in the handler of the user's click, and returns what it came to in words: the value
// as a string, or "refused: " and the name of what was thrown. Where the page is gone before there is an answer, or
// none comes, it returns "gone: " and why.
func (p *Page) Try(expression string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o, err := p.run(ctx, "(async () => { try { return String(await ("+expression+")) } catch (e) { return 'refused: ' + (e && e.name || e) } })()", true)
	if err != nil {
		return "gone: " + err.Error()
	}
	var text string
	if err := json.Unmarshal(o.Value, &text); err != nil {
		return "gone: " + err.Error()
	}
	return text
}

// Until waits until an expression is true. While the page changes, asking may fail.
func (p *Page) Until(what, condition string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		once, done := context.WithTimeout(ctx, oneTry)
		o, err := p.run(once, condition, false)
		done()
		if err == nil && string(o.Value) == "true" {
			return
		}
		if ctx.Err() != nil {
			if o.Thrown != nil {
				err = fmt.Errorf("threw %s", *o.Thrown)
			}
			state, _ := p.b.driver.eval(context.Background(), p.id, "location.href + '\\n' + document.body?.innerText", false)
			p.t.Fatalf("%s: never: %s (%s): %v\nthe page is %.500s", p.b.Kind, what, condition, err, state)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Frame waits for a frame in the page whose address begins so, however deep, and returns it.
func (p *Page) Frame(prefix string) *Page {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		all, err := p.b.driver.frames(ctx, p.id)
		for _, f := range all {
			if strings.HasPrefix(f.url, prefix) {
				return &Page{b: p.b, t: p.t, id: f.id}
			}
		}
		if ctx.Err() != nil {
			p.t.Fatalf("%s: no frame at %s: %v, %v", p.b.Kind, prefix, all, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// URL returns the address that the page has now.
func (p *Page) URL() string {
	p.t.Helper()
	return Eval[string](p, "location.href")
}

// Click presses and releases the mouse in the middle of the first element that a selector finds, once it is there.
func (p *Page) Click(selector string) {
	p.t.Helper()
	quoted, _ := json.Marshal(selector)
	find := fmt.Sprintf("document.querySelector(%s)", quoted)
	p.Until("there is "+selector, find+" !== null")
	at := Eval[[2]float64](p, fmt.Sprintf("(() => { const e = %s; e.scrollIntoView({block: 'nearest'}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()", find))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.b.driver.click(ctx, p.id, at[0], at[1]); err != nil {
		p.t.Fatalf("%s: click %s: %v", p.b.Kind, selector, err)
	}
}

// Screenshot returns the visible part of the tab as PNG.
func (p *Page) Screenshot() []byte {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	text, err := p.b.driver.screenshot(ctx, p.id)
	if err != nil {
		p.t.Fatalf("%s: screenshot: %v", p.b.Kind, err)
	}
	png, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		p.t.Fatalf("%s: screenshot: %v", p.b.Kind, err)
	}
	return png
}

// At waits until the page itself, or a frame in it, is at an address that begins so, and returns that.
func (p *Page) At(prefix string) *Page {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		once, done := context.WithTimeout(ctx, oneTry)
		here, err := p.b.driver.eval(once, p.id, "location.href", false)
		done()
		if err == nil && strings.HasPrefix(here, prefix) {
			return p
		}
		all, _ := p.b.driver.frames(ctx, p.id)
		for _, f := range all {
			if strings.HasPrefix(f.url, prefix) {
				return &Page{b: p.b, t: p.t, id: f.id}
			}
		}
		if ctx.Err() != nil {
			p.t.Fatalf("%s: nothing at %s: the tab is at %s (%v), its frames %v", p.b.Kind, prefix, here, err, all)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
