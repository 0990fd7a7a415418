// Package e2e holds the end-to-end tests: the built programs, driven as a person, a script or a browser
// drives them, on real Deno processes, a real browser and a real display. It has no code of its own and
// must not import any of ours: what it knows of the product is the command line's contract.
package e2e
