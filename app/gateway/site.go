package gateway

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Limits per app. They bound what one app can take from the others.
const (
	maxOpen   = 1200             // requests and streams open at once; a thousand WebSockets fit
	maxQueue  = 256              // requests that wait for one of those, and again while the app starts
	queueWait = 10 * time.Second // longest wait for one of those
)

var (
	errBusy    = errors.New("too many requests are open")
	errCrowded = errors.New("too many requests wait for the app to start")
)

// site is one origin: everything about it that outlives a change of grants.
type site struct {
	install string
	host    string // LABEL.localhost:PORT, what Host must be
	origin  string // http:// + host
	cookie  string // name of its session cookie, here and on the shell's origin

	shellHost   string // host of the page around the app's
	shellOrigin string
	passes      framePasses
	tabs        tabs
	banner      atomic.Pointer[Banner]
	inFrame     headerSet // hostHeaders for host pages that the shell's frame may show

	state atomic.Pointer[siteState]
	gone  atomic.Int64 // UnixNano until which it is a tombstone; 0 while it is served

	jar    jar
	tokens tokens
	pool   *pool

	open   chan struct{} // one element per open request
	queued atomic.Int32
	waking atomic.Int32

	acts    *rate.Limiter  // buttons on host pages
	reports *rate.Limiter  // policy reports
	odd     rate.Sometimes // log lines about odd answers
}

// siteState is what Set replaces at once: the app as last set and all that is made from its grants.
type siteState struct {
	app    App
	policy *policy
}

func newState(a App, host string) *siteState {
	return &siteState{app: a, policy: newPolicy(a.Allow, host)}
}

func newSite(g *Gateway, install, host, label string) *site {
	s := &site{
		install: install, host: host, origin: "http://" + host, cookie: cookiePrefix + label,
		open:    make(chan struct{}, maxOpen),
		acts:    rate.NewLimiter(rate.Every(5*time.Second), 3),
		reports: rate.NewLimiter(10, 50),
		odd:     rate.Sometimes{First: 3, Interval: time.Second},
	}
	s.shellHost = shellOf(host)
	s.shellOrigin = "http://" + s.shellHost
	s.inFrame = hostHeadersFor(framers(host))
	s.pool = newPool()
	s.tabs.init()
	s.jar.sessions.Store(&map[[32]byte]*session{})
	s.jar.install = install
	s.state.Store(newState(App{Install: install, Label: label}, host))
	return s
}

func (s *site) removed() bool { return s.gone.Load() != 0 }

// enter takes one of the app's slots, waiting in a bounded queue. leave gives it back.
func (s *site) enter(ctx context.Context) error {
	select {
	case s.open <- struct{}{}:
		return nil
	default:
	}
	if s.queued.Add(1) > maxQueue {
		s.queued.Add(-1)
		return errBusy
	}
	defer s.queued.Add(-1)
	timer := time.NewTimer(queueWait)
	defer timer.Stop()
	select {
	case s.open <- struct{}{}:
		return nil
	case <-timer.C:
		return errBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *site) leave() { <-s.open }

// wake asks the backend for the running instance; no more than maxQueue requests wait in it.
func (s *site) wake(ctx context.Context, b Backend) (Upstream, error) {
	if s.waking.Add(1) > maxQueue {
		s.waking.Add(-1)
		return nil, errCrowded
	}
	defer s.waking.Add(-1)
	up, err := b.Wake(ctx, s.install)
	if err == nil && up == nil {
		err = errors.New("the backend gave no instance")
	}
	return up, err
}
