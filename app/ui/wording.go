package ui

import (
	"fmt"
	"math"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/lang"

	"paddock/app/control"
	"paddock/assets"
)

// LoadTranslations makes the program's texts known in every language it has; the system decides which.
// Call it once, before the first window.
func LoadTranslations() error {
	if err := lang.AddTranslationsFS(assets.Translations, "translations"); err != nil {
		return fmt.Errorf("load translations: %w", err)
	}
	return nil
}

// tr translates a text. Its arguments are pairs of a template name and a value: the text says {{.Name}}.
// Values are never read as templates.
func tr(text string, pairs ...any) string {
	if len(pairs) == 0 {
		return lang.L(text)
	}
	return lang.L(text, fields(pairs))
}

// trn translates a text that counts: {{.N}} is n, and the language decides the form.
func trn(text string, n int, pairs ...any) string {
	return lang.N(text, n, fields(append(pairs, "N", n)))
}

func fields(pairs []any) map[string]any {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

// number writes v with at most one decimal in the language's way, without a trailing zero.
func number(v float64) string {
	s := fmt.Sprintf("%.1f", v)
	if v >= 100 {
		s = fmt.Sprintf("%.0f", v)
	}
	s = strings.TrimSuffix(s, ".0")
	if mark := tr("decimal point"); len(mark) == 1 { // longer: no translations were loaded
		s = strings.Replace(s, ".", mark, 1)
	}
	return s
}

// nbsp keeps a number and its unit on one line.
const nbsp = "\u00a0"

// bytesText writes a size in units of 1024: "256 MB", "1.5 GB".
func bytesText(n int64) string {
	v := float64(max(n, 0))
	for i, unit := range []string{"B", "KB", "MB", "GB", "TB"} {
		if v < 1000 || i == 4 {
			return number(v) + nbsp + unit
		}
		v /= 1024
	}
	return ""
}

func percentText(p float64) string { return number(p) + nbsp + "%" }

// coresText says a processor budget as people think of it.
func coresText(p float64) string {
	switch {
	case math.Abs(p-100) < 0.5:
		return tr("one processor core")
	case math.Abs(p-50) < 0.5:
		return tr("half of one processor core")
	case p > 100:
		return tr("{{.Cores}} processor cores", "Cores", number(p/100))
	}
	return tr("{{.Percent}} of one processor core", "Percent", percentText(p))
}

func budgetSentence(b control.Budget) string {
	return tr("Up to {{.Memory}} of memory, {{.CPU}} and {{.Disk}} of disk.",
		"Memory", bytesText(b.MemoryBytes), "CPU", coresText(b.CPUPercent), "Disk", bytesText(b.DiskBytes))
}

// agoText says how long ago t was.
func agoText(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d < time.Minute:
		return tr("just now")
	case d < time.Hour:
		return tr("{{.N}} min ago", "N", int(d.Minutes()))
	case d < 24*time.Hour:
		return tr("{{.N}} h ago", "N", int(d.Hours()))
	}
	return trn("{{.N}} days ago", int(d.Hours()/24))
}

// momentText is a time of this week, or a date.
func momentText(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	clock := t.Format("15:04")
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return tr("today, {{.Clock}}", "Clock", clock)
	}
	return t.Format("2006-01-02") + ", " + clock
}

// lastedText is a duration in the two largest units.
func lastedText(d time.Duration) string {
	d = max(d.Round(time.Second), 0) // the clock may have been set back
	switch {
	case d < time.Minute:
		return tr("{{.S}} s", "S", int(d.Seconds()))
	case d < time.Hour:
		return tr("{{.M}} min {{.S}} s", "M", int(d.Minutes()), "S", int(d.Seconds())%60)
	}
	return tr("{{.H}} h {{.M}} min", "H", int(d.Hours()), "M", int(d.Minutes())%60)
}

// leftText estimates the rest of a download; empty when nothing can be said.
func leftText(p control.Progress) string {
	if p.Total <= 0 || p.BytesPerS < 1 || p.Bytes >= p.Total {
		return ""
	}
	s := float64(p.Total-p.Bytes) / p.BytesPerS
	if s > 24*3600 {
		return ""
	}
	return tr("{{.Time}} left", "Time", lastedText(time.Duration(s*float64(time.Second))))
}

