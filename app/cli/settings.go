package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"paddock/app/control"
)

func (p *program) settingsCommand() *cobra.Command {
	get := &cobra.Command{
		Use: "get [KEY]", Short: "Show one setting, or all", Args: takes("[KEY]"), ValidArgsFunction: p.completeSetting,
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := call[[]control.Setting](cmd.Context(), p, control.MethodSettings, nil)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return p.printSettings(all)
			}
			i := slices.IndexFunc(all, func(s control.Setting) bool { return s.Key == args[0] })
			if i < 0 {
				return control.NewError(control.ExitUsage, "unknown_setting", fmt.Sprintf("There is no setting called “%s”.", args[0]), "“paddock settings get” lists them.", nil)
			}
			if p.json {
				p.document(all[i])
			} else {
				p.say("%s", all[i].Value)
			}
			return nil
		},
	}
	set := &cobra.Command{
		Use: "set KEY VALUE", Short: "Change a setting", Args: takes("KEY", "VALUE"), ValidArgsFunction: p.completeSetting,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := call[control.Empty](cmd.Context(), p, control.MethodSetSetting, control.SetSetting{Key: args[0], Value: args[1]}); err != nil {
				return err
			}
			p.ok("%s is %s now. It holds for what starts from now on.", args[0], args[1])
			return nil
		},
	}
	cmd := &cobra.Command{
		Use: "settings", Short: "Show and change settings",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(fmt.Sprintf("“%s” does not take “%s”.", cmd.CommandPath(), args[0]), "Use “paddock settings get” or “paddock settings set”.")
			}
			return nil
		},
		RunE: get.RunE,
	}
	cmd.AddCommand(get, set)
	return cmd
}

func (p *program) printSettings(all []control.Setting) error {
	if p.json {
		p.document(list(all))
		return nil
	}
	t := table{head: []string{"SETTING", "VALUE", "CHOICES", "MEANING"}}
	for _, s := range all {
		t.add(text(s.Key), text(s.Value), text(strings.Join(s.Choices, ", ")), text(s.Title))
	}
	p.print(t)
	return nil
}

// completeSetting offers keys, then the values of a key. It never starts an agent.
func (p *program) completeSetting(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	all, err := offer[[]control.Setting](cmd.Context(), p, control.MethodSettings)
	if err != nil || len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range all {
		switch {
		case len(args) == 0:
			names = append(names, s.Key+"\t"+harmless(s.Title))
		case s.Key == args[0] && cmd.Name() == "set":
			names = append(names, s.Choices...)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
