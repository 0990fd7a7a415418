package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// TestBench: every figure of `paddock bench` is there with its baseline, and nothing is left behind. How good the
// figures are depends on what else the machine does, so the bounds only tell sense from nonsense.
func TestBench(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	temp, err := os.MkdirTemp("", "pb") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temp) })
	m.env = append(m.env, "TMPDIR="+temp, "XDG_RUNTIME_DIR="+temp)
	type figure struct {
		Runs         int     `json:"runs"`
		Connections  int     `json:"connections"`
		MS           float64 `json:"ms"`
		Baseline     float64 `json:"baseline_ms"`
		PerS         float64 `json:"per_s"`
		BaselinePerS float64 `json:"baseline_per_s"`
		Ratio        float64 `json:"ratio"`
	}
	d := must[struct {
		Deno       string   `json:"deno"`
		ColdStart  figure   `json:"cold_start"`
		Thaw       figure   `json:"thaw"`
		Latency    []figure `json:"latency"`
		Throughput figure   `json:"throughput"`
		Download   figure   `json:"download"`
		Upload     figure   `json:"upload"`
		Watchdog   *struct {
			Apps     int     `json:"apps"`
			Awake    float64 `json:"awake_percent"`
			Frozen   float64 `json:"frozen_percent"`
			Baseline float64 `json:"baseline_percent"`
			Sleepers float64 `json:"frozen_apps_ms"`
		} `json:"watchdog"`
		Front struct {
			Latency  figure   `json:"latency"`
			Download figure   `json:"download"`
			Upload   figure   `json:"upload"`
			Proxies  []figure `json:"proxies"`
			Missing  []string `json:"missing"`
			Sockets  struct {
				Open int `json:"open"`
				Each int `json:"each_bytes"`
			} `json:"websockets"`
		} `json:"front_door"`
		Isolation []struct {
			Other    string  `json:"other"`
			P99      float64 `json:"p99_ms"`
			Baseline float64 `json:"baseline_p99_ms"`
		} `json:"isolation"`
	}](m, "bench", "--json")
	if d.Deno == "" || len(d.Latency) != 2 || d.Latency[0].Connections != 1 || d.Latency[1].Connections != 32 || d.Throughput.Connections != 32 {
		t.Errorf("%+v", d)
	}
	for name, f := range map[string]figure{"cold start": d.ColdStart, "thaw": d.Thaw, "one connection": d.Latency[0], "many connections": d.Latency[1]} {
		if f.Runs < 10 || f.MS <= 0 || f.Baseline <= 0 || f.Ratio < 0.5 || f.Ratio > 100 {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if d.ColdStart.MS <= d.Thaw.MS {
		t.Errorf("a start takes %v ms and a thaw %v", d.ColdStart.MS, d.Thaw.MS)
	}
	for name, f := range map[string]figure{"throughput": d.Throughput, "download": d.Download, "upload": d.Upload, "front door, download": d.Front.Download, "front door, upload": d.Front.Upload} {
		if f.PerS <= 0 || f.BaselinePerS <= 0 || f.Ratio <= 0.01 {
			t.Errorf("%s: %+v", name, f)
		}
	}
	// A thread of a frozen app may still be on its way to its stop when the window begins; then it stands still.
	if w := d.Watchdog; w == nil || w.Apps == 0 || w.Awake <= 0 || w.Frozen <= 0 || w.Baseline <= 0 || w.Sleepers > 5 {
		t.Errorf("watchdog: %+v", w)
	}
	// The front door, and each of the other two or the word that it is not installed. A thousand sockets in 60 MB are
	// 60 kB each, and it is memory, not time, that is counted.
	f := d.Front
	if f.Latency.Runs < 10 || len(f.Proxies)+len(f.Missing) != 3 || len(f.Proxies) == 0 || f.Proxies[0].PerS <= 0 || f.Sockets.Open != 1000 || f.Sockets.Each > 30_000 {
		t.Errorf("front door: %+v", f)
	}
	if len(d.Isolation) != 3 {
		t.Errorf("isolation: %+v", d.Isolation)
	}
	for _, o := range d.Isolation {
		if o.Other == "" || o.P99 <= 0 || o.Baseline <= 0 {
			t.Errorf("isolation: %+v", o)
		}
	}
	left, err := filepath.Glob(filepath.Join(temp, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if _, err := os.Stat(m.home); !os.IsNotExist(err) {
		t.Errorf("the person's own home was touched: %v", err)
	}
}
