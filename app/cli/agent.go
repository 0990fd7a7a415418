package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"paddock/app/control"
)

// runBare is `paddock` alone: the agent with its tray, or the library of the one that runs.
func (p *program) runBare(cmd *cobra.Command, _ []string) error {
	ctx := cmd.Context()
	g, err := p.reach(ctx)
	switch {
	case err == nil:
		return p.showLibrary(ctx, g)
	case !errors.Is(err, control.ErrUnreachable):
		return err
	case p.noStart:
		return control.NewError(control.ExitUnreachable, "not_running", "The agent is not running.", "Leave out --no-start to start it.", nil)
	}
	err = p.runAgent(ctx, AgentOptions{Desktop: p.desktop()}, func(_ int, gateway string) {
		p.note("Paddock runs at %s. Get an app with “paddock install FILE or URL”, end everything with “paddock quit” or Ctrl+C.", gateway)
	})
	var e *control.Error
	if errors.As(err, &e) && e.Code == "already_running" { // started by somebody else in between
		if err := p.await(ctx); err != nil {
			return err
		}
		if g, err = p.reach(ctx); err != nil {
			return err
		}
		return p.showLibrary(ctx, g)
	}
	return err
}

func (p *program) showLibrary(ctx context.Context, g control.Greeting) error {
	_, err := control.Do[control.Empty](ctx, p.client, control.MethodShow, control.Show{Window: control.WindowLibrary, Desktop: p.desktop()})
	if noWindow(err) {
		p.ok("Paddock runs already, at %s. No window can be opened here; “paddock list” shows your apps.", g.Gateway)
		return nil
	}
	if err != nil {
		return err
	}
	p.ok("Paddock runs already; its library is open.")
	return nil
}

// noWindow reports whether the agent could not open a window, which is no failure where there is another way.
func noWindow(err error) bool {
	var e *control.Error
	return errors.As(err, &e) && e.Code == "no_window"
}

func (p *program) agentCommand() *cobra.Command {
	var o AgentOptions
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Run the agent in the foreground",
		Long: `Runs the agent until it is ended by Ctrl+C, by a signal or by “paddock quit”; every app ends with it.
One line on standard output says when it is ready: {"ready":true,"pid":…,"gateway":"127.0.0.1:PORT"}.`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !o.Headless {
				o.Desktop = p.desktop()
			}
			return p.runAgent(cmd.Context(), o, nil)
		},
	}
	cmd.Flags().BoolVar(&o.Headless, "headless", false, "no tray icon, and no windows by itself")
	cmd.Flags().StringVar(&o.Listen, "listen", "", "loopback `ADDR:PORT` of the front door; port 0 chooses one for this time")
	cmd.Flags().StringArrayVar(&o.Resolve, "resolve", nil, "lead a name to an address, as in curl: `HOST:PORT=ADDR:PORT`; for authors and tests")
	return cmd
}

// readyLine is what programs that start an agent wait for.
type readyLine struct {
	Ready   bool   `json:"ready"`
	PID     int    `json:"pid"`
	Gateway string `json:"gateway"`
}

// runAgent runs the agent; ready is called when it can be used, nil prints the line for programs.
func (p *program) runAgent(ctx context.Context, o AgentOptions, ready func(pid int, gateway string)) error {
	home, err := p.homeFolder()
	if err != nil {
		return err
	}
	o.Home, o.Ready = home, ready
	if o.Ready == nil || p.json {
		o.Ready = func(pid int, gateway string) { p.document(readyLine{Ready: true, PID: pid, Gateway: gateway}) }
	}
	err = p.env.RunAgent(ctx, o)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil // asked to end by a signal
	}
	return err
}

func (p *program) quitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "quit",
		Short: "Stop the agent and every app",
		Args:  takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			g, err := p.reach(ctx)
			if errors.Is(err, control.ErrUnreachable) {
				p.ok("Paddock is not running.")
				return nil
			}
			if err != nil {
				return err
			}
			gone, err := watchProcess(g.PID)
			if err != nil {
				return err
			}
			defer gone.close()
			// The agent may end before its answer is read; then it is as good as an answer.
			_, err = control.Do[control.Empty](ctx, p.client, control.MethodQuit, nil)
			if err != nil && !errors.Is(err, control.ErrUnreachable) {
				return err
			}
			if err := p.awaitEnd(ctx, gone); err != nil {
				return err
			}
			p.ok("Paddock has ended.")
			return nil
		},
	}
}

// awaitEnd returns once nobody answers on the socket and the agent's process is gone, so that what comes after finds
// the state folder free.
func (p *program) awaitEnd(ctx context.Context, gone *processWatch) error {
	ctx, cancel := context.WithTimeout(ctx, quitTimeout)
	defer cancel()
	tick := time.NewTicker(startPoll)
	defer tick.Stop()
	for {
		if _, err := p.reach(ctx); errors.Is(err, control.ErrUnreachable) && gone.ended() {
			return nil
		}
		select {
		case <-ctx.Done():
			return control.NewError(control.ExitFailed, "still_ending", "The agent was told to end and is still there.", "It ends its apps first; try again in a moment.", nil)
		case <-tick.C:
		}
	}
}
