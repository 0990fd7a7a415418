package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"paddock/app/control"
)

// Env is everything that the command line needs from outside. Fields marked optional have a working default.
type Env struct {
	Args   []string // without the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string // optional: os.Getenv

	Version    string
	RunAgent   func(ctx context.Context, o AgentOptions) error // runs until ctx is done or a client says quit; *control.Error keeps its exit code
	SocketPath func(home string) (string, error)               // of the agent whose state is in home

	OpenBrowser func(url string) error
	Spawn       func(home string) error // optional: starts this program as a detached headless agent and waits until it is ready
	IsTerminal  func() bool             // optional: whether a person watches Stderr
	Now         func() time.Time        // optional: time.Now
}

// AgentOptions are the arguments of `paddock agent`.
type AgentOptions struct {
	Home     string          // folder of all state; empty for the default
	Headless bool            // no tray and no windows by itself
	Listen   string          // ADDR:PORT of the front door; empty for the stored port
	Resolve  []string        // HOST:PORT=ADDR:PORT, each
	Desktop  control.Desktop // display of the caller; zero when Headless
	Ready    func(pid int, gateway string)
}

// Main runs one command and returns the exit code.
func Main(ctx context.Context, env Env) int {
	p := newProgram(env)
	root := p.rootCommand()
	root.SetArgs(append([]string{}, env.Args...)) // nil would mean os.Args
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	p.close()
	return p.finish(cmd, err)
}

// program is one run of the command line.
type program struct {
	env  Env
	json bool
	// ran tells errors of a command from errors of reading the command line, which cobra does not type.
	ran bool

	home    string // --home
	noColor bool
	noStart bool

	client *control.Client // set by connect
}

func newProgram(env Env) *program {
	if env.Getenv == nil {
		env.Getenv = os.Getenv
	}
	if env.IsTerminal == nil {
		env.IsTerminal = func() bool {
			f, ok := env.Stderr.(*os.File)
			return ok && term.IsTerminal(int(f.Fd()))
		}
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	if env.Spawn == nil {
		env.Spawn = spawnAgent
	}
	return &program{env: env}
}

func (p *program) close() {
	if p.client != nil {
		p.client.Close()
	}
}

// desktop is the caller's display, for the agent.
func (p *program) desktop() control.Desktop {
	get := p.env.Getenv
	return control.Desktop{
		Display: get("DISPLAY"), Wayland: get("WAYLAND_DISPLAY"), XAuthority: get("XAUTHORITY"),
		RuntimeDir: get("XDG_RUNTIME_DIR"), SessionBus: get("DBUS_SESSION_BUS_ADDRESS"), CurrentName: get("XDG_CURRENT_DESKTOP"),
	}
}

// hasDisplay reports whether a window or a browser can appear. Only free desktops announce it by variables.
func (p *program) hasDisplay() bool {
	return p.desktop().Present() || runtime.GOOS == "windows" || runtime.GOOS == "darwin"
}

func (p *program) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "paddock",
		Short: "Run web apps from strangers with only the rights you give them",
		Long: `Paddock installs web apps as a phone does: it checks who signed them, asks what they may do,
and runs each behind walls that hold it to your answers.

Without a command, paddock starts the agent with its tray icon; if it runs already, its library comes to the front.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 refused, 4 no such app, 5 the agent cannot be reached, 6 the app did not start.`,
		Version:       p.env.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			p.ran = true
		},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			hint := "“paddock --help” lists the commands."
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = "Did you mean “" + strings.Join(near, "” or “") + "”?"
			}
			return usage(fmt.Sprintf("There is no command “%s”.", args[0]), hint)
		},
		RunE: p.runBare,
	}
	root.SuggestionsMinimumDistance = 2
	flags := root.PersistentFlags()
	flags.BoolVar(&p.json, "json", false, "print one JSON document on standard output")
	flags.StringVar(&p.home, "home", "", "folder that holds all state (default: PADDOCK_HOME, else your data folder)")
	flags.BoolVar(&p.noColor, "no-color", false, "print without colours")
	flags.BoolVar(&p.noStart, "no-start", false, "do not start the agent when it is not running")
	p.json = jsonWanted(p.env.Args) // also when the arguments cannot be read to the end

	group := func(id, title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: id, Title: title})
		for _, c := range commands {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	group("apps", "Apps:", p.installCommand(), p.reviewCommand(), p.listCommand(), p.infoCommand(), p.openCommand(),
		p.psCommand(), p.stopCommand(), p.restartCommand(), p.uninstallCommand(), p.backupCommand(), p.restoreCommand())
	group("rights", "What they may do and what they did:", p.permissionsCommand(), p.grantCommand(), p.denyCommand(), p.revokeCommand(),
		p.budgetCommand(), p.activityCommand(), p.historyCommand(), p.logsCommand())
	group("paddock", "Paddock itself:", p.agentCommand(), p.quitCommand(), p.doctorCommand(), p.settingsCommand(), p.benchCommand())
	group("author", "For authors:", p.initCommand(), p.packCommand(), p.keygenCommand(), p.signCommand(), p.verifyCommand(), p.manifestCommand())
	return root
}

// jsonWanted looks for --json before any "--".
func jsonWanted(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}

// usage is the error of a wrong use.
func usage(message, hint string) error {
	return control.NewError(control.ExitUsage, "usage", message, hint, nil)
}

// takes checks the number of arguments. Names in brackets are optional.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		hint := fmt.Sprintf("“%s --help” shows how it is used.", cmd.CommandPath())
		for _, name := range names[min(len(args), len(names)):] {
			if !strings.HasPrefix(name, "[") {
				return usage(fmt.Sprintf("“%s” needs %s.", cmd.CommandPath(), name), hint)
			}
		}
		if len(args) > len(names) {
			return usage(fmt.Sprintf("“%s” does not take “%s”.", cmd.CommandPath(), args[len(names)]), hint)
		}
		return nil
	}
}

// status ends the program with a code after everything was printed.
type status int

func (s status) Error() string { return fmt.Sprintf("exit %d", int(s)) }

// finish prints err and returns the exit code.
func (p *program) finish(cmd *cobra.Command, err error) int {
	var s status
	switch {
	case err == nil:
		return control.ExitDone
	case errors.As(err, &s):
		return int(s)
	}
	e := p.explain(err)
	var known *control.Error
	if !p.ran && !errors.As(err, &known) { // cobra's own words
		e = control.NewError(control.ExitUsage, "usage", sentence(err.Error()), fmt.Sprintf("“%s --help” shows how it is used.", cmd.CommandPath()), nil)
	}
	p.printError(e)
	if e.Exit == control.ExitDone {
		return control.ExitFailed // an error is never success
	}
	return e.Exit
}
