package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// request is what a page asks for.
type request struct {
	method string // GET when empty
	path   string
	body   io.Reader
	header map[string]string
	ctx    context.Context
}

// answered is an answer whose body was read to its end, unless it was opened as a stream.
type answered struct {
	*http.Response
	body []byte
}

// do sends a request as a page of the app would: with the marks of a browser, following no redirect, and
// taking the body as it comes.
func (v *visitor) do(r request) answered {
	v.t.Helper()
	resp := v.begin(r)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	return answered{resp, body}
}

// begin is do for an answer that is read piece by piece.
func (v *visitor) begin(r request) *http.Response {
	v.t.Helper()
	resp, err := v.send(r)
	if err != nil {
		v.t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	return resp
}

func (v *visitor) send(r request) (*http.Response, error) {
	if r.ctx == nil {
		r.ctx = context.Background()
	}
	if r.method == "" {
		r.method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(r.ctx, r.method, v.origin+r.path, r.body)
	if err != nil {
		return nil, err
	}
	// Named so that the client does not ask for gzip and hide it.
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Sec-Fetch-Mode", "cors")
	req.Header.Set("Sec-Fetch-Dest", "empty")
	if r.method != http.MethodGet && r.method != http.MethodHead {
		req.Header.Set("Origin", v.origin)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	plain := *v.http
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return plain.Do(req)
}

// renew spends another one-use link in the same browser: the app's own cookies are still there.
func (v *visitor) renew(o opened) {
	v.t.Helper()
	resp, err := v.http.Get(o.AppURL)
	if err != nil {
		v.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		v.t.Fatalf("the one-use link answers %s", resp.Status)
	}
}

func kill(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is gone", deadline, func() bool { return !alive(pid) })
}

func sameJSON(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		t.Errorf("%s: %v in %q", what, err, got)
		return
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(g, w) {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// askPages asks for the ordinary things: pages, JSON, redirects, cookies, compression, errors.
func askPages(t *testing.T, v *visitor, s server) {
	t.Helper()
	hello := s.folder + " says hello"
	got := v.do(request{path: "/"})
	if got.StatusCode != 200 || string(got.body) != hello || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/") {
		t.Errorf("GET: %s %v %q", got.Status, got.Header, got.body)
	}
	head := v.do(request{method: "HEAD", path: "/"})
	length := strconv.Itoa(len(hello))
	if s.headZero {
		length = "0"
	}
	switch {
	case s.noHead:
		if head.StatusCode != 404 || len(head.body) != 0 {
			t.Errorf("HEAD: %s %q", head.Status, head.body)
		}
	case head.StatusCode != 200 || len(head.body) != 0 || head.Header.Get("Content-Type") != got.Header.Get("Content-Type"):
		t.Errorf("HEAD: %s %v %q", head.Status, head.Header, head.body)
	case head.Header.Get("Content-Length") != "" && head.Header.Get("Content-Length") != length:
		t.Errorf("HEAD says %s bytes, want %s", head.Header.Get("Content-Length"), length)
	}

	post := v.do(request{
		method: "POST", path: "/json", body: strings.NewReader(`{"text":"Grüße 🙂","list":[1,null,{"deep":true}]}`),
		header: map[string]string{"Content-Type": "application/json"},
	})
	if post.StatusCode != 200 || !strings.HasPrefix(post.Header.Get("Content-Type"), "application/json") {
		t.Errorf("POST: %s %v", post.Status, post.Header)
	}
	sameJSON(t, "POST", post.body, `{"received":{"text":"Grüße 🙂","list":[1,null,{"deep":true}]}}`)

	if missing := v.do(request{path: "/nothing/here?x=%2F"}); missing.StatusCode != 404 || len(missing.body) == 0 {
		t.Errorf("404: %s %q", missing.Status, missing.body)
	}
	if failed := v.do(request{path: "/fail"}); failed.StatusCode != 500 {
		t.Errorf("a handler that throws: %s %q", failed.Status, failed.body)
	}

	for _, path := range []string{"/redirect", "/redirect/absolute"} {
		r := v.do(request{path: path})
		if to, err := url.Parse(r.Header.Get("Location")); r.StatusCode != 302 || err != nil || to.Path != "/landed" {
			t.Errorf("%s: %s to %q", path, r.Status, r.Header.Get("Location"))
		}
		if code, _, body := v.get(path); code != 200 || body != "landed" {
			t.Errorf("%s leads to %d %q", path, code, body)
		}
	}

	v.expect("/login", "welcome")
	for range 2 { // the cookies stay, and the host's own is never among them
		sameJSON(t, "cookies", v.do(request{path: "/whoami"}).body, `{"who":"anna","theme":"dark"}`)
	}

	large := strings.Repeat("all work and no play\n", 10_000)
	if whole := v.do(request{path: "/large"}); string(whole.body) != large || whole.Header.Get("Content-Encoding") != "" {
		t.Errorf("uncompressed: %d bytes, %v", len(whole.body), whole.Header)
	}
	packed := v.do(request{path: "/large", header: map[string]string{"Accept-Encoding": "gzip"}})
	if packed.Header.Get("Content-Encoding") != "gzip" || len(packed.body) > len(large)/10 {
		t.Errorf("compressed: %d bytes, %v", len(packed.body), packed.Header)
	} else if z, err := gzip.NewReader(bytes.NewReader(packed.body)); err != nil {
		t.Errorf("compressed: %v", err)
	} else if text, err := io.ReadAll(z); err != nil || string(text) != large {
		t.Errorf("compressed: %d bytes when unpacked, %v", len(text), err)
	}
	if vary := strings.ToLower(strings.Join(packed.Header.Values("Vary"), ",")); !strings.Contains(vary, "accept-encoding") {
		t.Errorf("compressed without Vary: %q", vary)
	}
}

// askStream insists that the first piece of an answer arrives before the second is written.
func askStream(t *testing.T, v *visitor) {
	t.Helper()
	resp := v.begin(request{path: "/stream"})
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	if first, err := lines.ReadString('\n'); err != nil || first != "first\n" {
		t.Fatalf("the stream begins with %q, %v", first, err)
	}
	if r := v.do(request{method: "POST", path: "/release"}); r.StatusCode != 204 {
		t.Errorf("POST without a body: %s %q", r.Status, r.body)
	}
	if rest, err := io.ReadAll(lines); err != nil || string(rest) != "second\n" {
		t.Errorf("the stream goes on with %q, %v", rest, err)
	}
}

// waiting asks a server how many requests wait in it and how many of them it saw end.
func waiting(v *visitor) (n struct{ Waiting, Gone int }) {
	v.t.Helper()
	if err := json.Unmarshal(v.do(request{path: "/counts"}).body, &n); err != nil {
		v.t.Fatal(err)
	}
	return n
}

// askCancel leaves, before an answer and in the middle of one, and insists that the server hears of it.
func askCancel(t *testing.T, v *visitor) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		resp, err := v.send(request{path: "/hang", ctx: ctx})
		if err == nil {
			_ = resp.Body.Close()
		}
		failed <- err
	}()
	eventually(t, "the request is there", deadline, func() bool { return waiting(v).Waiting == 1 })
	cancel()
	if err := <-failed; err == nil {
		t.Error("an answer to a request that never gets one")
	}
	eventually(t, "the server hears that the client left before the answer", deadline, func() bool { return waiting(v).Gone == 1 })

	resp := v.begin(request{path: "/hang?begin=1"})
	if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || line != "begun\n" {
		t.Fatalf("the answer begins with %q, %v", line, err)
	}
	_ = resp.Body.Close()
	eventually(t, "the server hears that the client left during the answer", deadline, func() bool { return waiting(v).Gone == 2 })
}

// askFile downloads a large file, whole and in parts, and asks for it a second time.
func askFile(t *testing.T, v *visitor, s server) {
	t.Helper()
	want := noise(bigFile)
	whole := v.do(request{path: s.static})
	if whole.StatusCode != 200 || sha(whole.body) != sha(want) {
		t.Fatalf("%s: %s, %d bytes, %v", s.static, whole.Status, len(whole.body), whole.Header)
	}
	if tag := whole.Header.Get("Etag"); tag != "" {
		if again := v.do(request{path: s.static, header: map[string]string{"If-None-Match": tag}}); again.StatusCode != 304 || len(again.body) != 0 {
			t.Errorf("asked again with its tag: %s, %d bytes", again.Status, len(again.body))
		}
	}
	if !s.ranges {
		return
	}
	parts := map[string][]byte{"bytes=1048576-2097151": want[1<<20 : 2<<20]}
	if !s.oneRange {
		parts["bytes=0-0"], parts["bytes=-100"] = want[:1], want[bigFile-100:]
	}
	for spec, part := range parts {
		r := v.do(request{path: s.static, header: map[string]string{"Range": spec}})
		if r.StatusCode != 206 || !bytes.Equal(r.body, part) || !strings.HasSuffix(r.Header.Get("Content-Range"), "/"+strconv.Itoa(bigFile)) {
			t.Errorf("%s: %s, %d bytes, %q", spec, r.Status, len(r.body), r.Header.Get("Content-Range"))
		}
	}
	if r := v.do(request{path: s.static, header: map[string]string{"Range": "bytes=99999999-"}}); r.StatusCode != 416 {
		t.Errorf("a range behind the end: %s", r.Status)
	}
}
