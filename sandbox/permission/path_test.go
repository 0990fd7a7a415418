package permission_test

import (
	"errors"
	"strings"
	"testing"

	"paddock/sandbox/permission"
)

func TestCheckSlotPath(t *testing.T) {
	forbidden := []string{"/home/ann/.local/share/paddock", "/home/ann/.mozilla/"}
	for path, rule := range map[string]string{ // empty rule: accepted
		"/home/ann/notes":                     "",
		"/home/ann/Bücher & mehr; $HOME":      "",
		"/home/ann/.local/share/paddocks":     "",
		"/home/ann/.local/share/x/../y":       "",
		"":                                    "no file or folder",
		"notes":                               "not an absolute path",
		"./notes":                             "not an absolute path",
		"~/notes":                             "not an absolute path",
		"/home/ann/a,b":                       "comma",
		"/home/ann/a,/etc":                    "comma",
		"/home/ann/a\nb":                      "control character",
		"/home/ann/a\x00b":                    "control character",
		"/home/ann/a\u0085b":                  "control character",
		"/home/ann/a\x7f":                     "control character",
		"/home/ann/\xff":                      "UTF-8",
		"/":                                   "contains",
		"/home":                               "contains",
		"/home/ann":                           "contains",
		"/home/ann/":                          "contains",
		"/home/ann/.local/share/paddock":      "lies in",
		"/home/ann/.local/share/paddock/":     "lies in",
		"/home/ann/.local/share/paddock/apps": "lies in",
		"/home/ann/.mozilla":                  "lies in",
		"/home/ann/x/../.mozilla/firefox":     "lies in",
		"/home/ann/.local/share/../share":     "contains",
		"//home/ann/.mozilla/./firefox":       "lies in",
	} {
		err := permission.CheckSlotPath(path, forbidden)
		if rule == "" {
			if err != nil {
				t.Errorf("%q: %v", path, err)
			}
			continue
		}
		var se *permission.ScopeError
		if !errors.As(err, &se) || !strings.Contains(se.Rule, rule) || se.Hint == "" {
			t.Errorf("%q: %v, want a rule with %q and a hint", path, err, rule)
		}
	}
	if err := permission.CheckSlotPath("/", []string{"/"}); err == nil {
		t.Error("a forbidden root was accepted")
	}
	if err := permission.CheckSlotPath("/etc", []string{"/"}); err == nil {
		t.Error("a path inside a forbidden root was accepted")
	}
}

func TestRiskOfPath(t *testing.T) {
	const home = "/home/ann"
	for _, c := range []struct {
		path   string
		access permission.Access
		want   permission.Risk
	}{
		{"/home/ann/Pictures", permission.ReadWrite, permission.Normal},
		{"/media/stick/photos", permission.ReadWrite, permission.Normal},
		{"/home/ann", permission.Read, permission.High},
		{"/home/ann/", permission.Read, permission.High},
		{"/home", permission.Read, permission.High},
		{"/", permission.Read, permission.High},
		{"/home/annabel", permission.Read, permission.Normal},
		{"/home/ann/.ssh", permission.Read, permission.High},
		{"/home/ann/.config/x", permission.Read, permission.High},
		{"/etc/passwd", permission.Read, permission.High},
		{"/usr/share/doc", permission.Read, permission.High},
		{"/home/ann/src/tool", permission.Read, permission.Normal},
		{"/home/ann/src/tool", permission.ReadWrite, permission.High},
		{"/home/ann/tool/.git", permission.ReadWrite, permission.High},
		{"/srv/repos/tool.git", permission.ReadWrite, permission.High},
	} {
		risk, why := permission.RiskOfPath(c.path, home, c.access)
		if risk != c.want || (risk == permission.High) != (why != "") {
			t.Errorf("%s %s: %s %q, want %s", c.path, c.access, risk, why, c.want)
		}
	}
	if risk, _ := permission.RiskOfPath("/srv/files", "", permission.Read); risk != permission.Normal {
		t.Errorf("without a home: %s", risk)
	}
	if risk, _ := permission.RiskOfPath("/root/notes", "/root", permission.Read); risk != permission.Normal {
		t.Errorf("root's own folder: %s", risk)
	}
}
