package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An origin is a name of its own below localhost, LABEL.localhost, or for browsers that do not resolve such names an
// address of its own, 127.X.Y.Z (gateway.md 2). Both are hosts that no other app has, so that cookies, which know no
// ports, do not mix. The port is the same; the shell page of an own address has the port beside it. An own address is held before the app is served there, by this process,
// as the front door's own is; where that fails the app is not served at all (security.md, rule 21).

// origins are the own addresses that are held, by address.
type origins struct {
	mu     sync.Mutex
	held   map[netip.Addr][]net.Listener // the app's and its shell's
	lost   map[string]error              // install → why its address could not be had
	closed bool
}

// ownAddress reports whether an address may be an app's own: loopback, and not from the part that other programs
// use (127.0.0.1, 127.0.0.53, 127.0.1.1).
func ownAddress(a netip.Addr) bool {
	return a.Is4() && a.IsLoopback() && a.As4()[1] != 0
}

// OwnAddresses reports whether this system lets a program listen on any loopback address, and why not. Linux does;
// elsewhere each has to be set up first.
func (g *Gateway) OwnAddresses() (possible bool, why string) {
	l, err := holdOne("tcp4", netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 255, 255, 254}), 0))
	if err != nil {
		return false, "this system has no loopback addresses beside 127.0.0.1: " + err.Error()
	}
	_ = l.Close()
	return true, ""
}

// hostOf returns the host of an app's origin, and holds its address where it has one of its own.
func (g *Gateway) hostOf(label string, own netip.Addr) (string, error) {
	if !own.IsValid() {
		return label + ".localhost:" + g.port, nil
	}
	if !ownAddress(own) {
		return "", fmt.Errorf("%s cannot be the address of an app: it has to be in 127.0.0.0/8 and outside 127.0.0.0/16", own)
	}
	port, err := strconv.ParseUint(g.port, 10, 16)
	if err != nil {
		return "", err
	}
	at := netip.AddrPortFrom(own, uint16(port))
	g.origins.mu.Lock()
	defer g.origins.mu.Unlock()
	if g.origins.held[own] != nil {
		return at.String(), nil
	}
	if g.origins.closed {
		return "", http.ErrServerClosed
	}
	shell, err := netip.ParseAddrPort(shellOf(at.String()))
	if err != nil {
		return "", err
	}
	var both []net.Listener
	for _, at := range []netip.AddrPort{at, shell} {
		l, err := holdOne("tcp4", at)
		if err != nil {
			for _, l := range both {
				_ = l.Close()
			}
			return "", err
		}
		both = append(both, l)
	}
	if g.origins.held == nil {
		g.origins.held = map[netip.Addr][]net.Listener{}
	}
	g.origins.held[own] = both
	for _, l := range both {
		g.answer(l)
	}
	return at.String(), nil
}

// answer serves a listener until it or the server is closed.
func (g *Gateway) answer(l net.Listener) {
	g.done.Go(func() {
		err := g.server.Serve(&door{Listener: l, gateway: g, peers: g.peers})
		if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			g.log.Error("front door listener ended", "addr", l.Addr(), "err", err)
		}
	})
}

// loseOrigin notes that an app cannot be served. Whoever has its address may have been sent its sessions.
func (g *Gateway) loseOrigin(a App, err error) {
	g.log.Error("app not served: its address cannot be had", "app", a.ID, "addr", a.Addr, "err", err)
	g.origins.mu.Lock()
	if g.origins.lost == nil {
		g.origins.lost = map[string]error{}
	}
	g.origins.lost[a.Install] = err
	g.origins.mu.Unlock()
	g.Remove(a.Install)
}

// lostOrigin says why an install is not served, or nil.
func (g *Gateway) lostOrigin(install string) error {
	g.origins.mu.Lock()
	defer g.origins.mu.Unlock()
	return g.origins.lost[install]
}

func (g *Gateway) foundOrigin(install string) {
	g.origins.mu.Lock()
	defer g.origins.mu.Unlock()
	delete(g.origins.lost, install)
}

// release gives up the address of a host that is not served any more.
func (g *Gateway) release(host string) {
	at, err := netip.ParseAddrPort(host)
	if err != nil {
		return // a name
	}
	g.origins.mu.Lock()
	defer g.origins.mu.Unlock()
	for _, l := range g.origins.held[at.Addr()] {
		_ = l.Close()
	}
	delete(g.origins.held, at.Addr())
}

// closeOrigins keeps further addresses from being held. Those that are end with the server.
func (g *Gateway) closeOrigins() {
	g.origins.mu.Lock()
	defer g.origins.mu.Unlock()
	g.origins.closed = true
}

// TombstoneAddr is Tombstone for the own address of an app that was removed earlier.
func (g *Gateway) TombstoneAddr(own netip.Addr, until time.Time) {
	if !until.After(g.now()) {
		return
	}
	host, err := g.hostOf("", own)
	if err != nil {
		g.log.Warn("address of a removed app not held", "addr", own, "err", err)
		return
	}
	g.bury(host, strings.ReplaceAll(own.String(), ".", "-"), until)
}
