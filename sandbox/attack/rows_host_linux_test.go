package attack

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paddock/sandbox"
	"paddock/sandbox/entry"
)

// hostRows are attempts on the launch itself. In the control run they are made against a launch as a simpler host
// would do it: the app as Deno's main module, paths joined with commas, links followed.
func hostRows() []row {
	static := func(name, module string) row {
		return row{name: "static graph: " + name, origin: "denoland/deno #3401, #6294, #2761: static imports are not checked", host: staticImport(module)}
	}
	comma := func(name string, place func(*sandbox.Spec, string)) row {
		return row{name: "comma: " + name, origin: "security.md 6: Deno splits paths at commas", host: commaFolder(place)}
	}
	swap := func(name string, prepare func(dir string, w *world) (picked string, swap func() error)) row {
		return row{name: "link swap: " + name, origin: "issue 3: a link put in place between picking and launch", host: swappedLink(prepare)}
	}
	return slices.Concat([]row{
		static("text", `import t from SECRET with { type: "text" }; export default { fetch: () => new Response(t) };`),
		static("JSON", `import t from "file://HOME/secret.json" with { type: "json" }; export default { fetch: () => new Response(t.text) };`),
		static("JavaScript", `import t from "file://HOME/secret.js"; export default { fetch: () => new Response(t) };`),
		static("re-export", `export { default as t } from "file://HOME/secret.js"; import * as self from "./case.js"; export default { fetch: () => new Response(self.t) };`),
		static("a dynamic import of a literal", `const { default: t } = await import(SECRET, { with: { type: "text" } }); export default { fetch: () => new Response(t) };`),

		comma("data folder", func(s *sandbox.Spec, path string) { s.DataDir = path }),
		comma("app folder", func(s *sandbox.Spec, path string) { s.AppDir = path }),
		comma("runtime folder", func(s *sandbox.Spec, path string) { s.RuntimeDir = path }),
		comma("slot to read", func(s *sandbox.Spec, path string) {
			s.Slots = []sandbox.Slot{{Name: "a", Path: path, Folder: true}}
		}),
		comma("slot to write", func(s *sandbox.Spec, path string) {
			s.Slots = []sandbox.Slot{{Name: "a", Path: path, Folder: true, Write: true}}
		}),

		{name: "comma: socket folder", origin: "security.md 6: Deno splits paths at commas", host: commaOption(func(o *sandbox.Options, path string) { o.SocketDir = path })},
		{name: "comma: entry folder", origin: "security.md 6: Deno splits paths at commas", host: commaOption(func(o *sandbox.Options, path string) { o.EntryDir = path })},

		swap("a folder", func(dir string, w *world) (string, func() error) {
			picked := filepath.Join(dir, "picked")
			return picked, func() error { return errors.Join(os.Remove(picked), os.Symlink(filepath.Join(w.Home, ".ssh"), picked)) }
		}),
		swap("a folder above", func(dir string, w *world) (string, func() error) {
			picked := filepath.Join(dir, "above", ".ssh")
			return picked, func() error {
				return errors.Join(os.RemoveAll(filepath.Join(dir, "above")), os.Symlink(w.Home, filepath.Join(dir, "above")))
			}
		}),
	})
}

// simpleHost runs an app as a host without Paddock's entry module would: its module is what Deno starts. The module
// gets the arguments, and what it prints is returned.
func (s *stage) simpleHost(module string, flags ...string) (string, error) {
	args := append([]string{"run", "--no-config", "--no-prompt"}, flags...)
	c := exec.CommandContext(s.ctx, s.Deno, append(args, module)...)
	c.Env = []string{
		"DENO_DIR=" + filepath.Join(s.Root, "simple"), "HOME=" + s.Root,
		"HTTPS_PROXY=http://" + s.world.Net.OpenProxy, "DENO_CERT=" + filepath.Join(entry.At(s.entryDir()).Dir, authorityFile),
	}
	c.Dir = filepath.Dir(module)
	var complaints bytes.Buffer
	c.Stderr = &complaints
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, lastLine(complaints.String()))
	}
	return string(out), nil
}

func leaked(text string, err error) (string, error) {
	if err == nil && !strings.Contains(text, "PADDOCK-SECRET") {
		err = fmt.Errorf("it answered, without a secret: %q", text)
	}
	return text, err
}

// launched is the answer of an app that a Supervisor starts from spec. A refusal must be for one of the reasons, or it
// was a mistake of the test's that stood in the way.
func (s *stage) launched(spec sandbox.Spec, reasons ...string) (string, error) {
	in, err := s.sup.Launch(s.ctx, spec)
	if err != nil {
		err = fmt.Errorf("launch: %w: %s", err, tailOf(err))
		if !slices.ContainsFunc(reasons, func(r string) bool { return strings.Contains(err.Error(), r) }) && s.err == nil {
			s.err = fmt.Errorf("refused for another reason than %q: %w", reasons, err)
		}
		return "", err
	}
	defer func() {
		in.Kill()
		<-in.Done()
	}()
	return leaked(s.ask(in, "GET", "/", nil, 5*time.Second))
}

