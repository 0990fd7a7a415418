package main

import (
	"fmt"
	"strings"
)

// wording is every text of the tray in one language.
type wording struct {
	AllApps, Activity, Settings, Quit, QuitAsk, KeepRunning string
	Open, Stop, Details, Dismiss                            string
	Starting, Frozen, OverBudget, Failed, NoApps            string
	More                                                    string    // %d apps that have no line
	Questions, StopAndQuit, Running                         [2]string // one, many (%d)
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

func (w wording) more(n int) string        { return fmt.Sprintf(w.More, n) }
func (w wording) questions(n int) string   { return count(w.Questions, n) }
func (w wording) stopAndQuit(n int) string { return count(w.StopAndQuit, n) }

func (w wording) tooltip(active int) string {
	if active == 0 {
		return "Paddock"
	}
	return count(w.Running, active)
}
