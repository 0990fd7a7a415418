package ui

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/lang"

	"paddock/app/control"
	"paddock/assets"
	"paddock/sandbox/permission"
)

// saidHere collects every text that the package hands to the translator.
func saidHere(t *testing.T) (plain, plural map[string]string) {
	t.Helper()
	plain, plural = map[string]string{}, map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			f, ok := call.Fun.(*ast.Ident)
			lit, isLit := call.Args[0].(*ast.BasicLit)
			if ok && isLit && (f.Name == "tr" || f.Name == "trn") {
				s, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				if f.Name == "tr" {
					plain[s] = name
				} else {
					plural[s] = name
				}
			}
			return true
		})
	}
	return plain, plural
}

func dictionary(t *testing.T, language string) map[string]any {
	t.Helper()
	raw, err := assets.Translations.ReadFile("translations/" + language + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

var holes = regexp.MustCompile(`\{\{\.[A-Za-z]+\}\}|%s`)

func TestTranslationsAreComplete(t *testing.T) {
	plain, plural := saidHere(t)
	if len(plain) < 150 || len(plural) < 5 {
		t.Fatalf("found only %d and %d texts", len(plain), len(plural))
	}
	// The host's sentences about permissions are made elsewhere and translated here.
	for _, text := range append(allPermissions(t), "net:*", "net:*.x.example", "lan", "background", "notifications", "links") {
		p, err := permission.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []permission.Request{{Permission: p, Access: permission.Read}, {Permission: p, Access: permission.ReadWrite, Folder: true}, {Permission: p, Access: permission.ReadWrite}, {Permission: p, Access: permission.Read, Folder: true}} {
			format, scope := permission.Sentence(q)
			plain[format] = "permission"
			if scope != "" && (p.Kind != permission.Net || p.Scope == "*") {
				plain[scope] = "permission"
			}
		}
	}
	// Labels of the notices' actions come from the agent.
	for _, s := range []string{"Restart", "Raise the limit and restart", "Keep stopped", "Show log", "Show", "Dismiss", "Review", "Not now"} {
		plain[s] = "agent"
	}
	// So do the names of walls, and what pages can do; the agent's tests hold it to these.
	for _, s := range []string{
		"Deno permissions", "other files (own view)", "files (Landlock)", "system calls (seccomp)", "privileges", "memory (kernel limit)",
		"processor time and disk space", "local programs", "network", "start of an idle app",
		"A page can still send data out by WebRTC and by connecting ahead to a name, whatever you refuse here.",
		"A link in a page goes where it says when you yourself open it in a new tab or window.",
	} {
		plain[s] = "agent"
	}
	for _, path := range []string{"/home/ada", "/", "/home/ada/.ssh", "/etc", "/home/ada/src"} {
		if _, why := permission.RiskOfPath(path, "/home/ada", permission.ReadWrite); why != "" {
			plain[why] = "permission"
		}
	}
	for _, language := range []string{"en", "de"} {
		words := dictionary(t, language)
		for s, where := range plain {
			v, ok := words[s].(string)
			if !ok || v == "" {
				t.Errorf("%s: %q (%s) is not translated", language, s, where)
				continue
			}
			if a, b := holes.FindAllString(s, -1), holes.FindAllString(v, -1); !sameWords(a, b) {
				t.Errorf("%s: %q → %q: %v became %v", language, s, v, a, b)
			}
		}
		for s, where := range plural {
			forms, ok := words[s].(map[string]any)
			if !ok || forms["one"] == "" || forms["other"] == "" || forms["one"] == nil || forms["other"] == nil {
				t.Errorf("%s: %q (%s) lacks forms", language, s, where)
			}
		}
	}
}

func sameWords(a, b []string) bool {
	count := map[string]int{}
	for _, x := range a {
		count[x]++
	}
	for _, x := range b {
		count[x]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// allPermissions reads the names that are known out of the hints for unknown ones.
func allPermissions(t *testing.T) (out []string) {
	t.Helper()
	for _, kind := range []string{"sys", "browser"} {
		_, err := permission.Parse(kind + ":no-such-thing")
		_, list, ok := strings.Cut(fmt.Sprint(err), "Known are ")
		if !ok {
			t.Fatalf("%v", err)
		}
		list = strings.TrimRight(strings.TrimSpace(list), ".")
		for name := range strings.SplitSeq(list, ", ") {
			out = append(out, kind+":"+name)
		}
	}
	return append(out, "files:notes", "net:a.example")
}

func TestGerman(t *testing.T) {
	if err := speak("de_DE.UTF-8"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = speak("en_US.UTF-8") }()
	r := newRig(t, LookLight)
	r.fill()
	p := r.prompt(samplePrompt())
	all := texts(p.frame)
	for _, s := range []string{"Darf Fieldnotes das benutzen?", "Daten austauschen mit api.weather.gov", "Hohes Risiko", "1,2\u00a0MB", "Nichts erlauben", "Benutzen: die Kamera"} {
		if !strings.Contains(all, s) {
			t.Errorf("%q fehlt in\n%s", s, all)
		}
	}
	for schedule, want := range map[string]string{
		"0 7 * * *": "täglich um 07:00", "30 7 * * 1-5": "von Montag bis Freitag um 07:30", "0 9 * * 0,3": "um 09:00: Mittwoch, Sonntag",
		"0 */2 * * *": "alle 2 Stunden", "0 * * * *": "jede Stunde", "*/30 * * * *": "alle 30 Minuten", "0 9-17 * * *": "höchstens jede Stunde", "0 7 29 2 *": "höchstens jeden Tag", "x": "as it says",
	} {
		if got := scheduleText(schedule, "as it says"); got != want {
			t.Errorf("%s: %q, want %q", schedule, got, want)
		}
	}
	breach := &control.Breach{Budget: "memory", Limit: 256 << 20, Measured: 271 << 20}
	for _, row := range []struct {
		notice      control.Notice
		title, text string
	}{
		{control.Notice{Code: control.NoticeOverBudget, Facts: control.NoticeFacts{Name: "Sky", Breach: breach}}, "Sky wurde gestoppt", breachText(breach)},
		{control.Notice{Code: control.NoticeOverBudget, Facts: control.NoticeFacts{Name: "Sky", Breach: breach, DiskFull: true}}, "Sky wurde gestoppt", "Die Festplatte ist fast voll, und sie hat weiter geschrieben. Schaff Platz, bevor du sie wieder startest."},
		{control.Notice{Code: control.NoticeAppFailed, Facts: control.NoticeFacts{Name: "Sky", ExitCode: 9}}, "Sky wurde unerwartet beendet", "Sie hat sich selbst beendet (Code 9)."},
		{control.Notice{Code: control.NoticeAppFailed, Facts: control.NoticeFacts{Name: "Sky", ExitCode: -1, Signal: "SIGKILL"}}, "Sky wurde unerwartet beendet", "Sie hat sich selbst beendet (Signal SIGKILL)."},
		{control.Notice{Code: control.NoticePermissionNeeded, Facts: control.NoticeFacts{Name: "{{.N}}", Permission: "net:a.example"}}, "{{.N}} bittet um eine Berechtigung", "Sie möchte net:a.example benutzen."},
		{control.Notice{Code: control.NoticeInstalled, Facts: control.NoticeFacts{Name: "Sky", Version: "1.2"}}, "Sky ist installiert", "Version 1.2. Sie hat keine Rechte, die du ihr nicht gegeben hast."},
		{control.Notice{Code: control.NoticeRestored, Facts: control.NoticeFacts{Name: "Sky", Version: "1.2"}}, "Sky ist wiederhergestellt", "Version 1.2. Sie hat keine Rechte, die du ihr nicht gegeben hast."},
		{control.Notice{Code: "of a later version", Title: "A title", Text: "A text", Facts: control.NoticeFacts{Name: "Sky"}}, "A title", "A text"},
		{control.Notice{Code: control.NoticeInstalled, Title: "A title", Text: "A text"}, "A title", "A text"},
	} {
		if title, text := noticeText(row.notice); title != row.title || text != row.text {
			t.Errorf("%s: %q, %q", row.notice.Code, title, text)
		}
	}
	if got := trn("{{.N}} apps", 1) + trn("{{.N}} apps", 3); got != "1 App3 Apps" {
		t.Errorf("plural: %q", got)
	}
}

// stretch makes a text 60 % longer and strange, leaving what is filled in alone.
func stretch(s string) string {
	accents := strings.NewReplacer("a", "à", "e", "ë", "i", "ï", "o", "ø", "u", "ü", "A", "Å", "E", "Ë", "O", "Ö", "U", "Ü")
	var b strings.Builder
	last := 0
	for _, at := range holes.FindAllStringIndex(s, -1) {
		b.WriteString(accents.Replace(s[last:at[0]]))
		b.WriteString(s[at[0]:at[1]])
		last = at[1]
	}
	b.WriteString(accents.Replace(s[last:]))
	n := int(math.Ceil(float64(len([]rune(holes.ReplaceAllString(s, "")))) * 0.6))
	filler := []rune("lörem ïpsum dölor sit ämet cönsectetur ädipiscing ëlit ")
	b.WriteByte(' ')
	for i := range n {
		b.WriteRune(filler[i%len(filler)])
	}
	return "[" + strings.TrimSpace(b.String()) + "]"
}

// TestPseudoLocale draws every window with all texts 60 % longer: nothing may leave the window or lie on
// something else.
func TestPseudoLocale(t *testing.T) {
	long := map[string]any{}
	for k, v := range dictionary(t, "en") {
		switch v := v.(type) {
		case string:
			long[k] = stretch(v)
		case map[string]any:
			long[k] = map[string]any{"one": stretch(v["one"].(string)), "other": stretch(v["other"].(string))}
		}
	}
	raw, err := json.Marshal(long)
	if err != nil {
		t.Fatal(err)
	}
	os.Setenv("LANG", "eo") // any language that has no translation of its own
	if err := lang.AddTranslationsForLocale(raw, fyne.Locale("eo")); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = speak("en_US.UTF-8") }()
	r := newRig(t, LookLight)
	r.fill()
	r.agent.reply(control.MethodStage, sampleStaged())
	r.agent.reply(control.MethodIcon, sampleIcon)

	p := r.prompt(samplePrompt())
	if !strings.HasPrefix(p.allow.name, "[Åll") {
		t.Fatalf("not stretched: %q", p.allow.name)
	}
	r.pick = func() (string, error) {
		return "/home/ada/Documents/A rather long name of a folder/and another inside it/Notes", nil
	}
	for _, v := range p.rows {
		if v.row.Enforced {
			v.toggle.set(true)
		}
	}
	p.budget.edit.toggle()
	r.within(p.frame, "prompt")
	r.shot(p.frame, "prompt-long")
	test := func(kind, name string, show control.Show, ready func(f *frame) bool) *frame {
		r.ws.Show(show)
		f := r.frame(kind)
		r.until(name, func() bool { return ready(f) })
		r.settle()
		f.relayout()
		r.within(f, name)
		r.shot(f, name+"-long")
		return f
	}
	test(control.WindowLibrary, "library", control.Show{Window: control.WindowLibrary, Why: "x"}, func(f *frame) bool { return len(f.screen.(*library).tiles) == 6 })
	test(control.WindowReview, "review", control.Show{Window: control.WindowReview, Source: "/tmp/a.paddock"}, func(f *frame) bool { return f.screen.(*review).waiting })
	f := test(control.WindowApp, "app", control.Show{Window: control.WindowApp, App: "com.example.fieldnotes"}, func(f *frame) bool { return f.screen.(*appPage).known })
	for i := range 5 {
		if i == tabLog {
			continue
		}
		f.screen.(*appPage).tabs.set(i)
		r.until("a tab", func() bool { return len(r.queue) == 0 && !strings.Contains(texts(f), "[Önë mømënt") })
		r.within(f, fmt.Sprint("tab ", i))
	}
	test(control.WindowSettings, "settings", control.Show{Window: control.WindowSettings}, func(f *frame) bool { return strings.Contains(texts(f), "Landlock") })
	test(control.WindowActivity, "activity", control.Show{Window: control.WindowActivity}, func(f *frame) bool { return strings.Contains(texts(f), "tracker.example") })
}

// within checks that no text or control leaves its window sideways, that no text is higher than its place, and that
// controls do not lie on each other.
func (r *rig) within(f *frame, name string) {
	r.t.Helper()
	type box struct {
		what       string
		x, y, w, h float32
	}
	var boxes []box
	var down func(o fyne.CanvasObject, x, y float32)
	width := f.win.Canvas().Size().Width
	down = func(o fyne.CanvasObject, x, y float32) {
		if !o.Visible() {
			return
		}
		x, y = x+o.Position().X, y+o.Position().Y
		z := o.Size()
		what := ""
		switch o := o.(type) {
		case *paragraph:
			what = o.String()
			if need := o.heightFor(z.Width); need > z.Height+0.5 {
				r.t.Errorf("%s: %q needs %.0f and has %.0f", name, what, need, z.Height)
			}
		case *button:
			what = o.name
		case *segmented:
			what = o.name
		case *toggle:
			what = o.name
		case *field:
			what = o.name
		}
		if what != "" {
			if x < -0.5 || x+z.Width > width+0.5 {
				r.t.Errorf("%s: %q lies at %.0f to %.0f in a window of %.0f", name, what, x, x+z.Width, width)
			}
			if _, isText := o.(*paragraph); !isText {
				boxes = append(boxes, box{what, x, y, z.Width, z.Height})
			}
		}
		switch o := o.(type) {
		case *fyne.Container:
			for _, c := range o.Objects {
				down(c, x, y)
			}
		case *page:
			down(o.held, x, y)
		case *tap:
			down(o.content, x, y)
		case *button:
			down(o.label, x, y)
		}
	}
	down(f.win.Content(), 0, 0)
	for i, a := range boxes {
		for _, b := range boxes[i+1:] {
			if a.x+1 < b.x+b.w && b.x+1 < a.x+a.w && a.y+1 < b.y+b.h && b.y+1 < a.y+a.h {
				// The foot lies over the scrolled part of a page by design; they do not share a place on screen.
				if f.page != nil && (a.y+a.h > f.page.Size().Height || b.y+b.h > f.page.Size().Height) {
					continue
				}
				r.t.Errorf("%s: %q lies on %q", name, a.what, b.what)
			}
		}
	}
	if len(boxes) == 0 {
		r.t.Errorf("%s: no controls", name)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"Notes":                     "Notes",
		"  a \n\t b\u00a0 c ":       "a b c",
		"a\u202egpj.exe":            "agpj.exe",
		"p\u200baypal\u2066x\u2069": "paypalx",
		"\x1b[31mred\x07":           "[31mred",
		"bad\xff":                   "bad",
		"":                          "",
		"Жизнь 日本 é":                "Жизнь 日本 é",
	} {
		if got := clean(in, 100); got != want {
			t.Errorf("%q → %q, want %q", in, got, want)
		}
	}
	if got := clean(strings.Repeat("x", 100), 10); got != strings.Repeat("x", 10)+"…" {
		t.Errorf("%q", got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\u202eb\x00 \n", 5)
	f.Add("", 0)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = min(max(n, 0), 1000)
		got := clean(s, n)
		if len([]rune(got)) > n+1 || strings.ContainsAny(got, "\n\r\t\x00\u202e\u2066\u200b") {
			t.Fatalf("%q", got)
		}
	})
}

func TestUntrustedTextIsNoTemplate(t *testing.T) {
	if got := tr("Allow {{.Name}} to use these?", "Name", "{{.X}}<b>&"); got != "Allow {{.X}}<b>& to use these?" {
		t.Errorf("%q", got)
	}
	row := control.PermissionRow{Kind: "net", Permission: "net:x", Sentence: "Send and receive data with %s", Scope: "{{.Evil}}%s", Enforced: true}
	if got := newParagraph(14, 20, sentenceRuns(row)...).String(); got != "Send and receive data with {{.Evil}}%s" {
		t.Errorf("%q", got)
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		bytesText(0): "0\u00a0B", bytesText(999): "999\u00a0B", bytesText(256 << 20): "256\u00a0MB", bytesText(1 << 30): "1\u00a0GB", bytesText(3 << 29): "1.5\u00a0GB", bytesText(-5): "0\u00a0B",
		coresText(50): "half of one processor core", coresText(100): "one processor core", coresText(150): "1.5 processor cores", coresText(30): "30\u00a0% of one processor core",
		leftText(control.Progress{Bytes: 0, Total: 120 << 20, BytesPerS: 1 << 20}):                                             "2 min 0 s left",
		leftText(control.Progress{Total: -1, BytesPerS: 5}):                                                                    "",
		endText(control.Run{Reason: "over_budget", Breach: &control.Breach{Budget: "cpu", Limit: 3, Measured: 3.4}}):           "Ended: used 3.4 seconds of processor time above its share, 3 were allowed",
		endText(control.Run{Reason: "over_budget", Breach: &control.Breach{Budget: "processes", Limit: 1024, Measured: 1100}}): "Ended: ran 1100 threads at once, 1024 were allowed",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestContrast: WCAG 2.1 AA, 4.5:1 for text, computed with every surface that lies behind.
func TestContrast(t *testing.T) {
	for name, p := range map[string]map[fyne.ThemeColorName]color.Color{"light": lightColors, "dark": darkColors} {
		over := func(top, below fyne.ThemeColorName) color.NRGBA {
			a, b := p[top].(color.NRGBA), color.NRGBAModel.Convert(p[below]).(color.NRGBA)
			f := float64(a.A) / 255
			m := func(x, y uint8) uint8 { return uint8(float64(x)*f + float64(y)*(1-f)) }
			return color.NRGBA{m(a.R, b.R), m(a.G, b.G), m(a.B, b.B), 255}
		}
		for _, c := range []struct{ text, on, below fyne.ThemeColorName }{
			{colText, colCanvas, colCanvas},
			{colText, colCard, colCard},
			{colMuted, colCanvas, colCanvas},
			{colMuted, colCard, colCard},
			{colMuted, colQuiet, colCanvas},
			{colOnAccent, colAccent, colCard},
			{colRisk, colRiskBg, colCard},
			{colWarn, colWarnBg, colCard},
			{colWarn, colCard, colCard},
			{colGood, colGoodBg, colCard},
			{colText, colRiskBg, colCanvas},
			{colMuted, colWarnBg, colCanvas},
			{colMuted, colRiskBg, colCanvas},
			{colMuted, colCalmBg, colCanvas},
			{colCalm, colWarnBg, colCanvas},
			{colCalm, colCalmBg, colCanvas},
			{colCalm, colCard, colCard},
			{colText, colSegment, colCard},
		} {
			least := 4.5
			if c.text == colOnAccent || c.text == colCalm {
				least = 3.5 // semibold labels of buttons
			}
			if got := contrast(p[c.text], over(c.on, c.below)); got < least {
				t.Errorf("%s: %s on %s over %s: %.2f", name, c.text, c.on, c.below, got)
			}
		}
	}
}

func contrast(a, b color.Color) float64 {
	lum := func(c color.Color) float64 {
		n := color.NRGBAModel.Convert(c).(color.NRGBA)
		f := func(v uint8) float64 {
			x := float64(v) / 255
			if x <= 0.03928 {
				return x / 12.92
			}
			return math.Pow((x+0.055)/1.055, 2.4)
		}
		return 0.2126*f(n.R) + 0.7152*f(n.G) + 0.0722*f(n.B)
	}
	x, y := lum(a), lum(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestHostileIcons(t *testing.T) {
	newRig(t, LookLight)
	for name, i := range map[string]control.Icon{
		"empty": {MIME: "image/png"}, "no png": {MIME: "image/png", Data: []byte("GIF89a")}, "no svg": {MIME: "image/svg+xml", Data: []byte("<svg")},
		"strange": {MIME: "text/html", Data: []byte("<b>")}, "huge": {MIME: "image/png", Data: hugePNG()},
	} {
		if safePicture(i, 40) != nil {
			t.Errorf("%s is drawn", name)
		}
		if appPicture(i, "", 40) == nil {
			t.Errorf("%s: nothing instead", name)
		}
	}
	if safePicture(sampleIcon, 40) == nil {
		t.Error("a good icon is not drawn")
	}
}

// hugePNG claims 60,000 × 60,000 pixels in its header.
func hugePNG() []byte {
	return []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\xea\x60\x00\x00\xea\x60\x08\x06\x00\x00\x00\x5c\x1c\x3f\x6c")
}
