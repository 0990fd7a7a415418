package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cli/browser"

	"paddock/app/control"
)

// Exit codes; see the package comment.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNoDisplay   = 3
	exitUnreachable = 5
)

const (
	// envControl names the control socket; the agent sets it.
	envControl = "PADDOCK_CONTROL"

	// grace is how long the program stays without a window: the agent may be about to show another.
	grace = 2 * time.Second

	// firstShow is how long it waits for the first window.
	firstShow = 20 * time.Second

	// greetTimeout bounds the first call.
	greetTimeout = 10 * time.Second

	// browserWait is how long a browser may take to say that it failed. Some stay in the foreground for as long as
	// they run; those have not failed.
	browserWait = 5 * time.Second
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// run is called on the main thread, which the window system insists on.
func run(args []string, stderr io.Writer) int {
	socket := os.Getenv(envControl)
	if socket == "" || len(args) > 0 {
		fmt.Fprintln(stderr, "paddock-window is started by Paddock, which names its control socket in "+envControl+". Start \"paddock\" instead.")
		return exitUsage
	}
	desktop := control.ThisDesktop()
	if !desktop.Present() {
		fmt.Fprintln(stderr, "There is no display to show windows on. The command line does everything the windows do: paddock --help.")
		return exitNoDisplay
	}
	client := control.NewClient(socket)
	defer client.Close()
	greeting, err := greet(client)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitUnreachable
	}
	browser.Stdout, browser.Stderr = io.Discard, io.Discard // a browser's chatter is not ours
	if err := show(client, greeting, desktop); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return exitDone
}

// greet refuses an agent that speaks another protocol: it comes from another installation.
func greet(client *control.Client) (control.Greeting, error) {
	ctx, cancel := context.WithTimeout(context.Background(), greetTimeout)
	defer cancel()
	g, err := control.Do[control.Greeting](ctx, client, control.MethodGreet, control.Greet{Protocol: control.Protocol, Client: "paddock-window"})
	if err != nil {
		return g, fmt.Errorf("greet the agent: %w", err)
	}
	if g.Protocol != control.Protocol {
		return g, fmt.Errorf("the running Paddock %s is of another installation (protocol %d, this is %d): quit it and start Paddock again", g.Version, g.Protocol, control.Protocol)
	}
	return g, nil
}

// follow gives every Show that the agent sends to open, until the agent ends or ctx does.
func follow(ctx context.Context, client *control.Client, open func(control.Show)) error {
	err := control.Events(ctx, client, control.MethodWindows, nil, nil, func(s control.Show) error {
		open(s)
		return nil
	})
	if errors.Is(err, control.ErrUnreachable) || ctx.Err() != nil {
		return nil // the agent ended, or we do
	}
	return err
}

// browse opens url in the user's browser.
func browse(url string) error {
	failed := make(chan error, 1)
	go func() { failed <- browser.OpenURL(url) }()
	select {
	case err := <-failed:
		return err
	case <-time.After(browserWait):
		return nil
	}
}
