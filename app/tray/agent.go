package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"paddock/app/control"
)

const (
	maxActions   = 8                // clicks in flight; more are dropped, as a stuck agent would only collect them
	callTimeout  = 30 * time.Second // everything but opening, which waits for the user's answer to a prompt
	openTimeout  = 10 * time.Minute
	greetTimeout = 5 * time.Second
)

// agent is the tray's side of the control socket.
type agent struct {
	client  *control.Client
	desktop control.Desktop
	browse  func(url string) error // opens the user's browser; may take as long as it runs
	log     *slog.Logger
	slots   chan struct{}
	pending sync.WaitGroup
}

func newAgent(socket string, d control.Desktop, browse func(string) error, log *slog.Logger) *agent {
	return &agent{client: control.NewClient(socket), desktop: d, browse: browse, log: log, slots: make(chan struct{}, maxActions)}
}

// greet refuses an agent that comes from another installation.
func (a *agent) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	g, err := control.Do[control.Greeting](ctx, a.client, control.MethodGreet, control.Greet{Protocol: control.Protocol, Client: "paddock-tray"})
	if err != nil {
		return fmt.Errorf("greet the agent: %w", err)
	}
	if g.Protocol != control.Protocol {
		return fmt.Errorf("the agent speaks protocol %d and this tray %d: they come from different installations; quit Paddock and start it again", g.Protocol, control.Protocol)
	}
	return nil
}

// watch calls on with each state until ctx ends (nil) or the agent does (an error).
func (a *agent) watch(ctx context.Context, on func(control.State)) error {
	err := control.Events(ctx, a.client, control.MethodWatch, nil, nil, func(s control.State) error {
		on(s)
		return nil
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// act carries a click out in the background and returns at once: the caller reads clicks, and systray
// drops those that nobody waits for.
func (a *agent) act(ctx context.Context, click Action) {
	if click.Verb == "" {
		return
	}
	select {
	case a.slots <- struct{}{}:
	default:
		a.log.Warn("too many clicks are still being carried out; this one is dropped", "verb", click.Verb)
		return
	}
	a.pending.Go(func() {
		defer func() { <-a.slots }()
		if err := a.do(ctx, click); err != nil && ctx.Err() == nil {
			a.log.Error("click failed", "verb", click.Verb, "app", click.App, "error", err)
		}
	})
}

func (a *agent) do(ctx context.Context, click Action) error {
	switch click.Verb {
	case DoOpen:
		return a.explain(ctx, click.App, a.open(ctx, click.App))
	case DoStop:
		return a.explain(ctx, click.App, a.call(ctx, control.MethodStop, control.AppRef{App: click.App}))
	case DoShow:
		s := click.Show
		s.Desktop = a.desktop
		return a.call(ctx, control.MethodShow, s)
	case DoNotice:
		return a.call(ctx, control.MethodNotice, click.Notice)
	case DoQuit:
		err := a.call(ctx, control.MethodQuit, control.Empty{})
		if errors.Is(err, control.ErrUnreachable) {
			return nil // it ended before it could answer
		}
		return err
	}
	return fmt.Errorf("unknown verb %q", click.Verb)
}

func (a *agent) call(ctx context.Context, method string, in any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return a.client.Call(ctx, method, in, nil, nil)
}

func (a *agent) open(ctx context.Context, app string) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	r, err := control.Do[control.OpenResult](ctx, a.client, control.MethodOpen, control.Open{App: app, Ask: true, Desktop: a.desktop, Browse: true})
	if err != nil {
		return err
	}
	// Some browsers stay in the foreground for as long as they run; that must not use up a slot.
	go func() {
		if err := a.browse(r.ForBrowser()); err != nil {
			a.log.Error("the browser could not be opened", "error", err)
			why := "The browser could not be opened. Open the app from the command line: paddock open " + r.ID
			_ = a.call(context.WithoutCancel(ctx), control.MethodShow,
				control.Show{Window: control.WindowApp, App: app, Why: why, Desktop: a.desktop}) // already logged
		}
	}()
	return nil
}

// explain shows a failure where the user can do something about it: a menu has no room for a sentence.
// A refusal to the user's own answer (they just said no) needs no window.
func (a *agent) explain(ctx context.Context, app string, err error) error {
	if err == nil || ctx.Err() != nil {
		return nil
	}
	e := control.AsError(err)
	if e.Code == "cancelled" {
		return nil
	}
	show := control.Show{Window: control.WindowApp, App: app, Why: e.Error(), Desktop: a.desktop}
	if e.Exit == control.ExitNoApp {
		show.Window, show.App = control.WindowLibrary, ""
	}
	return errors.Join(err, a.call(ctx, control.MethodShow, show))
}

// close waits for clicks that are being carried out; their context has ended.
func (a *agent) close() {
	a.pending.Wait()
	a.client.Close()
}
