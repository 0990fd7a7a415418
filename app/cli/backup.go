package cli

import (
	"context"

	"github.com/spf13/cobra"

	"paddock/app/control"
)

func (p *program) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup APP FILE",
		Short: "Save an app with its data and your answers in one file",
		Long: `Writes one file with the app's signed bundle, its data, your answers and its limits. A running app is ended for
the copy and started again; its pages wait. Nothing that is there is replaced, not even an older backup. What a person could
read in the app's data can be read in the file: keep it as safe as that.`,
		Example: "  paddock backup notes /media/stick/notes-2026-11-28.backup",
		Args:    takes("APP", "FILE"),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return p.completeApp(cmd, args, text)
			}
			return nil, cobra.ShellCompDirectiveDefault // a file
		},
		RunE: func(cmd *cobra.Command, args []string) error { return p.backup(cmd.Context(), args[0], args[1]) },
	}
}

func (p *program) backup(ctx context.Context, app, file string) error {
	if file == "" {
		return usage("The name of the file is empty.", "Name the file that the backup is written to.")
	}
	file, err := absolute(file)
	if err != nil {
		return err
	}
	var done control.BackupResult
	if err := follow(ctx, p, control.MethodBackup, control.Backup{App: app, File: file}, &done); err != nil {
		return err
	}
	if p.json {
		done.LeftOut = list(done.LeftOut)
		p.document(done)
		return nil
	}
	p.say("%s is saved in %s (%s).", app, done.File, size(done.Bytes))
	if done.LeftOutCount > 0 {
		p.note("Left out, because a backup cannot hold it:")
		for _, l := range done.LeftOut {
			p.note("  %s: %s", l.Name, l.Why)
		}
		if more := done.LeftOutCount - len(done.LeftOut); more > 0 {
			p.note("  and %d more", more)
		}
	}
	p.note("Bring it back with “paddock restore %s”.", done.File)
	return nil
}

func (p *program) restoreCommand() *cobra.Command {
	var undo bool
	cmd := &cobra.Command{
		Use:   "restore FILE | restore --undo APP",
		Short: "Bring an app back from a backup",
		Long: `Verifies the bundle in the backup, installs it, and puts the data in it into the place of the app's present data, which
is kept for 30 days: --undo goes back to it. Your answers come back too when this computer made the backup; from another
one they are only shown, and every permission is asked anew.`,
		Example: `  paddock restore /media/stick/notes-2026-11-28.backup
  paddock restore --undo notes`,
		Args: func(cmd *cobra.Command, args []string) error {
			if undo {
				return takes("APP")(cmd, args)
			}
			return takes("FILE")(cmd, args)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
			if undo {
				return p.completeApp(cmd, args, text)
			}
			return nil, cobra.ShellCompDirectiveDefault // a file
		},
		RunE: func(cmd *cobra.Command, args []string) error { return p.restore(cmd.Context(), args[0], undo) },
	}
	cmd.Flags().BoolVar(&undo, "undo", false, "go back to the data that APP had before its last restore")
	return cmd
}

func (p *program) restore(ctx context.Context, name string, undo bool) error {
	in := control.Restore{App: name, Undo: true}
	if !undo {
		file, err := absolute(name)
		if err != nil {
			return err
		}
		if name == "" {
			return usage("The name of the file is empty.", "Name a backup.")
		}
		in = control.Restore{File: file}
	}
	var done control.RestoreResult
	if err := follow(ctx, p, control.MethodRestore, in, &done); err != nil {
		return err
	}
	done.InstallResult, done.Suggested = complete(done.InstallResult), list(done.Suggested)
	if p.json {
		p.document(done)
		return nil
	}
	if undo {
		p.say("%s has the data of before its last restore again.", done.Name)
		p.note("“paddock restore --undo %s” takes that back.", done.ID)
		return nil
	}
	p.say("%s %s is restored (%s).", done.Name, done.Version, done.ID)
	p.say("Publisher: %s", publisherText(done.Publisher))
	p.sayRequests(done.Requests, done.Granted)
	if !done.Trusted {
		p.note("This computer did not make the backup, or it was changed since: every permission is asked anew.")
	}
	if len(done.Suggested) > 0 {
		p.say("")
		t := table{head: []string{"ANSWER IN THE BACKUP", "", "NOT TAKEN OVER, BECAUSE"}}
		for _, s := range done.Suggested {
			what := s.Permission
			if s.Path != "" {
				what += " = " + s.Path
			}
			t.add(text(s.Decision), text(what), text(s.Why))
		}
		p.print(t)
	}
	if done.Undo {
		p.note("The data of before is kept for 30 days: “paddock restore --undo %s” goes back to it.", done.ID)
	}
	p.note("Open it with “paddock open %s”.", done.ID)
	return nil
}
