package loadtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Rival is another proxy before the same socket.
type Rival struct {
	Name    string // Caddy or nginx
	Version string
	Target  Target
}

// rivals are the programs that are compared with, set up as a careful person would: connections to the server are kept,
// nothing is logged per request, one worker for each processor.
var rivals = []struct {
	name    string
	program string
	version []string // arguments that print it
	args    func(config, dir string) []string
	config  func(socket, address, dir string) string
}{
	{
		name: "Caddy", program: "caddy", version: []string{"version"},
		args: func(config, _ string) []string { return []string{"run", "--config", config, "--adapter", "caddyfile"} },
		config: func(socket, address, _ string) string {
			return `{
	admin off
	auto_https off
	log {
		level ERROR
	}
}
http://` + address + ` {
	bind 127.0.0.1
	reverse_proxy unix/` + socket + ` {
		transport http {
			keepalive 2m
			keepalive_idle_conns 128
			keepalive_idle_conns_per_host 128
			compression off
		}
	}
}
`
		},
	},
	{
		name: "nginx", program: "nginx", version: []string{"-v"},
		args: func(config, dir string) []string {
			return []string{"-p", dir, "-c", config, "-e", filepath.Join(dir, "nginx.log")}
		},
		config: func(socket, address, dir string) string {
			user := ""
			if os.Geteuid() == 0 {
				user = "user root;\n" // its workers could not reach the socket as anybody else
			}
			var temp strings.Builder
			for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
				temp.WriteString("  " + kind + "_temp_path " + filepath.Join(dir, kind) + ";\n")
			}
			return user + `daemon off;
worker_processes auto;
pid ` + filepath.Join(dir, "nginx.pid") + `;
error_log ` + filepath.Join(dir, "nginx.log") + ` error;
events { worker_connections 4096; }
http {
  access_log off;
  client_max_body_size 0;
` + temp.String() + `  upstream app { server unix:` + socket + `; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen ` + address + `;
    keepalive_requests 1000000000;
    location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_request_buffering off; }
  }
}
`
		},
	},
}

// RivalNames are the programs that Rivals looks for.
func RivalNames() (names []string) {
	for _, r := range rivals {
		names = append(names, r.name)
	}
	return names
}

// Rival starts another proxy before the same socket, until the yard is closed. It reports false where the program is
// not installed.
func (y *Yard) Rival(ctx context.Context, name string) (_ *Rival, installed bool, err error) {
	for _, r := range rivals {
		if r.name != name {
			continue
		}
		program, err := findProgram(r.program)
		if err != nil {
			return nil, false, nil
		}
		version, err := exec.CommandContext(ctx, program, r.version...).CombinedOutput()
		if err != nil {
			return nil, true, fmt.Errorf("%s does not tell its version: %w", name, err)
		}
		dir := filepath.Join(y.dir, r.program)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, true, err
		}
		address, err := freeAddress()
		if err != nil {
			return nil, true, err
		}
		config := filepath.Join(dir, "config")
		if err := os.WriteFile(config, []byte(r.config(y.socket, address, dir)), 0o600); err != nil {
			return nil, true, err
		}
		log, err := os.Create(filepath.Join(dir, "log"))
		if err != nil {
			return nil, true, err
		}
		defer log.Close()
		env := []string{"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir}
		if _, _, err := y.start(ctx, log, env, append([]string{partRun, program}, r.args(config, dir)...)...); err != nil {
			return nil, true, err
		}
		rival := &Rival{
			Name: name, Version: firstVersion(string(version)),
			Target: Target{Network: "tcp", Address: address, Head: "Host: " + address + "\r\n" + asBrowser},
		}
		if err := rival.await(ctx); err != nil {
			text, _ := os.ReadFile(log.Name())
			return nil, true, fmt.Errorf("%s does not answer: %w\n%s", name, err, text)
		}
		return rival, true, nil
	}
	return nil, false, fmt.Errorf("%q is not compared with", name)
}

// await waits until the rival answers.
func (r *Rival) await(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); ; {
		c, err := r.Target.Dial(ctx)
		if err == nil {
			err = c.Do(r.Target.Get("/"), nil)
			c.Close()
		}
		if err == nil || time.Now().After(end) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// findProgram looks where the shell looks, and where Debian keeps servers.
func findProgram(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath(filepath.Join("/usr/sbin", name))
}

// firstVersion is the first word with a digit and a dot in it.
func firstVersion(text string) string {
	for _, word := range strings.Fields(text) {
		if _, after, found := strings.Cut(word, "/"); found {
			word = after
		}
		if strings.Contains(word, ".") && strings.ContainsAny(word, "0123456789") {
			return word
		}
	}
	return ""
}

// freeAddress is a loopback address that nobody listens to at the moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return "127.0.0.1:" + strconv.Itoa(port), l.Close()
}
