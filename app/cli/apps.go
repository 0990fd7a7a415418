package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"paddock/app/control"
)

func (p *program) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the installed apps", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			apps, err := call[[]control.ListEntry](cmd.Context(), p, control.MethodList, nil)
			if err != nil {
				return err
			}
			if p.json {
				p.document(list(apps))
				return nil
			}
			if len(apps) == 0 {
				p.note("No app is installed. Get one with “paddock install FILE or URL”.")
				return nil
			}
			t := table{head: []string{"APP", "NAME", "VERSION", "STATE", "ID"}}
			for _, a := range apps {
				t.add(text(a.Short), text(a.Name), text(a.Version), stateCell(a.State), text(a.ID))
			}
			p.print(t)
			return nil
		},
	}
}

// stateCell says a state in words.
func stateCell(state string) cell {
	c := text(strings.ReplaceAll(state, "_", " "))
	switch state {
	case control.StateRunning:
		c.style = green
	case control.StateNeedsPermission:
		c.style = yellow
	case control.StateOverBudget, control.StateFailed:
		c.style = red
	}
	return c
}

func (p *program) infoCommand() *cobra.Command {
	return &cobra.Command{
		Use: "info APP", Short: "Show one app in full", Args: takes("APP"), ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			info, err := call[control.Info](cmd.Context(), p, control.MethodInfo, control.AppRef{App: args[0]})
			if err != nil {
				return err
			}
			if p.json {
				info.Permissions, info.Flags, info.Walls.Walls = list(info.Permissions), list(info.Flags), list(info.Walls.Walls)
				p.document(info)
				return nil
			}
			p.printInfo(info)
			return nil
		},
	}
}

func (p *program) printInfo(info control.Info) {
	var t table
	t.fact("Name", info.Name)
	t.fact("About", info.Summary)
	t.fact("Id", info.ID)
	t.fact("Version", fmt.Sprintf("%s (%d)", info.Version, info.VersionCode))
	t.fact("State", strings.ReplaceAll(info.State, "_", " "))
	t.fact("Author", info.Author)
	t.fact("Publisher", publisherText(info.Publisher))
	t.fact("License", info.License)
	t.fact("Home page", info.Homepage)
	t.fact("From", info.Source)
	t.fact("Installed", stamp(info.InstalledAt))
	if !info.UpdatedAt.Equal(info.InstalledAt) {
		t.fact("Updated", stamp(info.UpdatedAt))
	}
	t.fact("Origin", info.Origin)
	memory, cpu, disk := size(info.Budget.MemoryBytes), percent(info.Budget.CPUPercent), size(info.Budget.DiskBytes)
	if u := info.Usage; u != nil {
		t.fact("Process", fmt.Sprintf("%d, started %s", u.PID, p.ago(u.StartedAt)))
		memory = size(u.MemoryBytes) + " of " + memory
		cpu = percent(u.CPUPercent) + " of " + cpu
	}
	t.fact("Memory", memory)
	t.fact("Processor", cpu)
	t.fact("Disk", size(info.DiskBytes)+" of "+disk)
	t.fact("Code", info.Paths.Code)
	t.fact("Data", info.Paths.Data)
	t.fact("Log", info.Paths.Log)
	t.fact("Walls", strings.TrimSuffix(info.Walls.Level+", "+info.Walls.Open, ", "))
	p.print(t)
	if len(info.Permissions) > 0 {
		p.say("")
		p.printPermissions(info.Permissions)
	}
	if len(info.Walls.Walls) > 0 {
		p.say("")
		p.printWalls(info.Walls.Walls)
	}
	if len(info.Flags) > 0 {
		p.say("")
		p.say("%s", p.paint(dim, "The runtime is started with:"))
		for _, flag := range info.Flags {
			p.say("  %s", flag)
		}
	}
}

func (p *program) openCommand() *cobra.Command {
	var in control.Open
	var noBrowser bool
	cmd := &cobra.Command{
		Use:   "open APP",
		Short: "Start an app and open it in the browser",
		Long: `Starts the app and opens it in the browser. What is not answered yet is asked in a window where there is a display.
Without one, or with --json, nothing is asked: optional rights that are not answered are refused for this run, and a
required one ends the command with exit code 3. With --json the browser is left alone.`,
		Args: takes("APP"), ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, s := range in.Grant {
				if _, err := readPermission(s); err != nil {
					return err
				}
			}
			in.App, in.Desktop = args[0], p.desktop()
			in.Ask = !p.json && p.hasDisplay()
			return p.open(cmd.Context(), in, noBrowser)
		},
	}
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "print the link instead of opening it")
	cmd.Flags().StringArrayVar(&in.Grant, "grant", nil, "allow one `PERMISSION` first; may be repeated")
	cmd.Flags().BoolVar(&in.Insist, "insist", false, "start it although something that it requires is refused")
	return cmd
}

