package sandbox

import (
	"context"
	"testing"
	"time"
)

// An app that closes its server when it is asked to end is gone at once, whichever kind of server it has.
func TestClosedServerEndsApp(t *testing.T) {
	sup := supervisorForTest(t, func(o *Options) {
		o.OnMessage = func(string, Message) Message { return Message{State: "prompt"} }
	})
	for name, module := range map[string]string{
		"node": `import http from "node:http";
const server = http.createServer((q, a) => a.end("ok")).listen(3000);
Deno.addSignalListener("SIGTERM", () => server.close());`,
		"deno": `const server = Deno.serve(() => new Response("ok"));
Deno.addSignalListener("SIGTERM", () => server.shutdown());`,
	} {
		t.Run(name, func(t *testing.T) {
			spec := specForTest(t, module)
			spec.ID = name
			in := launchForTest(t, sup, spec)
			if got := ask(t, in, "/"); got != "ok" {
				t.Fatalf("answers %q", got)
			}
			conn, err := in.Dial(t.Context()) // kept open, as the front door does
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Read(make([]byte, 512)); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if err := in.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
			if e := in.Exit(); e.Signal != "" || e.Code != 0 {
				t.Errorf("ended as %+v after %v, want by itself", e, time.Since(began))
			}
		})
	}
}
