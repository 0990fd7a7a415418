// Package cli is the command line of paddock: it reads arguments, calls the agent over the control socket, and prints
// the answer as a table for people or as one JSON document for programs.
//
// It must not know: the store, processes, how anything is decided. What a command may do is the agent's decision, and
// its refusals are printed as they come. The author's commands (init, pack, keygen, sign, verify, manifest) are the
// exception: they work on files with package bundle and need no agent.
//
// The contract with other programs is in the documents of cli.md: flags, JSON documents, exit codes. In short:
//
//		code := cli.Main(ctx, cli.Env{Args: os.Args[1:], Stdout: os.Stdout, …})
//
//	  - With --json exactly one document goes to Stdout: the command's own, {"ok":true} where it has none, or
//	    {"error":{"code","message","hint","detail"}}. logs prints one object per line.
//	  - Without it Stdout gets the result for people, and everything else goes to Stderr.
//	  - Exit codes are control.ExitDone and its neighbours. Wrong use is 2 in every form: unknown command or flag,
//	    missing argument, value that cannot be read.
//	  - A command that needs the agent starts it when it does not run, unless --no-start.
//	  - Text that comes from apps is printed without control characters, so that it cannot steer the terminal.
package cli
