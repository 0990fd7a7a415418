package ui

import (
	"net/url"
	"strings"

	"paddock/app/control"
)

// get is the sheet that asks where an app shall come from.
func (l *library) get() {
	var s *sheet
	problem := smallText("", colRisk)
	problem.Hide()
	link := newField(tr("Link"), "https://…", 120, nil)
	start := func() {
		source := strings.TrimSpace(link.Text)
		if _, err := linkHost(source); err != nil {
			what, hint := sentence(err)
			problem.setText(what + " " + hint)
			problem.Show()
			s.relayout()
			return
		}
		s.close()
		l.ws.Show(control.Show{Window: control.WindowReview, Source: source})
	}
	link.OnSubmitted = func(string) { start() }
	file := newButton(tr("Choose a file…"), quiet, func() {
		l.ws.o.Pick(l.win, Pick{Types: []string{".paddock"}}, func(path string, err error) {
			switch {
			case err != nil:
				s.close()
				l.fail(err)
			case path != "":
				s.close()
				l.ws.Show(control.Show{Window: control.WindowReview, Source: path})
			}
		})
	}).marked("file")
	s = l.openSheet(vbox(0,
		headText(tr("Get an app")),
		pad(mutedText(tr("You see what it is and what it wants before anything is installed.")), 2, 0, 16, 0),
		smallText(tr("From a link"), colText),
		pad(hflex(8, 0, link, newButton(tr("Continue"), primed, start).compact()), 6, 0, 4, 0),
		problem,
		pad(smallText(tr("From a file on this computer"), colText), 12, 0, 6, 0),
		file,
		pad(mutedText(tr("You can also drop a .paddock file on the library.")), 10, 0, 16, 0),
		buttons(newButton(tr("Cancel"), plain, func() { s.close() })),
	), link)
}

// linkHost is the host that a link or address would be fetched from, as it is written on the network. Nothing is
// fetched before the user has confirmed it (security.md, rule 5).
func linkHost(source string) (string, error) {
	bad := func(what string) (string, error) {
		return "", control.NewError(control.ExitUsage, "link", what, tr("Links to apps start with https:// or paddock://install?url="), nil)
	}
	if source == "" {
		return bad(tr("There is no link yet."))
	}
	u, err := url.Parse(source)
	if err != nil {
		return bad(tr("This is not a link that Paddock understands."))
	}
	if u.Scheme == "paddock" {
		if u.Host != "install" || u.Query().Get("url") == "" {
			return bad(tr("This is not a link that Paddock understands."))
		}
		if u, err = url.Parse(u.Query().Get("url")); err != nil || u.Scheme != "https" {
			return bad(tr("This link does not lead to a secure address."))
		}
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return bad(tr("This is not a link that Paddock understands."))
	}
	if u.User != nil {
		return bad(tr("This link hides where it leads: it carries a user name."))
	}
	return hostText(u), nil
}
