package permission

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseSchedule(t *testing.T) {
	for text, want := range map[string]string{ // words, or "!" and part of the error
		"0 7 * * *":        "every day at 07:00",
		"30 22 * * 0":      "at 22:30 on Sunday",
		"30 22 * * 7":      "at 22:30 on Sunday",
		"5 6 * * 1,3":      "at 06:05 on Monday, Wednesday",
		"0 7 * * 1-5":      "at 07:00 from Monday to Friday",
		"*/15 * * * *":     "every 15 minutes",
		"0 * * * *":        "every hour",
		"0 */6 * * *":      "every 6 hours",
		"0,30 8-17 * * *":  "at most every 30 minutes",
		"0 3 1 * *":        "at most every day",
		"10-50/20 * * * *": "every 20 minutes",
		"* * * * *":        "!15 are the least",
		"0,10 * * * *":     "!after 10 minutes",
		"55 23 * * *":      "every day at 23:55",
		"55 23,0 * * *":    "at most every hour",
		"0,50 0,23 * * *":  "!after 10 minutes",
		"0 7 31 2 *":       "!no such day",
		"0 7 29 2 *":       "at most every day",
		"0 7 * *":          "!4 fields",
		"0 7 * * * *":      "!6 fields",
		"60 7 * * *":       `!minute "60"`,
		"0 24 * * *":       `!hour "24"`,
		"0 7 0 * *":        "!day of the month",
		"0 7 * 13 *":       "!month",
		"0 7 * * 8":        "!day of the week",
		"0 9-7 * * *":      "!9 comes after 7",
		"0 */0 * * *":      "!step",
		"0 1,,2 * * *":     "!no number",
		"0 007 * * *":      "!no number",
		"-1 7 * * *":       "!no number",
		"every day":        "!2 fields",
	} {
		s, err := ParseSchedule(text)
		if part, wrong := strings.CutPrefix(want, "!"); wrong {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v, want an error with %q", text, err, part)
			}
			continue
		}
		if err != nil || s.Words() != want {
			t.Errorf("%q: %q %v, want %q", text, s.Words(), err, want)
		}
	}
}

func TestScheduleNext(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here: ", err)
	}
	const form = "2006-01-02 15:04 MST"
	for _, c := range []struct{ text, after, want string }{
		{"0 7 * * *", "2026-03-10 06:59", "2026-03-10 07:00 CET"},
		{"0 7 * * *", "2026-03-10 07:00", "2026-03-11 07:00 CET"},
		{"*/15 * * * *", "2026-12-31 23:50", "2027-01-01 00:00 CET"},
		{"30 2 * * *", "2026-03-28 12:00", "2026-03-29 03:30 CEST"}, // 02:30 is left out
		{"30 2 * * *", "2026-03-29 03:30", "2026-03-30 02:30 CEST"},
		{"0 7 13 * 5", "2026-02-13 07:00", "2026-02-20 07:00 CET"}, // either day
		{"0 7 29 2 *", "2026-03-01 00:00", "2028-02-29 07:00 CET"},
		{"0 7 * * 1-5", "2026-03-13 08:00", "2026-03-16 07:00 CET"},
	} {
		s, err := ParseSchedule(c.text)
		if err != nil {
			t.Fatal(err)
		}
		after, err := time.ParseInLocation("2006-01-02 15:04", c.after, berlin)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Next(after).Format(form); got != c.want {
			t.Errorf("%q after %s: %s, want %s", c.text, c.after, got, c.want)
		}
	}
	// A night in which an hour comes twice has one 02:30.
	s, err := ParseSchedule("30 2 * * *")
	if err != nil {
		t.Fatal(err)
	}
	first := s.Next(time.Date(2026, 10, 25, 0, 0, 0, 0, berlin))
	if second := s.Next(first); second.Day() != 26 {
		t.Errorf("after %v comes %v", first, second)
	}
}

// anySchedule draws texts, of which ParseSchedule refuses many.
func anySchedule() *rapid.Generator[string] {
	field := rapid.SampledFrom([]string{"*", "0", "5", "7", "1-5", "*/2", "*/6", "3,9"})
	minute := rapid.SampledFrom([]string{"0", "30", "*/15", "*/20", "0,30", "59"})
	return rapid.Custom(func(t *rapid.T) string {
		day := rapid.SampledFrom([]string{"*", "1", "5", "1-7", "*/10"})
		return strings.Join([]string{minute.Draw(t, "m"), field.Draw(t, "h"), day.Draw(t, "d"), "*", rapid.SampledFrom([]string{"*", "0", "1-5", "6"}).Draw(t, "w")}, " ")
	})
}

// Next goes forward by at least the interval, and what one schedule covers never wakes when it would not.
func TestScheduleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := ParseSchedule(anySchedule().Draw(t, "a"))
		if err != nil {
			return
		}
		o, err := ParseSchedule(anySchedule().Draw(t, "b"))
		if err != nil {
			return
		}
		at := time.Unix(rapid.Int64Range(1.7e9, 1.9e9).Draw(t, "at"), 0).UTC()
		next := s.Next(at)
		after := s.Next(next)
		if !next.After(at) || after.Sub(next) < s.Interval() || s.Interval() < MinInterval {
			t.Fatalf("after %v come %v and %v, interval %v", at, next, after, s.Interval())
		}
		if !s.Covers(s) {
			t.Fatal("does not cover itself")
		}
		if s.Covers(o) {
			for range 5 {
				theirs := o.Next(at)
				if mine := s.Next(at); mine.After(theirs) {
					t.Fatalf("covers, and comes at %v where the other comes at %v", mine, theirs)
				}
				at = theirs
			}
		}
	})
}

// A grant for some times is none for others, and one for all the time is one for each.
func TestScheduleOfGrant(t *testing.T) {
	p := Permission{Kind: Background}
	for _, c := range []struct {
		given, wanted string
		want          bool
	}{
		{"", "", true},
		{"", "0 7 * * *", true},
		{"0 7 * * *", "0 7 * * *", true},
		{"0 */2 * * *", "0 */6 * * *", true},
		{"0 7 * * *", "0 7,19 * * *", false},
		{"0 7 * * *", "", false},
		{"nonsense", "0 7 * * *", false},
	} {
		request := Request{Permission: p, Schedule: c.wanted}
		res := Resolve([]Request{request}, []Grant{{Permission: p, Decision: Allow, Schedule: c.given}})
		if res.Allow.Has(p) != c.want || res.Ask.Has(p) == c.want {
			t.Errorf("given %q, wanted %q: %+v", c.given, c.wanted, res)
		}
		if request.Wider(Request{Permission: p, Schedule: c.given}) == c.want {
			t.Errorf("given %q, wanted %q: wider is %v", c.given, c.wanted, c.want)
		}
	}
}
