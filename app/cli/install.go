package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"paddock/app/control"
	"paddock/sandbox/permission"
)

func (p *program) installCommand() *cobra.Command {
	var in control.Commit
	var dev bool
	cmd := &cobra.Command{
		Use:   "install FILE|URL",
		Short: "Verify, unpack and register an app; grant only what is named",
		Long: `Downloads or reads a bundle, checks its signature, unpacks it and registers it. Nothing is granted except
what --grant or --grant-all names; everything else is asked when the app is opened.`,
		Example: `  paddock install https://apps.example.org/notes.paddock
  paddock install feeds.paddock --grant net:api.example.org`,
		Args: takes("FILE or URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.GrantAll && in.DenyAll {
				return usage("--grant-all and --deny-all contradict each other.", "Use one of them.")
			}
			if in.GrantAll && len(in.Grant) > 0 {
				return usage("--grant-all already grants what --grant names.", "Use one of them.")
			}
			for _, text := range in.Grant {
				if _, err := readPermission(text); err != nil {
					return err
				}
			}
			return p.install(cmd.Context(), args[0], dev, in)
		},
	}
	cmd.Flags().StringArrayVar(&in.Grant, "grant", nil, "allow one `PERMISSION`; may be repeated")
	cmd.Flags().BoolVar(&in.GrantAll, "grant-all", false, "allow everything it asks for, except files, which need a path")
	cmd.Flags().BoolVar(&in.DenyAll, "deny-all", false, "refuse everything it asks for, except what --grant names")
	cmd.Flags().BoolVar(&dev, "dev", false, "accept an unsigned zip or a folder, as an app of its own")
	return cmd
}

func (p *program) install(ctx context.Context, source string, dev bool, in control.Commit) error {
	staged, err := p.stage(ctx, source, dev)
	if err != nil {
		return err
	}
	in.Stage = staged.Stage
	done, err := control.Do[control.InstallResult](ctx, p.client, control.MethodCommit, in)
	if err != nil {
		p.discard(ctx, staged.Stage)
		return err
	}
	if p.json {
		p.document(complete(done))
		return nil
	}
	what := "is installed"
	if staged.Update {
		what = fmt.Sprintf("is installed in place of %s", staged.Installed)
	}
	p.say("%s %s %s (%s).", done.Name, done.Version, what, done.ID)
	p.say("Publisher: %s", publisherText(done.Publisher))
	p.sayRequests(done.Requests, done.Granted)
	p.note("Open it with “paddock open %s”.", done.ID)
	return nil
}

// complete makes lists that are empty print as [].
func complete(r control.InstallResult) control.InstallResult {
	r.Requests, r.Granted = list(r.Requests), list(r.Granted)
	return r
}

func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// stage lets the agent fetch and verify a bundle, and shows how far it is.
func (p *program) stage(ctx context.Context, source string, dev bool) (control.Staged, error) {
	source, err := sourceText(source)
	if err != nil {
		return control.Staged{}, err
	}
	var staged control.Staged
	err = follow(ctx, p, control.MethodStage, control.Stage{Source: source, Dev: dev}, &staged)
	return staged, err
}

// sourceText leaves addresses and links alone and makes paths absolute.
func sourceText(source string) (string, error) {
	if source == "" {
		return "", usage("The source is empty.", "Name a file or an https address.")
	}
	if scheme, _, found := strings.Cut(source, ":"); found && (strings.Contains(source, "://") || scheme == "paddock") {
		return source, nil
	}
	return absolute(source)
}

// discard forgets a staged bundle, also when the command was cancelled.
func (p *program) discard(ctx context.Context, stage string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardAfter)
	defer cancel()
	// What stays is discarded by the agent after half an hour.
	_, _ = control.Do[control.Empty](ctx, p.client, control.MethodDiscard, control.Discard{Stage: stage})
}

func (p *program) reviewCommand() *cobra.Command {
	var dev bool
	cmd := &cobra.Command{
		Use:   "review FILE|URL|paddock://…",
		Short: "Show who made an app and what it asks for, before installing it",
		Long: `Opens the review window, starting the agent if needed; a double-click on a bundle runs this. Without a display,
or with --json, prints the facts and ends with exit code 3. Nothing is installed.`,
		Args: takes("FILE, URL or link"),
		RunE: func(cmd *cobra.Command, args []string) error { return p.review(cmd.Context(), args[0], dev) },
	}
	cmd.Flags().BoolVar(&dev, "dev", false, "accept an unsigned zip or a folder")
	return cmd
}

