package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"paddock/app/control"
)

// How the others are measured.
const (
	benchOthersCrowd = 4                       // connections
	benchOthersSpan  = 1200 * time.Millisecond // before and while another app misbehaves
	benchHanging     = 64                      // requests that the app that hangs leaves open
)

// isolation measures one app while another loops, leaves requests hanging, or floods its output.
func (r *benchRig) isolation(ctx context.Context, doc *benchDocument) error {
	for i, other := range []struct {
		name, path string
		requests   int
	}{
		{"loops", "/loop", 1}, {"hangs", "/hang", benchHanging}, {"floods", "/flood", 1},
	} {
		one, err := r.isolate(ctx, r.apps[1+i], other.path, other.requests)
		if err != nil {
			return fmt.Errorf("another app %s: %w", other.name, err)
		}
		one.Other = other.name
		doc.Isolation = append(doc.Isolation, one)
	}
	return nil
}

// isolate measures the first app while app answers requests for path, each of which lasts longer than the span.
func (r *benchRig) isolate(ctx context.Context, app, path string, requests int) (benchOthers, error) {
	bad, err := r.enter(ctx, app)
	if err != nil {
		return benchOthers{}, err
	}
	var before, meanwhile load
	if err := before.add(ctx, r.door, benchOthersCrowd, benchOthersSpan); err != nil {
		return benchOthers{}, err
	}
	var busy sync.WaitGroup
	errs := make([]error, requests)
	for i := range requests {
		c, err := bad.dial(ctx)
		if err != nil {
			return benchOthers{}, err
		}
		busy.Go(func() {
			defer c.close()
			_, errs[i] = c.do(bad.get(path), nil)
		})
	}
	err = pause(ctx, benchCalm)
	if err == nil {
		err = meanwhile.add(ctx, r.door, benchOthersCrowd, benchOthersSpan)
	}
	busy.Wait()
	if err := errors.Join(append(errs, err)...); err != nil {
		return benchOthers{}, err
	}
	p99, base := milliseconds(quantile(meanwhile.times, 0.99)), milliseconds(quantile(before.times, 0.99))
	return benchOthers{Connections: benchOthersCrowd, P99MS: p99, BaselineP99MS: base, Ratio: ratio(p99, base)}, r.rest(ctx, app, true)
}

// watching measures the agent's processor time while all apps are awake, frozen and stopped.
func (r *benchRig) watching(ctx context.Context, doc *benchDocument) error {
	if _, err := processorTime(r.agent.Process.Pid); errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	awake := r.apps[:benchAwake]
	for _, app := range awake {
		if _, err := control.Do[control.OpenResult](ctx, r.client, control.MethodOpen, control.Open{App: app}); err != nil {
			return err
		}
	}
	// What a start leaves to do (compiling, walking folders) is not what watching costs.
	if err := pause(ctx, benchWindow/2); err != nil {
		return err
	}
	agent := r.agent.Process.Pid
	cost := &benchCost{Installed: len(r.apps), Apps: len(awake), WindowSeconds: benchWindow.Seconds()}
	var err error
	if cost.AwakePercent, _, err = usedInWindow(ctx, agent, nil); err != nil {
		return err
	}
	for _, app := range awake {
		if err := r.rest(ctx, app, false); err != nil {
			return fmt.Errorf("freeze %s: %w", app, err)
		}
	}
	running, err := control.Do[[]control.Running](ctx, r.client, control.MethodPs, nil)
	if err != nil {
		return err
	}
	if err := pause(ctx, benchCalm); err != nil {
		return err
	}
	var apps []int
	for _, app := range running {
		if app.State != control.StateFrozen {
			return errors.New(app.ID + " is " + app.State + " and should be frozen, process " + strconv.Itoa(app.PID))
		}
		apps = append(apps, app.PID)
		cost.SleepingMemory = app.MemoryBytes
	}
	var sleeping time.Duration
	if cost.FrozenPercent, sleeping, err = usedInWindow(ctx, agent, apps); err != nil {
		return err
	}
	cost.FrozenAppsMS = milliseconds(sleeping)
	if cost.AgentMemory, err = residentMemory(agent); err != nil {
		return err
	}
	for _, app := range awake {
		if err := r.rest(ctx, app, true); err != nil {
			return fmt.Errorf("stop %s: %w", app, err)
		}
	}
	if err := pause(ctx, benchCalm); err != nil {
		return err
	}
	if cost.BaselinePercent, _, err = usedInWindow(ctx, agent, nil); err != nil {
		return err
	}
	cost.PerFrozen = max(cost.FrozenPercent-cost.BaselinePercent, 0) / float64(cost.Apps)
	cost.PerAppPercent = (cost.AwakePercent - cost.BaselinePercent) / float64(cost.Apps)
	cost.Ratio = ratio(cost.AwakePercent, cost.BaselinePercent)
	doc.Watchdog = cost
	return nil
}

// usedInWindow is the processor time that a process used in a window, in percent of one core, and that others used in
// the same window together.
func usedInWindow(ctx context.Context, pid int, others []int) (percent float64, together time.Duration, err error) {
	used := func() (one, rest time.Duration, err error) {
		if one, err = processorTime(pid); err != nil {
			return 0, 0, err
		}
		for _, pid := range others {
			t, err := processorTime(pid)
			if err != nil {
				return 0, 0, err
			}
			rest += t
		}
		return one, rest, nil
	}
	began := time.Now()
	one, rest, err := used()
	if err != nil {
		return 0, 0, err
	}
	if err := pause(ctx, benchWindow); err != nil {
		return 0, 0, err
	}
	oneNow, restNow, err := used()
	return 100 * (oneNow - one).Seconds() / time.Since(began).Seconds(), restNow - rest, err
}
