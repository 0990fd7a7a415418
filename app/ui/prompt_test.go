package ui

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"pgregory.net/rapid"

	"paddock/app/control"
)

func (r *rig) prompt(asked control.Prompt) *prompt {
	r.t.Helper()
	r.agent.reply(control.MethodPrompt, asked)
	r.ws.Show(control.Show{Window: control.WindowPrompt, Prompt: asked.Prompt})
	p := r.frame(control.WindowPrompt).screen.(*prompt)
	r.until("the prompt", func() bool { return p.allow != nil })
	return p
}

// ready passes the time in which the buttons do nothing.
func (r *rig) ready() { r.clock.advance(armDelay); r.settle() }

func (r *rig) answered() control.Answer {
	r.t.Helper()
	r.until("an answer", func() bool { return len(got[control.Answer](r.agent, control.MethodAnswer)) > 0 })
	all := got[control.Answer](r.agent, control.MethodAnswer)
	if len(all) != 1 {
		r.t.Fatalf("%d answers", len(all))
	}
	return all[0]
}

func manyRows(n int) []control.PermissionRow {
	var rows []control.PermissionRow
	for i := range n {
		h := fmt.Sprintf("h%02d.example", i)
		rows = append(rows, control.PermissionRow{Permission: "net:" + h, Kind: "net", Sentence: "Send and receive data with %s", Scope: h, Risk: "normal", Enforced: true, Decision: "ask"})
	}
	return rows
}

func TestPromptStartsSafe(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.prompt(samplePrompt())
	want := map[string]bool{"net:api.weather.gov": true} // ordinary; files without a path, risky and unenforceable rows start off
	for _, v := range p.rows {
		if v.toggle.on != want[v.row.Permission] {
			t.Errorf("%s starts %v", v.row.Permission, v.toggle.on)
		}
		if v.row.risk == riskHigh && !v.row.session {
			t.Errorf("%s is risky and starts as always", v.row.Permission)
		}
	}
	all := texts(p.frame)
	for _, s := range []string{
		"Allow Fieldnotes to use these?", "Northwind Software · new publisher", "from apps.northwind.example", "1.2\u00a0MB",
		"The author says: “Shows the forecast beside your notes.”", "The app says it cannot start without this", "High risk", "cannot be enforced here: this system cannot hide it",
		"Don’t allow anything", "Allow selected", "half of one processor core",
	} {
		if !strings.Contains(all, s) {
			t.Errorf("%q is missing in:\n%s", s, all)
		}
	}
	// ui.md 12: words that say nothing to the people this is for.
	for _, w := range []string{"sandbox", " port", "env", "FFI", "subprocess", "flag"} {
		if strings.Contains(strings.ToLower(all), strings.ToLower(w)) {
			t.Errorf("the prompt says %q", w)
		}
	}
	if !p.rows[4].toggle.disabled {
		t.Error("what cannot be enforced can be switched on")
	}
	if d, a := p.deny, p.allow; d.weight != a.weight || d.Size() != a.Size() {
		t.Errorf("the buttons weigh differently: %v %v", d.Size(), a.Size())
	}
}

func TestPromptIgnoresTheFirstHalfSecond(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.prompt(samplePrompt())
	test.Tap(p.allow)
	test.Tap(p.deny)
	p.allow.TypedKey(&fyne.KeyEvent{Name: fyne.KeySpace})
	r.clock.advance(armDelay - 1)
	r.settle()
	test.Tap(p.allow)
	r.settle()
	if n := len(got[control.Answer](r.agent, control.MethodAnswer)); n != 0 || p.answered {
		t.Fatalf("%d answers before %s", n, armDelay)
	}
	r.clock.advance(1)
	r.settle()
	test.Tap(p.allow)
	if a := r.answered(); a.Cancel || !a.Rows[0].Allow || a.Rows[0].Session {
		t.Fatalf("%+v", a)
	}
	r.until("the window closes", func() bool { return r.ws.Open() == 0 })
	if r.empty != 1 {
		t.Errorf("told %d times that no window is left", r.empty)
	}
}

