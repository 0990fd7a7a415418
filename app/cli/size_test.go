package cli

import (
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"1": 1, "256M": 256 << 20, "256m": 256 << 20, "256MB": 256 << 20, "256MiB": 256 << 20, "256 MiB": 256 << 20,
		"1G": 1 << 30, "1.5G": 3 << 29, "0.5k": 512, "2T": 2 << 40, "1073741824": 1 << 30, "100B": 100, "4096": 4096,
	} {
		if got, err := parseSize(in); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", " ", "M", "-1M", "+1M", "0", "0M", "0.0001", "1e3", "0x10", "1.2.3M", "256X", "256MM", "256M1", "Inf", "NaN", "99999999999T", "1,5G", "50%",
	} {
		if got, err := parseSize(in); err == nil {
			t.Errorf("%q was read as %d", in, got)
		}
	}
}

func TestParsePercent(t *testing.T) {
	for in, want := range map[string]float64{"50%": 50, "50": 50, "12.5 %": 12.5, "200%": 200} {
		if got, err := parsePercent(in); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "%", "0", "0%", "-5%", "5%%", "half", "1e2", "NaN", "9999999%"} {
		if got, err := parsePercent(in); err == nil {
			t.Errorf("%q was read as %v", in, got)
		}
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"24h": now.Add(-24 * time.Hour), "90m": now.Add(-90 * time.Minute), "7d": now.Add(-7 * 24 * time.Hour), "0.5d": now.Add(-12 * time.Hour),
		"2026-11-20":           time.Date(2026, 11, 20, 0, 0, 0, 0, time.Local),
		"2026-11-20T08:00:00Z": time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC),
	} {
		if got, err := parseSince(in, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "d", "-1h", "0h", "yesterday", "99999d", "7", "1e9d"} {
		if got, err := parseSince(in, now); err == nil {
			t.Errorf("%q was read as %v", in, got)
		}
	}
}
