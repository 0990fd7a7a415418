package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"paddock/app/control"
	"paddock/sandbox/permission"
)

func (p *program) permissionsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "permissions APP", Short: "Show everything an app asks for, and your answers", Args: takes("APP"), ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			rows, err := call[[]control.PermissionRow](cmd.Context(), p, control.MethodPermissions, control.AppRef{App: args[0]})
			if err != nil {
				return err
			}
			if p.json {
				p.document(list(rows))
				return nil
			}
			if len(rows) == 0 {
				p.note("It asks for nothing.")
				return nil
			}
			p.printPermissions(rows)
			return nil
		},
	}
}

func (p *program) printPermissions(rows []control.PermissionRow) {
	t := table{head: []string{"ASKS FOR", "ANSWER", "RISK", "NEEDED", "LAST USED", "USED", "REFUSED", "THE AUTHOR SAYS"}}
	for _, r := range rows {
		answer := text(r.Decision)
		switch {
		case !r.Enforced && r.Why != "":
			answer = cell{text: "not enforceable here", style: red}
		case r.Decision == control.DecideAllow:
			answer = cell{text: "allow (" + r.Lifetime + ")", style: green}
		case r.Decision == control.DecideDeny:
			answer.style = red
		}
		needed, last := "", "never"
		if r.Required {
			needed = "yes"
		}
		if r.LastUsed != nil {
			last = p.ago(*r.LastUsed)
		}
		what := r.Permission
		if r.Path != "" {
			what += " = " + r.Path
		}
		t.add(text(what), answer, cell{text: r.Risk, style: riskStyle(r.Risk)}, text(needed), text(last),
			number(fmt.Sprint(r.Used)), number(fmt.Sprint(r.Refused)), text(r.Reason))
	}
	p.print(t)
}

func (p *program) grantCommand() *cobra.Command {
	var session bool
	var path string
	cmd := &cobra.Command{
		Use:   "grant APP PERMISSION",
		Short: "Allow something that an app asks for",
		Long:  "Stores an allowance. A running app is restarted with it. files:SLOT needs --path.",
		Example: `  paddock grant feeds net:api.example.org
  paddock grant notes files:folder --path ~/Notes`,
		Args: takes("APP", "PERMISSION"), ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			perm, err := readPermission(args[1])
			if err != nil {
				return err
			}
			switch isFile := perm.Kind == permission.Files; {
			case isFile && path == "":
				return usage(fmt.Sprintf("“%s” needs a path.", perm), "Name the file or folder with --path.")
			case !isFile && path != "":
				return usage(fmt.Sprintf("“%s” takes no path.", perm), "Leave out --path.")
			case isFile:
				if path, err = absolute(path); err != nil {
					return err
				}
			}
			in := control.Decide{App: args[0], Permission: perm.String(), Decision: control.DecideAllow, Session: session, Path: path, By: permission.ByCLI}
			if _, err := call[control.Empty](cmd.Context(), p, control.MethodDecide, in); err != nil {
				return err
			}
			until := ""
			if session {
				until = " until it ends"
			}
			p.ok("%s may use %s%s.", args[0], perm.String(), until)
			return nil
		},
	}
	cmd.Flags().BoolVar(&session, "session", false, "only until the app ends")
	cmd.Flags().StringVar(&path, "path", "", "the `FILE or DIR` for files:SLOT")
	return cmd
}

func (p *program) denyCommand() *cobra.Command {
	return p.decideCommand("deny", "Refuse something that an app asks for", control.DecideDeny, "%s may not use %s.")
}

func (p *program) revokeCommand() *cobra.Command {
	return p.decideCommand("revoke", "Forget an answer, so that it is asked again", control.DecideForget, "The answer of %s about %s is forgotten.")
}

func (p *program) decideCommand(name, short, decision, done string) *cobra.Command {
	return &cobra.Command{
		Use: name + " APP PERMISSION", Short: short, Args: takes("APP", "PERMISSION"), ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			perm, err := readPermission(args[1])
			if err != nil {
				return err
			}
			in := control.Decide{App: args[0], Permission: perm.String(), Decision: decision, By: permission.ByCLI}
			if _, err := call[control.Empty](cmd.Context(), p, control.MethodDecide, in); err != nil {
				return err
			}
			p.ok(done, args[0], perm.String())
			return nil
		},
	}
}

func (p *program) budgetCommand() *cobra.Command {
	var memory, cpu, disk string
	cmd := &cobra.Command{
		Use:     "budget APP",
		Short:   "Show or change what an app may use of memory, processor and disk",
		Example: "  paddock budget notes --memory 256M --cpu 50% --disk 1G",
		Args:    takes("APP"), ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in := control.SetBudget{App: args[0]}
			if cmd.Flags().Changed("memory") {
				if in.Budget.MemoryBytes, err = parseSize(memory); err != nil {
					return err
				}
			}
			if cmd.Flags().Changed("cpu") {
				if in.Budget.CPUPercent, err = parsePercent(cpu); err != nil {
					return err
				}
			}
			if cmd.Flags().Changed("disk") {
				if in.Budget.DiskBytes, err = parseSize(disk); err != nil {
					return err
				}
			}
			b, err := call[control.Budget](cmd.Context(), p, control.MethodBudget, in)
			if err != nil {
				return err
			}
			if p.json {
				p.document(b)
				return nil
			}
			var t table
			t.fact("Memory", size(b.MemoryBytes))
			t.fact("Processor", percent(b.CPUPercent)+" of one core")
			t.fact("Disk", size(b.DiskBytes))
			p.print(t)
			return nil
		},
	}
	cmd.Flags().StringVar(&memory, "memory", "", "`SIZE` such as 256M")
	cmd.Flags().StringVar(&cpu, "cpu", "", "`PERCENT` of one core, such as 50%")
	cmd.Flags().StringVar(&disk, "disk", "", "`SIZE` such as 1G")
	return cmd
}
