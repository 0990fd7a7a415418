package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// kernelAttempts are made with Deno's own wall taken down (--allow-all). They print one JSON object. sc makes raw
// system calls, which an app could do only if it had broken out of V8.
const kernelAttempts = `
const { secret, data, app, socket, abstract, victim, tcp, elsewhere, only } = JSON.parse(Deno.args[0]);
const results = {};
async function attempt(name, fn) {
  try { results[name] = "allowed: " + await fn(); } catch (e) { results[name] = "refused: " + String(e).split("\n")[0]; }
}
await attempt("read a file beside", () => Deno.readTextFileSync(secret));
await attempt("read /etc/passwd", () => Deno.readTextFileSync("/etc/passwd"));
await attempt("list /", () => [...Deno.readDirSync("/")].length);
await attempt("list /proc", () => [...Deno.readDirSync("/proc")].length);
await attempt("another process's environment", () => Deno.readFileSync("/proc/" + victim + "/environ").length);
await attempt("the parent's command line", () => Deno.readTextFileSync("/proc/" + Deno.ppid + "/cmdline"));
await attempt("write beside", () => Deno.writeTextFileSync(secret + ".new", "x"));
await attempt("empty a file beside", () => Deno.truncateSync(secret, 0));
await attempt("write in the temporary folder", () => Deno.writeTextFileSync(elsewhere + "/x", "x"));
await attempt("write in shared memory", () => { Deno.writeTextFileSync("/dev/shm/paddock-attack-" + Deno.pid, "x"); Deno.removeSync("/dev/shm/paddock-attack-" + Deno.pid); });
await attempt("write the app's folder", () => Deno.writeTextFileSync(app + "/new.js", "x"));
await attempt("symbolic link", () => { Deno.symlinkSync(secret, data + "/l"); return Deno.readTextFileSync(data + "/l"); });
await attempt("hard link", () => { Deno.linkSync(secret, data + "/h"); return Deno.readTextFileSync(data + "/h"); });
await attempt("through /proc/self/root", () => Deno.readTextFileSync("/proc/self/root" + secret));
await attempt("run /bin/true", () => new Deno.Command("/bin/true").outputSync().code);
await attempt("run Deno again", () => new Deno.Command(Deno.execPath(), { args: ["--version"] }).outputSync().code);
await attempt("run a program in data", () => { Deno.copyFileSync(Deno.execPath(), data + "/deno"); Deno.chmodSync(data + "/deno", 0o755); return new Deno.Command(data + "/deno").outputSync().code; });
await attempt("signal another process", () => Deno.kill(victim, "SIGCONT"));
await attempt("signal every process", () => Deno.kill(-1, "SIGCONT"));
await attempt("connect an abstract socket", async () => { const net = await import("node:net"); return await new Promise((ok, no) => net.connect("\0" + abstract, () => ok("yes")).on("error", no)); });
await attempt("connect a socket by path", async () => (await Deno.connect({ transport: "unix", path: socket })).close());
await attempt("TCP connect", async () => (await Deno.connect({ hostname: "127.0.0.1", port: tcp })).close());
await attempt("TCP listen", () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close());
await attempt("TCP6 listen", () => Deno.listen({ hostname: "::1", port: 0 }).close());
await attempt("UDP", async () => { const d = await import("node:dgram"); return await new Promise((ok, no) => { const s = d.createSocket("udp4"); s.on("error", no); s.bind(0, () => ok("bound")); }); });
await attempt("resolve a name", async () => (await Deno.resolveDns("example.com", "A")).length);
await attempt("set-uid bits by chmod", () => { Deno.writeTextFileSync(data + "/s", "x"); Deno.chmodSync(data + "/s", 0o4755); });
await attempt("watch the parent folder", () => { Deno.watchFs(data + "/.."); });
const libc = Deno.dlopen("libc.so.6", {
  syscall: { parameters: ["i64", "i64", "i64", "i64", "i64", "i64", "i64"], result: "i64" },
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  creat: { parameters: ["buffer", "i32"], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
});
function sc(number, ...args) {
  const all = [number, ...args, 0, 0, 0, 0, 0, 0].slice(0, 7).map(BigInt);
  const result = Number(libc.symbols.syscall(...all));
  if (result < 0) throw new Error("errno " + new Deno.UnsafePointerView(libc.symbols.__errno_location()).getInt32());
  return result;
}
const path = (name) => new TextEncoder().encode(data + "/" + name + "\0");
await attempt("set-gid bits by open", () => { if (libc.symbols.open(path("s2"), 0o101, 0o2755) < 0) throw new Error("refused"); });
await attempt("set-uid bits by creat", () => { if (libc.symbols.creat(path("s3"), 0o4755) < 0) throw new Error("refused"); });
const x86 = Deno.build.arch === "x86_64";
const calls = x86
  ? { ptrace: [101, 16, victim], unshare: [272, 0x10000000], setns: [308, 0, 0], bpf: [321, 0, 0, 0], keyctl: [250, 0, -3], userfaultfd: [323, 1], io_uring_setup: [425, 1, 0],
      perf_event_open: [298, 0, 0, -1, -1, 0], mptcp: [41, 2, 1, 262], packet: [41, 17, 3, 0], vsock: [41, 40, 1, 0], netlink: [41, 16, 3, 0], unix_datagram: [41, 1, 2, 0],
      unix_datagram_flags: [41, 1, 2 | 0x80800, 0], datagram_pair: [53, 1, 2, 0, 0], pidfd_open: [434, victim, 0], pidfd_getfd: [438, -1, 0, 0], process_vm_readv: [310, victim, 0, 0, 0, 0, 0], fork: [57], vfork: [58],
      clone_process: [56, 17, 0, 0, 0, 0], clone3: [435, 0, 0], execve: [59, 0, 0, 0], execveat: [322, 0, 0, 0, 0, 0], mount: [165, 0, 0, 0, 0, 0], chroot: [161, 0], setrlimit: [160, 2, 0],
      prlimit64: [302, 0, 2, 1, 0], kill_high_bits: [62, 0x100000000 + victim, 18], tgkill: [234, victim, victim, 18], tkill: [200, victim, 18], pdeathsig: [157, 1, 0],
      dumpable: [157, 4, 0], setsid: [112], setpgid: [109, 0, 0], setpriority: [141, 0, victim, 19], shmget: [29, 0, 4096, 0o1600], msgget: [68, 0, 0o1600], mq_open: [240, 0, 0],
      inotify_init1: [294, 0], fallocate: [285, 1, 0, 0, 4096], openat2: [437, -100, 0, 0, 0], memfd_secret: [447, 0], landlock: [444, 0, 0, 1], name_to_handle: [303, -100, 0, 0, 0, 0], personality: [135, 0x40000],
      setuid: [105, 0], x32_getpid: [0x40000000 + 39] }
  : { unshare: [97, 0x10000000], clone_process: [220, 17, 0, 0, 0, 0], execve: [221, 0, 0, 0] };
for (const [name, args] of Object.entries(calls)) if (only.length === 0 || only.includes(name)) await attempt("system call " + name, () => sc(...args));
console.log(JSON.stringify(results));
Deno.exit(0);
`

