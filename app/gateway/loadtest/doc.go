// Package loadtest puts the same load on the front door and on other ways to one Unix socket: straight to it, and through
// Caddy and nginx where they are installed. It is what `paddock bench` and the benchmarks of app/gateway measure with.
//
//	y, err := loadtest.NewYard(ctx, self) // self makes commands that call loadtest.Part with the given arguments
//	defer y.Close()
//	through, err := loadtest.Run(ctx, y.Door, 32, time.Second)
//
// Every party is a process of its own, so that none profits from sharing a scheduler with another: the server behind
// the socket, the front door (the real one, with session, checks and header rules), each rival, and the caller, which
// is the client. Server and client do as little as they can, since they run on the processors that are measured.
//
// It must not know the agent: what it puts behind the front door is no app.
package loadtest
