package app

import (
	"context"
	"errors"

	"paddock/app/control"
	"paddock/app/gateway"
	"paddock/sandbox"
)

// Doctor says what this machine can enforce, with reasons.
func (a *App) Doctor(ctx context.Context) (control.Doctor, error) {
	held, why := a.front.IPv6()
	checked, unchecked := a.front.PeerCheck()
	origins := originNames
	if a.numbered {
		origins = originAddresses
	}
	return control.Doctor{
		Deno: a.runtime(), Walls: wireWalls(a.probe(ctx)).Walls, Tray: a.desktop.trayState(),
		Gateway: control.DoctorGateway{Address: a.front.Addr(), IPv6: held, Why: why, Peers: checked, PeersWhy: unchecked, Origins: origins, OriginsWhy: a.unnumbered, PagesCan: gateway.PagesCan()},
		Home:    a.home, Resolve: append([]string{}, a.opts.Resolve...),
	}, nil
}

// runtime says of the Deno in use whether it is the one that this Paddock was made for. It is looked at each
// time, because an installation can break or be mended while the agent runs.
func (a *App) runtime() control.DoctorDeno {
	d := control.DoctorDeno{Version: a.opts.Runtime, Path: a.opts.Programs.Deno, State: "pinned"}
	var start *sandbox.StartError
	switch err := a.sandbox.CheckRuntime(); {
	case err == nil:
	case errors.As(err, &start) && start.Reason == sandbox.StartRuntimeAltered:
		d.State, d.Why = "altered", "It is not the file that this Paddock was made for, so no app is started with it. Reinstall Paddock."
	default:
		d.State, d.Why = "missing", "There is no deno beside paddock. Reinstall Paddock, or run “make headless” in its source folder."
	}
	return d
}

// probe says what this machine can enforce. Finding out starts an idle app, so a finding is kept for the
// life of the agent; a failure is not.
func (a *App) probe(ctx context.Context) sandbox.Report {
	a.probing.Lock()
	defer a.probing.Unlock()
	if a.probed == nil {
		r := a.sandbox.Probe(ctx)
		if r.Level == "basic" {
			return r
		}
		a.probed = &r
	}
	return *a.probed
}
