package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Options say how a proxy is made. Socket is required; everything else may be left out.
type Options struct {
	// Socket is the path of the Unix socket. Its folder must exist, belong to the caller with mode 0700, and hold
	// nothing else.
	Socket string
	Policy Policy
	// Resolve maps "host:port" to "addr:port": the only way for a name to lead to a private address. The host and port
	// must be granted all the same. See ParseResolve.
	Resolve  map[string]string
	Resolver Resolver       // default: the system's
	RootCAs  *x509.CertPool // default: the system's
	Limits   Limits
	// OnEvent is told of each request when it has ended. It is called from many goroutines at once, and holds up the
	// request's connection (nothing else) until it returns.
	OnEvent func(Event)
	Now     func() time.Time // default: time.Now
	Logger  *slog.Logger     // default: none
}

// Limits bound what one app can make its proxy do. The zero value of each field means the default, never "unlimited".
type Limits struct {
	Connections       int           // open at a time; default 64
	Waiting           int           // connections that wait for one of those; default 192
	WaitTimeout       time.Duration // how long they wait; default 10 s
	RequestBytes      int           // head of a request; default 64 KiB
	ResponseBytes     int64         // head of a response; default 256 KiB
	RequestsPerSecond float64       // default 100
	Burst             int           // requests at once above that; default 200
	HeadTimeout       time.Duration // for the app to send a head; default 10 s
	DialTimeout       time.Duration // to resolve and connect; default 15 s
	TLSTimeout        time.Duration // default 10 s
	ResponseTimeout   time.Duration // from the request to the head of its response; default 5 min
	IdleTimeout       time.Duration // without a byte in either direction; default 10 min
}

func (l Limits) withDefaults() Limits {
	l.Connections = positive(l.Connections, 64)
	l.Waiting = positive(l.Waiting, 192)
	l.WaitTimeout = positive(l.WaitTimeout, 10*time.Second)
	l.RequestBytes = positive(l.RequestBytes, 64<<10)
	l.ResponseBytes = positive(l.ResponseBytes, 256<<10)
	l.RequestsPerSecond = positive(l.RequestsPerSecond, 100)
	l.Burst = positive(l.Burst, 200)
	l.HeadTimeout = positive(l.HeadTimeout, 10*time.Second)
	l.DialTimeout = positive(l.DialTimeout, 15*time.Second)
	l.TLSTimeout = positive(l.TLSTimeout, 10*time.Second)
	l.ResponseTimeout = positive(l.ResponseTimeout, 5*time.Minute)
	l.IdleTimeout = positive(l.IdleTimeout, 10*time.Minute)
	return l
}

// positive is v, or def when v is no positive number (which includes NaN).
func positive[T int | int64 | float64 | time.Duration](v, def T) T {
	if v > 0 {
		return v
	}
	return def
}

// Event is one request and what became of it.
type Event struct {
	At         time.Time // when it began
	Target     string    // "host:port"; empty when the request named none
	Permission string    // that allowed it or denied it, or that was missing; empty when Target is
	Allowed    bool      // it was passed on, though it may have failed: then Reason says why
	Reason     string    // one of the Reason constants; empty when all went well
	BytesIn    int64     // from the network to the app, heads included
	BytesOut   int64     // from the app to the network, heads included
	Method     string
	Path       string // without the query, which may hold secrets
}

// Proxy is the way out for one app.
type Proxy struct {
	options  Options
	limits   Limits
	log      *slog.Logger
	socket   *socket
	rules    atomic.Pointer[rules]
	dialer   *dialer
	rate     *rate.Limiter // of requests
	refusals *rate.Limiter // of refusals that OnEvent is told of
	slots    chan struct{} // one for each open connection
	waiting  chan struct{} // one for each connection, open or waiting
	stats    stats
	readers  sync.Pool // of *bufio.Reader, as large as a head may be

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	over   context.Context // ends every connection to the outside, once all flows have ended
	end    context.CancelFunc

	mu        sync.Mutex
	transport *http.Transport
	flows     map[*flow]struct{}
	closed    bool
}

