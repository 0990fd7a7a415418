package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"paddock/app/control"
)

func TestWrongUse(t *testing.T) {
	for name, c := range map[string]struct {
		socket, display string
		args            []string
		code            int
		says            string
	}{
		"no socket":  {"", ":1", nil, exitUsage, "is started by Paddock"},
		"arguments":  {"/x", ":1", []string{"-v"}, exitUsage, "is started by Paddock"},
		"no display": {"/x", "", nil, exitNoDisplay, "no display"},
		"no agent":   {"/nonexistent/paddock.sock", ":1", nil, exitUnreachable, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(envControl, c.socket)
			t.Setenv("DISPLAY", c.display)
			t.Setenv("WAYLAND_DISPLAY", "")
			var out bytes.Buffer
			if code := run(c.args, &out); code != c.code || !strings.Contains(out.String(), c.says) {
				t.Errorf("exit %d: %s", code, &out)
			}
		})
	}
}

func TestOtherProtocol(t *testing.T) {
	a := newAgent(t)
	a.answers[control.MethodGreet] = control.Greeting{Version: "9.0", Protocol: control.Protocol + 1}
	t.Setenv(envControl, a.socket)
	t.Setenv("DISPLAY", ":1")
	var out bytes.Buffer
	if code := run(nil, &out); code != exitUnreachable || !strings.Contains(out.String(), "another installation") {
		t.Errorf("exit %d: %s", code, &out)
	}
}

func TestFollowEndsWithTheAgent(t *testing.T) {
	a := newAgent(t)
	client := control.NewClient(a.socket)
	defer client.Close()
	a.show <- control.Show{Window: control.WindowLibrary}
	seen := make(chan control.Show, 1)
	ended := make(chan error, 1)
	go func() { ended <- follow(context.Background(), client, func(s control.Show) { seen <- s }) }()
	if s := <-seen; s.Window != control.WindowLibrary {
		t.Errorf("%+v", s)
	}
	_ = a.srv.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
