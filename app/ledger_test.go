package app

import (
	"fmt"
	"testing"
	"time"

	"paddock/sandbox"
)

// A flood of one app costs neither another app its detail nor the host its memory, and what an app reports about
// itself leaves room for what is known of it.
func TestLedgerIsBounded(t *testing.T) {
	l := newLedger(&App{now: time.Now})
	l.app.ledger = l
	for i := range 10 * maxLedger {
		l.app.Reported("noisy", sandbox.Use{Permission: fmt.Sprintf("net:x%d.example.net", i), Count: 1})
	}
	if n := len(l.sum["noisy"]); n > maxLedger/2+1 {
		t.Errorf("%d entries wait for an app that reports without end", n)
	}
	for i := range 10 * maxLedger {
		l.add("noisy", deed{side: sideProcess, perm: fmt.Sprintf("net:y%d.example.net", i), count: 1})
	}
	if n := len(l.sum["noisy"]); n > maxLedger+2 {
		t.Errorf("%d entries wait for an app that tries without end", n)
	}
	l.add("quiet", deed{side: sidePage, perm: "browser:camera", allowed: true, count: 1})
	if l.sum["quiet"][ledgerKey{sidePage, "browser:camera", true, false}] == nil {
		t.Error("another app's use was not kept apart")
	}
	total := int64(0)
	for _, e := range l.sum["noisy"] {
		total += e.Count
		if time.Since(e.At) > time.Minute {
			t.Errorf("%+v has no time", e)
		}
	}
	if total != 20*maxLedger {
		t.Errorf("%d of %d tries are counted", total, 20*maxLedger)
	}
}
