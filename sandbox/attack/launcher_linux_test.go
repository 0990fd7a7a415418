package attack

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"paddock/sandbox/wall"
)

// Files beside the launchers.
const (
	realLauncher = "paddock-launch"
	extraEnv     = "environment" // one NAME=value a line: what a program without a launcher would inherit
	leakFile     = "leak"        // a pipe by name, of which a careless agent would leave a descriptor open
	openProxy    = "proxy"       // the address of a proxy that refuses nothing

	authorityFile = "authority.pem" // beside the entry module: who signs for the sites of the world
)

// actAsLauncher stands where paddock-launch stands: it takes one wall out of the plan and goes on. It returns only on
// failure.
func actAsLauncher(dir string, s setting) error {
	text, err := io.ReadAll(io.LimitReader(os.NewFile(wall.PlanFD, "plan"), wall.MaxPlanBytes))
	if err != nil {
		return err
	}
	var plan wall.Plan
	if err := json.Unmarshal(text, &plan); err != nil {
		return err
	}
	if s != settingDeno {
		plan.Exec.Args = withoutFlags(plan.Exec.Args)
	}
	if s != settingKernel {
		inherited, err := os.ReadFile(filepath.Join(dir, extraEnv))
		if err != nil {
			return err
		}
		plan.Exec.Env = append(plan.Exec.Env, strings.Fields(string(inherited))...)
	}
	plan.Exec.Env = append(plan.Exec.Env, "DENO_CERT="+filepath.Join(filepath.Dir(plan.Exec.Args[len(plan.Exec.Args)-2]), authorityFile))
	if s == settingControl {
		plan.Exec.Env = withoutProxy(dir, plan.Exec.Env)
	}
	// the descriptor that a careless agent forgot to close
	if fd, err := unix.Open(filepath.Join(dir, leakFile), unix.O_RDWR, 0); err != nil || fd > 63 {
		return fmt.Errorf("open the leak as descriptor %d: %w", fd, err)
	}
	if s == settingKernel {
		return becomeLauncher(filepath.Join(dir, realLauncher), plan)
	}
	if err := os.Chdir(plan.Exec.Dir); err != nil {
		return err
	}
	unix.Umask(0o077)
	unix.CloseOnExec(wall.PlanFD)
	if _, err := unix.Write(wall.StatusFD, []byte("{}\n")); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	unix.CloseOnExec(wall.StatusFD)
	return unix.Exec(plan.Exec.Path, plan.Exec.Args, plan.Exec.Env)
}

// becomeLauncher goes on as the real launcher, with the changed plan.
func becomeLauncher(path string, plan wall.Plan) error {
	text, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	file, err := unix.MemfdCreate("plan", 0) // not a pipe, which a large plan would fill
	if err != nil {
		return err
	}
	memory := os.NewFile(uintptr(file), "plan")
	if _, err := memory.Write(text); err != nil {
		return err
	}
	if _, err := memory.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := unix.Dup2(file, wall.PlanFD); err != nil {
		return err
	}
	_ = memory.Close()
	return unix.Exec(path, append([]string{realLauncher}, os.Args[1:]...), []string{})
}

// withoutFlags takes Deno's wall down: every permission, every unstable interface, and a module in the place of the
// host's entry that gives nothing up.
func withoutFlags(args []string) []string {
	entry := args[len(args)-2]
	kept := []string{args[0], args[1], "--allow-all", "--unstable-net", "--unstable-kv", "--unstable-worker-options"}
	for _, arg := range args[2 : len(args)-2] {
		name, _, _ := strings.Cut(arg, "=")
		switch {
		case strings.HasPrefix(name, "--allow-"), strings.HasPrefix(name, "--deny-"), strings.HasPrefix(name, "--ignore-"):
		case slices.Contains([]string{"--no-remote", "--no-npm", "--cached-only"}, name):
		default:
			kept = append(kept, arg)
		}
	}
	return append(kept, filepath.Join(filepath.Dir(entry), "open.js"), args[len(args)-1])
}

// withoutProxy puts a proxy that refuses nothing in the place of the app's own.
func withoutProxy(dir string, env []string) []string {
	address, err := os.ReadFile(filepath.Join(dir, openProxy))
	if err != nil {
		return env
	}
	for i, v := range env {
		if name, value, _ := strings.Cut(v, "="); strings.HasSuffix(name, "_PROXY") && strings.HasPrefix(value, "unix:") {
			env[i] = name + "=http://" + string(address)
		}
	}
	return env
}

// actAsVictim is another program of the same user: it has a secret in its memory and its environment, and lets itself
// be traced where the kernel asks for consent. It lives until its input ends.
func actAsVictim(in io.Reader, out io.Writer) error {
	const everybody = ^uintptr(0) // PR_SET_PTRACER_ANY
	if err := unix.Prctl(unix.PR_SET_PTRACER, everybody, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	copy(page, secretText("memory"))
	if _, err := fmt.Fprintf(out, "%d\n", addressOf(page)); err != nil {
		return err
	}
	_, err = bufio.NewReader(in).ReadString('\n')
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
