package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"paddock/app/gateway/loadtest"
)

// How long the front door is measured with a server that answers at once.
const (
	benchFrontRounds  = 3
	benchFrontSpan    = 250 * time.Millisecond // of one round
	benchBodySpan     = 150 * time.Millisecond // of large bodies, each way
	benchFrontSockets = 1000
)

// benchFront is the front door alone, in a process of its own, before a server that does next to nothing: what is left
// is the front door. The same server is asked directly, and through the proxies that are installed here.
type benchFront struct {
	Latency  benchTime    `json:"latency"`  // one request at a time; straight to the server
	Proxies  []benchProxy `json:"proxies"`  // the front door is the first
	Missing  []string     `json:"missing"`  // proxies that are not installed
	Download benchRate    `json:"download"` // MB a second of a 10 MB body; straight to the server
	Upload   benchRate    `json:"upload"`
	Sockets  benchSockets `json:"websockets"`
}

// benchProxy is the rate of requests through one proxy.
type benchProxy struct {
	Name        string  `json:"name"`
	Version     string  `json:"version"`
	Connections int     `json:"connections"`
	PerS        float64 `json:"per_s"`
	Baseline    float64 `json:"baseline_per_s"` // straight to the server
	Ratio       float64 `json:"ratio"`          // per_s ÷ baseline_per_s
	DoorRatio   float64 `json:"door_ratio"`     // the front door's per_s ÷ per_s
}

// benchSockets is what open WebSockets take of the front door's process.
type benchSockets struct {
	Open          int    `json:"open"`
	ResidentBytes uint64 `json:"resident_bytes"` // of the process with all of them open; 0 where the system does not tell
	EachBytes     int64  `json:"each_bytes"`     // what one adds to heap and stacks
}

// benchPart is a process of the measurement: a server, or the front door before it.
func (p *program) benchPart() *cobra.Command {
	return &cobra.Command{
		Use: "part KIND SOCKET", Hidden: true, Args: cobra.MinimumNArgs(2), DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return loadtest.Part(cmd.Context(), args, p.env.Stdin, p.env.Stdout)
		},
	}
}

// front measures the front door alone.
func (r *benchRig) front(ctx context.Context, doc *benchDocument) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	y, err := loadtest.NewYard(ctx, func(args ...string) *exec.Cmd {
		return exec.Command(self, append([]string{"bench", "part"}, args...)...)
	})
	if err != nil {
		return err
	}
	defer func() {
		if e := y.Close(); err == nil {
			err = e
		}
	}()
	f := &doc.Front
	f.Missing = []string{} // a list, also when there is none
	if f.Sockets, err = measureSockets(ctx, y); err != nil {
		return fmt.Errorf("open WebSockets: %w", err)
	}
	if err := f.measureRequests(ctx, y, doc.Version); err != nil {
		return err
	}
	for _, way := range []struct {
		upload bool
		to     *benchRate
	}{{false, &f.Download}, {true, &f.Upload}} {
		var door, straight loadtest.Result
		for range benchFrontRounds {
			if err := inTurn(&straight, &door, y, func(t loadtest.Target) (loadtest.Result, error) {
				return loadtest.RunBody(ctx, t, way.upload, benchBodySpan)
			}); err != nil {
				return fmt.Errorf("large bodies: %w", err)
			}
		}
		*way.to = newBenchRate(1, door.Megabytes(), straight.Megabytes())
	}
	return nil
}

// inTurn measures both ways to the server.
func inTurn(straight, door *loadtest.Result, y *loadtest.Yard, measure func(loadtest.Target) (loadtest.Result, error)) error {
	for _, side := range []struct {
		target loadtest.Target
		sum    *loadtest.Result
	}{{y.Straight, straight}, {y.Door, door}} {
		got, err := measure(side.target)
		if err != nil {
			return err
		}
		side.sum.Add(got)
	}
	return nil
}

// measureSockets is the first that a fresh front door does.
func measureSockets(ctx context.Context, y *loadtest.Yard) (s benchSockets, err error) {
	before, err := y.Usage()
	if err != nil {
		return s, err
	}
	open, err := loadtest.OpenSockets(ctx, y.Door, benchFrontSockets)
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	if err != nil {
		return s, err
	}
	after, err := y.Usage()
	each := (int64(after.Heap+after.Stacks) - int64(before.Heap+before.Stacks)) / benchFrontSockets //nolint:gosec // far below 2^63
	return benchSockets{Open: len(open), ResidentBytes: after.Resident, EachBytes: each}, err
}

