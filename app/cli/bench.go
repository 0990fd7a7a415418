package cli

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/spf13/cobra"
)

// benchDocument is what `paddock bench` prints. Times are medians in milliseconds. Every figure stands beside its
// baseline from the same run: figures of two machines, or of one machine on two days, say little; ratios do.
type benchDocument struct {
	Version    string         `json:"version"`
	Deno       string         `json:"deno"`
	System     string         `json:"system"` // GOOS/GOARCH
	CPUs       int            `json:"cpus"`
	ColdStart  benchTime      `json:"cold_start"` // request to first byte of a stopped app; plain Deno from spawn to first byte
	Thaw       benchTime      `json:"thaw"`       // request to first byte of a frozen app; the same when it is awake
	Latency    []benchLatency `json:"latency"`    // through the front door; straight to the app's socket
	Throughput benchRate      `json:"throughput"` // the same, requests a second
	Download   benchRate      `json:"download"`   // the same, MB a second of a 10 MB body
	Upload     benchRate      `json:"upload"`
	Front      benchFront     `json:"front_door"`
	Watchdog   *benchCost     `json:"watchdog"` // null where the system does not tell
	Isolation  []benchOthers  `json:"isolation"`
	Seconds    float64        `json:"seconds"` // that all this took
}

type benchTime struct {
	Runs       int     `json:"runs"`
	MS         float64 `json:"ms"`
	BaselineMS float64 `json:"baseline_ms"`
	OverMS     float64 `json:"over_ms"` // ms − baseline_ms
	Ratio      float64 `json:"ratio"`   // ms ÷ baseline_ms
}

type benchLatency struct {
	benchTime
	Connections   int     `json:"connections"`
	P99MS         float64 `json:"p99_ms"`
	BaselineP99MS float64 `json:"baseline_p99_ms"`
}

type benchRate struct {
	Connections int     `json:"connections"`
	PerS        float64 `json:"per_s"`
	Baseline    float64 `json:"baseline_per_s"`
	Ratio       float64 `json:"ratio"` // per_s ÷ baseline_per_s
}

// benchOthers is what one app feels of another that behaves badly: requests through the front door, and the same
// requests just before.
type benchOthers struct {
	Other         string  `json:"other"` // what the other app does: "loops", "hangs" or "floods"
	Connections   int     `json:"connections"`
	P99MS         float64 `json:"p99_ms"`
	BaselineP99MS float64 `json:"baseline_p99_ms"`
	Ratio         float64 `json:"ratio"` // p99_ms ÷ baseline_p99_ms
}

// benchCost is the processor time of the agent, and of sleeping apps, in percent of one core: all that the agent does,
// the watchdog with it. BenchmarkFifty (package sandbox) is the watchdog alone.
type benchCost struct {
	Installed       int     `json:"installed"`
	Apps            int     `json:"apps"`                   // of them, those that are awake or frozen
	BaselinePercent float64 `json:"baseline_percent"`       // the agent while every app is stopped
	AwakePercent    float64 `json:"awake_percent"`          // the agent while they are awake and unused
	FrozenPercent   float64 `json:"frozen_percent"`         // the agent while they are frozen
	PerAppPercent   float64 `json:"per_app_percent"`        // what watching one app that is awake costs
	PerFrozen       float64 `json:"per_frozen_app_percent"` // what one frozen app costs
	Ratio           float64 `json:"ratio"`                  // awake_percent ÷ baseline_percent
	FrozenAppsMS    float64 `json:"frozen_apps_ms"`         // processor time of the frozen apps themselves
	WindowSeconds   float64 `json:"window_seconds"`         // how long each was looked at
	SleepingMemory  int64   `json:"frozen_bytes,omitempty"` // memory of one frozen app
	AgentMemory     int64   `json:"agent_bytes,omitempty"`  // memory of the agent then
}

func newBenchTime(all, baseline []time.Duration) benchTime {
	ms, base := milliseconds(quantile(all, 0.5)), milliseconds(quantile(baseline, 0.5))
	return benchTime{Runs: len(all), MS: ms, BaselineMS: base, OverMS: ms - base, Ratio: ratio(ms, base)}
}

func newBenchRate(connections int, perS, baseline float64) benchRate {
	return benchRate{Connections: connections, PerS: perS, Baseline: baseline, Ratio: ratio(perS, baseline)}
}

