package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/cli/browser"

	"paddock/app/control"
)

// Exit codes; see the package comment.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNoTray      = 3
	exitUnreachable = 5
)

// envControl names the control socket; the agent sets it.
const envControl = "PADDOCK_CONTROL"

// errNoTray is wrapped by errors that say why this desktop has no tray.
var errNoTray = errors.New("no tray")

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is called on the main thread, which GTK and AppKit insist on.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("paddock-tray", flag.ContinueOnError)
	flags.SetOutput(stderr)
	wait := flags.Bool("wait", false, "wait until the desktop has a tray instead of exiting 3")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	socket := os.Getenv(envControl)
	if socket == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "paddock-tray is started by Paddock, which names its control socket in "+envControl+". Start \"paddock\" instead.")
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	browser.Stdout, browser.Stderr = nil, nil // a browser's chatter is not ours
	a := newAgent(socket, control.ThisDesktop(), browser.OpenURL, slog.New(slog.NewTextHandler(stderr, nil)))
	defer a.close()
	if err := a.greet(ctx); err != nil {
		fmt.Fprintln(stderr, err)
		return exitUnreachable
	}
	if err := findTray(ctx, a, *wait); err != nil {
		switch {
		case ctx.Err() != nil, errors.Is(err, control.ErrUnreachable):
			return exitDone // asked to end, or the agent ended while we waited
		case errors.Is(err, errNoTray):
			fmt.Fprintln(stderr, err)
			return exitNoTray
		}
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	if err := showTray(ctx, a, trayLook(ctx), wordingFor(locale()), func() { fmt.Fprintln(stdout, "ready") }); err != nil {
		fmt.Fprintln(stderr, err)
		if errors.Is(err, errNoTray) {
			return exitNoTray
		}
		return exitFailed
	}
	return exitDone
}

// findTray returns once the desktop can show an icon, with an error wrapping errNoTray when it cannot,
// or when the agent ends while waiting.
func findTray(ctx context.Context, a *agent, wait bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		// The states are of no use yet; the end of the stream is.
		if err := a.watch(ctx, func(control.State) {}); err != nil {
			cancel(err)
		}
	}()
	err := awaitTray(ctx, wait)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(nil)
	<-watching
	return err
}
