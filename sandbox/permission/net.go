package permission

import (
	"net"
	"strconv"
	"strings"
)

// anyHost is the scope of net:*.
const anyHost = "*"

// defaultPort is https; canonical scopes do not name it.
const defaultPort = 443

// Host takes a net permission apart. host is a canonical name or an address in netip form without brackets, ready
// for net.JoinHostPort; with wildcard true it stands for itself and everything under it.
// net:* gives host "*", port 0 and wildcard true. Other kinds give "".
func (p Permission) Host() (host string, port uint16, wildcard bool) {
	if p.Kind != Net {
		return "", 0, false
	}
	return splitScope(p.Scope)
}

// splitScope takes a canonical scope apart. What is not canonical gives an empty host, which matches nothing.
func splitScope(scope string) (host string, port uint16, wildcard bool) {
	if scope == anyHost {
		return anyHost, 0, true
	}
	scope, wildcard = strings.CutPrefix(scope, "*.")
	host, digits := splitPort(scope)
	port = defaultPort
	if digits != "" {
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil {
			return "", 0, false
		}
		port = uint16(n)
	}
	return strings.Trim(host, "[]"), port, wildcard
}

// splitPort cuts "host:port" and "[v6]:port" without judging either part.
func splitPort(s string) (host, port string) {
	end := strings.LastIndexByte(s, ']') // a colon inside brackets is part of the address
	if colon := strings.LastIndexByte(s, ':'); colon > end {
		return s[:colon], s[colon+1:]
	}
	return s, ""
}

// coversScope is Covers for canonical net scopes.
func coversScope(wide, narrow string) bool {
	if wide == narrow || wide == anyHost {
		return true
	}
	if narrow == anyHost {
		return false
	}
	host, port, wildcard := splitScope(wide)
	inner, innerPort, _ := splitScope(narrow)
	return wildcard && host != "" && port == innerPort && (inner == host || strings.HasSuffix(inner, "."+host))
}

// MatchHost reports whether the net permission p lets an app talk to host on port. host must be canonical
// ([CanonicalHost]); nothing is resolved. This computer never matches, whatever p is.
func MatchHost(p Permission, host string, port uint16) bool {
	if p.Kind != Net || host == "" || port == 0 || strings.ContainsRune(host, '*') || IsLoopbackHost(host) {
		return false
	}
	return coversScope(p.Scope, joinScope(host, port))
}

// joinScope makes a canonical scope of a canonical host and a port.
func joinScope(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == defaultPort {
		return host
	}
	return host + ":" + strconv.Itoa(int(port))
}

// hostPort is the form that flags and dialers want: the port is always there.
func hostPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// canonicalNet is the scope syntax of the net kind.
func canonicalNet(scope string) (string, error) {
	if scope == anyHost {
		return anyHost, nil
	}
	if i := strings.IndexAny(scope, "/?#@\\ "); i >= 0 {
		return "", refuse(scope, "a site is a host name, not a link", "Write the name alone, such as net:api.example.com.")
	}
	if scope[0] != '[' && strings.Count(scope, ":") > 1 {
		return "", refuse(scope, "an IPv6 address is written in brackets", "Write net:[2001:4860:4860::8888], for example.")
	}
	rest, wildcard := strings.CutPrefix(scope, "*.")
	text, digits := splitPort(rest)
	port, err := canonicalPort(text, digits, rest)
	if err != nil {
		return "", err
	}
	if strings.Contains(text, "*") {
		return "", refuse(scope, "* stands for any site, or for the first part of a name",
			"Write net:* or net:*.example.com; a port goes after a name only.")
	}
	host, err := CanonicalHost(text)
	if err != nil {
		return "", err
	}
	if err := checkTarget(host); err != nil {
		return "", err
	}
	if !wildcard {
		return joinScope(host, port), nil
	}
	if isAddress(host) {
		return "", refuse(scope, "an address has no names under it", "Write the address without *.")
	}
	if !strings.Contains(host, ".") {
		return "", refuse(scope, "*."+host+" is too wide: it means every name that ends in ."+host,
			"Name the site, as in *.example."+host+", or ask for net:*.")
	}
	return "*." + joinScope(host, port), nil
}

// canonicalPort reads the digits after the last colon; whole tells "host:" from "host".
func canonicalPort(host, digits, whole string) (uint16, error) {
	if digits == "" && len(host) == len(whole) {
		return defaultPort, nil
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 || digits[0] == '0' || digits[0] == '+' {
		return 0, refuse(whole, "a port is a number from 1 to 65535", "Leave it out for 443.")
	}
	return uint16(n), nil
}

// checkTarget refuses canonical hosts that are this computer or a private address.
func checkTarget(host string) error {
	switch addressClass(host) {
	case classLoopback:
		return refuseAs(ErrLoopback, host, "this computer itself is never reachable for an app",
			"Name a site on the internet; devices on the local network need lan.")
	case classPrivate:
		return refuseAs(ErrPrivateAddress, host, "this is an address of a private or reserved network, not a site on the internet",
			"Ask for lan to reach devices on the local network.")
	default:
		return nil
	}
}
