package attack

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"paddock/sandbox/egress"
)

// servers are what an app could reach if it could reach anything. Ports of 0 and empty names are not there.
type servers struct {
	HTTP, HTTP6, TLS, TCP, UDP, DNS int    // ports on 127.0.0.1, and on ::1 for HTTP6
	Authority, Certificate, Key     string // of the TLS server, PEM
	Control, Bus, Datagrams         string // sockets by path: the agent's, the session bus, one that takes datagrams
	Abstract, AbstractDatagrams     string // names of abstract sockets, without the zero
	OpenProxy                       string // address of a proxy that refuses nothing; only the control run uses it
	OwnAddress, OwnAddress6         string // of this machine, not loopback
	OwnHTTP, OwnPort                int    // the HTTP server's port on OwnAddress, and a free one

	witnessed *atomic.Int64
}

// seen counts the datagrams and other signs of life that the host has got.
func (w *world) seen() int64 { return w.Net.witnessed.Load() }

// sees waits for one more.
func (w *world) sees(before int64, patience time.Duration) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if w.seen() > before {
			return true
		}
	}
	return false
}

func (w *world) startServers() error {
	n := &w.Net
	n.witnessed = new(atomic.Int64)
	n.Abstract, n.AbstractDatagrams = randomName(), randomName()
	n.Control, n.Bus, n.Datagrams = filepath.Join(w.root, "control.sock"), filepath.Join(w.root, "bus"), filepath.Join(w.root, "dgram")

	var fail error
	listen := func(network, address string) net.Listener {
		l, err := net.Listen(network, address)
		if err != nil {
			fail = fmt.Errorf("listen on %s: %w", address, err)
			return nil
		}
		w.onClose(func() { _ = l.Close() })
		return l
	}
	serve := func(address string) int {
		l := listen("tcp", address)
		if l == nil {
			return 0
		}
		server := &http.Server{Handler: http.HandlerFunc(answer), ReadHeaderTimeout: 5 * time.Second}
		go func() { _ = server.Serve(l) }()
		w.onClose(func() { _ = server.Close() })
		return l.Addr().(*net.TCPAddr).Port
	}
	n.HTTP = serve("127.0.0.1:0")
	if hasLoopback6() {
		n.HTTP6 = serve("[::1]:0")
	}
	n.OwnAddress, n.OwnAddress6 = ownAddresses()
	if n.OwnAddress != "" {
		n.OwnHTTP = serve(net.JoinHostPort(n.OwnAddress, "0"))
		if l := listen("tcp", net.JoinHostPort(n.OwnAddress, "0")); l != nil {
			n.OwnPort = l.Addr().(*net.TCPAddr).Port
			_ = l.Close()
		}
	}
	if l := listen("tcp", "127.0.0.1:0"); l != nil {
		n.TCP = l.Addr().(*net.TCPAddr).Port
		go acceptAll(l, secretText("tcp"))
	}
	for _, path := range []string{n.Control, n.Bus, "@" + n.Abstract} {
		if l := listen("unix", path); l != nil {
			go acceptAll(l, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 20\r\n\r\n"+secretText("unix"))
		}
	}
	for _, path := range []string{n.Datagrams, "@" + n.AbstractDatagrams} {
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			return err
		}
		w.witness(conn)
	}
	for port, handle := range map[*int]func([]byte) []byte{&n.UDP: nil, &n.DNS: answerDNS} {
		conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*port = conn.LocalAddr().(*net.UDPAddr).Port
		if handle == nil {
			w.witness(conn)
		} else {
			w.answerPackets(conn, handle)
		}
	}
	if err := w.startTLS(); err != nil {
		return err
	}
	if l := listen("tcp", "127.0.0.1:0"); l != nil {
		n.OpenProxy = l.Addr().String()
		go w.refuseNothing(l)
	}
	return fail
}

// startTLS starts a web server with a certificate of an authority of its own.
func (w *world) startTLS() error {
	n := &w.Net
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tests"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	site := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "site"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: importHosts, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	keys := [2]*ecdsa.PrivateKey{}
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return err
		}
	}
	top, err := x509.CreateCertificate(rand.Reader, authority, authority, keys[0].Public(), keys[0])
	if err != nil {
		return err
	}
	leaf, err := x509.CreateCertificate(rand.Reader, site, authority, keys[1].Public(), keys[0])
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(keys[1])
	if err != nil {
		return err
	}
	n.Authority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: top}))
	n.Certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf}))
	n.Key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	secure := httptest.NewUnstartedServer(http.HandlerFunc(answer))
	secure.EnableHTTP2 = true
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf}, PrivateKey: keys[1]}}, MinVersion: tls.VersionTLS12}
	secure.StartTLS()
	w.onClose(secure.Close)
	n.TLS = secure.Listener.Addr().(*net.TCPAddr).Port
	return nil
}

// twin is a listening socket with a path as long as the given one, and an abstract one with a name as long.
func (w *world) twin(of string) (string, error) {
	if of == "" {
		return "", nil
	}
	path := filepath.Join(w.root, "t") + strings.Repeat("t", max(0, len(of)-len(w.root)-2))
	w.placing.Lock()
	defer w.placing.Unlock()
	if w.twins[path] {
		return path, nil
	}
	for _, name := range []string{path, "@" + path[1:] + "_"} {
		l, err := net.Listen("unix", name)
		if err != nil {
			return "", err
		}
		w.onClose(func() { _ = l.Close() })
		go acceptAll(l, secretText("twin"))
	}
	w.twins[path] = true
	return path, nil
}

