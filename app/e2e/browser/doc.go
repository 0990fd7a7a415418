// Package browser drives real browsers in tests: Debian's Chromium over the DevTools protocol and Debian's Firefox
// over WebDriver BiDi, behind one interface, so that one table of attempts runs in both.
//
//	b := browser.Start(t, browser.Firefox, browser.Options{Names: []string{"evil.test"}})
//	p := b.Open(t, "http://evil.test:8080/")
//	title := browser.Eval[string](p, `document.title`)
//
// A browser starts with a new profile, a home folder of its own and nothing that would call out by itself, and ends
// with the test: its process group first, then its profile. Every call is bounded. Popups are not held back by the
// browser's own blocker, so that what stops them is what a test is about.
//
// It is for test files only: nothing that is shipped may import it, and it knows nothing of Paddock.
package browser