func (p *program) review(ctx context.Context, source string, dev bool) error {
	full, err := sourceText(source)
	if err != nil {
		return err
	}
	if p.hasDisplay() && !p.json && !dev {
		_, err := call[control.Empty](ctx, p, control.MethodShow, control.Show{Window: control.WindowReview, Source: full, Desktop: p.desktop()})
		if err == nil {
			return nil
		}
		if !noWindow(err) {
			return err
		}
	}
	staged, err := p.stage(ctx, source, dev)
	if err != nil {
		return err
	}
	p.discard(ctx, staged.Stage)
	requests := make([]control.Request, 0, len(staged.Requests))
	for _, r := range staged.Requests {
		requests = append(requests, control.Request{Permission: r.Permission, Reason: r.Reason, Required: r.Required, Risk: r.Risk})
	}
	if p.json {
		p.document(complete(control.InstallResult{
			ID: staged.ID, Name: staged.Name, Version: staged.Version, VersionCode: staged.VersionCode,
			Publisher: staged.Publisher, Requests: requests,
		}))
		return status(control.ExitRefused)
	}
	var facts table
	facts.fact("Name", staged.Name)
	facts.fact("About", staged.Summary)
	facts.fact("Version", fmt.Sprintf("%s (%d)", staged.Version, staged.VersionCode))
	if staged.Update {
		facts.fact("Replaces", staged.Installed)
	}
	facts.fact("Id", staged.ID)
	facts.fact("Author", staged.Author)
	facts.fact("Publisher", publisherText(staged.Publisher))
	facts.fact("License", staged.License)
	facts.fact("Home page", staged.Homepage)
	facts.fact("From", staged.Origin)
	facts.fact("Size", fmt.Sprintf("%s, %s unpacked", size(staged.Bytes), size(staged.Unpacked)))
	facts.fact("Memory", size(staged.Budget.MemoryBytes))
	facts.fact("Processor", percent(staged.Budget.CPUPercent)+" of one core")
	facts.fact("Disk", size(staged.Budget.DiskBytes))
	p.print(facts)
	p.sayRequests(requests, nil)
	if len(staged.Wider) > 0 {
		p.say("New or wider than the installed version: %s", strings.Join(staged.Wider, ", "))
	}
	p.note("Nothing was installed. To install it: paddock install %s", source)
	return status(control.ExitRefused)
}

func publisherText(pub control.Publisher) string {
	switch pub.Trust {
	case "known":
		return pub.Key + " (known: something signed with this key was installed before)"
	case "unsigned":
		return "not signed"
	default:
		return pub.Key + " (new: nothing signed with this key was installed before)"
	}
}

// sayRequests lists what an app asks for in the host's words, beside the author's claim.
func (p *program) sayRequests(requests []control.Request, granted []string) {
	if len(requests) == 0 {
		p.say("It asks for nothing.")
		return
	}
	p.say("")
	t := table{head: []string{"ASKS FOR", "RISK", "ANSWER", "NEEDED", "THE AUTHOR SAYS"}}
	for _, r := range requests {
		answer, needed := "ask", ""
		for _, g := range granted {
			if g == r.Permission {
				answer = "allow"
			}
		}
		if r.Required {
			needed = "yes"
		}
		t.add(text(r.Permission), cell{text: r.Risk, style: riskStyle(r.Risk)}, text(answer), text(needed), text(r.Reason))
	}
	p.print(t)
}

func riskStyle(risk string) string {
	if risk == permission.High.String() {
		return yellow
	}
	return ""
}

// readPermission reads a permission as a person wrote it.
func readPermission(s string) (permission.Permission, error) {
	perm, err := permission.Parse(s)
	var scope *permission.ScopeError
	switch {
	case err == nil:
		return perm, nil
	case errors.Is(err, permission.ErrNeverGrantable) && errors.As(err, &scope):
		return perm, control.NewError(control.ExitRefused, "never_grantable", fmt.Sprintf("“%s” is %s.", s, scope.Rule), scope.Hint, nil)
	case errors.As(err, &scope):
		return perm, control.NewError(control.ExitUsage, "bad_permission", fmt.Sprintf("“%s” is not a permission: %s.", s, scope.Rule), scope.Hint, nil)
	}
	return perm, err
}
