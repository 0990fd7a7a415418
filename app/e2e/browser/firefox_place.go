package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// What Firefox 153 leaves unanswered, read off its own traffic, and why this driver goes by events instead:
//
//   - browsingContext.navigate, when the page is leaving by itself at that moment. It waits for the start of its own
//     navigation, which Firefox does not tell while another one is under way, and never ends. Now and then the page's own
//     navigation wins, and the answer names the place that it led to.
//   - script.evaluate, when the page goes to the back-forward cache while it is asked.
//
// The events are sent all the same. A command without an answer costs answerTime, and is given again.
const (
	answerTime = 10 * time.Second // within which Firefox answers, or never does
	lastWords  = time.Second      // for an answer that is on its way when the document is said to be gone
	settling   = time.Second      // for a page that is leaving by itself to have left
	attempts   = 3
)

var (
	errGone      = errors.New("the document went while it was asked")
	errOvertaken = errors.New("the page went elsewhere by itself")
	errLost      = errors.New("neither an answer nor the document came")
)

// place is a tab or a frame as the events tell about it.
type place struct {
	realm    string             // of the document that is there
	document context.Context    // ends when the document goes
	gone     context.CancelFunc // ends it
	flying   step               // the navigation that has begun last, until it ends
	want     string             // where our last command goes
	first    string             // where the first navigation after it goes: another place when the page was leaving
	other    bool               // a navigation after it goes to another place
	there    bool               // a document of the address that was wanted has come
}

// step is a navigation and where it leads.
type step struct{ navigation, url string }

