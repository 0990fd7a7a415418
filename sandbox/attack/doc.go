// Package attack holds no code, only tests: the table of attempts to break out of the sandbox, each written as an app
// would write it, in JavaScript (testdata), and run in four settings:
//
//	both     both walls, through sandbox.Supervisor as the agent uses it; once more as root
//	deno     Deno's permission flags and the host's entry module, nothing from the kernel
//	kernel   the kernel's wall, with Deno's taken down: --allow-all and no entry module
//	control  no wall at all, where each attempt must succeed, or it would prove nothing behind the walls
//
// Every setting is a real launch by package sandbox. The settings differ in the launcher alone: instead of
// paddock-launch the supervisor is given a copy of the test program, which reads the very plan that paddock-launch
// would get, takes out one wall, and goes on as the real launcher or as Deno. So package sandbox needs no seams for
// this, and the suite can live outside it, as a stranger who sees its exported names only. The test
// program also is the worker that runs one setting, as a user of its own when the tests run as root.
//
// Rows that use something up get a process of their own and a small budget, and so do rows that end their app; what is
// judged of the latter is whether another app notices. Rows about memory, disk and handles are not run where only Deno
// stands, which does not limit those.
//
//	go test ./sandbox/attack -v                                                       prints the summary
//	PADDOCK_ATTACK_ONLY=fetch PADDOCK_ATTACK_DETAILS=1 go test ./sandbox/attack -v    some rows, one line for each outcome
//
// Rows about a restore file are not here, because nothing in this package may know how one is read: app/backup has them, an
// archive for each row, with a simple unpacker as the control; app/e2e looks at one from inside the restored app.
//
// A row that is known to succeed somewhere says why in the table; README.md lists these reasons. The package must
// not know how the walls work, only what they promise.
package attack
