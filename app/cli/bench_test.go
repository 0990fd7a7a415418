package cli

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(99-i))
	}
	for _, c := range []struct {
		all  []time.Duration
		q    float64
		want time.Duration
	}{
		{nil, 0.5, 0},
		{[]time.Duration{7}, 0.5, 7},
		{[]time.Duration{7}, 0.99, 7},
		{[]time.Duration{7}, 1, 7},
		{hundred, 0, 0},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
		{hundred, 1, 99},
	} {
		if got := quantile(c.all, c.q); got != c.want {
			t.Errorf("%d values, %v: %d, want %d", len(c.all), c.q, got, c.want)
		}
	}
	if hundred[0] != 99 {
		t.Error("the values were put in order in place")
	}
}

// serveForBench is a server and how to ask it.
func serveForBench(t *testing.T, h http.HandlerFunc) benchTarget {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return benchTarget{network: "tcp", address: s.Listener.Addr().String(), head: "Host: bench\r\n"}
}

// TestBenchConn: only a whole 200 counts, on a connection that is kept.
func TestBenchConn(t *testing.T) {
	target := serveForBench(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			fmt.Fprint(w, "ok")
		case "/upload":
			var b bytes.Buffer
			if _, err := b.ReadFrom(r.Body); err != nil {
				t.Error(err)
			}
			fmt.Fprint(w, b.Len())
		case "/stream":
			fmt.Fprint(w, "a")
			w.(http.Flusher).Flush()
		default:
			http.NotFound(w, r)
		}
	})
	c, err := target.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for range 3 {
		if took, err := c.do(target.get("/"), nil); err != nil || took <= 0 {
			t.Fatalf("%v %v", took, err)
		}
		if _, err := c.do(target.post("/upload", 3), []byte("abc")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.do(target.get("/none"), nil); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a refusal: %v", err)
	}
	c.close()
	if c, err = target.dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.do(target.get("/stream"), nil); err == nil || !strings.Contains(err.Error(), "length") {
		t.Errorf("an answer without a length: %v", err)
	}
}

func TestLoad(t *testing.T) {
	target := serveForBench(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	var l load
	for range 2 {
		before := len(l.times)
		if err := l.add(t.Context(), target, 4, 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if len(l.times) < before+4 || l.took < 20*time.Millisecond || l.perS() <= 0 {
			t.Errorf("%d requests in %v", len(l.times), l.took)
		}
	}
	if err := l.add(t.Context(), benchTarget{network: "tcp", address: closedAddr(t), head: ""}, 1, time.Millisecond); err == nil {
		t.Error("nobody answered")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.add(ended, target, 1, time.Hour); err == nil {
		t.Error("it goes on after it was cancelled")
	}
}

func closedAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestPrintBench(t *testing.T) {
	var out, messages bytes.Buffer
	p := newProgram(Env{Stdout: &out, Stderr: &messages, Getenv: func(string) string { return "" }, IsTerminal: func() bool { return false }})
	d := benchDocument{
		Deno: "2.9.6", CPUs: 2, Seconds: 29.7,
		ColdStart: newBenchTime([]time.Duration{60e6, 54e6, 50e6}, []time.Duration{40e6}), Thaw: newBenchTime([]time.Duration{900e3}, []time.Duration{700e3}),
		Latency:    []benchLatency{{benchTime: newBenchTime([]time.Duration{120e3}, []time.Duration{40e3}), Connections: 1}},
		Throughput: newBenchRate(32, 20000, 40000), Download: newBenchRate(1, 900, 1000), Upload: newBenchRate(1, 800, 1000),
		Isolation: []benchOthers{{Other: "loops", P99MS: 1.2, BaselineP99MS: 0.8, Ratio: 1.5}},
		Front: benchFront{
			Latency: newBenchTime([]time.Duration{100e3}, []time.Duration{8e3}), Missing: []string{"nginx"},
			Proxies: []benchProxy{{Name: "Paddock", Version: "1", Connections: 32, PerS: 27000, Baseline: 300000, Ratio: 0.09, DoorRatio: 1}, {Name: "Caddy", Version: "2.6.2", Connections: 32, PerS: 18000, Baseline: 300000, Ratio: 0.06, DoorRatio: 1.5}},
			Sockets: benchSockets{Open: 1000, ResidentBytes: 22e6, EachBytes: 6400},
		},
		Watchdog: &benchCost{Apps: 5, BaselinePercent: 0.05, AwakePercent: 0.1, Ratio: 2},
	}
	p.printBench(d)
	for _, want := range []string{
		"cold start, to the first byte 54.00 ms 40.00 ms × 1.35 plain Deno on a socket",
		"Thawing adds 0.20 ms to a request, the front door 0.080 ms. Measured in 30 s on 2 processors with Deno 2.9.6.",
		"front door alone, 32 at a time", "Caddy 2.6.2, 32 at a time",
		"The front door alone adds 0.092 ms to a request. It passes on 1.50 times as many requests a second as Caddy. Not installed, so not compared with: nginx. 1000 open WebSockets take 6.4 kB each, its whole process 22 MB.",
		"request while another app loops, p99 1.20 ms 0.80 ms × 1.50", "agent with 5 apps awake", "20000 /s 40000 /s × 0.50",
	} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	if messages.Len() > 0 {
		t.Errorf("messages: %s", &messages)
	}
	d.Watchdog = nil
	p.printBench(d)
}
