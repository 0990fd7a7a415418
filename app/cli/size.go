package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// units are powers of 1024, as memory is counted everywhere else in Paddock.
var units = map[string]float64{
	"": 1, "B": 1,
	"K": 1 << 10, "KB": 1 << 10, "KIB": 1 << 10,
	"M": 1 << 20, "MB": 1 << 20, "MIB": 1 << 20,
	"G": 1 << 30, "GB": 1 << 30, "GIB": 1 << 30,
	"T": 1 << 40, "TB": 1 << 40, "TIB": 1 << 40,
}

// parseSize reads "256M", "1.5 GiB" or a number of bytes, more than none.
func parseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "BKMGTIbkmgti ")
	unit, known := units[strings.ToUpper(strings.TrimSpace(s[len(digits):]))]
	n, err := parseNumber(digits)
	bytes := math.Round(n * unit)
	if err != nil || !known || bytes < 1 || bytes >= 1<<62 {
		return 0, usage(fmt.Sprintf("“%s” is not a size.", s), "Write it like 256M, 1.5G or 1073741824.")
	}
	return int64(bytes), nil
}

// parsePercent reads "50%" or "50", more than none; 100 is one whole core.
func parsePercent(s string) (float64, error) {
	n, err := parseNumber(strings.TrimSpace(strings.TrimSuffix(s, "%")))
	if err != nil || n <= 0 || n > 1e6 {
		return 0, usage(fmt.Sprintf("“%s” is not a share of the processor.", s), "Write it like 50%; 100% is one whole core.")
	}
	return n, nil
}

// parseNumber reads plain decimal numbers only: no sign, exponent, hexadecimal, infinity.
func parseNumber(s string) (float64, error) {
	if s == "" || strings.Trim(s, "0123456789.") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

// parseSince reads a span before now ("90m", "24h", "7d") or a day ("2026-11-22").
func parseSince(s string, now time.Time) (time.Time, error) {
	if day, err := time.ParseInLocation(time.DateOnly, s, time.Local); err == nil {
		return day, nil
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return at, nil
	}
	var span time.Duration
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := parseNumber(days)
		if err == nil && n <= 3650 {
			span = time.Duration(n * 24 * float64(time.Hour))
		}
	} else if d, err := time.ParseDuration(s); err == nil {
		span = d
	}
	if span <= 0 {
		return time.Time{}, usage(fmt.Sprintf("“%s” is not a span of time.", s), "Write it like 30m, 24h or 7d, or a day like 2026-11-22.")
	}
	return now.Add(-span), nil
}
