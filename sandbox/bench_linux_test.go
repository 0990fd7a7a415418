package sandbox

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// From the start to the app's first word, behind both walls, and for plain Deno with the same flags and entry module.
func BenchmarkLaunch(b *testing.B) {
	sup := supervisorForTest(b)
	spec := specForTest(b, `export default { fetch: () => new Response("ok") };`)
	warm := launchForTest(b, sup, spec)
	warm.Kill()
	<-warm.Done()
	b.Run("walled", func(b *testing.B) {
		for b.Loop() {
			in := launchForTest(b, sup, spec)
			b.StopTimer()
			in.Kill()
			<-in.Done()
			b.StartTimer()
		}
	})
	b.Run("plain", func(b *testing.B) {
		paths, err := PathsOf(sup.options, spec, false)
		if err != nil {
			b.Fatal(err)
		}
		command, err := Plan(sup.options, spec, paths)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			b.StopTimer()
			if err := spec.makeFolders(paths); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			cmd := &exec.Cmd{Path: command.Path, Args: append([]string{"deno"}, command.Args...), Env: command.Env, Dir: command.Dir}
			if err := cmd.Start(); err != nil {
				b.Fatal(err)
			}
			for {
				if conn, err := net.Dial("unix", paths.Socket); err == nil {
					in := &Instance{}
					_ = conn.Close()
					if status, _, err := in.get(b.Context(), paths.Socket, "/.paddock/ready"); err == nil && status == 200 {
						break
					}
				}
				time.Sleep(time.Millisecond)
			}
			b.StopTimer()
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			_ = os.RemoveAll(filepath.Clean(paths.Dir))
			b.StartTimer()
		}
	})
}
