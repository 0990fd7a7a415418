package permission

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// MinInterval is the shortest time between two wakes of an app that works on a schedule.
const MinInterval = 15 * time.Minute

// Schedule says when an app is woken to work with no page open. It is written as five fields of cron in the time of
// the machine: minute (0–59), hour (0–23), day of the month (1–31), month (1–12), day of the week (0–7, Sunday is 0 and
// 7). A field is *, a number, a range a-b, either with a step /n, or several of these with commas between. As in cron
// (POSIX, crontab), a day counts when it matches either of the two day fields if both are restricted. Comparable; the
// zero value has no times.
type Schedule struct {
	minutes, hours, days, months, weekdays uint64 // bit n: n is in it
	eitherDay                              bool
}

var scheduleFields = []struct {
	name     string
	min, max int
}{{"minute", 0, 59}, {"hour", 0, 23}, {"day of the month", 1, 31}, {"month", 1, 12}, {"day of the week", 0, 7}}

// ParseSchedule reads the five fields. The error says which one is wrong. Schedules that come more often than every
// MinInterval, or never, are refused.
func ParseSchedule(text string) (Schedule, error) {
	words := strings.Fields(text)
	if len(words) != len(scheduleFields) {
		return Schedule{}, fmt.Errorf("it has %d fields, and five are needed: minute, hour, day of the month, month, day of the week", len(words))
	}
	var sets [5]uint64
	for i, f := range scheduleFields {
		set, err := parseField(words[i], f.min, f.max)
		if err != nil {
			return Schedule{}, fmt.Errorf("the %s %q: %w", f.name, words[i], err)
		}
		sets[i] = set
	}
	if sets[4]&(1<<7) != 0 {
		sets[4] = sets[4]&^(1<<7) | 1
	}
	s := Schedule{
		minutes: sets[0], hours: sets[1], days: sets[2], months: sets[3], weekdays: sets[4],
		eitherDay: !strings.HasPrefix(words[2], "*") && !strings.HasPrefix(words[4], "*"),
	}
	if s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() { // a leap year comes first
		return Schedule{}, fmt.Errorf("there is no such day")
	}
	if every := s.Interval(); every < MinInterval {
		return Schedule{}, fmt.Errorf("it comes after %d minutes again, and %d are the least", int(every.Minutes()), int(MinInterval.Minutes()))
	}
	return s, nil
}

func parseField(text string, least, most int) (set uint64, err error) {
	number := func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most || len(s) > 2 {
			return 0, fmt.Errorf("%q is no number from %d to %d", s, least, most)
		}
		return n, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		from, to, step := least, most, 1
		if span != "*" {
			first, last, ranged := strings.Cut(span, "-")
			if from, err = number(first); err != nil {
				return 0, err
			}
			switch {
			case ranged:
				if to, err = number(last); err != nil {
					return 0, err
				}
			case !stepped:
				to = from
			}
		}
		if stepped {
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > most {
				return 0, fmt.Errorf("the step %q is no number from 1 to %d", stepText, most)
			}
		}
		if from > to {
			return 0, fmt.Errorf("%d comes after %d", from, to)
		}
		for n := from; n <= to; n += step {
			set |= 1 << n
		}
	}
	return set, nil
}

func has(set uint64, n int) bool { return set&(1<<n) != 0 }

// onDay reports whether a day of the month that is that day of the week counts.
func (s Schedule) onDay(day, weekday int) bool {
	if s.eitherDay {
		return has(s.days, day) || has(s.weekdays, weekday)
	}
	return has(s.days, day) && has(s.weekdays, weekday)
}

// horizon is further than any two times of a schedule lie apart: the 29th of February skips a year that ends a century.
const horizon = 8*366 + 1