func (p *program) open(ctx context.Context, in control.Open, noBrowser bool) error {
	in.Browse = !p.json && !noBrowser && p.env.OpenBrowser != nil && p.hasDisplay()
	r, err := call[control.OpenResult](ctx, p, control.MethodOpen, in)
	if err != nil {
		return err
	}
	if p.json {
		p.document(r)
		return nil
	}
	took := time.Duration(r.StartMS * float64(time.Millisecond)).Round(time.Millisecond)
	if in.Browse {
		if err := p.env.OpenBrowser(r.ForBrowser()); err == nil {
			p.say("%s is open in your browser (ready after %s).", r.ID, took)
			return nil
		} else {
			p.note("The browser could not be opened: %s", sentence(err.Error()))
		}
	}
	p.note("%s is ready after %s. Open this link within 30 seconds; it works once:", r.ID, took)
	p.say("%s", r.URL)
	return nil
}

func (p *program) psCommand() *cobra.Command {
	return &cobra.Command{
		Use: "ps", Short: "List the running apps and what they use", Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			apps, err := call[[]control.Running](cmd.Context(), p, control.MethodPs, nil)
			if err != nil {
				return err
			}
			if p.json {
				p.document(list(apps))
				return nil
			}
			if len(apps) == 0 {
				p.note("No app is running.")
				return nil
			}
			t := table{head: []string{"ID", "STATE", "PROCESS", "CPU", "OF", "MEMORY", "OF", "DISK", "OF", "STARTED"}}
			for _, a := range apps {
				t.add(text(a.ID), stateCell(a.State), number(fmt.Sprint(a.PID)),
					number(percent(a.CPUPercent)), number(percent(a.Budget.CPUPercent)),
					number(size(a.MemoryBytes)), number(size(a.Budget.MemoryBytes)),
					number(size(a.DiskBytes)), number(size(a.Budget.DiskBytes)), text(p.ago(a.StartedAt)))
			}
			p.print(t)
			return nil
		},
	}
}

func (p *program) stopCommand() *cobra.Command {
	return p.actCommand("stop", "Stop a running app", control.MethodStop, "%s is stopped.")
}

func (p *program) restartCommand() *cobra.Command {
	return p.actCommand("restart", "Stop and start an app", control.MethodRestart, "%s was restarted.")
}

// actCommand is a command that does one thing to one app.
func (p *program) actCommand(name, short, method, done string) *cobra.Command {
	return &cobra.Command{
		Use: name + " APP", Short: short, Args: takes("APP"), ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := call[control.Empty](cmd.Context(), p, method, control.AppRef{App: args[0]}); err != nil {
				return err
			}
			p.ok(done, args[0])
			return nil
		},
	}
}

func (p *program) uninstallCommand() *cobra.Command {
	var in control.Uninstall
	cmd := &cobra.Command{
		Use:   "uninstall APP",
		Short: "Remove an app",
		Long:  "Stops and removes an app. Its data is kept for 30 days, in which --undo brings it back.",
		Args:  takes("APP"), ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen := 0
			for _, set := range []bool{in.KeepData, in.Purge, in.Undo} {
				if set {
					chosen++
				}
			}
			if chosen > 1 {
				return usage("--keep-data, --purge and --undo contradict each other.", "Use one of them.")
			}
			in.App = args[0]
			if _, err := call[control.Empty](cmd.Context(), p, control.MethodUninstall, in); err != nil {
				return err
			}
			switch {
			case in.Undo:
				p.ok("%s is back.", in.App)
			case in.Purge:
				p.ok("%s is removed, and its data with it.", in.App)
			case in.KeepData:
				p.ok("%s is removed. Its data is kept until “paddock uninstall %s --purge”.", in.App, in.App)
			default:
				p.ok("%s is removed. Its data is kept for 30 days: “paddock uninstall %s --undo” brings it back.", in.App, in.App)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&in.KeepData, "keep-data", false, "keep its data for ever")
	cmd.Flags().BoolVar(&in.Purge, "purge", false, "delete its data now")
	cmd.Flags().BoolVar(&in.Undo, "undo", false, "bring back an app that was removed within 30 days")
	return cmd
}

// completeTimeout bounds how long a shell waits for names of apps.
const completeTimeout = 500 * time.Millisecond

// completeApp offers the installed apps to the shell. It never starts an agent.
func (p *program) completeApp(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	apps, err := offer[[]control.ListEntry](cmd.Context(), p, control.MethodList)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, a := range apps {
		names = append(names, harmless(a.Short)+"\t"+harmless(a.Name))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// offer asks a running agent for what a shell may offer.
func offer[Out any](ctx context.Context, p *program, method string) (Out, error) {
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	if _, err := p.reach(ctx); err != nil {
		var none Out
		return none, err
	}
	return control.Do[Out](ctx, p.client, method, nil)
}
