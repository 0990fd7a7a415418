// Command paddock-tray shows Paddock's icon and menu in the desktop's tray. It is a client of the
// agent's control socket and nothing more: it draws what control.State says and sends what the user
// clicks. It must not know the store, processes or windows, and it decides nothing, so that losing it
// (GTK ends its process when the display goes away) costs the user an icon and no running app.
//
// The agent starts it with PADDOCK_CONTROL naming the socket. It prints "ready" on standard output
// once the icon is handed to the desktop, and ends by itself when the control socket closes.
//
// Exit codes:
//
//	0  the agent ended, or a signal asked it to end
//	1  it failed; the sentence is on standard error
//	2  wrong use: no PADDOCK_CONTROL, unknown arguments
//	3  this desktop has no tray; one sentence on standard error says why (within a second)
//	5  no agent answers on the control socket, or it speaks another protocol
//
// With --wait it does not exit 3 for want of a tray but waits until one appears, and then shows itself.
//
// Start reading at menu.go: the menu as a pure function of the state. paint.go turns two menus into the
// smallest set of changes, agent.go carries clicks out, shell.go is the only part that knows systray.
package main