// answer is the web server of the world.
func answer(out http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ws":
		conn, _, _, err := ws.UpgradeHTTP(r, out)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_ = wsutil.WriteServerText(conn, []byte(secretText("websocket")))
		_, _ = io.Copy(io.Discard, conn)
	case "/module.js":
		out.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(out, `export default "PADDOCK-SECRET remote";`)
	case "/worker.js":
		out.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(out, `postMessage("PADDOCK-SECRET remote worker");`)
	case "/secret.json":
		out.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(out, `{"text": "PADDOCK-SECRET remote"}`)
	case "/events":
		out.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(out, "data: PADDOCK-SECRET event\n\n")
	case "/redirect":
		http.Redirect(out, r, r.URL.Query().Get("to"), http.StatusFound)
	default:
		_, _ = fmt.Fprintf(out, "PADDOCK-SECRET web for %s\n", r.Host)
	}
}

func hasLoopback6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// ownAddresses are an address of each family under which this machine is known to others.
func ownAddresses() (four, six string) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return "", ""
	}
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || prefix.Addr().IsLoopback() || prefix.Addr().IsLinkLocalUnicast() {
			continue
		}
		if prefix.Addr().Is4() && four == "" {
			four = prefix.Addr().String()
		} else if prefix.Addr().Is6() && six == "" {
			six = prefix.Addr().String()
		}
	}
	return four, six
}

// witness counts what arrives.
func (w *world) witness(conn net.PacketConn) {
	w.answerPackets(conn, func([]byte) []byte {
		w.Net.witnessed.Add(1)
		return nil
	})
}

func (w *world) answerPackets(conn net.PacketConn, handle func([]byte) []byte) {
	w.onClose(func() { _ = conn.Close() })
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if reply := handle(buffer[:n]); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
}

// answerDNS gives 192.0.2.7 (a documentation address) for every name.
func answerDNS(query []byte) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) == 0 {
		return nil
	}
	m.Response, m.RecursionAvailable = true, true
	m.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 1},
		Body:   &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}},
	}}
	m.Additionals = nil
	reply, err := m.Pack()
	if err != nil {
		return nil
	}
	return reply
}

// openLeak makes a pipe with a name at path and counts what is written into it.
func (w *world) openLeak(path string) error {
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	w.onClose(func() { _ = f.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			if _, err := f.Read(buffer); err != nil {
				return
			}
			w.Net.witnessed.Add(1)
		}
	}()
	return nil
}

// refuseNothing is a proxy as none should be: whatever the target is said to be, it leads to the world's web server,
// bytes unchanged.
func (w *world) refuseNothing(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			reader := bufio.NewReader(conn)
			first, err := reader.ReadString('\n')
			if err != nil {
				return
			}
			port := w.Net.HTTP
			if strings.HasPrefix(first, "CONNECT ") && strings.HasSuffix(strings.Fields(first)[1], ":443") {
				port = w.Net.TLS
			}
			to, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				return
			}
			defer func() { _ = to.Close() }()
			if strings.HasPrefix(first, "CONNECT ") {
				for line := first; strings.TrimSpace(line) != ""; {
					if line, err = reader.ReadString('\n'); err != nil {
						return
					}
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 Connected\r\n\r\n")
			} else {
				_, _ = io.WriteString(to, first)
			}
			go func() { _, _ = io.Copy(to, reader) }()
			_, _ = io.Copy(conn, to)
		}()
	}
}

// wild is the domain whose names the resolver of the world leads to where no app may go.
const wild = "wild.example.com"

// lyingResolver answers as an attacker's name server would.
type lyingResolver struct {
	own  func() (string, string)
	mu   sync.Mutex
	flip int
}

// neighbourOf is the next address of the same network.
func neighbourOf(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	return a.Next().String()
}

// LookupNetIP implements egress.Resolver.
func (l *lyingResolver) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	label, _, _ := strings.Cut(host, ".")
	four, six := l.own()
	address := map[string]string{
		"loopback": "127.0.0.1", "loopback6": "::1", "zero": "0.0.0.0", "zero6": "::", "mapped": "::ffff:127.0.0.1",
		"far": "127.7.7.7", "nat64": "64:ff9b::7f00:1", "sixtofour": "2002:7f00:1::", "own": four, "own6": six,
		"compatible": "::127.0.0.1", "onlink": neighbourOf(four),
	}[label]
	if label == "flip" { // rebinding: good when it is checked, bad when it is used
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.flip++; l.flip%2 == 1 {
			address = "198.51.100.7" // documentation: goes nowhere
		} else {
			address = "127.0.0.1"
		}
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []netip.Addr{a}, nil
}

// egress is the proxies' view of the outside: one good site, and a resolver that lies.
func (w *world) egress() egress.Options {
	return egress.Options{
		Resolve: map[string]string{
			"api.example.com:80": fmt.Sprintf("127.0.0.1:%d", w.Net.HTTP),
		},
		Resolver: &lyingResolver{own: func() (string, string) { return w.Net.OwnAddress, w.Net.OwnAddress6 }},
		Limits:   egress.Limits{DialTimeout: 500 * time.Millisecond},
	}
}

// someGrants are those of the profile "net": a good site, and a domain of an attacker's on the ports of the world.
func (w *world) someGrants() string {
	names := []string{"net:api.example.com:80"}
	for _, port := range []int{w.Net.HTTP, w.Net.HTTP6, w.Net.OwnHTTP} {
		if port != 0 {
			names = append(names, fmt.Sprintf("net:*.%s:%d", wild, port))
		}
	}
	if w.Net.OwnAddress != "" {
		names = append(names, "net:"+net.JoinHostPort(w.Net.OwnAddress, fmt.Sprint(w.Net.OwnPort)))
	}
	return strings.Join(names, ",")
}
