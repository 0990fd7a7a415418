package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"paddock/app/control"
	"paddock/app/gateway"
	"paddock/sandbox/egress"
	"paddock/store"
)

// ParseProduct reads name, id and version from FyneApp.toml.
func ParseProduct(file string) (Product, error) {
	var f struct{ Details Product }
	if _, err := toml.Decode(file, &f); err != nil {
		return Product{}, fmt.Errorf("FyneApp.toml: %w", err)
	}
	return f.Details, nil
}

// Place is where an agent lives: its folders and sockets, made and checked.
type Place struct {
	Home      string
	Socket    string // control socket
	Instances string // folder of the apps' sockets, 0700
	Links     string // folder of files that lead a browser to a link, 0700
}

// OpenPlace prepares the home (empty: the default one) and the folder for sockets.
func OpenPlace(home string) (Place, error) {
	home, err := control.Home(home)
	if err != nil {
		return Place{}, homeError(home, plain(err))
	}
	if err := PrepareHome(home); err != nil {
		return Place{}, err
	}
	socket, err := control.SocketPath(home)
	if err != nil {
		return Place{}, control.NewError(control.ExitUnreachable, "socket_path", sentence(err), "", nil)
	}
	dir := filepath.Dir(socket)
	if err := control.MakeRuntimeDir(dir); err != nil {
		return Place{}, control.NewError(control.ExitUnreachable, "socket_folder", sentence(err), "", nil)
	}
	instances, links := filepath.Join(dir, "i"), filepath.Join(dir, "open")
	for _, inner := range []string{instances, links} {
		if err := control.MakeRuntimeDir(inner); err != nil {
			return Place{}, control.NewError(control.ExitUnreachable, "socket_folder", sentence(err), "", nil)
		}
	}
	return Place{Home: home, Socket: socket, Instances: instances, Links: links}, nil
}

// StoreError explains why the store cannot be opened. The store's lock is what makes an agent single.
func StoreError(err error, socket string) error {
	switch {
	case errors.Is(err, store.ErrLocked):
		return control.NewError(control.ExitUnreachable, "already_running",
			"Another Paddock agent is using this home folder"+holder(socket)+".", "Use that one, or end it with “paddock quit”.", nil)
	case errors.Is(err, store.ErrNewer):
		return control.NewError(control.ExitUnreachable, "store_newer", "The data of this home folder was written by a newer Paddock.", "Install the newer version again. Nothing was changed.", nil)
	}
	return control.NewError(control.ExitUnreachable, "store", sentence(err), "The file was left as it is.", nil)
}

// ParseResolve reads the --resolve pairs.
func ParseResolve(pairs []string) (map[string]string, error) {
	out := map[string]string{}
	for _, p := range pairs {
		key, addr, err := egress.ParseResolve(p)
		if err != nil {
			return nil, control.NewError(control.ExitUsage, "bad_resolve", sentence(err), "Write it as HOST:PORT=ADDR:PORT.", nil)
		}
		out[key] = addr
	}
	return out, nil
}

// LoadFact and SaveFact keep what was measured of the runtime. A key is HASH/NAME.
func LoadFact(db *store.DB) func(string) (int64, bool) {
	return func(key string) (int64, bool) {
		hash, name, _ := strings.Cut(key, "/")
		v, ok, err := db.Runtime(hash, name)
		return v, ok && err == nil
	}
}

// SaveFact is LoadFact's other half; a fact that cannot be stored is measured again next time.
func SaveFact(db *store.DB, log *slog.Logger) func(string, int64) {
	return func(key string, v int64) {
		hash, name, _ := strings.Cut(key, "/")
		if err := db.SetRuntime(hash, name, v); err != nil {
			log.Warn("keep a fact of the runtime", "key", key, "err", err)
		}
	}
}

// CheckListen refuses an address of the front door that others could reach: it takes loopback only.
func CheckListen(listen string) error {
	if at, err := netip.ParseAddrPort(listen); listen != "" && (err != nil || !at.Addr().IsLoopback()) {
		return control.NewError(control.ExitUsage, "bad_listen", fmt.Sprintf("%s is not a loopback address with a port.", listen), "Use 127.0.0.1:PORT.", nil)
	}
	return nil
}

// settingPort keeps the front door's address: pages' storage belongs to their origin, so it must not change.
const settingPort = "gateway.address"

// ListenFront opens the front door on the address asked for, else on the stored one, else on a new one that
// is then kept. Port 0 means choose and do not keep. listen has passed CheckListen.
func ListenFront(a *App, listen string, open func(addr string, s gateway.Sessions) (*gateway.Gateway, error)) (*gateway.Gateway, error) {
	addr := listen
	if addr == "" {
		stored, _, err := a.store.Setting(settingPort)
		if err != nil {
			return nil, fmt.Errorf("read the front door's address: %w", err)
		}
		addr = stored
	}
	g, err := open(addr, sessions{a.store})
	var used *gateway.AddrInUseError
	switch {
	case errors.As(err, &used):
		who := "another program"
		if used.Holder != "" {
			who = used.Holder
		}
		return nil, control.NewError(control.ExitUnreachable, "address_in_use", fmt.Sprintf("The address of the front door, %s, is taken by %s.", used.Addr, who),
			"End that program, or choose another address with --listen. Apps keep what their pages stored only under the old one.", nil)
	case err != nil:
		return nil, control.NewError(control.ExitUnreachable, "front_door", sentence(err), "", nil)
	}
	if listen == "" {
		if err := a.store.SetSetting(settingPort, g.Addr()); err != nil {
			return nil, errors.Join(fmt.Errorf("keep the front door's address: %w", err), g.Close())
		}
	}
	return g, nil
}

// sessions keeps the front door's sessions in the store.
type sessions struct{ db *store.DB }

func (s sessions) Put(g gateway.Session) error { return s.db.PutSession(store.Session(g)) }

func (s sessions) Delete(install string) error { return s.db.DeleteSessions(install) }

func (s sessions) All() ([]gateway.Session, error) {
	all, err := s.db.Sessions()
	if err != nil {
		return nil, err
	}
	out := make([]gateway.Session, len(all))
	for i, g := range all {
		out[i] = gateway.Session(g)
	}
	return out, nil
}

// holder says who answers on the control socket, as far as it says so itself.
func holder(socket string) string {
	if _, err := os.Stat(socket); err != nil {
		return ""
	}
	g, err := greet(socket)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d, front door %s)", g.PID, g.Gateway)
}

func greet(socket string) (control.Greeting, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c := control.NewClient(socket)
	defer c.Close()
	return control.Do[control.Greeting](ctx, c, control.MethodGreet, control.Greet{Protocol: control.Protocol, Client: "paddock"})
}