// progressText is one line about a download: bytes, speed and time left, as far as known.
func progressText(p control.Progress) string {
	switch p.Step {
	case "verify":
		return tr("Checking the signature…")
	case "unpack":
		return tr("Unpacking…")
	}
	parts := []string{bytesText(p.Bytes)}
	if p.Total > 0 {
		parts[0] = tr("{{.Done}} of {{.Total}}", "Done", bytesText(p.Bytes), "Total", bytesText(p.Total))
	}
	if p.BytesPerS >= 1 {
		parts = append(parts, tr("{{.Speed}} per second", "Speed", bytesText(int64(p.BytesPerS))))
	}
	if left := leftText(p); left != "" {
		parts = append(parts, left)
	}
	return strings.Join(parts, " · ")
}

// stateMark is how a state looks and reads: told apart by shape and by words, not by colour alone.
type stateMark struct {
	icon string
	col  fyne.ThemeColorName
	text string
}

func markOf(state string) stateMark {
	switch state {
	case control.StateRunning:
		return stateMark{"dot", colGood, tr("Running")}
	case control.StateStarting:
		return stateMark{"dots", colCalm, tr("Starting…")}
	case control.StateFrozen:
		return stateMark{"pause", colCalm, tr("Asleep")}
	case control.StateNeedsPermission:
		return stateMark{"ask", colWarn, tr("Waits for your answer")}
	case control.StateOverBudget:
		return stateMark{"warning", colWarn, tr("Stopped: over its limit")}
	case control.StateFailed:
		return stateMark{"cross", colRisk, tr("Did not start")}
	}
	return stateMark{"ring", colMuted, tr("Stopped")}
}

// alive says whether an app in that state has a process.
func alive(state string) bool {
	return state == control.StateRunning || state == control.StateStarting || state == control.StateFrozen
}

// endText says how a run ended, with the figures of a breach in words.
func endText(r control.Run) string {
	switch r.Reason {
	case "":
		return tr("Running now")
	case "finished":
		return tr("Ended by itself")
	case "crashed":
		return tr("Crashed")
	case "stopped":
		return tr("Stopped by you")
	case "start_failed":
		return tr("Did not start")
	case "host_closed":
		return tr("Ended with Paddock")
	case "over_budget":
		return breachText(r.Breach)
	}
	return r.Reason
}

func breachText(b *control.Breach) string {
	if b == nil {
		return tr("Ended for going over a limit")
	}
	switch b.Budget {
	case "memory":
		return tr("Ended: used {{.Measured}} of memory, {{.Limit}} were allowed", "Measured", bytesText(int64(b.Measured)), "Limit", bytesText(int64(b.Limit)))
	case "disk":
		return tr("Ended: used {{.Measured}} of disk, {{.Limit}} were allowed", "Measured", bytesText(int64(b.Measured)), "Limit", bytesText(int64(b.Limit)))
	case "cpu":
		return tr("Ended: used {{.Measured}} seconds of processor time above its share, {{.Limit}} were allowed", "Measured", number(b.Measured), "Limit", number(b.Limit))
	case "processes":
		return tr("Ended: ran {{.Measured}} threads at once, {{.Limit}} were allowed", "Measured", number(b.Measured), "Limit", number(b.Limit))
	}
	return tr("Ended for going over a limit")
}

// wallsText puts the level of protection into words.
func wallsText(w control.Walls) (title, text string, t tone, icon string) {
	switch w.Level {
	case "full":
		return tr("Fully fenced in"), tr("Every wall that Paddock knows of holds on this computer."), toneGood, "shield"
	case "partial":
		return tr("Partly fenced in"), openText(w), toneWarn, "shield"
	}
	return tr("Basic fence only"), openText(w), toneWarn, "warning"
}

func openText(w control.Walls) string {
	if w.Open == "" {
		return tr("Some limits are enforced by the runtime alone.")
	}
	return tr("What stays open here: {{.Open}}", "Open", w.Open)
}

func wallState(state string) (string, tone) {
	switch state {
	case "enforced":
		return tr("Enforced"), toneGood
	case "partial":
		return tr("Partly"), toneWarn
	}
	return tr("Not here"), toneRisk
}
