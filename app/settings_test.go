package app

import (
	"errors"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"paddock/app/control"
	"paddock/sandbox"
	"paddock/store"
)

// What is required of the walls follows the setting, and what is not a setting or not one of its values changes nothing.
func TestSettings(t *testing.T) {
	db, err := store.Open(filepath.Join(t.TempDir(), "store.db"), store.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	a := &App{store: db}
	require := func(want sandbox.Level) {
		t.Helper()
		if got, err := a.requiredWalls(); got != want || err != nil {
			t.Errorf("required: %v, %v; want %v", got, err, want)
		}
	}
	usual := sandbox.Partial
	if runtime.GOOS != "linux" {
		usual = sandbox.Basic
	}
	require(usual)
	for _, bad := range []control.SetSetting{{Key: settingWalls, Value: "none"}, {Key: settingWalls}, {Key: settingPort, Value: "127.0.0.1:80"}, {Key: "x", Value: "y"}} {
		var e *control.Error
		if err := a.SetSetting(t.Context(), bad); !errors.As(err, &e) || e.Exit != control.ExitUsage || e.Hint == "" {
			t.Errorf("set %+v: %v", bad, err)
		}
	}
	require(usual)
	if err := a.SetSetting(t.Context(), control.SetSetting{Key: settingWalls, Value: "full"}); err != nil {
		t.Fatal(err)
	}
	require(sandbox.Full)
	all, err := a.Settings(t.Context(), control.Empty{})
	if err != nil || len(all) != len(knownSettings()) || all[0].Value != "full" || all[0].Default != usualWalls() {
		t.Errorf("settings: %+v, %v", all, err)
	}
	if err := db.SetSetting(settingWalls, "a word of another version"); err != nil {
		t.Fatal(err)
	}
	require(usual)
}
