package main

import (
	"fmt"
	"strings"

	"paddock/app/control"
)

// wording is every text of the tray in one language.
type wording struct {
	AllApps, Activity, Settings, Quit, QuitAsk, KeepRunning string
	Open, Stop, Details, Dismiss                            string
	Starting, Frozen, OverBudget, Failed, NoApps            string
	More                                                    string    // %d apps that have no line
	Questions, StopAndQuit, Running                         [2]string // one, many (%d)
	Stopped, Ended                                          string    // notices about an app, %s
	Restart, Raise, ShowLog                                 string    // what they offer
}

var english = wording{
	AllApps: "All apps…", Activity: "Activity", Settings: "Settings", Quit: "Quit Paddock", QuitAsk: "Quit Paddock…",
	KeepRunning: "Keep running",
	Open:        "Open", Stop: "Stop", Details: "Details and permissions…", Dismiss: "Dismiss",
	Starting: "starting", Frozen: "asleep", OverBudget: "over budget", Failed: "stopped unexpectedly",
	NoApps: "No app is running", More: "and %d more…",
	Questions:   [2]string{"A question is waiting…", "%d questions are waiting…"},
	StopAndQuit: [2]string{"1 app is running: stop it and quit", "%d apps are running: stop all and quit"},
	Running:     [2]string{"Paddock: 1 app is running", "Paddock: %d apps are running"},
	Stopped:     "%s was stopped", Ended: "%s ended unexpectedly",
	Restart: "Restart", Raise: "Raise the limit and restart", ShowLog: "Show log",
}

var german = wording{
	AllApps: "Alle Apps…", Activity: "Aktivität", Settings: "Einstellungen", Quit: "Paddock beenden", QuitAsk: "Paddock beenden…",
	KeepRunning: "Weiterlaufen lassen",
	Open:        "Öffnen", Stop: "Stoppen", Details: "Details und Berechtigungen…", Dismiss: "Verwerfen",
	Starting: "startet", Frozen: "schläft", OverBudget: "über dem Limit", Failed: "unerwartet beendet",
	NoApps: "Keine App läuft", More: "und %d weitere…",
	Questions:   [2]string{"Eine Frage wartet…", "%d Fragen warten…"},
	StopAndQuit: [2]string{"1 App läuft: stoppen und beenden", "%d Apps laufen: alle stoppen und beenden"},
	Running:     [2]string{"Paddock: 1 App läuft", "Paddock: %d Apps laufen"},
	Stopped:     "%s wurde gestoppt", Ended: "%s wurde unerwartet beendet",
	Restart: "Neu starten", Raise: "Grenze anheben und neu starten", ShowLog: "Protokoll zeigen",
}

// wordingFor picks the language of a locale such as "de_AT.UTF-8" or "de-CH"; English when unknown.
func wordingFor(locale string) wording {
	lang, _, _ := strings.Cut(strings.ReplaceAll(locale, "-", "_"), "_")
	lang, _, _ = strings.Cut(lang, ".")
	if strings.EqualFold(lang, "de") {
		return german
	}
	return english
}

func count(forms [2]string, n int) string {
	if n == 1 {
		return forms[0]
	}
	return fmt.Sprintf(forms[1], n)
}

// notice is the title of a notice in this language where it is known what it is about, else the agent's own.
func (w wording) notice(n control.Notice) string {
	name := plain(n.Facts.Name)
	switch {
	case name == "":
	case n.Code == control.NoticeOverBudget:
		return fmt.Sprintf(w.Stopped, name)
	case n.Code == control.NoticeAppFailed:
		return fmt.Sprintf(w.Ended, name)
	}
	if title := plain(n.Title); title != "" {
		return title
	}
	return plain(n.Text)
}

// choice is the label of what such a notice offers.
func (w wording) choice(n control.Notice, c control.NoticeChoice) string {
	if label := map[string]string{"restart": w.Restart, "raise": w.Raise, "open_app": w.ShowLog}[c.Action]; label != "" && n.Facts.Name != "" {
		return label
	}
	return plain(c.Label)
}

func (w wording) more(n int) string        { return fmt.Sprintf(w.More, n) }
func (w wording) questions(n int) string   { return count(w.Questions, n) }
func (w wording) stopAndQuit(n int) string { return count(w.StopAndQuit, n) }

func (w wording) tooltip(active int) string {
	if active == 0 {
		return "Paddock"
	}
	return count(w.Running, active)
}
