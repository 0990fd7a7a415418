package bundle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
)

// newClient makes the client for one download. It uses no proxy (one would resolve names in our place,
// unchecked), keeps no cookies, sends no credentials, and connects only to addresses that it has judged.
func newClient(resolver Resolver, loopback bool) *http.Client {
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	// The stall watch of the download bounds dialling, the handshake and the wait for the header together.
	d := &checkedDialer{resolver: resolver, loopback: loopback}
	return &http.Client{Transport: &http.Transport{
		Proxy:                  nil,
		DialContext:            d.dial,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true, // one file needs no second use, and what a liar sends after it is not read
	}}
}

// A checkedDialer connects to the very address that it judged: there is no second resolution between.
type checkedDialer struct {
	resolver Resolver
	loopback bool // the source is loopback as written: only loopback is reached then
}

func (d *checkedDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := d.addrs(ctx, host)
	if err != nil {
		return nil, err
	}
	var failed error
	dialer := &net.Dialer{}
	for _, addr := range addrs {
		conn, err := dialer.DialContext(ctx, network, net.JoinHostPort(addr.String(), port))
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// addrs resolves host and keeps what may be reached. One address that may not is enough to refuse: an
// honest name has none, and a dishonest one would otherwise get a second try.
func (d *checkedDialer) addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	if loopbackAsWritten(host) {
		if !d.loopback {
			return nil, refuse(RuleSource, host, "the address is this computer")
		}
		if addr, err := netip.ParseAddr(host); err == nil {
			return []netip.Addr{addr}, nil
		}
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	addrs := []netip.Addr(nil)
	if addr, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, addr)
	} else {
		found, err := d.resolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return nil, &resolveError{host: host, err: err}
		}
		addrs = found
	}
	if len(addrs) == 0 {
		return nil, &resolveError{host: host, err: errors.New("the name has no address")}
	}
	for i, addr := range addrs {
		addrs[i] = addr.Unmap()
		if err := publicAddr(addr); err != nil {
			return nil, refuse(RuleSource, host, "%s", err.Error()).
				hint("Only http://localhost, http://127.0.0.1 and http://[::1] reach this computer, when written so.")
		}
	}
	return addrs, nil
}

// resolveError says that a name has no usable address.
type resolveError struct {
	host string
	err  error
}

func (e *resolveError) Error() string { return fmt.Sprintf("resolve %s: %v", e.host, e.err) }
func (e *resolveError) Unwrap() error { return e.err }