// Listen makes the socket and serves on it until Close.
func Listen(o Options) (*Proxy, error) {
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Resolve = maps.Clone(o.Resolve)
	limits := o.Limits.withDefaults()
	s, err := listenSocket(o.Socket)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{
		options: o, limits: limits, log: o.Logger, socket: s,
		rate:     rate.NewLimiter(rate.Limit(limits.RequestsPerSecond), limits.Burst),
		refusals: rate.NewLimiter(rate.Limit(limits.RequestsPerSecond), limits.Burst),
		slots:    make(chan struct{}, limits.Connections),
		waiting:  make(chan struct{}, limits.Connections+limits.Waiting),
		flows:    map[*flow]struct{}{},
		ctx:      ctx, cancel: cancel,
	}
	p.over, p.end = context.WithCancel(context.Background())
	p.readers.New = func() any { return bufio.NewReaderSize(nil, limits.RequestBytes) }
	p.dialer = &dialer{
		rules: p.rules.Load, resolve: o.Resolve, resolver: o.Resolver, timeout: limits.DialTimeout,
		closing: ctx, local: &localAddresses{read: interfacePrefixes, now: o.Now},
	}
	p.rules.Store(newRules(o.Policy))
	p.transport = p.newTransport()
	p.work.Go(p.accept)
	p.work.Go(func() { s.watch(ctx) })
	return p, nil
}

func (p *Proxy) newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // the host's own proxy settings would send the app's requests elsewhere
		DialContext:            p.dial,
		TLSClientConfig:        &tls.Config{RootCAs: p.options.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    p.limits.TLSTimeout,
		ResponseHeaderTimeout:  p.limits.ResponseTimeout,
		MaxResponseHeaderBytes: p.limits.ResponseBytes,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // the app asks for what it understands, and gets it as it came
		MaxIdleConns:           32,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        time.Minute,
	}
}

// dial makes a connection that ends with the proxy at the latest. CloseIdleConnections passes over one of HTTP/2 whose
// last stream is just being put away, and the transport would keep that one for IdleConnTimeout.
func (p *Proxy) dial(ctx context.Context, network, target string) (net.Conn, error) {
	c, err := p.dialer.DialContext(ctx, network, target)
	if err != nil {
		return nil, err
	}
	return &outgoing{Conn: c, forget: context.AfterFunc(p.over, func() { _ = c.Close() })}, nil
}

// outgoing is a connection to the outside.
type outgoing struct {
	net.Conn
	forget func() bool // that it is to be closed with the proxy
}

func (o *outgoing) Close() error {
	o.forget()
	return o.Conn.Close()
}

// Socket is the path that the app is given.
func (p *Proxy) Socket() string { return p.socket.path }

// Changed is closed when the socket's path no longer leads to the socket that was made: somebody removed or replaced
// it, and what the app now talks to may be anything. It is looked at with every connection, and every second.
func (p *Proxy) Changed() <-chan struct{} { return p.socket.changed }

// Stats are the counts since Listen for each "host:port" that was asked for. Beyond a thousand of them, new ones are
// counted together as "*".
func (p *Proxy) Stats() map[string]Stat { return p.stats.snapshot() }

// SetPolicy changes the rules at once. Requests that are running and that the new rules do not allow are cut off.
func (p *Proxy) SetPolicy(policy Policy) {
	next := newRules(policy)
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.rules.Swap(next)
	// Kept connections may lead where the new rules do not: a name whose address is on the local network.
	p.transport.CloseIdleConnections()
	p.transport = p.newTransport()
	for f := range p.flows {
		if f.target.host == "" {
			continue
		}
		if next.judge(f.target.host, f.target.port).refusal != nil || (old.lan && !next.lan) {
			f.stop(ReasonRevoked)
		}
	}
}

// Close ends every connection, removes the socket and waits.
func (p *Proxy) Close() error {
	p.mu.Lock()
	already := p.closed
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	var err error
	if !already {
		err = p.socket.close()
	}
	p.work.Wait()
	p.mu.Lock()
	p.transport.CloseIdleConnections()
	p.mu.Unlock()
	p.end()
	return err
}

func (p *Proxy) accept() {
	for {
		c, err := p.socket.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		p.socket.check()
		if err != nil {
			p.log.Warn("cannot accept a connection of an app", "error", err)
			select { // out of file handles, most likely: do not spin
			case <-p.ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		// An app that opens connections without end waits here, in the system's queue.
		select {
		case p.waiting <- struct{}{}:
			f := p.newFlow(c)
			p.work.Go(func() {
				defer func() { <-p.waiting }()
				f.run()
			})
		case <-p.ctx.Done():
			c.Close()
			return
		}
	}
}
