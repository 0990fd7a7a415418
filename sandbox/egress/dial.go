package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"paddock/sandbox/permission"
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	// LookupNetIP gives the addresses of host; network is "ip".
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// dialer makes the connections to the outside. It resolves a name once, checks every address that comes back, and
// dials only addresses that it checked.
type dialer struct {
	rules    func() *rules
	resolve  map[string]string // canonical "host:port" to "addr:port"
	resolver Resolver
	local    *localAddresses
	timeout  time.Duration
	closing  context.Context // ends every dial: the transport lets them outlive their requests
	net      net.Dialer
}

// staggered is how long one address may take before the next is tried beside it (RFC 8305 recommends 250 ms).
const staggered = 250 * time.Millisecond

// DialContext connects to a canonical "host:port". Errors are *refusal where a rule is behind them.
func (d *dialer) DialContext(ctx context.Context, _, target string) (net.Conn, error) {
	host, port, err := splitTarget(target)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	defer context.AfterFunc(d.closing, cancel)()

	// The rules may have changed since the request was let through.
	rules := d.rules()
	v := rules.judge(host, port)
	if v.refusal != nil {
		return nil, v.refusal
	}
	if pinned, ok := d.resolve[target]; ok {
		return d.net.DialContext(ctx, "tcp", pinned)
	}
	addrs, err := d.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	addrs, err = d.permitted(host, addrs, v.lanOnly, rules.lan)
	if err != nil {
		return nil, err
	}
	return d.race(ctx, addrs, port)
}

// lookup gives the addresses of a canonical host.
func (d *dialer) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	addrs, err := d.resolver.LookupNetIP(ctx, "ip", host)
	var missing *net.DNSError
	switch {
	case err == nil && len(addrs) > 0:
		return addrs, nil
	case errors.Is(err, context.Canceled):
		return nil, err
	case err == nil, errors.As(err, &missing) && missing.IsNotFound:
		return nil, refuse(http.StatusBadGateway, ReasonResolve, "%s could not be reached: no such name. Check the spelling, and the network.", host)
	default:
		return nil, refuse(http.StatusBadGateway, ReasonResolve, "%s could not be reached: its name could not be looked up. "+
			"Is this computer online?", host)
	}
}

// permitted keeps the addresses that may be dialled. A name that leads both to the internet and to a private network
// is used for the former only, so that it cannot be turned against the latter.
func (d *dialer) permitted(host string, addrs []netip.Addr, lanOnly, lan bool) ([]netip.Addr, error) {
	local, err := d.local.prefixes()
	if err != nil {
		return nil, refuse(http.StatusServiceUnavailable, ReasonThisComputer, "%s was not asked: this computer's own addresses cannot be read, "+
			"so that nobody knows whether it is one of them (%v).", host, err)
	}
	var kept []netip.Addr
	var first string
	for _, a := range addrs {
		reason, refused := Refused(a, lan, local)
		if !refused && lanOnly {
			if _, private := Refused(a, false, local); !private {
				reason, refused = ReasonNotLocal, true
			}
		}
		if !refused {
			kept = append(kept, a.Unmap())
		} else if first == "" {
			first = reason
		}
	}
	if len(kept) == 0 {
		return nil, addressRefusal(host, first)
	}
	return kept, nil
}

// race dials the addresses in their order, each a little after the one before, and keeps the first connection.
func (d *dialer) race(ctx context.Context, addrs []netip.Addr, port uint16) (net.Conn, error) {
	const most = 6 // as a name may have hundreds
	addrs = addrs[:min(len(addrs), most)]
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result)
	start := func(a netip.Addr) {
		conn, err := d.net.DialContext(ctx, "tcp", netip.AddrPortFrom(a, port).String())
		select {
		case results <- result{conn, err}:
		case <-ctx.Done(): // lost the race
			if conn != nil {
				conn.Close()
			}
		}
	}
	var failures []error
	next := time.NewTimer(0)
	defer next.Stop()
	for started := 0; len(failures) < len(addrs); {
		select {
		case <-next.C:
			if started < len(addrs) {
				go start(addrs[started])
				started++
				next.Reset(staggered)
			}
		case r := <-results:
			if r.err == nil {
				return r.conn, nil
			}
			failures = append(failures, r.err)
			next.Reset(0)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, errors.Join(failures...)
}

// localAddresses are the prefixes of this computer's interfaces, read again when they are older than localAge: a
// network change is seen within that time.
type localAddresses struct {
	read func() ([]netip.Prefix, error)
	now  func() time.Time

	mu   sync.Mutex
	at   time.Time
	list []netip.Prefix
}

const localAge = 2 * time.Second

func (l *localAddresses) prefixes() ([]netip.Prefix, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.list != nil && now.Sub(l.at) < localAge && !now.Before(l.at) {
		return l.list, nil
	}
	list, err := l.read()
	if err != nil {
		return nil, fmt.Errorf("read interface addresses: %w", err)
	}
	l.list, l.at = list, now
	return list, nil
}

// interfacePrefixes reads the system's interfaces.
func interfacePrefixes() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	list := make([]netip.Prefix, 0, len(addrs))
	for _, a := range addrs {
		ipnet, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(ipnet.IP)
		if !ok {
			continue
		}
		ip = ip.Unmap()
		ones, _ := ipnet.Mask.Size()
		if ip.Is4() && len(ipnet.Mask) == net.IPv6len {
			ones -= 96
		}
		list = append(list, netip.PrefixFrom(ip, ones))
	}
	return list, nil
}

// splitTarget takes a "host:port" of our own making apart.
func splitTarget(target string) (string, uint16, error) {
	host, digits, err := net.SplitHostPort(target)
	if err != nil {
		return "", 0, fmt.Errorf("split %q: %w", target, err)
	}
	port, ok := parsePort(digits)
	if !ok {
		return "", 0, fmt.Errorf("split %q: no port", target)
	}
	return host, port, nil
}

// ParseResolve reads HOST:PORT=ADDR:PORT, the argument of --resolve, into a key and a value of Options.Resolve.
func ParseResolve(s string) (key, addr string, err error) {
	const form = "write it as HOST:PORT=ADDRESS:PORT, such as api.test:443=127.0.0.1:8443"
	name, to, ok := cut(s, '=')
	if !ok {
		return "", "", fmt.Errorf("%q has no =: %s", s, form)
	}
	host, digits, err := net.SplitHostPort(name)
	if err != nil {
		return "", "", fmt.Errorf("%q is no host and port: %s", name, form)
	}
	port, ok := parsePort(digits)
	if !ok {
		return "", "", fmt.Errorf("%q is no port from 1 to 65535: %s", digits, form)
	}
	if host, err = permission.CanonicalHost(host); err != nil {
		return "", "", fmt.Errorf("the host in %q: %w", s, err)
	}
	if permission.IsLoopbackHost(host) {
		return "", "", fmt.Errorf("%s can never be granted to an app: choose another name, such as api.test", host)
	}
	ap, err := netip.ParseAddrPort(to)
	if err != nil || ap.Port() == 0 {
		return "", "", fmt.Errorf("%q is no address and port: %s", to, form)
	}
	return hostPort(host, port), netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String(), nil
}
