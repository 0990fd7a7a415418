// Package sandbox runs one Deno app with exactly what a [Spec] allows, watches it, and ends it. It is a library: it
// must not know manifests, publishers, the store, or how anything is displayed.
//
//	sup, err := sandbox.New(sandbox.Options{Deno: …, Launcher: …, SocketDir: …, EntryDir: …})
//	in, err := sup.Launch(ctx, sandbox.Spec{ID: …, AppDir: …, DataDir: …, RuntimeDir: …, LogDir: …, Entry: "app.js"})
//	conn, err := in.Dial(ctx)   // HTTP/1.1 to the app
//	<-in.Done()                 // in.Exit() says why
//
// Two walls stand around the app, and each is meant to hold alone. The first is Deno's permission flags, computed by
// [Plan]; the entry module of package entry gives up even the app's own socket before the app's code runs. The second
// is the kernel's, package wall. What really holds on this machine is read back and said by [Instance.Report] and
// [Supervisor.Probe].
//
// Guarantees: everything that is started is ended by Close, and by the kernel when the program dies. Output, log, start
// time, memory, CPU and disk are bounded by the [Budget], whose zero value is a default and never "unlimited". The app
// gets no descriptor but its three standard ones, no environment but a list, no path but its own folders and its slots.
//
// Limits: on systems other than Linux only the first wall stands, and Report says so. Names and sizes of files
// elsewhere can be found out by stat when the first wall falls.
package sandbox
