// Paddock-window shows the windows of Paddock: it connects to the agent's control socket (PADDOCK_CONTROL), calls
// MethodWindows, and opens what it is told. It is started by the agent when there is something to show, ends when its
// last window has been closed for a moment, and ends when the agent does.
//
// It is wiring only: what a window looks like and does is package ui's. It is the only package that imports Fyne's
// real driver, which needs cgo; without cgo the program builds and says that it cannot show anything.
//
// Exit codes: 0 done · 1 failed · 2 wrong use · 3 no display · 5 the agent cannot be reached or is of another version.
//
// The package must not know: what an app is, how a permission is decided, where anything is stored.
package main
