package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of the server itself. Bodies and streams have no deadline of their own: an app may stream for hours.
const (
	maxConns    = 8192            // browser connections, all apps together; more are closed at accept
	maxHeader   = 32 << 10        // bytes of a request's header; more gives 431
	idleTimeout = 2 * time.Minute // between two requests of a connection
)

// headerTimeout is from the first byte of a request to the end of its header. A variable only so that tests need not
// wait.
var headerTimeout = 10 * time.Second

func newServer(ctx context.Context, g *Gateway) *http.Server {
	return &http.Server{
		Handler:           http.HandlerFunc(g.serve),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, browserKey{}, c) },
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		// "OPTIONS *" goes through the same checks as everything else.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				g.conns.Add(1)
			case http.StateClosed, http.StateHijacked:
				g.conns.Add(-1)
			}
		},
	}
}

// door accepts connections of this user only, and no more than maxConns.
type door struct {
	net.Listener
	gateway *Gateway
	peers   *peers // nil where owners cannot be looked up
}

// Accept returns the next connection that may speak.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if d.gateway.conns.Load() >= maxConns {
			d.gateway.log.Warn("too many connections, one closed", "limit", maxConns)
			_ = c.Close()
			continue
		}
		if d.peers != nil {
			if err := d.peers.check(c); err != nil {
				d.gateway.log.Warn("connection refused", "peer", c.RemoteAddr(), "why", err)
				_ = c.Close()
				continue
			}
		}
		if tcp, ok := c.(*net.TCPConn); ok {
			return &browserConn{TCPConn: tcp}, nil
		}
		return c, nil
	}
}

// browserConn is a connection that was accepted. All but Read and ReadFrom is the *net.TCPConn's own, so that the standard library can send files
// over it without copying them.
type browserConn struct {
	*net.TCPConn
	pass atomic.Pointer[conduit] // of the body that is being read, if it goes through one
	// woken has the next read that ends by the deadline give nothing instead of an error, which the standard library would
	// take for the end of the connection.
	woken atomic.Bool
}

type browserKey struct{}

// browserOf returns the connection that a request came over, nil where it is none of ours.
func browserOf(r *http.Request) *browserConn {
	b, _ := r.Context().Value(browserKey{}).(*browserConn)
	return b
}

// Read is what the standard library reads requests with.
func (b *browserConn) Read(p []byte) (n int, err error) {
	if pass := b.pass.Load(); pass != nil && pass.takes(p) {
		if n, err = pass.fill(b.TCPConn, len(p)); err == errUseless { //nolint:errorlint // never wrapped
			n, err = b.TCPConn.Read(p)
		}
	} else {
		n, err = b.TCPConn.Read(p)
	}
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) && b.woken.CompareAndSwap(true, false) {
		return 0, nil
	}
	return n, err
}

// running counts handlers at work, since http.Server.Close does not wait for them.
type running struct {
	mu    sync.Mutex
	n     int
	ended sync.Cond // signalled at zero; L is mu
}

func (r *running) enter() {
	r.mu.Lock()
	r.n++
	r.mu.Unlock()
}

func (r *running) leave() {
	r.mu.Lock()
	if r.n--; r.n == 0 {
		r.ended.Broadcast()
	}
	r.mu.Unlock()
}

func (r *running) wait() {
	r.mu.Lock()
	for r.n > 0 {
		r.ended.Wait()
	}
	r.mu.Unlock()
}