// staticImport starts an app whose module imports a secret.
func staticImport(module string) func(*stage) (string, error) {
	return func(s *stage) (string, error) {
		text := strings.NewReplacer("SECRET", fmt.Sprintf("%q", "file://"+s.world.Secret), "HOME", s.world.Home).Replace(module)
		spec := s.newSpec(s.budget(row{}))
		spec.Entry = "case.js"
		path := filepath.Join(spec.AppDir, spec.Entry)
		if s.Setting == settingControl {
			path = filepath.Join(spec.AppDir, "main.js") // no rights at all, and still
			start := "import app from \"./case.js\"; console.log(await (await app.fetch()).text());"
			if err := os.WriteFile(path, []byte(start), 0o600); err != nil {
				return "", err
			}
		}
		if err := os.WriteFile(filepath.Join(spec.AppDir, "case.js"), []byte(text), 0o600); err != nil {
			return "", err
		}
		if s.Setting == settingControl {
			return leaked(s.simpleHost(path))
		}
		return s.launched(spec, "Requires read access", "Permission denied (os error 13)", "Module not found")
	}
}

// reader is an app that answers with the secret, if it can read it.
const reader = `const text = () => { try { return Deno.readTextFileSync(PATH); } catch (e) { return String(e); } };
export default { fetch: () => new Response(text()) };
if (import.meta.main) console.log(text());`

// commaFolder makes a folder whose name names the home too, when it is taken apart at the comma.
func commaFolder(place func(*sandbox.Spec, string)) func(*stage) (string, error) {
	return func(s *stage) (string, error) {
		spec := s.newSpec(s.budget(row{}))
		evil := filepath.Join(s.Root, "i", "x,") + s.world.Home // …/i/x,/…/home
		if err := os.MkdirAll(evil, 0o700); err != nil {
			return "", err
		}
		module := filepath.Join(spec.AppDir, "case.js")
		text := strings.ReplaceAll(reader, "PATH", fmt.Sprintf("%q", s.world.Secret))
		if err := errors.Join(os.WriteFile(module, []byte(text), 0o600), os.WriteFile(filepath.Join(evil, "case.js"), []byte(text), 0o600)); err != nil {
			return "", err
		}
		if s.Setting == settingControl {
			return leaked(s.simpleHost(module, "--allow-read="+evil))
		}
		spec.Entry = "case.js"
		place(&spec, evil)
		return s.launched(spec, "comma")
	}
}

// commaOption gives the supervisor a folder of its own with such a name.
func commaOption(place func(*sandbox.Options, string)) func(*stage) (string, error) {
	return func(s *stage) (string, error) {
		if s.Setting == settingControl {
			return commaFolder(nil)(s)
		}
		o := sandbox.Options{Deno: s.Deno, Launcher: filepath.Join(s.Bin, realLauncher), SocketDir: filepath.Join(s.Root, "s2"), EntryDir: s.entryDir()}
		place(&o, filepath.Join(s.Root, "i", "x,")+s.world.Home)
		box, err := sandbox.New(o)
		if err == nil {
			return "a supervisor", box.Close()
		}
		if !strings.Contains(err.Error(), "comma") && s.err == nil {
			s.err = fmt.Errorf("refused for another reason than a comma: %w", err)
		}
		return "", err
	}
}

// swappedLink picks a folder for the app, and puts a link to the home in its place before the launch.
func swappedLink(prepare func(string, *world) (string, func() error)) func(*stage) (string, error) {
	return func(s *stage) (string, error) {
		spec := s.newSpec(s.budget(row{}))
		dir, err := os.MkdirTemp(s.Root, "slot-")
		if err != nil {
			return "", err
		}
		picked, swap := prepare(dir, s.world)
		if err := os.MkdirAll(picked, 0o700); err != nil {
			return "", err
		}
		spec.Slots = []sandbox.Slot{{Name: "picked", Path: picked, Folder: true}}
		spec.Entry = "case.js"
		module := filepath.Join(spec.AppDir, spec.Entry)
		text := strings.ReplaceAll(reader, "PATH", fmt.Sprintf("%q", filepath.Join(picked, filepath.Base(s.world.Secret))))
		if err := errors.Join(os.WriteFile(module, []byte(text), 0o600), swap()); err != nil {
			return "", err
		}
		if s.Setting == settingControl {
			return leaked(s.simpleHost(module, "--allow-read="+picked))
		}
		return s.launched(spec, "choose it again")
	}
}
