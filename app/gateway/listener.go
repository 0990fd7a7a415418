package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// AddrInUseError says that the front door's port is taken on one of the loopback families.
type AddrInUseError struct {
	Addr   string // address that could not be had
	Holder string // who holds it, for people; "" when that cannot be found out
}

func (e *AddrInUseError) Error() string {
	if e.Holder == "" {
		return fmt.Sprintf("%s is in use by another program; end it, or choose another port", e.Addr)
	}
	return fmt.Sprintf("%s is in use by %s; end it, or choose another port", e.Addr, e.Holder)
}

// listeners is the outcome of openListeners.
type listeners struct {
	held   []net.Listener // IPv4 first
	addr   string         // of the first
	port   string
	noIPv6 string // why the second is missing
}

var (
	loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	loopback6 = netip.IPv6Loopback()
)

// openListeners holds one port on both loopback families. addr may be "" for 127.0.0.1 and the given port.
func openListeners(addr string, port int) (*listeners, error) {
	if addr == "" {
		addr = netip.AddrPortFrom(loopback4, uint16(max(0, min(port, 65535)))).String() //nolint:gosec // clamped
		if port < 0 || port > 65535 {
			return nil, fmt.Errorf("listen on port %d: a port is 0 to 65535", port)
		}
	}
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: give an address and a port, such as 127.0.0.1:7700", addr)
	}
	if !at.Addr().IsLoopback() || at.Addr().Zone() != "" {
		return nil, fmt.Errorf("listen on %q: only loopback addresses are served, such as 127.0.0.1", addr)
	}
	v4 := at.Addr().Unmap()
	if v4.Is6() {
		v4 = loopback4
	}
	if at.Port() != 0 {
		return holdBoth(v4, at.Port())
	}
	return choosePort(v4)
}

// lowestPort keeps chosen ports away from those that well-known services use.
const lowestPort = 10000

// choosePort finds a free port below the ephemeral range: inside it, any program's outgoing connection could
// take the port while the agent is not running (security.md, rule 21).
func choosePort(v4 netip.Addr) (*listeners, error) {
	top := ephemeralStart()
	if top <= lowestPort {
		return nil, fmt.Errorf("no port to choose: this machine's ephemeral ports start at %d, below %d; name a port to listen on", top, lowestPort)
	}
	var last error
	for range 64 {
		l, err := holdBoth(v4, uint16(lowestPort+rand.IntN(top-lowestPort))) //nolint:gosec // below 65536
		if err == nil {
			return l, nil
		}
		if last = err; !errors.As(err, new(*AddrInUseError)) {
			break
		}
	}
	return nil, fmt.Errorf("choose a port: %w", last)
}

func holdBoth(v4 netip.Addr, port uint16) (*listeners, error) {
	first, err := holdOne("tcp4", netip.AddrPortFrom(v4, port))
	if err != nil {
		return nil, err
	}
	l := &listeners{held: []net.Listener{first}, addr: first.Addr().String(), port: strconv.Itoa(int(port))}
	second, err := holdOne("tcp6", netip.AddrPortFrom(loopback6, port))
	switch {
	case err == nil:
		l.held = append(l.held, second)
	case errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EPROTONOSUPPORT):
		// Nobody else on this machine can have ::1 either.
		l.noIPv6 = "this machine has no ::1 address"
	default:
		_ = first.Close()
		return nil, err
	}
	return l, nil
}

func holdOne(network string, at netip.AddrPort) (net.Listener, error) {
	// No keep-alive probes on loopback; no MPTCP, whose subflows have no owner to look up.
	config := net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, c syscall.RawConn) error { return c.Control(unpaced) }}
	config.SetMultipathTCP(false)
	l, err := config.Listen(context.Background(), network, at.String())
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &AddrInUseError{Addr: at.String(), Holder: holderOf(at.Port())}
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", at, err)
	}
	return l, nil
}
