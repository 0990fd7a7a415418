package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"
	"time"
)

// benchClient speaks HTTP on one connection with as little work as it can, so that the server's is what counts.
type benchClient struct {
	c       net.Conn
	br      *bufio.Reader
	request []byte
	length  int // of a whole answer, learned from the first one
	buffer  []byte
}

func newBenchClient(b testing.TB, network, addr, request string) *benchClient {
	b.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	client := &benchClient{c: c, br: bufio.NewReaderSize(c, 64<<10), request: []byte(request)}
	if _, err := c.Write(client.request); err != nil {
		b.Fatal(err)
	}
	head := 0
	size := 0
	for {
		text, err := client.br.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		head += len(text)
		if head == len(text) && !strings.Contains(text, " 200 ") {
			b.Fatal(text)
		}
		if strings.HasPrefix(text, "Content-Length: ") {
			_, _ = fmt.Sscanf(text, "Content-Length: %d", &size)
		}
		if text == "\r\n" {
			break
		}
	}
	client.length = head + size
	client.buffer = make([]byte, min(client.length, 64<<10))
	if _, err := io.CopyN(io.Discard, client.br, int64(size)); err != nil {
		b.Fatal(err)
	}
	return client
}

func (c *benchClient) do() error {
	if _, err := c.c.Write(c.request); err != nil {
		return err
	}
	for left := c.length; left > 0; {
		n, err := c.br.Read(c.buffer[:min(left, len(c.buffer))])
		if err != nil {
			return err
		}
		left -= n
	}
	return nil
}

// measure runs n requests over a number of connections and returns the time each took on the wall.
func measure(b testing.TB, clients []*benchClient, n int) time.Duration {
	b.Helper()
	var all sync.WaitGroup
	begin := time.Now()
	for i, c := range clients {
		share := n / len(clients)
		if i < n%len(clients) {
			share++
		}
		all.Go(func() {
			for range share {
				if err := c.do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return time.Since(begin) / time.Duration(max(n, 1))
}

// BenchmarkProxy compares the front door with a direct connection to the same socket, in the same run. "ratio" is
// the time of the front door over the direct time, "of-reverseproxy" over the time of the standard library's proxy
// without a single check. The client, the app and the front door share the processors.
func BenchmarkProxy(b *testing.B) {
	for _, size := range []int{100, 100 << 10, 10 << 20} {
		body := []byte(strings.Repeat("x", size))
		up := serveApp(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = w.Write(body)
		}))
		r := newRig(b, up)
		plain := plainProxy(b, up)
		request := "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nCookie: " + r.cookie + "\r\nUser-Agent: bench\r\nAccept: */*\r\nSec-Fetch-Site: same-origin\r\n\r\n"
		for _, connections := range []int{1, 32} {
			if size > 100<<10 && connections > 1 {
				continue
			}
			b.Run(fmt.Sprintf("%dB/%dconn", size, connections), func(b *testing.B) {
				var direct, door, library []*benchClient
				for range connections {
					library = append(library, newBenchClient(b, "tcp", plain, request))
					direct = append(direct, newBenchClient(b, "unix", up.path, request))
					door = append(door, newBenchClient(b, "tcp", r.g.Addr(), request))
				}
				b.ReportAllocs()
				b.ResetTimer()
				through := measure(b, door, b.N)
				b.StopTimer()
				straight := measure(b, direct, b.N)
				b.ReportMetric(float64(through)/float64(measure(b, library, b.N)), "of-reverseproxy")
				b.ReportMetric(float64(through)/float64(straight), "ratio")
				b.ReportMetric(float64(time.Second)/float64(through), "req/s")
				b.ReportMetric(float64(time.Second)/float64(straight), "direct-req/s")
				b.SetBytes(int64(size))
			})
		}
	}
}

// plainProxy serves an instance through httputil.ReverseProxy and returns the address.
func plainProxy(b testing.TB, up *instance) string {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) { pr.Out.URL.Scheme, pr.Out.URL.Host = "http", "app" },
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return up.Dial(ctx)
		}},
	}
	server := httptest.NewServer(proxy)
	b.Cleanup(func() { server.Close(); proxy.Transport.(*http.Transport).CloseIdleConnections() })
	return server.Listener.Addr().String()
}

// BenchmarkChecks is everything the front door does besides moving bytes, on a response that the host makes.
func BenchmarkChecks(b *testing.B) {
	r := newRig(b, nil)
	b.Run("policy", func(b *testing.B) {
		st := r.g.site("i1").state.Load()
		app := http.Header{"Content-Type": {"text/plain"}, "Content-Length": {"1"}, "Date": {"x"}, "Etag": {"x"}}
		req := r.request(b, "GET", "/", nil)
		b.ReportAllocs()
		for b.Loop() {
			out := make(http.Header, 16)
			st.fill(out, app, req, "http://"+r.host)
		}
	})
	b.Run("session", func(b *testing.B) {
		s := r.g.site("i1")
		cookies := []string{"theme=dark; " + r.cookie}
		b.ReportAllocs()
		for b.Loop() {
			if read := readCookies(cookies, s.cookie); !s.jar.holds(read.session, time.Now()) {
				b.Fatal("not held")
			}
		}
	})
}

// BenchmarkUploads compares a 10 MB upload through the front door with a direct one.
func BenchmarkUploads(b *testing.B) {
	up := serveApp(b, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		n, _ := io.Copy(io.Discard, req.Body)
		_, _ = fmt.Fprint(w, n)
	}))
	r := newRig(b, up)
	const size = 10 << 20
	run := func(network, addr string) time.Duration {
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		}}
		defer transport.CloseIdleConnections()
		client := http.Client{Transport: transport}
		begin := time.Now()
		for range b.N {
			req := r.request(b, "POST", "/", io.LimitReader(zeros{}, size))
			req.ContentLength = size
			res, err := client.Do(req)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
		return time.Since(begin)
	}
	b.SetBytes(size)
	b.ResetTimer()
	through := run("tcp", r.g.Addr())
	b.StopTimer()
	b.ReportMetric(float64(through)/float64(run("unix", up.path)), "ratio")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
