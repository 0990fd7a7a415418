package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"paddock/sandbox/permission"
)

// App is what the front door knows of one install.
type App struct {
	Install   string         // random install id; sessions and tokens are bound to it
	ID        string         // app id, for the log
	Label     string         // first part of the host name: 1–63 of a-z, 0-9 and inner hyphens; never changes for an install
	Addr      netip.Addr     // its own loopback address, where its origin is not a name; see origin.go
	Name      string         // shown on host pages
	Allow     permission.Set // the grants in force; page headers are made from them
	Mode      string         // ModeServer or ModeStatic
	StaticDir string         // folder served by the host; in server mode its files come before the app, may be empty
	Icon      []byte         // shown on host pages; may be empty
	IconMIME  string         // image/png or image/svg+xml
}

// Modes of an App.
const (
	ModeServer = "server"
	ModeStatic = "static"
)

// Backend is what the front door asks of the rest of the program. Methods are called from many goroutines.
type Backend interface {
	// Wake starts or thaws an app and returns when it answers. It is called for each request, so it is quick for
	// a running app. A *StateError becomes a host page; any other error a general one.
	Wake(ctx context.Context, install string) (Upstream, error)
	// Act does what a button of a host page says: "start", "restart" or "ask_window".
	Act(ctx context.Context, install, action string) error
	// Used reports what a page tried: side is "page".
	Used(install string, side string, permission string, allowed bool)
}

// Expecter is a Backend that can use the time until a request comes: Expect says that a tab loads the page around an
// app's, whose frame will ask for the app next. It must not block.
type Expecter interface {
	Expect(install string)
}

// Upstream is one running instance.
type Upstream interface {
	Dial(ctx context.Context) (net.Conn, error)
	Key() string            // changes with each instance; connections are pooled under it
	Busy() (release func()) // held while a request or stream is open
}

// Action is a button on a host page.
type Action struct {
	Name  string // "start", "restart" or "ask_window"
	Label string
}

// StateError says why an app cannot answer now, in words for its user.
type StateError struct {
	Code       string
	Title      string
	Text       string
	Actions    []Action
	RetryAfter time.Duration // 0: not sent
	Status     int           // 0: 503
}

func (e *StateError) Error() string { return e.Title + ": " + e.Text }

// Options of Listen. Backend is required.
type Options struct {
	Addr     string       // loopback "IP:PORT"; port 0 or an empty Addr: Port
	Port     int          // used when Addr is empty; 0 chooses one below the ephemeral range
	Backend  Backend      //
	Sessions Sessions     // nil: sessions end with the Gateway
	LinkDir  string       // folder of this user alone, out of reach of apps, that LinkFile writes to; "": it cannot
	Logger   *slog.Logger // nil: slog.Default
	Now      func() time.Time

	peers func() (*peers, error) // nil: newPeers. Tests act a system without the look-up
}

// ErrUnknownInstall: no app with that install id is set.
var ErrUnknownInstall = errors.New("no such install at the front door")

// tombstoneAge is how long the origin of a removed app tells browsers to forget it (gateway.md 9).
const tombstoneAge = 30 * 24 * time.Hour

// Gateway is a running front door. Its methods may be called from any goroutine.
type Gateway struct {
	backend  Backend
	sessions Sessions
	log      *slog.Logger
	now      func() time.Time

	addr    string // 127.0.0.1:PORT
	port    string
	noIPv6  string // why ::1 is not held
	noPeers string // why peers are not checked

	server  *http.Server
	peers   *peers // nil where owners of connections cannot be looked up
	files   linkFiles
	origins origins
	crossed http.CrossOriginProtection
	conns   atomic.Int64
	running running

	storing sync.Mutex // held while sessions change in memory and store together, so that an ended one never comes back

	mu        sync.Mutex       // guards the two maps against writers; readers take the snapshot
	byInstall map[string]*site //
	byHost    atomic.Pointer[map[string]*site]
	restored  map[string][]Session // from the store, for installs that were not Set yet

	stop context.CancelFunc
	done sync.WaitGroup
}

