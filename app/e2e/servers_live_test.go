package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
)

// uploaded is a form as a browser sends it: a field, then a file of 10 MB.
func uploaded(t *testing.T) (form io.Reader, contentType, hash string) {
	t.Helper()
	file := noise(10_000_000)
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if err := w.WriteField("note", "zwei\r\nZeilen"); err != nil {
		t.Fatal(err)
	}
	part, err := w.CreateFormFile("file", "big file.bin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write(file); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b, w.FormDataContentType(), sha(file)
}

// askUpload sends the form, once with its length and once in chunks, and compares what arrived.
func askUpload(t *testing.T, v *visitor, _ *agent) {
	t.Helper()
	for _, chunked := range []bool{false, true} {
		form, kind, hash := uploaded(t)
		if chunked {
			form = io.MultiReader(form) // of unknown length
		}
		r := v.do(request{method: "POST", path: "/upload", body: form, header: map[string]string{"Content-Type": kind}})
		if r.StatusCode != 200 {
			t.Fatalf("upload: %s %.300q", r.Status, r.body)
		}
		sameJSON(t, "upload", r.body, `{"name":"big file.bin","note":"zwei\r\nZeilen","size":10000000,"sha256":"`+hash+`"}`)
	}
}

func askBusboy(t *testing.T, v *visitor, _ *agent) {
	t.Helper()
	form, kind, hash := uploaded(t)
	r := v.do(request{method: "POST", path: "/", body: form, header: map[string]string{"Content-Type": kind}})
	if r.StatusCode != 200 {
		t.Fatalf("upload: %s %.300q", r.Status, r.body)
	}
	sameJSON(t, "upload", r.body, `{"fields":{"note":"zwei\r\nZeilen"},
		"files":[{"name":"big file.bin","type":"application/octet-stream","size":10000000,"sha256":"`+hash+`"}]}`)
	if r := v.do(request{method: "POST", path: "/", body: strings.NewReader("--x\r\nbroken"), header: map[string]string{"Content-Type": "multipart/form-data; boundary=x"}}); r.StatusCode != 400 {
		t.Errorf("a broken form: %s %q", r.Status, r.body)
	}
}

// socket opens a WebSocket as a page of origin would. It answers with what the front door or the app said.
func (v *visitor) socket(a *agent, path, origin string, cookies bool, set func(*ws.Dialer)) (*socket, ws.Handshake, error) {
	u, err := url.Parse(v.origin)
	if err != nil {
		v.t.Fatal(err)
	}
	header := http.Header{"Origin": {origin}}
	if cookies {
		for _, c := range v.http.Jar.Cookies(u) {
			header.Add("Cookie", c.Name+"="+c.Value)
		}
	}
	d := ws.Dialer{
		Header:  ws.HandshakeHeaderHTTP(header),
		Timeout: deadline,
		NetDial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, a.gateway)
		},
	}
	if set != nil {
		set(&d)
	}
	conn, early, hs, err := d.Dial(v.t.Context(), "ws://"+u.Host+path)
	if err != nil {
		return nil, hs, err
	}
	v.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(deadline))
	var r io.Reader = conn
	if early != nil { // frames that came with the answer
		r = early
	}
	return &socket{v.t, conn, r}, hs, nil
}

// socket is an open WebSocket.
type socket struct {
	t testing.TB
	net.Conn
	in io.Reader
}

func (s *socket) Read(p []byte) (int, error) { return s.in.Read(p) }

func (s *socket) say(op ws.OpCode, message []byte) {
	s.t.Helper()
	if err := wsutil.WriteClientMessage(s, op, message); err != nil {
		s.t.Fatal(err)
	}
}

func (s *socket) hear() (string, ws.OpCode) {
	s.t.Helper()
	message, op, err := wsutil.ReadServerData(s)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(message), op
}

// frame reads one frame as it came.
func (s *socket) frame() ws.Frame {
	s.t.Helper()
	h, err := ws.ReadHeader(s)
	if err != nil {
		s.t.Fatal(err)
	}
	if h.Length > 1<<20 {
		s.t.Fatalf("a frame of %d bytes", h.Length)
	}
	f := ws.Frame{Header: h, Payload: make([]byte, h.Length)}
	if _, err := io.ReadFull(s, f.Payload); err != nil {
		s.t.Fatal(err)
	}
	return f
}

