package app

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"paddock/app/control"
	"paddock/sandbox"
)

// setting is one choice that holds for all of Paddock. What an app may do is never a setting: that is a grant.
type setting struct {
	key, title string
	choices    []string
	fallback   string // while nothing was set
}

// The settings that a user can read and change. The store holds other values too, under keys that are not here.
const settingWalls = "walls.require"

func knownSettings() []setting {
	return []setting{
		{
			key: settingWalls, title: "The least that must hold around an app for it to start: both walls with no open door known (full), " +
				"both walls (partial), or the inner one only (basic)",
			choices: []string{"full", "partial", "basic"}, fallback: usualWalls(),
		},
		originSetting(),
	}
}

// usualWalls is what is required while nobody said otherwise: both walls where Paddock has two.
func usualWalls() string {
	if runtime.GOOS == "linux" {
		return "partial"
	}
	return "basic"
}

// setting is the value in force.
func (a *App) setting(key string) (string, error) {
	i := slices.IndexFunc(knownSettings(), func(s setting) bool { return s.key == key })
	value, set, err := a.store.Setting(key)
	if err != nil {
		return "", fmt.Errorf("read the setting %s: %w", key, err)
	}
	s := knownSettings()[i]
	if !set || !slices.Contains(s.choices, value) { // a value of another version's counts as none
		return s.fallback, nil
	}
	return value, nil
}

// Settings lists every setting with its value.
func (a *App) Settings(context.Context, control.Empty) ([]control.Setting, error) {
	var out []control.Setting
	for _, s := range knownSettings() {
		value, err := a.setting(s.key)
		if err != nil {
			return nil, err
		}
		out = append(out, control.Setting{Key: s.key, Value: value, Default: s.fallback, Choices: s.choices, Title: s.title})
	}
	return out, nil
}

// SetSetting changes one. It holds for what starts from now on.
func (a *App) SetSetting(_ context.Context, in control.SetSetting) error {
	known := knownSettings()
	i := slices.IndexFunc(known, func(s setting) bool { return s.key == in.Key })
	if i < 0 {
		var keys []string
		for _, s := range known {
			keys = append(keys, s.key)
		}
		return control.NewError(control.ExitUsage, "unknown_setting", fmt.Sprintf("There is no setting called “%s”.", in.Key),
			"There are: "+strings.Join(keys, ", ")+".", map[string]any{"keys": keys})
	}
	if !slices.Contains(known[i].choices, in.Value) {
		return control.NewError(control.ExitUsage, "bad_setting", fmt.Sprintf("“%s” is no value of %s.", in.Value, in.Key),
			"Use "+strings.Join(known[i].choices, " or ")+".", map[string]any{"choices": known[i].choices})
	}
	if err := a.store.SetSetting(in.Key, in.Value); err != nil {
		return fmt.Errorf("keep the setting %s: %w", in.Key, err)
	}
	a.changed()
	return nil
}

// requiredWalls is the least that must hold around an app.
func (a *App) requiredWalls() (sandbox.Level, error) {
	word, err := a.setting(settingWalls)
	if err != nil {
		return sandbox.Full, err
	}
	level := sandbox.Full
	return level, level.UnmarshalText([]byte(word))
}