// Listen opens the front door. The port is held on both loopback families before it returns; an *AddrInUseError
// says who holds it otherwise, and then every stored session is void, since whoever holds the port may have been
// sent its cookie (security.md, rule 21).
func Listen(o Options) (*Gateway, error) {
	if o.Backend == nil {
		return nil, errors.New("gateway: no backend given")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sessions == nil {
		o.Sessions = forgetful{}
	}
	if o.peers == nil {
		o.peers = newPeers
	}
	g := &Gateway{
		backend: o.Backend, sessions: o.Sessions, log: o.Logger, now: o.Now,
		byInstall: map[string]*site{}, restored: map[string][]Session{}, files: linkFiles{dir: o.LinkDir},
	}
	g.running.ended.L = &g.running.mu
	g.byHost.Store(&map[string]*site{})
	stored, err := o.Sessions.All()
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	listeners, err := openListeners(o.Addr, o.Port)
	if err != nil {
		if taken := new(AddrInUseError); errors.As(err, &taken) {
			err = errors.Join(err, voidSessions(o.Sessions, stored))
		}
		return nil, err
	}
	g.addr, g.port, g.noIPv6 = listeners.addr, listeners.port, listeners.noIPv6
	if g.peers, err = o.peers(); err != nil {
		g.noPeers = err.Error()
		g.log.Warn("connections of other users cannot be told apart", "why", err)
		// While the port was free another user may have held it, and been sent their cookies by an open tab.
		if err := voidSessions(o.Sessions, stored); err != nil {
			g.log.Error("sessions of before not deleted; they are worth nothing until the next start", "err", err)
		}
		stored = nil
	}
	for _, s := range stored {
		g.restored[s.Install] = append(g.restored[s.Install], s)
	}
	if err := g.files.sweep(); err != nil {
		g.log.Warn("old link files not removed", "err", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	g.server = newServer(ctx, g)
	for _, l := range listeners.held {
		g.answer(l)
	}
	g.done.Go(func() {
		defer g.peers.close()
		g.sweep(ctx)
	})
	return g, nil
}

// Addr returns the IPv4 address, "127.0.0.1:PORT".
func (g *Gateway) Addr() string { return g.addr }

// IPv6 reports whether the port is held on ::1 too, and why not.
func (g *Gateway) IPv6() (held bool, why string) { return g.noIPv6 == "", g.noIPv6 }

// PeerCheck reports whether connections of other users of this machine are refused, and why not.
func (g *Gateway) PeerCheck() (checked bool, why string) { return g.noPeers == "", g.noPeers }

var labelForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Set makes an app known, or replaces what is known of it: the next response already has the headers of the new
// grants. Sessions stay. An app whose label is not a DNS label, or belongs to another install, is not served,
// and the log says so.
func (g *Gateway) Set(a App) {
	if !labelForm.MatchString(a.Label) {
		g.log.Error("app not served: its label is not a host name label", "app", a.ID, "label", a.Label)
		return
	}
	host, err := g.hostOf(a.Label, a.Addr)
	if err != nil {
		g.loseOrigin(a, err)
		return
	}
	g.foundOrigin(a.Install)
	g.mu.Lock()
	defer g.mu.Unlock()
	if other := (*g.byHost.Load())[host]; other != nil && other.install != a.Install && !other.removed() {
		g.log.Error("app not served: its label is taken", "app", a.ID, "label", a.Label)
		return
	}
	s := g.byInstall[a.Install]
	if s != nil && s.host != host {
		g.removeLocked(s)
		s = nil
	}
	if s == nil {
		s = newSite(g, a.Install, host, a.Label)
		s.jar.restore(g.restored[a.Install], g.now())
		delete(g.restored, a.Install)
		g.byInstall[a.Install] = s
	}
	s.state.Store(newState(a, s.host))
	s.tabs.tell()
	g.publish(func(hosts map[string]*site) { hosts[host] = s })
}

// Remove ends an app: sessions, connections and pages are gone at once, and for 30 days its origin answers every
// request with Clear-Site-Data.
func (g *Gateway) Remove(install string) {
	g.EndSessions(install)
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.byInstall[install]; s != nil {
		g.removeLocked(s)
	}
}

func (g *Gateway) removeLocked(s *site) {
	s.gone.Store(g.now().Add(tombstoneAge).UnixNano())
	s.pool.close()
	s.tabs.tell()
	delete(g.byInstall, s.install)
}

// Tombstone makes the origin of an app that was removed earlier tell browsers to forget it until the given time.
// The agent calls it at start for installs removed in the last 30 days.
func (g *Gateway) Tombstone(label string, until time.Time) {
	if !labelForm.MatchString(label) || !until.After(g.now()) {
		return
	}
	g.bury(label+".localhost:"+g.port, label, until)
}

// bury makes a host that is nobody's a tombstone.
func (g *Gateway) bury(host, label string, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if (*g.byHost.Load())[host] != nil {
		return
	}
	s := newSite(g, "", host, label)
	s.gone.Store(until.UnixNano())
	g.publish(func(hosts map[string]*site) { hosts[host] = s })
}

// publish replaces the snapshot of hosts that requests read. g.mu is held.
func (g *Gateway) publish(change func(map[string]*site)) {
	old := *g.byHost.Load()
	hosts := make(map[string]*site, len(old)+1)
	for host, s := range old {
		hosts[host] = s
	}
	change(hosts)
	g.byHost.Store(&hosts)
}

// Origin returns the origin of an install, "http://LABEL.localhost:PORT" or with its own address, or "" when it is
// not known.
func (g *Gateway) Origin(install string) string {
	if s := g.site(install); s != nil {
		return s.origin
	}
	return ""
}

func (g *Gateway) site(install string) *site {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.byInstall[install]
}

// Mint makes two links that open the app once each, within 30 seconds: url is for a browser and leads to the shell
// page with the app in its frame; appURL is on the app's own origin, for tools without a browser.
func (g *Gateway) Mint(install string) (url, appURL string, err error) {
	s := g.site(install)
	if s == nil {
		if lost := g.lostOrigin(install); lost != nil {
			return "", "", fmt.Errorf("this app's own address is not to be had: %w", lost)
		}
		return "", "", fmt.Errorf("open link for %q: %w", install, ErrUnknownInstall)
	}
	link := openPath + "?t="
	appURL = s.origin + link + s.tokens.mint(g.now())
	return s.shellOrigin + link + s.tokens.mint(g.now()), appURL, nil
}

// EndSessions ends every session of an install, its unspent links, and the requests and streams that are open.
func (g *Gateway) EndSessions(install string) {
	g.mu.Lock()
	s := g.byInstall[install]
	delete(g.restored, install)
	g.mu.Unlock()
	g.storing.Lock()
	defer g.storing.Unlock()
	if s != nil {
		s.tokens.clear()
		g.dropFiles(func(one linkFile) bool { return one.install == install })
		s.passes.clear()
		s.jar.clear()
		s.pool.cut()
		s.tabs.tell()
	}
	if err := g.sessions.Delete(install); err != nil {
		g.log.Error("sessions not deleted", "install", install, "err", err)
	}
}

// startSession makes a session for an app and keeps it. It fails when the token is not good.
func (g *Gateway) startSession(s *site, token string) (cookie string, ok bool) {
	g.storing.Lock()
	defer g.storing.Unlock()
	now := g.now()
	if !s.tokens.spend(token, now) {
		return "", false
	}
	if hash, ok := hashSecret(token); ok {
		g.dropFiles(func(one linkFile) bool { return one.token == hash })
	}
	cookie, stored := s.jar.start(now)
	if err := g.sessions.Put(stored); err != nil {
		g.log.Error("session not saved; it ends with the agent", "install", s.install, "err", err)
	}
	return cookie, true
}

// Close ends the listeners, every connection and stream, and returns when nothing of the Gateway runs any more.
func (g *Gateway) Close() error {
	g.stop()
	g.dropFiles(func(linkFile) bool { return true })
	g.closeOrigins()
	err := g.server.Close()
	for _, s := range *g.byHost.Load() {
		s.pool.close()
	}
	g.done.Wait()
	g.running.wait()
	if err != nil {
		return fmt.Errorf("close front door: %w", err)
	}
	return nil
}

// sweepEvery is how often idle connections, tokens, sessions and tombstones are looked over.
const sweepEvery = 15 * time.Second

// sweep does the gateway's housekeeping until ctx ends, so that no request waits for the disk.
func (g *Gateway) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			g.saveSessions()
			return
		case <-tick.C:
			g.saveSessions()
			g.tidy()
		}
	}
}

func (g *Gateway) saveSessions() {
	g.storing.Lock()
	defer g.storing.Unlock()
	for _, s := range *g.byHost.Load() {
		for _, used := range s.jar.unsaved() {
			if err := g.sessions.Put(used); err != nil {
				g.log.Error("session not saved", "install", s.install, "err", err)
			}
		}
	}
}

func (g *Gateway) tidy() {
	now := g.now()
	g.dropFiles(func(one linkFile) bool { return !now.Before(one.expiry) })
	var expired []string
	for host, s := range *g.byHost.Load() {
		s.pool.expire(time.Now())
		s.jar.setBack(now)
		s.tokens.expire(now)
		s.passes.expire(now)
		if gone := s.gone.Load(); gone != 0 && now.UnixNano() > gone {
			expired = append(expired, host)
		}
	}
	if len(expired) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.publish(func(hosts map[string]*site) {
		for _, host := range expired {
			if hosts[host].removed() {
				delete(hosts, host)
				g.release(host)
			}
		}
	})
}
