package gateway

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestSilentStream: the deadline for an answer ends with its header; a stream may then be silent for longer.
func TestSilentStream(t *testing.T) {
	old := answerTimeout
	answerTimeout = 500 * time.Millisecond // in which a busy machine passes on a header
	defer func() { answerTimeout = old }()
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		<-time.After(answerTimeout + 100*time.Millisecond)
		_, _ = io.WriteString(w, "late")
	})))
	for _, request := range []string{r.lines("GET /"), r.lines("POST /", "Content-Length: 1") + "x"} {
		if res := r.raw(request); res.body != "late" {
			t.Errorf("%.8s: %q", request, res.body)
		}
	}
}

// TestBothWaysAtOnce: an app may answer each piece of a body as it comes.
func TestBothWaysAtOnce(t *testing.T) {
	r := newRig(t, serveApp(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		lines := bufio.NewReader(req.Body)
		for {
			text, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, strings.ToUpper(text))
			_ = control.Flush()
		}
	})))
	body, feed := io.Pipe()
	answers := make(chan *http.Response, 1)
	client := r.client(t)
	req := r.request(t, "POST", "/", body)
	go func() {
		res, err := client.Do(req)
		if err != nil {
			t.Error(err)
		}
		answers <- res
	}()
	var lines *bufio.Reader
	for _, word := range []string{"one\n", "two\n", "three\n"} {
		if _, err := io.WriteString(feed, word); err != nil {
			t.Fatal(err)
		}
		if lines == nil {
			res := <-answers
			if res == nil {
				return
			}
			defer res.Body.Close()
			lines = bufio.NewReader(res.Body)
		}
		if got, err := lines.ReadString('\n'); got != strings.ToUpper(word) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	_ = feed.Close()
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
		t.Errorf("end: %q %v", rest, err)
	}
}