// behindKernelWall runs a module with Deno --allow-all behind the kernel wall of a spec, or with no wall at all.
func behindKernelWall(t *testing.T, o Options, spec Spec, config map[string]any, walled bool) map[string]string {
	t.Helper()
	facts, err := new(denoRuntime).inspect(o.Deno, "")
	if err != nil {
		t.Fatal(err)
	}
	paths, err := PathsOf(o, spec, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(paths.Entry.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := spec.makeFolders(paths, ""); err != nil {
		t.Fatal(err)
	}
	command, err := Plan(o, spec, paths)
	if err != nil {
		t.Fatal(err)
	}
	argument, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	command.Args = []string{"run", "--quiet", "--no-config", "--no-lock", "--allow-all", filepath.Join(spec.AppDir, spec.Entry), string(argument)}
	plan := wallPlan(o, spec, paths, command, facts.files, 2<<30, os.Getpid())
	if !walled {
		plan.Landlock, plan.Seccomp, plan.View = nil, nil, nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan []byte, 1)
	go func() {
		var all bytes.Buffer
		_, _ = all.ReadFrom(read)
		done <- all.Bytes()
	}()
	sup := supervisorForTest(t) // for its starter thread
	var g *guest
	sup.onStarter(func() { g, err = spawn(o.Launcher, plan, write, write) })
	_ = write.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.confirm(60 * time.Second); err != nil {
		t.Fatalf("%v\n%s", err, <-done)
	}
	timer := time.AfterFunc(time.Minute, func() { _ = g.kill() })
	code, signal := g.wait()
	timer.Stop()
	out := <-done
	var results map[string]string
	last := out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:]
	if err := json.Unmarshal(last, &results); err != nil {
		t.Fatalf("no results (exit %d %s): %v\n%s", code, signal, err, out)
	}
	return results
}

// The kernel wall must hold when Deno's does not. The control run without it must succeed, so that no row passes for
// another reason; what is refused there too (by the kernel's own rules or for bad arguments) is listed.
func TestKernelWallAlone(t *testing.T) {
	o := optionsForTest(t)
	victim := exec.Command("sleep", "60")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = victim.Process.Kill(); _ = victim.Wait() }()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tcp.Close() }()
	abstract := fmt.Sprintf("paddock-test-%d", os.Getpid())
	named, err := net.Listen("unix", "@"+abstract)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = named.Close() }()
	socket := filepath.Join(filepath.Dir(o.SocketDir), "host.sock")
	byPath, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = byPath.Close() }()

	run := func(t *testing.T, walled, egress bool, only ...string) map[string]string {
		if only == nil {
			only = []string{}
		}
		spec := specForTest(t, kernelAttempts)
		if egress {
			spec.Allow = setOf(t, "net:example.com")
		}
		secret := filepath.Join(filepath.Dir(spec.AppDir), "secret")
		if err := os.WriteFile(secret, []byte("the secret"), 0o666); err != nil {
			t.Fatal(err)
		}
		results := behindKernelWall(t, o, spec, map[string]any{
			"secret": secret, "data": spec.DataDir, "app": spec.AppDir, "socket": socket, "abstract": abstract,
			"only": only, "elsewhere": t.TempDir(), "victim": victim.Process.Pid, "tcp": tcp.Addr().(*net.TCPAddr).Port,
		}, walled)
		if text, err := os.ReadFile(secret); walled && (err != nil || string(text) != "the secret") {
			t.Errorf("the secret holds %q, %v", text, err)
		}
		return results
	}
	for name, egress := range map[string]bool{"walled": false, "walled with egress": true} {
		t.Run(name, func(t *testing.T) {
			results := run(t, true, egress)
			allRefused(t, results, 60)
			for name, result := range results { // refused by the filter, not by the call for its odd arguments
				call, is := strings.CutPrefix(name, "system call ")
				want := "errno 1"
				switch call {
				case "clone3", "openat2", "x32_getpid":
					want = "errno 38"
				case "fallocate":
					want = "errno 95"
				}
				if is && !strings.HasSuffix(result, want) {
					t.Errorf("%s: %s, want %s", name, result, want)
				}
			}
		})
	}
	t.Run("control", func(t *testing.T) {
		// these do no harm when they succeed
		calls := []string{
			"mptcp", "unix_datagram", "unix_datagram_flags", "netlink", "pidfd_open", "kill_high_bits", "tkill",
			"inotify_init1", "pdeathsig", "dumpable", "setpgid",
		}
		results := run(t, false, false, calls...)
		for name, result := range results {
			if !strings.HasPrefix(result, "refused") {
				continue
			}
			switch name {
			case "resolve a name": // there may be no network here
			case "signal every process": // there may be nobody whom an unprivileged process can signal
			case "another process's environment": // as root: the other process has capabilities that this one dropped
			case "system call setpgid": // leads its session already
			case "run a program in data": // the copy of Deno complains about its arguments only when it runs
			default:
				t.Errorf("%s is refused without the wall too, so it proves nothing: %s", name, result)
			}
		}
		for _, name := range calls {
			if _, made := results["system call "+name]; !made && runtime.GOARCH == "amd64" {
				t.Errorf("the system call %s was not tried", name)
			}
		}
	})
}
