//go:build cgo && linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paddock/app/control"
)

// display starts an X server without a screen and returns its name.
func display(t *testing.T) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	x := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1280x900x24", "-nolisten", "tcp", "-noreset")
	x.ExtraFiles = []*os.File{w}
	if err := x.Start(); err != nil {
		t.Fatalf("Xvfb, which this test needs (packaging/setup installs it): %v", err)
	}
	w.Close()
	t.Cleanup(func() { _ = x.Process.Signal(os.Interrupt); _ = x.Wait() })
	name, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb named no display: %v", err)
	}
	return ":" + strings.TrimSpace(name)
}

// envProgram makes the test binary paddock-window: it has the whole program in it, and linking that once more would
// cost more than all these tests.
const envProgram = "PADDOCK_WINDOW_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(envProgram) != "" {
		main() // on the main thread, as in the program
	}
	os.Exit(m.Run())
}

type session struct {
	t       *testing.T
	agent   *agent
	display string
	proc    *exec.Cmd
	ended   chan error
}

func start(t *testing.T) *session {
	t.Helper()
	s := &session{t: t, agent: newAgent(t), display: display(t), ended: make(chan error, 1)}
	home := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.proc = exec.Command(exe)
	// Software rendering: Xvfb has no graphics card.
	s.proc.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LANG=en_US.UTF-8", "DISPLAY=" + s.display, "LIBGL_ALWAYS_SOFTWARE=1", envControl + "=" + s.agent.socket, envProgram + "=1"}
	s.proc.Stderr = os.Stderr
	if err := s.proc.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.proc.Wait() }()
	t.Cleanup(func() { _ = s.proc.Process.Kill() })
	return s
}

func (s *session) run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), "DISPLAY="+s.display)
	out, err := c.Output()
	return strings.TrimSpace(string(out)), err
}

// until polls with a deadline.
func (s *session) until(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(60 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case err := <-s.ended:
			s.ended <- err
			s.t.Fatalf("paddock-window ended (%v) while waiting for: %s", err, what)
		case <-deadline:
			s.t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// window waits for a window by its title and gives it the keyboard; without a window manager nobody else does.
func (s *session) window(title string) (id string) {
	s.t.Helper()
	s.until("window "+title, func() bool {
		out, err := s.run("xdotool", "search", "--onlyvisible", "--name", title)
		id = out
		return err == nil && out != "" && !strings.Contains(out, "\n")
	})
	if _, err := s.run("xdotool", "windowfocus", "--sync", id); err != nil {
		s.t.Fatal(err)
	}
	return id
}

func (s *session) keys(names ...string) {
	s.t.Helper()
	if _, err := s.run("xdotool", append([]string{"key", "--delay", "40"}, names...)...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) exit() {
	s.t.Helper()
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Errorf("paddock-window: %v", err)
		}
	case <-time.After(30 * time.Second):
		s.t.Fatal("paddock-window does not end")
	}
}

// colours counts the colours of a screenshot.
func (s *session) colours(name string) int {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), name)
	if dir := os.Getenv("PADDOCK_SHOTS"); dir != "" {
		file = filepath.Join(dir, name)
	}
	if _, err := s.run("import", "-window", "root", file); err != nil {
		s.t.Fatalf("import, which this test needs (imagemagick): %v", err)
	}
	f, err := os.Open(file)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	im, err := png.Decode(f)
	if err != nil && err != io.EOF {
		s.t.Fatal(err)
	}
	seen := map[string]bool{}
	for y := im.Bounds().Min.Y; y < im.Bounds().Max.Y; y += 3 {
		for x := im.Bounds().Min.X; x < im.Bounds().Max.X; x += 3 {
			seen[fmt.Sprint(im.At(x, y))] = true
		}
	}
	return len(seen)
}

func question() control.Prompt {
	return control.Prompt{
		Prompt: "p1", App: "com.example.notes", Name: "Notes", Author: "Ada", Publisher: control.Publisher{Key: "k", Trust: "new"}, Origin: "apps.example", Bytes: 4096,
		Budget: control.Budget{MemoryBytes: 256 << 20, CPUPercent: 50, DiskBytes: 1 << 30},
		Caps:   control.Budget{MemoryBytes: 4 << 30, CPUPercent: 200, DiskBytes: 50 << 30},
		Rows: []control.PermissionRow{
			{Permission: "net:a.example", Kind: "net", Sentence: "Send and receive data with %s", Scope: "a.example", Risk: "normal", Enforced: true, Decision: "ask", Reason: "Because."},
			{Permission: "net:b.example", Kind: "net", Sentence: "Send and receive data with %s", Scope: "b.example", Risk: "normal", Enforced: true, Decision: "ask", Reason: "Because."},
		},
	}
}

// TestPromptByKeyboard answers a question in a real window on a real X server, with keys only.
func TestPromptByKeyboard(t *testing.T) {
	s := start(t)
	s.agent.answers[control.MethodPrompt] = question()
	s.agent.answers[control.MethodPreview] = []string{"--allow-net=a.example:443"}
	s.agent.show <- control.Show{Window: control.WindowPrompt, Prompt: "p1"}
	s.window("Permissions for Notes")
	asked := time.Now()
	s.until("a picture", func() bool { return s.colours("window-prompt.png") > 60 })

	// Focus order: switch, how long, switch, how long, limits, details. The first switch goes off.
	s.keys("Tab", "space", "Tab", "Tab", "Tab", "Tab", "space")
	var preview control.Preview
	s.until("the details", func() bool { return s.agent.last(t, control.MethodPreview, &preview) == 1 })
	if preview.Rows[0].Allow || !preview.Rows[1].Allow {
		t.Fatalf("after the first switch: %+v", preview.Rows)
	}
	s.until("the buttons", func() bool { return time.Since(asked) > time.Second })
	s.keys("Return") // closes the details; allows nothing
	s.keys("Tab", "Tab", "Return")
	var answer control.Answer
	if s.agent.last(t, control.MethodAnswer, &answer) != 0 {
		t.Fatalf("Enter answered: %+v", answer)
	}
	// A second Show for the same question must not open a second window.
	s.agent.show <- control.Show{Window: control.WindowPrompt, Prompt: "p1"}
	s.window("Permissions for Notes")
	s.until("the answer", func() bool {
		s.keys("space") // ignored until half a second after the window came to the front again
		return s.agent.last(t, control.MethodAnswer, &answer) > 0
	})
	if answer.Cancel || answer.Prompt != "p1" || len(answer.Rows) != 2 || answer.Rows[0].Allow || !answer.Rows[1].Allow || answer.Rows[1].Session {
		t.Errorf("%+v", answer)
	}
	s.exit() // the last window is closed, and none comes
}

// TestEscapeAndAgentEnd: Escape cancels a question; the program ends with its agent.
func TestEscapeAndAgentEnd(t *testing.T) {
	s := start(t)
	s.agent.answers[control.MethodPrompt] = question()
	s.agent.show <- control.Show{Window: control.WindowLibrary, Why: "There is no tray here."}
	s.until("the library", func() bool { return s.colours("window-library.png") > 40 })
	s.agent.show <- control.Show{Window: control.WindowPrompt, Prompt: "p1"}
	s.window("Permissions for Notes")
	s.keys("Escape")
	var answer control.Answer
	s.until("the answer", func() bool { return s.agent.last(t, control.MethodAnswer, &answer) == 1 })
	if !answer.Cancel || len(answer.Rows) != 0 {
		t.Errorf("%+v", answer)
	}
	s.window("^Paddock$") // still there
	_ = s.agent.srv.Close()
	s.exit()
}
