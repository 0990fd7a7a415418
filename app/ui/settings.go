package ui

import (
	"fyne.io/fyne/v2"

	"paddock/app/control"
)

// settings is the window with the look, what this machine can enforce, and what runs here.
type settings struct {
	*frame
	require *fyne.Container // how much must hold around an app
	machine *fyne.Container
	about   *fyne.Container
}

func (ws *Windows) newSettings(key string) {
	f := ws.newFrame(key, tr("Settings"), fyne.NewSize(560, 640))
	s := &settings{frame: f, about: vbox(0), require: vbox(0), machine: vbox(0, centre(mutedText(tr("Looking at this computer…"))))}
	f.screen, f.escape = s, f.close
	looks := []string{LookSystem, LookLight, LookDark}
	sel := 0
	for i, l := range looks {
		if l == ws.look() {
			sel = i
		}
	}
	look := newSegmented(tr("Look"), sel, func(i int) { ws.setLook(looks[i]) }, tr("Like the system"), tr("Light"), tr("Dark"))
	f.page = newPage(pad(atMost(640, vbox(0, f.banner,
		pad(newParagraph(24, 32, run{text: tr("Settings"), face: faceSemi, col: colText}), 0, 0, 14, 0),
		section(tr("Look"), card(pad(look, 14, 14, 14, 14))),
		s.require, s.machine, s.about)), 22, 24, 26, 24))
	f.present(f.page)
	call(f, control.MethodDoctor, nil, func(d control.Doctor, err error) {
		if err != nil {
			s.machine.Objects = nil
			s.fail(err)
			return
		}
		s.draw(d)
	})
	call(f, control.MethodSettings, nil, func(all []control.Setting, err error) {
		if err != nil {
			s.fail(err)
			return
		}
		s.drawRequired(all)
	})
	call(f, control.MethodGreet, control.Greet{Protocol: control.Protocol, Client: "paddock-window"}, func(g control.Greeting, err error) {
		if err == nil {
			s.about.Add(mutedText(tr("{{.Name}} {{.Version}}. Everything these windows do, the command line does too: paddock --help.", "Name", g.Name, "Version", g.Version)))
			s.relayout()
		}
	})
}

func (s *settings) draw(d control.Doctor) {
	runtime, t, icon := tr("The Deno runtime is the one Paddock came with."), toneGood, "check"
	switch d.Deno.State {
	case "altered":
		runtime, t, icon = tr("The Deno runtime is not the one Paddock came with."), toneWarn, "warning"
	case "missing":
		runtime, t, icon = tr("The Deno runtime is missing: no app can start."), toneRisk, "warning"
	}
	detail := tr("Version {{.Version}}", "Version", d.Deno.Version)
	if d.Deno.Why != "" {
		detail = d.Deno.Why
	}
	s.machine.Objects = []fyne.CanvasObject{
		section(tr("What this computer can enforce"), wallsCard(d.Walls)),
		section(tr("Runtime"), strip(icon, t, runtime, detail)),
		section(tr("Places"), factCard([]fact{
			{tr("Tray icon"), trayText(d.Tray)},
			{tr("Front door"), doorText(d.Gateway)},
			{tr("Everything is kept in"), homely(d.Home, s.ws.o.Home)},
		})),
	}
	if !d.Gateway.Peers {
		s.machine.Add(pad(strip("warning", toneWarn, tr("Other users of this computer cannot be told apart"),
			tr("Whoever has the link to an app can open it. The browser gets it in a file that only you can read.")), 0, 0, 12, 0))
	}
	for _, can := range d.Gateway.PagesCan {
		s.machine.Add(pad(strip("info", toneCalm, tr("What a page can still do"), tr(can)), 0, 0, 12, 0))
	}
	for _, r := range d.Resolve {
		s.machine.Add(pad(strip("warning", toneWarn, tr("A name is led elsewhere"), r), 0, 0, 12, 0))
	}
	s.relayout()
}

// wallsRequired is the agent's setting of how much must hold around an app for it to start.
const wallsRequired = "walls.require"

func (s *settings) drawRequired(all []control.Setting) {
	words := map[string][2]string{
		"full":    {tr("Fully fenced in"), tr("An app starts only where no way around the fences is known.")},
		"partial": {tr("Both fences"), tr("An app starts where both fences stand. What stays open is named on its page.")},
		"basic": {tr("Basic fence only"), tr("An app starts with the inner fence alone. It is still held to your answers, but one flaw in " +
			"what runs it is then enough to get out.")},
	}
	for _, setting := range all {
		if setting.Key != wallsRequired {
			continue
		}
		var names []string
		selected := 0
		for i, choice := range setting.Choices {
			names = append(names, words[choice][0])
			if choice == setting.Value {
				selected = i
			}
		}
		meaning := mutedText(words[setting.Value][1])
		choice := newSegmented(tr("How much must hold for an app to start"), selected, func(i int) {
			value := setting.Choices[i]
			meaning.setText(words[value][1])
			s.tell(control.MethodSetSetting, control.SetSetting{Key: wallsRequired, Value: value}, nil)
			s.relayout()
		}, names...)
		s.require.Objects = []fyne.CanvasObject{
			section(tr("How much must hold for an app to start"), card(pad(vbox(10, choice, meaning), 14, 14, 14, 14))),
		}
	}
	s.relayout()
}

func trayText(t control.TrayState) string {
	switch {
	case t.State == "running":
		return tr("There")
	case t.Why != "":
		return t.Why
	case t.State == "starting":
		return tr("Starting…")
	}
	return tr("Not there")
}

func doorText(g control.DoctorGateway) string {
	if g.Why != "" {
		return g.Address + " · " + g.Why
	}
	return g.Address
}