func TestPromptRaisedAgainWaitsAgain(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.prompt(samplePrompt())
	r.ready()
	r.ws.Show(control.Show{Window: control.WindowPrompt, Prompt: "p1"})
	if r.ws.Open() != 1 {
		t.Fatalf("%d windows", r.ws.Open())
	}
	if !p.allow.disabled || !p.deny.disabled {
		t.Error("a prompt that came to the front can be answered at once")
	}
}

func TestEnterNeverAllows(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.prompt(samplePrompt())
	r.ready()
	c := p.win.Canvas()
	if c.Focused() != nil {
		t.Error("something has the focus at first")
	}
	for _, o := range []fyne.Focusable{nil, p.allow, p.deny} {
		c.Focus(o)
		for _, k := range []fyne.KeyName{fyne.KeyReturn, fyne.KeyEnter} {
			key(p.frame, k)
		}
	}
	r.settle()
	if p.answered {
		t.Fatal("Enter answered")
	}
	c.Focus(p.allow)
	key(p.frame, fyne.KeySpace)
	if a := r.answered(); a.Cancel {
		t.Fatalf("%+v", a)
	}
}

func TestPromptCancel(t *testing.T) {
	for name, end := range map[string]func(p *prompt){
		"Escape":           func(p *prompt) { key(p.frame, fyne.KeyEscape) },
		"Escape on switch": func(p *prompt) { p.win.Canvas().Focus(p.rows[0].toggle); key(p.frame, fyne.KeyEscape) },
		"closing":          func(p *prompt) { p.win.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, LookLight)
			r.fill()
			p := r.prompt(samplePrompt())
			r.ready()
			end(p)
			if a := r.answered(); !a.Cancel || len(a.Rows) != 0 || a.Prompt != "p1" {
				t.Fatalf("%+v", a)
			}
			if r.ws.Open() != 0 {
				t.Error("the window is still there")
			}
		})
	}
}

func TestDenyAll(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	asked := samplePrompt()
	asked.Rows[0].Required = false
	p := r.prompt(asked)
	r.ready()
	test.Tap(p.deny)
	a := r.answered()
	if a.Cancel || len(a.Rows) != len(asked.Rows) {
		t.Fatalf("%+v", a)
	}
	for _, row := range a.Rows {
		if row.Allow || row.Path != "" {
			t.Errorf("%+v", row)
		}
	}
}

func TestRequiredRefused(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.prompt(samplePrompt())
	r.ready()
	p.rows[0].toggle.set(false)
	test.Tap(p.allow)
	if len(p.sheets) != 1 || !strings.Contains(texts(p.frame), "Fieldnotes may not work") {
		t.Fatalf("no question:\n%s", texts(p.frame))
	}
	if f, ok := p.win.Canvas().Focused().(*button); !ok || f.name != "Back" {
		t.Errorf("the focus is on %v", p.win.Canvas().Focused())
	}
	key(p.frame, fyne.KeyEscape) // closes the sheet, not the prompt
	if len(p.sheets) != 0 || p.answered {
		t.Fatal("Escape did more than close the sheet")
	}
	test.Tap(p.allow)
	test.Tap(buttonNamed(t, p.frame, "Start anyway"))
	if a := r.answered(); !a.Insist || a.Rows[0].Allow || a.Cancel {
		t.Fatalf("%+v", a)
	}
}

func TestFoldedRows(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	asked := samplePrompt()
	asked.Rows = manyRows(10)
	asked.Rows[9].Required = true
	p := r.prompt(asked)
	r.ready()
	if p.rows[0].row.Permission != "net:h09.example" {
		t.Error("a required row is folded away")
	}
	shown := func() (n int) {
		walk(p.frame, func(o fyne.CanvasObject) {
			if _, ok := o.(*toggle); ok {
				n++
			}
		})
		return n
	}
	if shown() != promptRows || !strings.Contains(texts(p.frame), "and 3 more, all off") {
		t.Fatalf("%d rows shown", shown())
	}
	test.Tap(p.more)
	if shown() != 10 {
		t.Fatalf("%d rows after unfolding", shown())
	}
	if p.win.Canvas().Focused() != fyne.Focusable(p.rows[promptRows].toggle) {
		t.Error("the focus is not on the first unfolded row")
	}
	test.Tap(p.allow)
	allowed := 0
	for _, a := range r.answered().Rows {
		if a.Allow {
			allowed++
		}
	}
	if allowed != promptRows {
		t.Errorf("%d rows allowed; nobody switched the folded ones on", allowed)
	}
}

