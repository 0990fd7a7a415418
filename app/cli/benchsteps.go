package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// How much is measured. All of it together stays well under a minute on two processors.
const (
	benchStarts   = 12 // of the app and of plain Deno, taking turns; the first of each fills caches and does not count
	benchThaws    = 40
	benchRounds   = 4                      // of requests, taking turns with the baseline
	benchSpan     = 400 * time.Millisecond // of one round
	benchCrowd    = 32                     // connections at once
	benchTransfer = 40                     // large bodies each way, taking turns with the baseline
	benchBody     = 10 << 20
	benchWindow   = 3 * time.Second       // for processor time
	benchCalm     = 30 * time.Millisecond // after freezing, and before a warm request
)

// pause waits without using the processor.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// coldStart compares the first byte of a stopped app with that of plain Deno, which is started with the same module
// on a socket, has all rights and a warm cache.
func (r *benchRig) coldStart(ctx context.Context, doc *benchDocument) error {
	plain, err := r.newPlain()
	if err != nil {
		return err
	}
	door, err := r.door.dial(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	request := r.door.get("/")
	var cold, base []time.Duration
	for i := range benchStarts + 1 {
		if err := r.rest(ctx, r.apps[0], true); err != nil {
			return fmt.Errorf("stop the app: %w", err)
		}
		if err := pause(ctx, benchCalm); err != nil {
			return err
		}
		took, err := door.do(request, nil)
		if err != nil {
			return fmt.Errorf("ask the stopped app: %w", err)
		}
		alone, err := plain.start(ctx)
		if err != nil {
			return fmt.Errorf("start plain Deno: %w", err)
		}
		if i > 0 {
			cold, base = append(cold, took), append(base, alone)
		}
	}
	doc.ColdStart = newBenchTime(cold, base)
	return nil
}

// plainDeno is the baseline of a start.
type plainDeno struct {
	deno, module, cache, socket string
}

func (r *benchRig) newPlain() (*plainDeno, error) {
	dir := filepath.Join(r.dir, "plain")
	if err := unpackBench(dir, "org.example.plain"); err != nil {
		return nil, err
	}
	return &plainDeno{deno: r.deno.Path, module: filepath.Join(dir, "plain.js"), cache: filepath.Join(dir, "cache"), socket: filepath.Join(dir, "s")}, nil
}

// start starts Deno, asks for one answer, ends it, and returns the time from the start to the first byte.
func (d *plainDeno) start(ctx context.Context) (took time.Duration, err error) {
	if err := os.Remove(d.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	if err := pause(ctx, benchCalm); err != nil {
		return 0, err
	}
	cmd := exec.Command(d.deno, "run", "--quiet", "--allow-all", "--no-prompt", "--no-remote", "--no-npm", "--cached-only", "--no-config", "--no-lock", d.module, d.socket)
	cmd.Env = []string{"DENO_DIR=" + d.cache, "DENO_NO_UPDATE_CHECK=1", "HOME=" + filepath.Dir(d.module), "NO_COLOR=1"}
	endWithUs(cmd)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		err = errors.Join(err, cmd.Process.Kill())
		_ = cmd.Wait() // killed
	}()
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("unix", d.socket)
		if err != nil {
			if time.Since(began) > benchPatience {
				return 0, err
			}
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			<-tick.C
			continue
		}
		c, err := newBenchConn(conn)
		if err != nil {
			return 0, err
		}
		defer c.close()
		before := time.Since(began)
		first, err := c.do((benchTarget{head: "Host: bench.invalid\r\n"}).get("/"), nil)
		return before + first, err
	}
}

// thaw compares the first byte of a frozen app with that of the same app awake and at rest for as long.
func (r *benchRig) thaw(ctx context.Context, doc *benchDocument) error {
	door, err := r.door.dial(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	request := r.door.get("/")
	var frozen, warm []time.Duration
	for range benchThaws {
		if err := r.rest(ctx, r.apps[0], false); err != nil {
			return fmt.Errorf("freeze the app: %w", err)
		}
		for _, all := range []*[]time.Duration{&frozen, &warm} {
			if err := pause(ctx, benchCalm); err != nil {
				return err
			}
			took, err := door.do(request, nil)
			if err != nil {
				return err
			}
			*all = append(*all, took)
		}
	}
	doc.Thaw = newBenchTime(frozen, warm)
	return nil
}

// requests measures latency with one connection and with many, and throughput with many.
func (r *benchRig) requests(ctx context.Context, doc *benchDocument) error {
	straight, err := r.straight(ctx)
	if err != nil {
		return err
	}
	for _, connections := range []int{1, benchCrowd} {
		var door, direct load
		for range benchRounds {
			if err := direct.add(ctx, straight, connections, benchSpan); err != nil {
				return err
			}
			if err := door.add(ctx, r.door, connections, benchSpan); err != nil {
				return err
			}
		}
		doc.Latency = append(doc.Latency, benchLatency{
			benchTime: newBenchTime(door.times, direct.times), Connections: connections,
			P99MS: milliseconds(quantile(door.times, 0.99)), BaselineP99MS: milliseconds(quantile(direct.times, 0.99)),
		})
		doc.Throughput = newBenchRate(connections, door.perS(), direct.perS())
	}
	return nil
}

// bodies measures large answers and large requests, each on one kept connection. Both sides are asked by the same code,
// one after the other and the other way round the next time, so that neither is always the one that finds the other's
// bytes in the processors' caches; the first transfer of each warms it up and does not count.
func (r *benchRig) bodies(ctx context.Context, doc *benchDocument) error {
	straight, err := r.straight(ctx)
	if err != nil {
		return err
	}
	upload := make([]byte, benchBody)
	rate := func(ask func(benchTarget) []byte, body []byte) (benchRate, error) {
		targets := [2]benchTarget{r.door, straight}
		var conns [2]*benchConn
		for i, target := range targets {
			c, err := target.dial(ctx)
			if err != nil {
				return benchRate{}, err
			}
			defer c.close()
			conns[i] = c
		}
		var took [2][]time.Duration
		for n := range benchTransfer + 1 {
			if err := ctx.Err(); err != nil {
				return benchRate{}, err
			}
			for i := range conns {
				side := (n + i) % len(conns)
				began := time.Now()
				if _, err := conns[side].do(ask(targets[side]), body); err != nil {
					return benchRate{}, err
				}
				took[side] = append(took[side], time.Since(began))
			}
		}
		mbPerS := func(all []time.Duration) float64 { return benchBody / 1e6 / quantile(all[1:], 0.5).Seconds() }
		return newBenchRate(1, mbPerS(took[0]), mbPerS(took[1])), nil
	}
	if doc.Download, err = rate(func(t benchTarget) []byte { return t.get("/download") }, nil); err != nil {
		return fmt.Errorf("download: %w", err)
	}
	if doc.Upload, err = rate(func(t benchTarget) []byte { return t.post("/upload", benchBody) }, upload); err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	return nil
}
