package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paddock/app/bundle"
)

type announced struct {
	Ready bool              `json:"ready"`
	URL   string            `json:"url"`
	Apps  map[string]string `json:"apps"`
}

// serve runs the program's core until the test ends and returns what it announced.
func serve(t *testing.T, keys string) announced {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, keys, w) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	line := make(chan string, 1)
	go func() {
		s, _ := bufio.NewReader(r).ReadString('\n')
		line <- s
	}()
	select {
	case s := <-line:
		var a announced
		if err := json.Unmarshal([]byte(s), &a); err != nil || !a.Ready {
			t.Fatalf("announced %q: %v", s, err)
		}
		return a
	case err := <-done:
		done <- err
		t.Fatalf("ended before it was ready: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("not ready after a minute")
	}
	return announced{}
}

func fetch(t *testing.T, url string) (status int, body []byte) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

func TestServesSignedExamples(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	first, second := serve(t, keys), serve(t, keys)
	for _, name := range []string{"notes", "feeds"} {
		var sums [2]string
		for i, a := range []announced{first, second} {
			url := a.Apps[name]
			if !strings.HasPrefix(url, a.URL) || !strings.HasPrefix(url, "http://127.0.0.1:") {
				t.Fatalf("%s is at %q, below %q", name, url, a.URL)
			}
			status, body := fetch(t, url)
			if status != http.StatusOK {
				t.Fatalf("%s: status %d", url, status)
			}
			file := filepath.Join(t.TempDir(), name+".paddock")
			if err := os.WriteFile(file, body, 0o600); err != nil {
				t.Fatal(err)
			}
			v, err := bundle.Verify(file)
			if err != nil || !v.OK || v.ID != "org.paddock."+name {
				t.Fatalf("%s: %+v, %v", name, v, err)
			}
			sums[i] = v.PublicKey + " " + v.SHA256
		}
		if sums[0] != sums[1] {
			t.Errorf("%s: two runs differ in key or content: %v", name, sums)
		}
	}
	if status, _ := fetch(t, first.URL+"src/notes/main.ts"); status != http.StatusNotFound {
		t.Errorf("the sources are served too: status %d", status)
	}
	if info, err := os.Stat(filepath.Join(keys, "examples.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret key: %v, %v", info, err)
	}
}

func TestTakesAnotherKey(t *testing.T) {
	dir := t.TempDir()
	secret, _, _, err := bundle.Keygen("")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "release.key")
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PADDOCK_EXAMPLE_KEY", file)
	got, err := signingKey(filepath.Join(dir, "keys"))
	if err != nil || string(got.secret) != string(secret) {
		t.Errorf("got another key: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "keys")); err == nil {
		t.Error("a key was made that nobody asked for")
	}
	t.Setenv("PADDOCK_EXAMPLE_KEY", filepath.Join(dir, "none"))
	if _, err := signingKey(dir); err == nil || !strings.Contains(err.Error(), "PADDOCK_EXAMPLE_KEY") {
		t.Errorf("a missing key file: %v", err)
	}
}

// The program must not outlive whoever started it: it ends when its standard input does.
func TestEndsWithItsInput(t *testing.T) {
	program := filepath.Join(t.TempDir(), "serve")
	if out, err := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), program, "-keys", t.TempDir())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || !strings.Contains(line, `"ready":true`) {
		t.Fatalf("announced %q, %v", line, err)
	}
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after its input was closed: %v", err)
	}
}