func sameURL(a, b string) bool { return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/") }

// at returns a place; f.mu is held.
func (f *firefox) at(id string) *place {
	p := f.places[id]
	if p == nil {
		p = &place{}
		f.places[id] = p
	}
	return p
}

// moved takes an event about a document or a navigation.
func (f *firefox) moved(method string, params json.RawMessage) {
	var p struct{ Context, Realm, Type, Sandbox, Origin, Navigation, URL string }
	if json.Unmarshal(params, &p) != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch method {
	case "script.realmCreated":
		if p.Type != "window" || p.Sandbox != "" {
			return
		}
		at := f.at(p.Context)
		if at.gone != nil {
			at.gone()
		}
		at.realm = p.Realm
		if p.Origin != "null" {
			at.flying = step{} // one that comes back from the cache is not said to be committed; "null": blank, between two
		}
		at.document, at.gone = context.WithCancel(context.Background())
	case "script.realmDestroyed":
		for _, at := range f.places {
			if at.realm == p.Realm && at.gone != nil {
				at.gone()
			}
		}
	case "browsingContext.contextDestroyed":
		if at := f.places[p.Context]; at != nil && at.gone != nil {
			at.gone()
		}
		delete(f.places, p.Context)
	case "browsingContext.navigationStarted":
		at := f.at(p.Context)
		at.flying = step{p.Navigation, p.URL}
		if at.first == "" {
			at.first = p.URL
		}
		at.other = at.other || !sameURL(p.URL, at.want)
	case "browsingContext.navigationFailed":
		if at := f.at(p.Context); at.flying.navigation == p.Navigation {
			at.flying = step{}
		}
	case "browsingContext.navigationCommitted":
		at := f.at(p.Context)
		at.flying = step{}
		switch {
		case sameURL(p.URL, at.want):
			at.there = true
		case sameURL(p.URL, at.first):
			at.first = "" // it came before ours began, and is over
		}
	}
	close(f.turn)
	f.turn = make(chan struct{})
}

// ask gives a command that does no harm twice.
func (f *firefox) ask(ctx context.Context, method string, params, into any) (err error) {
	for range attempts {
		once, done := context.WithTimeout(ctx, answerTime)
		err = f.wire.call(once, "", method, params, into)
		done()
		if !errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	return err
}

// whileThere returns a context that ends soon after the document of a place has gone.
func (f *firefox) whileThere(ctx context.Context, id string) (context.Context, context.CancelFunc) {
	var document context.Context
	f.mu.Lock()
	if at := f.places[id]; at != nil {
		document = at.document
	}
	f.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	if document == nil {
		return ctx, func() { cancel(nil) }
	}
	stop := context.AfterFunc(document, func() {
		select {
		case <-ctx.Done():
		case <-time.After(lastWords):
			cancel(errGone)
		}
	})
	return ctx, func() { stop(); cancel(nil) }
}

func (f *firefox) navigate(ctx context.Context, id, url string) (err error) {
	for range attempts {
		if err = f.goTo(ctx, id, url); !errors.Is(err, errOvertaken) {
			break
		}
	}
	return err
}

// goTo asks once for a navigation, and waits until its document is complete.
func (f *firefox) goTo(ctx context.Context, id, url string) error {
	ctx, done := context.WithTimeout(ctx, answerTime)
	defer done()
	f.settle(ctx, id)
	f.mu.Lock()
	at := f.at(id)
	at.want, at.first, at.other, at.there, at.flying = url, at.flying.url, false, false, step{}
	f.mu.Unlock()
	// rival: when ours began, the page was leaving by itself. What begins later is the doing of the page that was asked
	// for. flying: ours has begun and not ended.
	look := func() (there, rival, flying bool, turn chan struct{}) {
		f.mu.Lock()
		defer f.mu.Unlock()
		at := f.at(id)
		return at.there, at.first != "" && !sameURL(at.first, url), sameURL(at.flying.url, url), f.turn
	}
	request, answer, err := f.wire.send("", "browsingContext.navigate", map[string]any{"context": id, "url": url, "wait": "none"})
	if err != nil {
		return err
	}
	defer f.wire.forget(request)
	var overtaken error // when ours may arrive all the same
	for arrived := false; !arrived; {
		there, _, flying, turn := look()
		switch {
		case there:
			arrived = true
			continue
		case overtaken != nil && !flying:
			return overtaken
		}
		select {
		case <-turn:
		case <-f.wire.closed:
			return errClosed
		case <-ctx.Done():
			return errLost
		case m := <-answer:
			var went struct{ URL string }
			if m.Error == nil {
				err = json.Unmarshal(m.Result, &went)
			} else {
				err = fmt.Errorf("browsingContext.navigate: %s %s", m.Error, m.Message)
			}
			if _, rival, _, _ := look(); rival && !sameURL(went.URL, url) {
				overtaken = fmt.Errorf("%w: to %q, %v", errOvertaken, went.URL, err)
				continue
			}
			if err != nil {
				f.mu.Lock()
				other := f.at(id).other
				f.mu.Unlock()
				if other {
					return fmt.Errorf("%w: %w", errOvertaken, err)
				}
				return err
			}
			arrived = true // where the server or a fragment led
		}
	}
	if err := f.untilComplete(ctx, id, strings.HasPrefix(url, "about:")); err != nil {
		return err
	}
	f.settle(ctx, id)
	if _, rival, _, _ := look(); rival {
		return errOvertaken // it may still become the document, though Firefox says that it was interrupted
	}
	return nil
}

// settle lets a navigation of the page's own end before another one is asked for, if that is soon.
func (f *firefox) settle(ctx context.Context, id string) {
	ctx, done := context.WithTimeout(ctx, settling)
	defer done()
	for {
		f.mu.Lock()
		flying, turn := f.at(id).flying, f.turn
		f.mu.Unlock()
		if flying.url == "" {
			return
		}
		select {
		case <-turn:
		case <-f.wire.closed:
			return
		case <-ctx.Done():
			return
		}
	}
}

// untilComplete waits until the document that is there is complete, and not the blank one that is there between two.
func (f *firefox) untilComplete(ctx context.Context, id string, blank bool) error {
	for {
		once, done := context.WithTimeout(ctx, oneTry)
		// In a task of its own, after those in which a page leaves again as soon as it is there.
		state, err := f.eval(once, id, ownTask+".then(() => document.readyState + ' ' + location.href)", false)
		done()
		if strings.HasPrefix(state, "complete ") && (blank || !strings.HasPrefix(state, "complete about:")) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %q, %w", errLost, state, errors.Join(err, ctx.Err()))
		}
		time.Sleep(5 * time.Millisecond)
	}
}
