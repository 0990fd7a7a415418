// Package app holds the use cases of Paddock: install, consent, launch, review, budgets, uninstall, and the
// state that tray, windows and command line show.
//
// Start reading at launch.go: it shows how a stored answer becomes a running process. The other files are
// named by what a person does. An App owns the store, the supervisor of running apps and the front door's
// view of them; everything it tells or is asked comes as types of package control.
//
// It must not know how it is displayed: it draws nothing, and asks a person only through a Prompter.
package app