func TestFileRowNeedsAPath(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.prompt(samplePrompt())
	r.ready()
	v := p.rows[1]
	r.pick = func() (string, error) { return "", nil } // given up
	test.Tap(v.toggle)
	if v.toggle.on || v.row.allow {
		t.Fatal("on without a path")
	}
	if len(r.picks) != 1 || !r.picks[0].Folder {
		t.Fatalf("picker: %+v", r.picks)
	}
	r.pick = func() (string, error) { return "/home/ada/a,/etc", nil }
	test.Tap(v.pick)
	if v.row.allow || !strings.Contains(texts(p.frame), "comma") {
		t.Fatalf("a path with a comma:\n%s", texts(p.frame))
	}
	r.pick = func() (string, error) { return "/home/ada", nil }
	test.Tap(v.pick)
	if !v.row.allow || v.row.risk != riskHigh || !v.row.session {
		t.Fatalf("the home folder: %+v", v.row)
	}
	r.pick = func() (string, error) { return "/home/ada/Documents/Notes", nil }
	test.Tap(v.pick)
	if !v.toggle.on || !strings.Contains(texts(p.frame), "~/Documents/Notes") || strings.Contains(texts(p.frame), "whole home folder") {
		t.Fatalf("%+v\n%s", v.row, texts(p.frame))
	}
	test.Tap(p.allow)
	if a := r.answered(); !a.Rows[1].Allow || a.Rows[1].Path != "/home/ada/Documents/Notes" {
		t.Fatalf("%+v", a.Rows[1])
	}
}

func TestBudgetField(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.prompt(samplePrompt())
	r.ready()
	p.budget.edit.toggle()
	mem := p.budget.fields[0]
	mem.entry.SetText("99999999")
	test.Tap(p.allow)
	if !mem.bad || p.answered || !strings.Contains(texts(p.frame), "not a number in its range") {
		t.Fatal("a limit above the cap was taken")
	}
	mem.entry.SetText("512")
	p.budget.fields[2].entry.SetText("2,5")
	if !strings.Contains(texts(p.frame), "Up to 512\u00a0MB of memory") {
		t.Error(texts(p.frame))
	}
	test.Tap(p.allow)
	if a := r.answered(); a.Budget.MemoryBytes != 512<<20 || a.Budget.DiskBytes != 5<<29 || a.Budget.CPUPercent != 50 {
		t.Fatalf("%+v", a.Budget)
	}
}

func TestTechnicalDetailsFollowTheSwitches(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.prompt(samplePrompt())
	if n := len(got[control.Preview](r.agent, control.MethodPreview)); n != 0 {
		t.Fatalf("%d previews while closed", n)
	}
	test.Tap(p.details.head)
	r.until("the flags", func() bool { return strings.Contains(texts(p.frame), "--allow-net=api.weather.gov:443") })
	p.rows[0].toggle.set(false)
	r.until("another preview", func() bool {
		all := got[control.Preview](r.agent, control.MethodPreview)
		return len(all) == 2 && all[0].Rows[0].Allow && !all[1].Rows[0].Allow
	})
}

func TestPromptAnsweredElsewhere(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	r.prompt(samplePrompt())
	r.state(control.State{Seq: 100, Prompts: []string{"p1"}})
	r.state(control.State{Seq: 101})
	r.until("the window closes", func() bool { return r.ws.Open() == 0 })
	if n := len(got[control.Answer](r.agent, control.MethodAnswer)); n != 0 {
		t.Errorf("%d answers to a question that is over", n)
	}
}

func TestPromptErrorStays(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	r.agent.refuse(control.MethodAnswer, control.NewError(control.ExitRefused, "x", "The folder is gone.", "Choose it again.", nil))
	p := r.prompt(samplePrompt())
	r.ready()
	test.Tap(p.allow)
	r.until("the error", func() bool { return strings.Contains(texts(p.frame), "The folder is gone.") })
	if p.answered || p.allow.disabled {
		t.Error("cannot be answered again")
	}
}