// measureRequests compares the rate at many connections with that of others, and the time of one request at a time.
func (f *benchFront) measureRequests(ctx context.Context, y *loadtest.Yard, version string) error {
	var straight, door loadtest.Result
	for range benchFrontRounds {
		if err := inTurn(&straight, &door, y, func(t loadtest.Target) (loadtest.Result, error) { return loadtest.Run(ctx, t, 1, benchFrontSpan) }); err != nil {
			return err
		}
	}
	f.Latency = newBenchTime(door.Times, straight.Times)

	type party struct {
		name, version string
		target        loadtest.Target
		sum           loadtest.Result
	}
	parties := []*party{{target: y.Straight}, {name: "Paddock", version: version, target: y.Door}}
	for _, name := range loadtest.RivalNames() {
		rival, installed, err := y.Rival(ctx, name)
		if err != nil {
			return err
		}
		if !installed {
			f.Missing = append(f.Missing, name)
			continue
		}
		parties = append(parties, &party{name: name, version: rival.Version, target: rival.Target})
	}
	for range benchFrontRounds {
		for _, p := range parties {
			got, err := loadtest.Run(ctx, p.target, benchCrowd, benchFrontSpan)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			p.sum.Add(got)
		}
	}
	base, own := parties[0].sum.PerSecond(), parties[1].sum.PerSecond()
	for _, p := range parties[1:] {
		rate := p.sum.PerSecond()
		f.Proxies = append(f.Proxies, benchProxy{
			Name: p.name, Version: p.version, Connections: benchCrowd, PerS: rate, Baseline: base, Ratio: ratio(rate, base), DoorRatio: ratio(own, rate),
		})
	}
	return nil
}

// rows adds what was measured to the table.
func (f *benchFront) rows(t *table) {
	const server = "straight to a server that does nothing"
	ms := func(v float64) cell { return number(fmt.Sprintf("%.3f ms", v)) }
	times := func(v float64) cell { return number(fmt.Sprintf("× %.2f", v)) }
	t.add(text("front door alone, 1 request at a time"), ms(f.Latency.MS), ms(f.Latency.BaselineMS), times(f.Latency.Ratio), text(server))
	for i, p := range f.Proxies {
		name := "front door alone"
		if i > 0 {
			name = p.Name + " " + p.Version
		}
		t.add(text(fmt.Sprintf("%s, %d at a time", name, p.Connections)), number(fmt.Sprintf("%.0f /s", p.PerS)), number(fmt.Sprintf("%.0f /s", p.Baseline)), times(p.Ratio), text(server))
	}
	for _, way := range []struct {
		name string
		rate benchRate
	}{{"download", f.Download}, {"upload", f.Upload}} {
		t.add(text("front door alone, "+way.name+" of 10 MB"), number(fmt.Sprintf("%.0f MB/s", way.rate.PerS)), number(fmt.Sprintf("%.0f MB/s", way.rate.Baseline)), times(way.rate.Ratio), text(server))
	}
}

// sentence says how the front door does beside others, and what WebSockets take.
func (f *benchFront) sentence() string {
	var b strings.Builder
	fmt.Fprintf(&b, "The front door alone adds %.3f ms to a request.", f.Latency.OverMS)
	for _, p := range f.Proxies[min(1, len(f.Proxies)):] {
		fmt.Fprintf(&b, " It passes on %.2f times as many requests a second as %s.", p.DoorRatio, p.Name)
	}
	if len(f.Missing) > 0 {
		fmt.Fprintf(&b, " Not installed, so not compared with: %s.", strings.Join(f.Missing, ", "))
	}
	fmt.Fprintf(&b, " %d open WebSockets take %.1f kB each", f.Sockets.Open, float64(f.Sockets.EachBytes)/1e3)
	if f.Sockets.ResidentBytes > 0 {
		fmt.Fprintf(&b, ", its whole process %.0f MB", float64(f.Sockets.ResidentBytes)/1e6)
	}
	return b.String() + "."
}
