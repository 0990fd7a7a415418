// Package ui draws every Fyne window of Paddock: the permission prompt, the library, the install review,
// the page of one app, activity and settings, together with their wording and theme.
//
// A window shows what the agent says and sends back what the user did; nothing here decides. Each screen
// keeps a small model (plain Go, tested without a canvas), draws from it, and is redrawn from the agent's
// snapshots. All work off the main goroutine goes through one door (tasks) and comes back through fyne.Do.
//
// Layout is height-for-width: Fyne asks a widget for one minimum size, so wrapped text would either be cut
// off or leave holes. The layouts here pass a width down and get a height back (see flow), which is what lets
// any language fit.
//
// Text that comes from an app or its author is a stranger's: it passes through clean before it is drawn, and
// is never used as a template.
//
// The package must not know: the store, processes, the sandbox, how the agent works, or a real display. It
// never imports fyne.io/fyne/v2/app, so its tests need neither cgo nor a screen.
package ui