func (p *program) benchCommand() *cobra.Command {
	bench := &cobra.Command{
		Use: "bench", Short: "Measure start, wake, proxy and watchdog on this machine", Args: takes(),
		Long: `Measures what Paddock costs on this machine, in about a minute: how long an app takes to start and to wake, what the
front door adds to a request, also beside Caddy and nginx where they are installed, what one app feels of another that
misbehaves, and what watching apps takes. Each figure stands beside a baseline from the same run.

It starts an agent of its own with a temporary home folder, and removes both. Your apps are not touched; other work on
the machine changes the figures, and the ratios much less.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			doc, err := p.bench(cmd.Context())
			if err != nil {
				return err
			}
			if p.json {
				p.document(doc)
				return nil
			}
			p.printBench(doc)
			return nil
		},
	}
	bench.AddCommand(p.benchPart())
	return bench
}

// bench runs every measurement in turn.
func (p *program) bench(ctx context.Context) (_ benchDocument, err error) {
	began := time.Now()
	doc := benchDocument{Version: p.env.Version, System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU()}
	p.benchStep("Starting an agent")
	rig, err := p.newBenchRig(ctx)
	if err != nil {
		return doc, err
	}
	defer func() {
		if e := rig.close(); err == nil {
			err = e
		}
	}()
	doc.Deno = rig.deno.Version
	for _, step := range []struct {
		name string
		run  func(context.Context, *benchDocument) error
	}{
		{"Starting a stopped app, and plain Deno", rig.coldStart},
		{"Waking a frozen app", rig.thaw},
		{"Requests through the front door, and straight to the app", rig.requests},
		{"Large bodies", rig.bodies},
		{"The front door alone, and other proxies", rig.front},
		{"One app that misbehaves, and the others", rig.isolation},
		{"Watching apps", rig.watching},
	} {
		p.benchStep(step.name)
		if err := step.run(ctx, &doc); err != nil {
			return doc, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	doc.Seconds = time.Since(began).Seconds()
	return doc, nil
}

func (p *program) benchStep(what string) {
	if p.env.IsTerminal() {
		p.note("%s …", what)
	}
}

func (p *program) printBench(d benchDocument) {
	ms := func(v float64) cell { return number(fmt.Sprintf("%.2f ms", v)) }
	times := func(v float64) cell { return number(fmt.Sprintf("× %.2f", v)) }
	t := table{head: []string{"MEASURED", "PADDOCK", "BASELINE", "RATIO", "BASELINE IS"}}
	t.add(text("cold start, to the first byte"), ms(d.ColdStart.MS), ms(d.ColdStart.BaselineMS), times(d.ColdStart.Ratio), text("plain Deno on a socket"))
	t.add(text("thaw, to the first byte"), ms(d.Thaw.MS), ms(d.Thaw.BaselineMS), times(d.Thaw.Ratio), text("the same app awake"))
	const straight = "straight to the app's socket"
	for _, l := range d.Latency {
		t.add(text(fmt.Sprintf("request, %d at a time", l.Connections)), ms(l.MS), ms(l.BaselineMS), times(l.Ratio), text(straight))
	}
	rate := func(name, unit string, r benchRate) {
		per := func(v float64) cell { return number(fmt.Sprintf("%.0f %s", v, unit)) }
		t.add(text(name), per(r.PerS), per(r.Baseline), times(r.Ratio), text(straight))
	}
	rate(fmt.Sprintf("requests a second, %d at a time", d.Throughput.Connections), "/s", d.Throughput)
	rate("download of 10 MB", "MB/s", d.Download)
	rate("upload of 10 MB", "MB/s", d.Upload)
	d.Front.rows(&t)
	for _, o := range d.Isolation {
		t.add(text(fmt.Sprintf("request while another app %s, p99", o.Other)), ms(o.P99MS), ms(o.BaselineP99MS), times(o.Ratio), text("the same while it rests"))
	}
	if w := d.Watchdog; w != nil {
		core := func(v float64) cell { return number(fmt.Sprintf("%.3f %%", v)) }
		t.add(text(fmt.Sprintf("agent with %d apps awake, of a core", w.Apps)), core(w.AwakePercent), core(w.BaselinePercent), times(w.Ratio), text("the agent with every app stopped"))
		t.add(text(fmt.Sprintf("agent with %d apps frozen, of a core", w.Apps)), core(w.FrozenPercent), core(w.BaselinePercent), times(ratio(w.FrozenPercent, w.BaselinePercent)), text("the same"))
	}
	p.print(t)
	p.say("")
	p.say("Thawing adds %.2f ms to a request, the front door %.3f ms. Measured in %.0f s on %d processors with Deno %s.",
		d.Thaw.OverMS, d.Latency[0].OverMS, d.Seconds, d.CPUs, d.Deno)
	p.say("%s", d.Front.sentence())
}
