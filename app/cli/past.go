package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"paddock/app/control"
)

func (p *program) activityCommand() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use: "activity APP", Short: "Show what an app used and what it was refused", Args: takes("APP"), ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := parseSince(since, p.env.Now())
			if err != nil {
				return err
			}
			all, err := call[[]control.Activity](cmd.Context(), p, control.MethodActivity, control.ActivityQuery{App: args[0], Since: from})
			if err != nil {
				return err
			}
			if p.json {
				for i := range all {
					all[i].Reported = false // not part of the document
				}
				p.document(list(all))
				return nil
			}
			if len(all) == 0 {
				p.note("Nothing was used and nothing was refused in that time.")
				return nil
			}
			own := false
			t := table{head: []string{"LAST", "WHAT", "OUTCOME", "BY", "TIMES", "RECEIVED", "SENT"}}
			for _, a := range all {
				outcome := text(a.Outcome)
				if a.Outcome == "refused" {
					outcome.style = red
				}
				by := a.Side
				switch {
				case a.Reported:
					by = "app*"
					own = true
				case by == "process":
					by = "app"
				}
				t.add(text(stamp(a.At)), text(a.Permission), outcome, text(by), number(fmt.Sprint(a.Count)), number(size(a.BytesIn)), number(size(a.BytesOut)))
			}
			p.print(t)
			if own {
				p.note("* reported by the app about itself, and shown as it says")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&since, "since", "24h", "how far back: `SPAN` such as 30m, 24h, 7d, or a day such as 2026-11-22")
	return cmd
}

func (p *program) historyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "history APP", Short: "Show an app's launches and how they ended", Args: takes("APP"), ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			runs, err := call[[]control.Run](cmd.Context(), p, control.MethodHistory, control.AppRef{App: args[0]})
			if err != nil {
				return err
			}
			if p.json {
				p.document(list(runs))
				return nil
			}
			if len(runs) == 0 {
				p.note("It was never started.")
				return nil
			}
			t := table{head: []string{"STARTED", "RAN FOR", "END", "WHY"}}
			for _, r := range runs {
				ran, end := p.env.Now().Sub(r.StartedAt), cell{text: "still running", style: green}
				if r.EndedAt != nil {
					ran, end = r.EndedAt.Sub(r.StartedAt), endCell(r.Reason)
				}
				t.add(text(stamp(r.StartedAt)), number(spanText(ran)), end, text(whyText(r)))
			}
			p.print(t)
			return nil
		},
	}
}

func endCell(reason string) cell {
	c := text(strings.ReplaceAll(reason, "_", " "))
	switch reason {
	case "crashed", "over_budget", "start_failed":
		c.style = red
	}
	return c
}

func spanText(d time.Duration) string {
	switch {
	case d < 0: // the clock was set back meanwhile
		return "?"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	default:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
}

// maxWhy is how many characters of an app's last words fit into a table.
const maxWhy = 72

// whyText is the budget that was crossed, else the last line of output of an app that ended badly.
func whyText(r control.Run) string {
	if b := r.Breach; b != nil {
		amount := func(v float64) string { return size(int64(v)) }
		switch b.Budget {
		case "cpu":
			amount = func(v float64) string { return humanize.FtoaWithDigits(v, 2) + " core-seconds" }
		case "processes":
			amount = func(v float64) string { return humanize.FtoaWithDigits(v, 0) + " threads" }
		}
		return fmt.Sprintf("%s: %s, allowed were %s", b.Budget, amount(b.Measured), amount(b.Limit))
	}
	if r.Reason != "crashed" && r.Reason != "start_failed" {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(r.Tail), "\n")
	last := []rune(strings.TrimSpace(lines[len(lines)-1]))
	if len(last) > maxWhy {
		last = append(last[:maxWhy-1], '…')
	}
	return string(last)
}

// maxLines is the most lines that the agent sends at once.
const maxLines = 10000

func (p *program) logsCommand() *cobra.Command {
	in := control.Logs{}
	cmd := &cobra.Command{
		Use: "logs APP", Short: "Show an app's own output", Args: takes("APP"), ValidArgsFunction: p.completeApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.Lines < 1 || in.Lines > maxLines {
				return usage(fmt.Sprintf("--lines is a number from 1 to %d.", maxLines), "")
			}
			in.App = args[0]
			c, err := p.connect(cmd.Context())
			if err != nil {
				return err
			}
			err = control.Events(cmd.Context(), c, control.MethodLogs, in, nil, func(l control.LogLine) error { return p.logLine(l) })
			if in.Follow && cmd.Context().Err() != nil {
				return nil // following ends with Ctrl+C
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&in.Follow, "follow", "f", false, "go on with what comes, until Ctrl+C")
	cmd.Flags().IntVarP(&in.Lines, "lines", "n", 100, "how many lines of the past")
	return cmd
}

// logLine prints one line; when nobody reads any more it ends the command.
func (p *program) logLine(l control.LogLine) error {
	if p.json {
		raw, err := json.Marshal(l)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.env.Stdout, "%s\n", raw)
		return err
	}
	mark, style := "", ""
	switch l.Stream {
	case "err":
		style = yellow
	case "host":
		mark, style = "paddock: ", dim
	}
	at := ""
	if !l.At.IsZero() {
		at = l.At.Local().Format("15:04:05") + "  "
	}
	_, err := fmt.Fprintf(p.env.Stdout, "%s%s\n", at, p.paint(style, mark+l.Text))
	return err
}
