package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"paddock/app/control"
)

const (
	greetTimeout = 10 * time.Second      // an agent that answers at all answers at once
	startTimeout = 30 * time.Second      // from starting an agent to its first answer
	startPoll    = 20 * time.Millisecond // between tries to reach it
	quitTimeout  = 60 * time.Second      // for an agent to end after its last app did
	discardAfter = 2 * time.Second       // to clean up after a cancelled command
)

// homeFolder is the folder of all state that this command is about.
func (p *program) homeFolder() (string, error) {
	return control.Home(either(p.home, p.env.Getenv(control.EnvHome)))
}

// socket is where that folder's agent listens.
func (p *program) socket() (string, error) {
	home, err := p.homeFolder()
	if err != nil {
		return "", err
	}
	path, err := p.env.SocketPath(home)
	if err != nil {
		return "", control.NewError(control.ExitUnreachable, "socket_path", sentence(err.Error()), "", nil)
	}
	// Somebody else could have made the folder first, in a temp folder that all share, and would get our commands.
	if err := control.CheckRuntimeDir(filepath.Dir(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", control.NewError(control.ExitUnreachable, "socket_folder", sentence(err.Error()), "", nil)
	}
	return path, nil
}

// reach greets the agent and does not start one. The error wraps control.ErrUnreachable when nobody answers.
func (p *program) reach(ctx context.Context) (control.Greeting, error) {
	if p.client == nil {
		path, err := p.socket()
		if err != nil {
			return control.Greeting{}, err
		}
		p.client = control.NewClient(path)
	}
	short, cancel := context.WithTimeout(ctx, greetTimeout)
	defer cancel()
	g, err := control.Do[control.Greeting](short, p.client, control.MethodGreet, control.Greet{Protocol: control.Protocol, Client: "paddock"})
	switch {
	case err == nil && g.Protocol != control.Protocol:
		return g, control.NewError(control.ExitUnreachable, "protocol",
			fmt.Sprintf("The running agent is version %s and this program is %s.", g.Version, p.env.Version), "End it with the program that started it, then try again.", nil)
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return g, control.NewError(control.ExitUnreachable, "unresponsive", "The agent is there but does not answer.", "End it and try again.", nil)
	}
	return g, err
}

// connect returns a client of an agent that answers, starting one when that is needed and allowed.
func (p *program) connect(ctx context.Context) (*control.Client, error) {
	_, err := p.reach(ctx)
	if err == nil {
		return p.client, nil
	}
	if !errors.Is(err, control.ErrUnreachable) {
		return nil, err
	}
	if p.noStart {
		return nil, control.NewError(control.ExitUnreachable, "not_running", "The agent is not running.", "Start it with “paddock agent”, or leave out --no-start.", nil)
	}
	home, err := p.homeFolder()
	if err != nil {
		return nil, err
	}
	var known *control.Error
	if err := p.env.Spawn(home); errors.As(err, &known) && known.Code != "already_running" { // another command was faster
		return nil, known
	} else if err != nil && known == nil {
		return nil, control.NewError(control.ExitUnreachable, "start_agent", sentence("the agent could not be started: "+err.Error()), "Run “paddock agent” to see why.", nil)
	}
	return p.client, p.await(ctx)
}

// await tries to reach an agent that is starting.
func (p *program) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(startPoll)
	defer tick.Stop()
	for {
		_, err := p.reach(ctx)
		if !errors.Is(err, control.ErrUnreachable) {
			return err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return control.NewError(control.ExitUnreachable, "start_agent", "The agent was started and does not answer.", "Run “paddock agent” to see why.", nil)
		case <-tick.C:
		}
	}
}

// call is one method of the agent without events.
func call[Out any](ctx context.Context, p *program, method string, in any) (Out, error) {
	c, err := p.connect(ctx)
	if err != nil {
		var none Out
		return none, err
	}
	return control.Do[Out](ctx, c, method, in)
}

// absolute makes a path that the agent, which has another working folder, understands too.
func absolute(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return abs, nil
}

// readFile reads a small file whole; one over limit bytes is an error.
func readFile(path string, limit int64) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > limit {
		return nil, control.NewError(control.ExitFailed, "file", fmt.Sprintf("%s is larger than %s.", path, size(limit)), "Is it the right file?", nil)
	}
	return os.ReadFile(path)
}
