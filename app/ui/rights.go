package ui

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"paddock/app/control"
	"paddock/sandbox/permission"
)

// iconOf is the picture of a permission.
func iconOf(r control.PermissionRow) string {
	switch permission.Kind(r.Kind) {
	case permission.Net:
		return "globe"
	case permission.LAN:
		return "network"
	case permission.Files:
		if r.Folder {
			return "folder"
		}
		return "file"
	case permission.Sys:
		return "computer"
	case permission.Background:
		return "moon"
	case permission.Notifications:
		return "bell"
	case permission.Links:
		return "link"
	case permission.Browser:
		_, feature, _ := strings.Cut(r.Permission, ":")
		switch feature {
		case "camera":
			return "camera"
		case "microphone":
			return "mic"
		case "geolocation":
			return "pin"
		case "clipboard-read", "clipboard-write":
			return "copy"
		case "inline-script", "eval", "wasm":
			return "code"
		}
		return "window"
	}
	return "ask"
}

// toneOf is the colour of a risk.
func toneOf(risk string) tone {
	if risk == riskHigh {
		return toneRisk
	}
	return toneCalm
}

const riskHigh = "high"

// sentenceRuns is the host's sentence with the literal scope in bold, in the user's language. A network scope is
// a name out there and stays as it is; all other scopes are our own words.
func sentenceRuns(r control.PermissionRow) []run {
	format := tr(r.Sentence)
	scope := r.Scope
	switch {
	case r.Schedule != "":
		scope = scheduleText(r.Schedule, scope)
	case scope != "" && (permission.Kind(r.Kind) != permission.Net || r.Permission == "net:*"):
		scope = tr(scope)
	}
	before, after, found := strings.Cut(format, "%s")
	regular := func(s string) run { return run{text: s, face: faceMedium, col: colText} }
	if !found || scope == "" {
		return []run{regular(strings.TrimSpace(before + after))}
	}
	runs := []run{regular(before), {text: clean(scope, 300), face: faceSemi, col: colText}}
	if before == "" {
		runs = runs[1:]
	}
	if after != "" {
		runs = append(runs, regular(after))
	}
	return runs
}

// scheduleText says in the user's language when an app is woken; words are for a schedule that cannot be read.
func scheduleText(schedule, words string) string {
	s, err := permission.ParseSchedule(schedule)
	if err != nil {
		return words
	}
	r := s.Rhythm()
	clock := fmt.Sprintf("%02d:%02d", int(r.At.Hours()), int(r.At.Minutes())%60)
	switch {
	case len(r.Days) == 7:
		return tr("every day at {{.Clock}}", "Clock", clock)
	case r.Working:
		return tr("at {{.Clock}} from Monday to Friday", "Clock", clock)
	case len(r.Days) > 0:
		names := [...]string{tr("Sunday"), tr("Monday"), tr("Tuesday"), tr("Wednesday"), tr("Thursday"), tr("Friday"), tr("Saturday")}
		var days []string
		for _, day := range r.Days {
			days = append(days, names[day])
		}
		return tr("at {{.Clock}} on {{.Days}}", "Clock", clock, "Days", strings.Join(days, ", "))
	}
	every := trn("every {{.N}} minutes", int(r.Every.Minutes()))
	if n := int(r.Every.Hours()); r.Every%(24*time.Hour) == 0 {
		every = trn("every {{.N}} days", n/24)
	} else if r.Every%time.Hour == 0 {
		every = trn("every {{.N}} hours", n)
	}
	if r.AtMost {
		return tr("at most {{.Every}}", "Every", every)
	}
	return every
}

// reasonText is the author's claim, marked as such.
func reasonText(r control.PermissionRow) string {
	reason := clean(r.Reason, maxReason)
	if reason == "" {
		return tr("The author gives no reason.")
	}
	return tr("The author says: “{{.Reason}}”", "Reason", reason)
}

// trustMark is how a publisher is shown. Nobody vouches for a name: a key only tells that it is the same one.
func trustMark(p control.Publisher) (icon string, col fyne.ThemeColorName, text string) {
	switch p.Trust {
	case "known":
		return "badge", colAccent, tr("known publisher")
	case "new":
		return "person", colMuted, tr("new publisher")
	}
	return "warning", colWarn, tr("not signed")
}

// trustSentence explains the mark.
func trustSentence(p control.Publisher) string {
	switch p.Trust {
	case "known":
		return tr("Signed with the same key as the version you have.")
	case "new":
		return tr("You have nothing from this publisher yet. Updates will be accepted from the same key only.")
	}
	return tr("Nobody signed this. Anyone could have changed it on its way to you.")
}

// fingerprint of a public key, to be compared by people: 32 hex digits of its SHA-256 in groups of four. The key
// id inside a minisign key would be shorter, but whoever makes a key can choose it.
func fingerprint(key string) string {
	if key == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(key))
	h := strings.ToUpper(hex.EncodeToString(sum[:16]))
	var groups []string
	for i := 0; i < len(h); i += 4 {
		groups = append(groups, h[i:i+4])
	}
	return strings.Join(groups, " ")
}

// publisherLine is the author's name with the trust in the key.
func publisherLine(author string, p control.Publisher) fyne.CanvasObject {
	name, col, text := trustMark(p)
	runs := []run{{text: text, face: faceRegular, col: colMuted}}
	if a := clean(author, maxName); a != "" {
		runs = []run{{text: a, face: faceMedium, col: colMuted}, {text: " · " + text, face: faceRegular, col: colMuted}}
	}
	if p.Trust != "known" && p.Trust != "new" {
		runs[len(runs)-1].col = colWarn
	}
	return hflex(5, 1, newIcon(name, 15, col), newParagraph(12.5, 18, runs...))
}

// hostText is the host of an address in its network spelling (punycode), with a port that is not the usual one.
func hostText(u *url.URL) string {
	host, err := permission.CanonicalHost(u.Hostname())
	if err != nil {
		host = u.Hostname()
	}
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	if p := u.Port(); p != "" && !(u.Scheme == "https" && p == "443") {
		host += ":" + p
	}
	return clean(host, 300)
}
