package app

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"paddock/app/control"
	"paddock/app/gateway"
	"paddock/store"
)

// TestAddressAfter walks through every own address: each comes once, and none that others use.
func TestAddressAfter(t *testing.T) {
	seen := make([]bool, 1<<24)
	number, first := addressAfter(7)
	count := 0
	for at := first; ; number, at = addressAfter(number) {
		b := at.As4()
		i := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if seen[i] {
			if at != first {
				t.Fatalf("%s comes again before the end", at)
			}
			break
		}
		seen[i] = true
		if b[0] != 127 || b[1] == 0 || b[3] == 0 || b[3] == 255 {
			t.Fatalf("%s", at)
		}
		count++
	}
	if want := 255 * 256 * 254; count != want {
		t.Errorf("%d addresses, want %d", count, want)
	}
}

// front is a front door that only knows what addresses it may give.
type front struct {
	FrontDoor
	possible bool
}

func (f front) OwnAddresses() (bool, string) { return f.possible, "no such addresses here" }

var _ FrontDoor = (*gateway.Gateway)(nil)

// TestOwnAddresses: an address is given where the setting and the system agree, kept, and given to nobody else.
func TestOwnAddresses(t *testing.T) {
	db, err := store.Open(filepath.Join(t.TempDir(), "store.db"), store.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var apps []*installed
	for _, id := range []string{"aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"} {
		rec := store.Install{Install: id, AppID: "org.example." + id[:1], Label: id[:1] + "-abcdefgh"}
		if err := db.PutInstall(rec); err != nil {
			t.Fatal(err)
		}
		apps = append(apps, &installed{id: id, rec: rec})
	}
	start := func(possible bool) *App {
		a := &App{store: db, front: front{possible: possible}, log: slog.New(slog.DiscardHandler)}
		a.chooseOrigins()
		return a
	}
	address := func(a *App, i int) netip.Addr {
		t.Helper()
		got, err := a.ownAddress(apps[i])
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	a := start(true)
	if got := address(a, 0); got.IsValid() {
		t.Errorf("an address though nobody asked for one: %s", got)
	}
	if err := a.SetSetting(t.Context(), control.SetSetting{Key: originSetting().key, Value: originAddresses}); err != nil {
		t.Fatal(err)
	}
	if got := address(a, 0); got.IsValid() {
		t.Errorf("the origin moves while Paddock runs: %s", got)
	}
	if a = start(false); address(a, 0).IsValid() || a.unnumbered == "" {
		t.Errorf("an address where there are none; why: %q", a.unnumbered)
	}
	a = start(true)
	one, two := address(a, 0), address(a, 1)
	if one == two || !one.IsLoopback() || !two.IsLoopback() {
		t.Errorf("%s and %s", one, two)
	}
	if a = start(true); address(a, 0) != one || address(a, 1) != two {
		t.Error("not kept")
	}
	if err := db.DeleteInstall(apps[1].id); err != nil {
		t.Fatal(err)
	}
	if next, err := a.nextAddress(); err != nil || next == one || next == two {
		t.Errorf("given again: %s, %v", next, err)
	}
}