func TestPromptFocusOrder(t *testing.T) {
	r := newRig(t, LookLight)
	r.fill()
	p := r.prompt(samplePrompt())
	r.ready()
	c := p.win.Canvas()
	var order []string
	for range 10 {
		test.FocusNext(c)
		switch o := c.Focused().(type) {
		case *toggle:
			order = append(order, "switch "+o.name)
		case *segmented:
			order = append(order, "lifetime")
		case *button:
			order = append(order, o.name)
		case *tap:
			order = append(order, o.name)
		}
		if y, ok := offsetOf(p.page.held, c.Focused().(fyne.CanvasObject)); ok {
			at := p.page.scroll.Offset.Y
			if y < at || y+c.Focused().(fyne.CanvasObject).Size().Height > at+p.page.scroll.Size().Height {
				t.Errorf("%v has the focus and lies outside the window", order)
			}
		}
	}
	want := []string{
		"switch Send and receive data with api.weather.gov", "lifetime",
		"switch Read and change files in a folder you choose", "Choose a folder…",
		"switch Use the camera", "switch Keep working when no page is open",
		"Change the limits", "Technical details", "Don’t allow anything", "Allow selected",
	}
	if !slices.Equal(order, want) {
		t.Errorf("focus order\n got %q\nwant %q", order, want)
	}
}

// Whatever was asked and however it was answered: the answer names exactly the rows that were asked, allows no row
// that cannot be enforced and no file row without a path, and refusing everything allows nothing.
func TestAnswersAreASubset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var asked control.Prompt
		for i := range rapid.IntRange(0, 14).Draw(t, "rows") {
			kind := rapid.SampledFrom([]string{"net", "files", "background"}).Draw(t, "kind")
			asked.Rows = append(asked.Rows, control.PermissionRow{
				Permission: fmt.Sprintf("%s:%d", kind, i), Kind: kind, Risk: rapid.SampledFrom([]string{"low", "normal", "high"}).Draw(t, "risk"),
				Enforced: rapid.Bool().Draw(t, "enforced"), Required: rapid.Bool().Draw(t, "required"), Access: "read",
				Decision: rapid.SampledFrom([]string{"ask", "deny", "allow"}).Draw(t, "decision"),
			})
		}
		m := newPromptModel(asked, "/home/ada")
		for i, r := range m.rows {
			if r.allow && (r.risk == riskHigh || !r.Enforced || r.needsPath() || i >= promptRows || r.Decision == "deny") {
				t.Fatalf("%+v starts on", r)
			}
		}
		for _, r := range m.rows {
			switch rapid.IntRange(0, 3).Draw(t, "hand") {
			case 0:
				r.allow = true
			case 1:
				r.allow = false
			case 2:
				if r.needsPath() {
					_ = m.pick(r, rapid.SampledFrom([]string{"/tmp/x", "/home/ada", "/a,b", "relative"}).Draw(t, "path"))
				}
			}
		}
		names := func(rows []control.RowAnswer) (out []string) {
			for _, a := range rows {
				out = append(out, a.Permission)
			}
			slices.Sort(out)
			return out
		}
		var want []string
		for _, r := range asked.Rows {
			want = append(want, r.Permission)
		}
		slices.Sort(want)
		for i, a := range m.answers(true) {
			r := m.rows[i]
			if a.Allow && (!r.Enforced || !r.allow || r.needsPath() && a.Path == "") {
				t.Fatalf("%+v for %+v", a, r)
			}
			if strings.Contains(a.Path, ",") || a.Path != "" && a.Path[0] != '/' {
				t.Fatalf("path %q", a.Path)
			}
		}
		for _, a := range m.answers(false) {
			if a.Allow {
				t.Fatalf("%+v", a)
			}
		}
		if !slices.Equal(names(m.answers(true)), want) || !slices.Equal(names(m.answers(false)), want) {
			t.Fatalf("asked %v, answered %v", want, names(m.answers(true)))
		}
	})
}