// Next is the first time after t, to the minute, in t's location. A time that a change of the clocks leaves out is made
// up for right after it; one that comes twice counts once. The zero time when there is none within eight years.
func (s Schedule) Next(t time.Time) time.Time {
	year, month, day := t.Date()
	for n := range horizon {
		date := time.Date(year, month, day+n, 12, 0, 0, 0, t.Location())
		if !has(s.months, int(date.Month())) || !s.onDay(date.Day(), int(date.Weekday())) {
			continue
		}
		for hour := range 24 {
			if !has(s.hours, hour) {
				continue
			}
			for minutes := s.minutes; minutes != 0; minutes &= minutes - 1 {
				at := time.Date(date.Year(), date.Month(), date.Day(), hour, bits.TrailingZeros64(minutes), 0, 0, t.Location())
				if at.After(t) {
					return at
				}
			}
		}
	}
	return time.Time{}
}

// Interval is the shortest time between two of its times, as if every day counted.
func (s Schedule) Interval() time.Duration {
	first, last, least := -1, -1, 24*60
	for hour := range 24 {
		if !has(s.hours, hour) {
			continue
		}
		for minutes := s.minutes; minutes != 0; minutes &= minutes - 1 {
			at := hour*60 + bits.TrailingZeros64(minutes)
			if first < 0 {
				first = at
			} else {
				least = min(least, at-last)
			}
			last = at
		}
	}
	return time.Duration(min(least, first+24*60-last)) * time.Minute
}

// Covers reports whether every time of o is one of s.
func (s Schedule) Covers(o Schedule) bool {
	if o.minutes&^s.minutes != 0 || o.hours&^s.hours != 0 || o.months&^s.months != 0 {
		return false
	}
	for day := 1; day <= 31; day++ {
		for weekday := range 7 {
			if o.onDay(day, weekday) && !s.onDay(day, weekday) {
				return false
			}
		}
	}
	return true
}

// Rhythm is what people are told of a schedule. Exactly one of At and Every says when.
type Rhythm struct {
	At      time.Duration  // since midnight, on each of Days; meaningful where Days are
	Days    []time.Weekday // from Monday on; all seven is every day
	Every   time.Duration  // where there are no Days
	AtMost  bool           // it may come less often than Every
	Working bool           // Days are Monday to Friday
}

// Rhythm returns the plainest true thing that can be said of a schedule.
func (s Schedule) Rhythm() Rhythm {
	const everyDay, everyMonth, everyWeekday, workingDays = 1<<32 - 2, 1<<13 - 2, 1<<7 - 1, 0b0111110
	allDays := s.days == everyDay && s.months == everyMonth
	every := s.Interval()
	times := bits.OnesCount64(s.minutes) * bits.OnesCount64(s.hours)
	at := time.Duration(bits.TrailingZeros64(s.hours))*time.Hour + time.Duration(bits.TrailingZeros64(s.minutes))*time.Minute
	if n := bits.OnesCount64(s.weekdays); allDays && times == 1 && (n <= 3 || s.weekdays == workingDays || s.weekdays == everyWeekday) {
		r := Rhythm{At: at, Working: s.weekdays == workingDays}
		for d := range 7 {
			if day := (d + 1) % 7; has(s.weekdays, day) {
				r.Days = append(r.Days, time.Weekday(day))
			}
		}
		return r
	}
	evenly := times*int(every.Minutes()) == 24*60 && allDays && s.weekdays == everyWeekday // all day
	return Rhythm{Every: every, AtMost: !evenly}
}

// Words says it to people in English, after “when no page is open,”.
func (s Schedule) Words() string {
	r := s.Rhythm()
	clock := fmt.Sprintf("%02d:%02d", int(r.At.Hours()), int(r.At.Minutes())%60)
	switch {
	case len(r.Days) == 7:
		return "every day at " + clock
	case r.Working:
		return "at " + clock + " from Monday to Friday"
	case len(r.Days) > 0:
		var names []string
		for _, day := range r.Days {
			names = append(names, day.String())
		}
		return "at " + clock + " on " + strings.Join(names, ", ")
	case r.AtMost:
		return "at most every " + spell(r.Every)
	}
	return "every " + spell(r.Every)
}

func spell(d time.Duration) string {
	switch minutes := int(d.Minutes()); {
	case minutes == 60:
		return "hour"
	case minutes == 24*60:
		return "day"
	case minutes%60 == 0:
		return fmt.Sprintf("%d hours", minutes/60)
	default:
		return fmt.Sprintf("%d minutes", minutes)
	}
}
