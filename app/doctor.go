package app

import (
	"context"

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
		Deno: a.opts.Runtime, Walls: wireWalls(a.probe(ctx)).Walls, Tray: a.desktop.trayState(),
		Gateway: control.DoctorGateway{Address: a.front.Addr(), IPv6: held, Why: why, Peers: checked, PeersWhy: unchecked, Origins: origins, OriginsWhy: a.unnumbered, PagesCan: gateway.PagesCan()},
		Home:    a.home, Resolve: append([]string{}, a.opts.Resolve...),
	}, nil
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
