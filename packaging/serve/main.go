// Command serve packs and signs the example apps and serves the bundles over HTTP on a loopback port
// of the system's choice, so that `make run` and the end-to-end tests install them as anybody installs
// a stranger's app: by a URL, through download, signature and prompt.
//
// When it is ready it prints one line on standard output:
//
//	{"ready":true,"url":"http://127.0.0.1:PORT/","apps":{"notes":"http://127.0.0.1:PORT/notes.paddock"}}
//
// It ends on SIGTERM, on SIGINT, and when its standard input is closed, so that it cannot outlive the
// program that started it.
//
// It must not know the agent or its store: it is on the other side of the network.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"paddock/app/bundle"
	"paddock/app/bundle/pack"
	"paddock/assets"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("serve: ")
	keys := flag.String("keys", ".keys", "`folder` for the signing key that is made on first use; PADDOCK_EXAMPLE_KEY names a key file instead")
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, closed := context.WithCancel(ctx)
	go func() { // not waited for: it ends with standard input, which ends the program
		_, _ = io.Copy(io.Discard, os.Stdin)
		closed()
	}()
	if err := run(ctx, *keys, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run packs everything, announces it on out and serves until ctx ends.
func run(ctx context.Context, keys string, out io.Writer) error {
	key, err := signingKey(keys)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "paddock-examples-")
	if err != nil {
		return fmt.Errorf("make a folder for the bundles: %w", err)
	}
	defer os.RemoveAll(dir)
	names, err := packAll(ctx, assets.Examples(), dir, key)
	if err != nil {
		return err
	}

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen on loopback: %w", err)
	}
	url := "http://" + ln.Addr().String() + "/"
	ready := struct {
		Ready bool              `json:"ready"`
		URL   string            `json:"url"`
		Apps  map[string]string `json:"apps"`
	}{true, url, map[string]string{}}
	for _, name := range names {
		ready.Apps[name] = url + name + ".paddock"
	}

	srv := &http.Server{Handler: handler(dir, names), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	if err := json.NewEncoder(out).Encode(ready); err != nil {
		_ = srv.Close() // nobody knows the address: the failure to say it is what counts
		<-served
		return fmt.Errorf("announce: %w", err)
	}
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	err = srv.Close() // at once: a download that is cut off is something clients must cope with
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// handler serves the bundles with ranges and validators, so that interrupted downloads resume.
func handler(dir string, names []string) http.Handler {
	mux := http.NewServeMux()
	for _, name := range names {
		file := filepath.Join(dir, name+".paddock")
		mux.HandleFunc("GET /"+name+".paddock", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.paddock.bundle")
			http.ServeFile(w, r, file)
		})
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		for _, name := range names {
			fmt.Fprintf(w, "/%s.paddock\n", name)
		}
	})
	return mux
}

// packAll packs each folder of examples into DIR/NAME.paddock and returns the names in order.
func packAll(ctx context.Context, examples fs.FS, dir string, key signing) ([]string, error) {
	entries, err := fs.ReadDir(examples, ".")
	if err != nil {
		return nil, fmt.Errorf("list the examples: %w", err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		sub, err := fs.Sub(examples, e.Name())
		if err != nil {
			return nil, fmt.Errorf("example %s: %w", e.Name(), err)
		}
		source := filepath.Join(dir, "src", e.Name())
		if err := os.CopyFS(source, sub); err != nil {
			return nil, fmt.Errorf("example %s: copy its sources: %w", e.Name(), err)
		}
		_, err = pack.Pack(ctx, source, pack.Options{
			Out: filepath.Join(dir, e.Name()+".paddock"), Key: key.secret, Password: key.password,
		})
		if err != nil {
			return nil, fmt.Errorf("pack example %s: %w", e.Name(), err)
		}
		names = append(names, e.Name())
	}
	if len(names) == 0 {
		return nil, errors.New("there are no example apps to serve")
	}
	return names, nil
}

// signing is a minisign secret key as in its file, and what unlocks it.
type signing struct {
	secret   []byte
	password string
}

// signingKey reads the key of PADDOCK_EXAMPLE_KEY (unlocked with PADDOCK_KEY_PASSWORD), or the one in
// the folder, which it makes the first time. The same key every time is what makes a second `make run`
// an update by the same publisher and not a stranger.
func signingKey(folder string) (signing, error) {
	if file := os.Getenv("PADDOCK_EXAMPLE_KEY"); file != "" {
		secret, err := os.ReadFile(file)
		if err != nil {
			return signing{}, fmt.Errorf("read the key named by PADDOCK_EXAMPLE_KEY: %w", err)
		}
		return signing{secret, os.Getenv("PADDOCK_KEY_PASSWORD")}, nil
	}
	file := filepath.Join(folder, "examples.key")
	secret, err := os.ReadFile(file)
	if err == nil {
		return signing{secret: secret}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return signing{}, fmt.Errorf("read the examples' key: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return signing{}, fmt.Errorf("make the examples' key: %w", err)
	}
	secret, public, _, err := bundle.Keygen("")
	if err != nil {
		return signing{}, fmt.Errorf("make the examples' key: %w", err)
	}
	switch err := publish(file, secret); {
	case errors.Is(err, fs.ErrExist): // another copy of this program was quicker
		secret, err = os.ReadFile(file)
		if err != nil {
			return signing{}, fmt.Errorf("read the examples' key: %w", err)
		}
		return signing{secret: secret}, nil
	case err != nil:
		return signing{}, fmt.Errorf("write the examples' key: %w", err)
	}
	if err := os.WriteFile(file+".pub", public, 0o644); err != nil {
		return signing{}, fmt.Errorf("write the examples' public key: %w", err)
	}
	return signing{secret: secret}, nil
}

// publish makes file with the whole secret in it, or fails and makes none: a key cut short would
// refuse every later start. The error is fs.ErrExist when there is one already.
func publish(file string, secret []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".key-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(secret)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), file)
}