// askEcho talks to a server that sends back what it gets.
func (s *socket) askEcho() {
	s.t.Helper()
	for op, message := range map[ws.OpCode][]byte{ws.OpText: []byte("Grüße 🙂"), ws.OpBinary: noise(1 << 20)} {
		s.say(op, message)
		if got, kind := s.hear(); kind != op || got != string(message) {
			s.t.Errorf("echo of %d bytes: %d bytes, opcode %v", len(message), len(got), kind)
		}
	}
}

// leave says goodbye and waits for the other's.
func (s *socket) leave(code ws.StatusCode) {
	s.t.Helper()
	if err := ws.WriteFrame(s, ws.MaskFrameInPlace(ws.NewCloseFrame(ws.NewCloseFrameBody(code, "enough")))); err != nil {
		s.t.Fatal(err)
	}
	if f := s.frame(); f.Header.OpCode != ws.OpClose {
		s.t.Errorf("closing is answered by %v", f.Header)
	}
}

func askWS(t *testing.T, v *visitor, a *agent) {
	t.Helper()
	if _, _, err := v.socket(a, "/socket", "http://evil.example", true, nil); err == nil {
		t.Error("a page of another origin was let in")
	}
	if _, _, err := v.socket(a, "/socket", v.origin, false, nil); err == nil {
		t.Error("somebody without a session was let in")
	}
	if _, _, err := v.socket(a, "/elsewhere", v.origin, true, nil); err == nil {
		t.Error("the server has no socket at this address")
	}

	s, hs, err := v.socket(a, "/socket", v.origin, true, func(d *ws.Dialer) { d.Protocols = []string{"chat.v1", "chat.v2"} })
	if err != nil {
		t.Fatal(err)
	}
	if hs.Protocol != "chat.v2" {
		t.Errorf("protocol %q", hs.Protocol)
	}
	hello, _ := s.hear()
	sameJSON(t, "what the server saw", []byte(hello), `{"protocol":"chat.v2","origin":"`+v.origin+`","cookie":""}`)
	s.askEcho()
	s.leave(4001)

	// Compressed frames pass as they are.
	s, hs, err = v.socket(a, "/socket", v.origin, true, func(d *ws.Dialer) {
		d.Protocols = []string{"chat.v2"}
		d.Extensions = append(d.Extensions, wsflate.Parameters{ServerNoContextTakeover: true, ClientNoContextTakeover: true}.Option())
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(hs.Extensions) != 1 {
		t.Fatalf("extensions %v", hs.Extensions)
	}
	unpacked := func() (string, int) {
		t.Helper()
		f := s.frame()
		plain, err := wsflate.DecompressFrame(f)
		if err != nil {
			t.Fatal(err)
		}
		return string(plain.Payload), len(f.Payload)
	}
	unpacked()
	text := strings.Repeat("the same again ", 1000)
	s.say(ws.OpText, []byte(text))
	if got, sent := unpacked(); got != text || sent > len(text)/10 {
		t.Errorf("a compressed echo of %d bytes: %d bytes, %d when unpacked", len(text), sent, len(got))
	}
	_ = s.Close() // a tab that goes away says nothing

	eventually(t, "the server saw both ends", deadline, func() bool {
		var n struct {
			Open, Gone int
			Codes      []int
		}
		if err := json.Unmarshal(v.do(request{path: "/counts"}).body, &n); err != nil {
			t.Fatal(err)
		}
		return n.Open == 2 && n.Gone == 2 && n.Codes[0] == 4001
	})
}

// events reads an event stream line by line.
type events struct {
	t    testing.TB
	body io.ReadCloser
	in   *bufio.Scanner
}

func (v *visitor) events(path, last string) *events {
	v.t.Helper()
	header := map[string]string{"Accept": "text/event-stream", "Cache-Control": "no-cache"}
	if last != "" {
		header["Last-Event-ID"] = last
	}
	resp := v.begin(request{path: path, header: header})
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		v.t.Fatalf("%s: %s %v", path, resp.Status, resp.Header)
	}
	v.t.Cleanup(func() { _ = resp.Body.Close() })
	return &events{v.t, resp.Body, bufio.NewScanner(resp.Body)}
}

// next returns the fields of the next event; comments and retry times are passed over.
func (e *events) next() map[string]string {
	e.t.Helper()
	fields := map[string]string{}
	for e.in.Scan() {
		name, value, _ := strings.Cut(e.in.Text(), ":")
		switch name {
		case "id", "event", "data":
			fields[name] = strings.TrimPrefix(value, " ")
		case "":
			if fields["data"] != "" {
				return fields
			}
		}
	}
	e.t.Fatalf("the events end: %v", e.in.Err())
	return nil
}

func askBetterSSE(t *testing.T, v *visitor, _ *agent) {
	t.Helper()
	e := v.events("/events", "41")
	if first := e.next(); first["data"] != `"hello, last was 41"` || first["event"] != "hello" || first["id"] != "1" {
		t.Errorf("first event: %v", first)
	}
	other := v.events("/events", "")
	other.next()
	for i := range 20 {
		r := v.do(request{method: "POST", path: "/tick", body: strings.NewReader(fmt.Sprintf(`{"n":%d}`, i)), header: map[string]string{"Content-Type": "application/json"}})
		if r.StatusCode != 204 {
			t.Fatalf("tick: %s %q", r.Status, r.body)
		}
		for _, listener := range []*events{e, other} { // each event arrives before the next is made
			if got := listener.next(); got["data"] != fmt.Sprintf(`{"n":%d}`, i) || got["event"] != "tick" {
				t.Fatalf("event %d: %v", i, got)
			}
		}
	}
	_ = e.body.Close()
	eventually(t, "the server hears that a listener left", deadline, func() bool {
		return string(v.do(request{path: "/listeners"}).body) == "1"
	})
}

func askHono(t *testing.T, v *visitor, a *agent) {
	t.Helper()
	askUpload(t, v, a)

	s, _, err := v.socket(a, "/socket", v.origin, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.askEcho()
	left := waiting(v).Gone
	s.leave(1000)
	eventually(t, "the server hears that the socket closed", deadline, func() bool { return waiting(v).Gone == left+1 })

	e := v.events("/events", "7")
	if first := e.next(); first["data"] != "first" || first["id"] != "7" {
		t.Errorf("first event: %v", first)
	}
	v.do(request{method: "POST", path: "/release"})
	if second := e.next(); second["data"] != "second" {
		t.Errorf("second event: %v", second)
	}
}

// askSocketIO speaks Engine.IO 4 and Socket.IO 5 as the library's own client does: it begins with long
// polling, then changes over to a WebSocket (socket.io/docs/v4/engine-io-protocol).
func askSocketIO(t *testing.T, v *visitor, a *agent) {
	t.Helper()
	const at = "/socket.io/?EIO=4&transport="
	opening := v.do(request{path: at + "polling"})
	var session struct {
		SID      string
		Upgrades []string
	}
	if opening.StatusCode != 200 || len(opening.body) == 0 || opening.body[0] != '0' {
		t.Fatalf("opening: %s %q", opening.Status, opening.body)
	}
	if err := json.Unmarshal(opening.body[1:], &session); err != nil || len(session.Upgrades) != 1 {
		t.Fatalf("opening: %q, %v", opening.body, err)
	}
	poll := at + "polling&sid=" + session.SID
	post := func(packet string) {
		t.Helper()
		r := v.do(request{method: "POST", path: poll, body: strings.NewReader(packet), header: map[string]string{"Content-Type": "text/plain;charset=UTF-8"}})
		if r.StatusCode != 200 || string(r.body) != "ok" {
			t.Fatalf("post %s: %s %q", packet, r.Status, r.body)
		}
	}
	post("40")
	if r := v.do(request{path: poll}); !strings.HasPrefix(string(r.body), `40{"sid":`) {
		t.Fatalf("connecting: %s %q", r.Status, r.body)
	}
	post(`420["echo","by polling"]`)
	if r := v.do(request{path: poll}); string(r.body) != `430["by polling"]` {
		t.Errorf("echo by polling: %s %q", r.Status, r.body)
	}

	s, _, err := v.socket(a, at+"websocket&sid="+session.SID, v.origin, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		if got, _ := s.hear(); got != want {
			t.Fatalf("on the socket: %q, want %q", got, want)
		}
	}
	s.say(ws.OpText, []byte("2probe"))
	expect("3probe")
	s.say(ws.OpText, []byte("5"))
	s.say(ws.OpText, []byte(`421["echo",{"by":"socket"}]`))
	expect(`431[{"by":"socket"}]`)
	s.say(ws.OpText, []byte(`42["shout","hello"]`))
	expect(`42["heard","HELLO"]`)
}
