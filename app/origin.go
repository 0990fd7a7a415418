package app

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"

	"paddock/store"
)

// Values of the setting that says under what a browser finds an app.
const (
	originNames     = "names"     // LABEL.localhost, which needs a browser that resolves such names
	originAddresses = "addresses" // 127.X.Y.Z, an address of the app's own
)

// settingAddress keeps the number of the last own address that was given out, so that none is given twice: what a
// browser keeps for an address must not meet another app.
const settingAddress = "origin.last_address"

// originSetting is in force from the start of the agent on: an app's origin must not move while a tab is open.
func originSetting() setting {
	return setting{
		key: "apps.origin", title: "Under what the browser finds an app: a name of its own below localhost (names), or a loopback address of " +
			"its own (addresses), for browsers that do not resolve such names. In force from the next start of Paddock; what an app " +
			"has kept in the browser stays with the one it was kept under",
		choices: []string{originNames, originAddresses}, fallback: originNames,
	}
}

// chooseOrigins reads the setting once, and what this system makes of it.
func (a *App) chooseOrigins() {
	chosen, err := a.setting(originSetting().key)
	if err != nil {
		a.log.Error("apps are served under names", "err", err)
	}
	if chosen != originAddresses {
		return
	}
	possible, why := a.front.OwnAddresses()
	a.numbered, a.unnumbered = possible, why
	if !possible {
		a.log.Error("apps are served under names", "why", why)
	}
}

// ownAddress returns the address of an app that has one in this life of the agent; the first time it is chosen and
// kept. The zero Addr means a name.
func (a *App) ownAddress(app *installed) (netip.Addr, error) {
	if !a.numbered {
		return netip.Addr{}, nil
	}
	a.addressing.Lock()
	defer a.addressing.Unlock()
	rec, err := a.store.Install(app.id)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("read the address of %s: %w", app.rec.AppID, err)
	}
	if rec.Address == "" {
		next, err := a.nextAddress()
		if err != nil {
			return netip.Addr{}, err
		}
		rec.Address = next.String()
		if err := a.store.PutInstall(rec); err != nil {
			return netip.Addr{}, fmt.Errorf("keep the address of %s: %w", rec.AppID, err)
		}
		a.mu.Lock()
		app.rec.Address = rec.Address
		a.mu.Unlock()
	}
	return netip.ParseAddr(rec.Address)
}

// nextAddress gives out an address that was never given out before.
func (a *App) nextAddress() (netip.Addr, error) {
	text, known, err := a.store.Setting(settingAddress)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("read the last address: %w", err)
	}
	number := rand.Uint32()
	if known {
		last, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return netip.Addr{}, fmt.Errorf("read the last address: %w", err)
		}
		number = uint32(last)
	}
	number, next := addressAfter(number)
	if err := a.store.SetSetting(settingAddress, strconv.FormatUint(uint64(number), 10)); err != nil {
		return netip.Addr{}, fmt.Errorf("keep the last address: %w", err)
	}
	return next, nil
}

// addressAfter steps through the 24 bits below 127 in an order that visits each once, and skips what other programs
// use (127.0.*.*) and what looks like a network or everybody (…0, …255).
func addressAfter(number uint32) (uint32, netip.Addr) {
	const bits, step = 1 << 24, 0x9e3779 // odd, so prime to the size
	for {
		number = (number + step) % bits
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], number)
		if b[1] != 0 && b[3] != 0 && b[3] != 255 {
			return number, netip.AddrFrom4([4]byte{127, b[1], b[2], b[3]})
		}
	}
}

// bury makes the origin of a removed app tell browsers to forget it, under the name and the address that it had.
func (a *App) bury(rec store.Install) {
	until := rec.RemovedAt.Add(keepFor)
	a.front.Tombstone(rec.Label, until)
	if addr, err := netip.ParseAddr(rec.Address); err == nil {
		a.front.TombstoneAddr(addr, until)
	}
}
