package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// reports collects what instances report.
type reports struct {
	mu  sync.Mutex
	all map[string]int64 // "permission allowed|refused" → count
}

func (r *reports) into(o *Options) {
	r.all = map[string]int64{}
	o.OnUse = func(_ string, u Use) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all[u.Permission+map[bool]string{true: " allowed", false: " refused"}[u.Allowed]] += u.Count
	}
}

func (r *reports) count(what string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[what]
}

// String is all of them; the app may go on to report.
func (r *reports) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprint(r.all)
}

func (r *reports) wait(t *testing.T, in *Instance, what ...string) {
	t.Helper()
	for _, w := range what {
		waitFor(t, w, func() bool {
			if r.count(w) > 0 {
				return true
			}
			select {
			case <-in.Done():
				t.Fatalf("ended before it reported %s: %+v\n%v", w, in.Exit(), r)
			default:
			}
			return false
		})
	}
}

// The real Deno tells of everything that an app with some grants does and tries.
func TestAudit(t *testing.T) {
	var told reports
	sup := supervisorForTest(t, told.into)
	spec := specForTest(t, `
const tries = [
  () => Deno.readTextFileSync("/etc/passwd"), () => Deno.writeTextFileSync("/tmp/x", "x"), () => Deno.makeTempFileSync(),
  () => Deno.env.get("HOME"), () => Deno.hostname(), () => Deno.dlopen("/x.so", {}), () => Deno.readDirSync(paddock.slots.photos.path),
  () => Deno.writeTextFileSync(paddock.slots.photos.path + "/x", "x"), () => Deno.permissions.querySync({ name: "run" }),
  () => Deno.writeTextFileSync("own", "x"), () => Deno.readTextFileSync("own"), () => new URL("x:y"),
  () => Deno.readTextFileSync("../../elsewhere"), () => Deno.systemMemoryInfo(), () => fetch("https://api.example.com/").catch(() => {}),
  () => fetch("https://evil.example.net/").catch(() => {}), () => fetch("http://127.0.0.1/").catch(() => {}),
  () => new WebSocket("wss://socket.example.net/").onerror = () => {},
  () => import("https://deno.land/" + "x.js").catch(() => {}),
];
export default {
  fetch: async () => {
    for (const attempt of tries) {
      try { await attempt(); } catch { /* refused */ }
    }
    return new Response("tried");
  },
};`)
	photos := filepath.Join(filepath.Dir(spec.AppDir), "photos")
	if err := os.Mkdir(photos, 0o755); err != nil {
		t.Fatal(err)
	}
	spec.Allow = setOf(t, "net:api.example.com", "files:photos", "sys:hostname")
	spec.Slots = []Slot{{Name: "photos", Path: photos, Folder: true}}
	in := launchForTest(t, sup, spec)
	if _, err := os.Lstat(in.paths.Audit); !os.IsNotExist(err) {
		t.Errorf("the pipe can still be opened by its name when the app answers: %v", err)
	}
	if text := ask(t, in, "/"); text != "tried" {
		t.Fatal(text)
	}
	want := []string{
		"read refused", "write refused", "env refused", "sys:systemMemoryInfo refused", "sys:hostname allowed", "ffi refused",
		"files:photos allowed", "files:photos refused", "net:evil.example.net refused", "net refused",
		"net:socket.example.net refused", "import refused",
	}
	told.wait(t, in, want...)
	in.Kill()
	<-in.Done()
	for what, n := range told.all {
		if strings.HasPrefix(what, "net:api") || strings.HasPrefix(what, "audit:") {
			t.Errorf("%s was told of, %d times", what, n)
		}
	}
}

// An app can write into the pipe, and close it; both is seen, and changes nothing else.
func TestAuditForged(t *testing.T) {
	var told reports
	sup := supervisorForTest(t, told.into)
	in := launchForTest(t, sup, specForTest(t, `
import net from "node:net";
const line = JSON.stringify({ v: 1, datetime: "2026-11-22T19:11:43Z", permission: "sys", value: "hostname" });
const each = (fn) => {
  for (let fd = 3; fd < 64; fd++) {
    try { fn(new net.Socket({ fd }).on("error", () => {})); } catch { /* the next one */ }
  }
};
export default {
  fetch(request) {
    if (request.url.endsWith("/forge")) each((socket) => { socket.write(line + "\nI am not Deno\n"); });
    if (request.url.endsWith("/close")) each((socket) => socket.destroy());
    if (request.url.endsWith("/use")) try { Deno.systemMemoryInfo(); } catch { /* refused */ }
    return new Response("fine");
  },
};`))
	ask(t, in, "/use")
	told.wait(t, in, "sys:systemMemoryInfo refused")
	_, _ = tryAsk(t.Context(), in, "/forge") // into its own sockets too
	told.wait(t, in, AuditUnreadable+" refused")
	_, _ = tryAsk(t.Context(), in, "/close")
	waitFor(t, "the end of the pipe", func() bool {
		select {
		case <-in.Done(): // it closed what it needs to live
			return true
		default:
			return told.count(AuditEnded+" refused") > 0
		}
	})
	if told.count(AuditEnded+" refused") > 0 && !strings.Contains(in.output.text(), "closed the pipe") {
		t.Errorf("the app's log does not say so: %s", in.output.text())
	}
	t.Logf("told: %v; log: %s", &told, in.output.text())
}

// A flood costs the app, which waits for the host, and the host close to nothing: its processor time is a small part
// of the app's.
func TestAuditFlood(t *testing.T) {
	var told reports
	sup := supervisorForTest(t, told.into)
	spec := specForTest(t, `
const name = "X".repeat(2000);
let turns = 0;
export default {
  fetch() {
    const end = Date.now() + 1500;
    while (Date.now() < end) for (let i = 0; i < 100; i++, turns++) try { Deno.env.get(name + i); } catch { /* refused */ }
    return new Response(String(turns));
  },
};`)
	spec.Budget = Budget{CPUPercent: 200}
	in := launchForTest(t, sup, spec)
	before := ownTime(t)
	turns := ask(t, in, "/")
	spent := ownTime(t) - before
	usage, err := privateTime(in.PID())
	if err != nil {
		t.Fatal(err)
	}
	told.wait(t, in, "env refused", AuditDropped+" refused")
	t.Logf("%s checks; the host spent %s, the app %s; told %v", turns, spent, usage, &told)
	if spent > 400*time.Millisecond {
		t.Errorf("the host spent %s of processor time on a second and a half of flood", spent)
	}
}

// ownTime is the processor time of this process.
func ownTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func privateTime(pid int) (time.Duration, error) {
	s, err := openSampler(pid)
	if err != nil {
		return 0, err
	}
	defer s.close()
	sampled, err := s.sample()
	return sampled.cpu, err
}
