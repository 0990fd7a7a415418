package bundle

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"

	"paddock/sandbox/permission"
)

// LinkScheme is the scheme of links that lead to the review sheet.
const LinkScheme = "paddock"

// ParseLink reads a link paddock://install?url=… and returns the address in it. Anyone can put such a
// link on a web page, so the address must be https and must not name this computer, a private address or
// a user; nothing is fetched here. Errors are *RefusedError.
func ParseLink(link string) (*url.URL, error) {
	bad := func(why string) error {
		return refuse(RuleSource, link, "%s", why).hint("A link looks like paddock://install?url=https://example.org/app.paddock.")
	}
	if len(link) > 4096 {
		return nil, refuse(RuleSource, link[:64]+"…", "the link is longer than 4096 characters")
	}
	u, err := url.Parse(link)
	switch {
	case err != nil || !strings.EqualFold(u.Scheme, LinkScheme):
		return nil, bad("it is not a paddock:// link")
	case u.User != nil || u.Port() != "" || u.Fragment != "" || u.Path != "" && u.Path != "/":
		return nil, bad("the link has parts that mean nothing here")
	case u.Host != "install":
		return nil, bad("Paddock knows only paddock://install")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(query) != 1 || len(query["url"]) != 1 {
		return nil, bad("the link does not have exactly one url")
	}
	target, err := parseSource(query.Get("url"))
	if err != nil {
		return nil, err
	}
	if target.loopback || target.url.Scheme != "https" {
		return nil, refuse(RuleSource, link, "links may only lead to https addresses on the internet")
	}
	return target.url, nil
}

// localPath turns a file:// address, which desktops hand to programs in place of a path, into the path.
// Everything else comes back as it is. Only Open's caller can name such an address: links and redirects
// are judged by parseSource, which refuses them.
func localPath(source string) (string, error) {
	if len(source) < 7 || !strings.EqualFold(source[:7], "file://") {
		return source, nil
	}
	u, err := url.Parse(source)
	if err != nil || u.Host != "" && u.Host != "localhost" || u.Path == "" || u.User != nil || strings.Contains(u.Path, "\x00") {
		return "", refuse(RuleSource, source, "it is not the address of a file on this computer")
	}
	name := u.Path
	if len(name) > 2 && name[0] == '/' && name[2] == ':' { // file:///C:/…
		name = name[1:]
	}
	return filepath.FromSlash(name), nil
}

// sourceURL is an address that may be asked for a bundle.
type sourceURL struct {
	url      *url.URL
	loopback bool // written as localhost, 127.x.y.z or [::1]: then, and only then, loopback is reached
}

// parseSource judges an address as written. Names are judged again by where they lead, when dialling.
func parseSource(text string) (sourceURL, error) {
	bad := func(format string, args ...any) *RefusedError { return refuse(RuleSource, text, format, args...) }
	if why := checkText(text); why != "" || strings.Contains(text, " ") {
		return sourceURL{}, bad("it is not an address: it has %s", orText(why, "a space"))
	}
	u, err := url.Parse(text)
	if err != nil {
		return sourceURL{}, bad("it is not an address")
	}
	u.Scheme = strings.ToLower(u.Scheme)
	u.Fragment, u.RawFragment = "", ""
	if u.User != nil {
		u.User = nil
		return sourceURL{}, refuse(RuleSource, u.String(), "the address has a user name or password in it").
			hint("Download the file yourself and install it from the disk.")
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return sourceURL{}, bad("bundles come from https addresses, not %q ones", u.Scheme)
	}
	host := u.Hostname()
	if host == "" || u.Opaque != "" {
		return sourceURL{}, bad("the address has no host")
	}
	if port := u.Port(); port == "0" || strings.HasSuffix(u.Host, ":") {
		return sourceURL{}, bad("the address has no valid port")
	}
	s := sourceURL{url: u, loopback: loopbackAsWritten(host)}
	if s.loopback {
		return s, nil
	}
	if err := publicHost(host); err != nil {
		return sourceURL{}, refuse(RuleSource, text, "%s", err.Error()).
			hint("Only http://localhost, http://127.0.0.1 and http://[::1] reach this computer, when written so.")
	}
	if u.Scheme == "http" {
		return sourceURL{}, bad("http has no protection on the way").hint("Use the https address.")
	}
	return s, nil
}

// loopbackAsWritten recognises the plain spellings of this computer. Others (127.1, 0x7f000001,
// ::ffff:127.0.0.1, a name that resolves to it) are refused later: who writes them hides something.
func loopbackAsWritten(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() && !addr.Is4In6() && addr.Zone() == ""
}

// publicHost says why host is no name or address on the internet.
func publicHost(host string) error {
	canonical, err := permission.CanonicalHost(host)
	if err != nil {
		var bad *permission.ScopeError
		if errors.As(err, &bad) {
			return errors.New(bad.Rule)
		}
		return errors.New("not a host name")
	}
	if addr, err := netip.ParseAddr(canonical); err == nil {
		return publicAddr(addr)
	}
	if permission.IsLoopbackHost(canonical) {
		return errors.New("the host is this computer")
	}
	return nil
}

// publicAddr says why addr is not on the internet. The vocabulary of permissions keeps the list of such
// addresses, wrapped ones included; this asks it, so that there is one list.
func publicAddr(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	text := addr.String()
	if addr.Is6() {
		text = "[" + text + "]"
	}
	_, err := permission.Parse(string(permission.Net) + ":" + text)
	switch {
	case err == nil:
	case errors.Is(err, permission.ErrLoopback):
		return fmt.Errorf("the address %s is this computer", addr)
	default:
		return fmt.Errorf("the address %s is not on the internet", addr)
	}
	for _, own := range ownAddrs() {
		if own == addr {
			return fmt.Errorf("the address %s is this computer", addr)
		}
	}
	return nil
}

// ownAddrs lists the addresses of this machine's network cards; none when the system does not tell.
func ownAddrs() []netip.Addr {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var addrs []netip.Addr
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	return addrs
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
