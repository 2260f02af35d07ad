// Package lint holds the repository's own laws as a Go test, so that `make test` finds a breach on the machine of whoever
// wrote it.
//
// # Laws
//
//	R1 import: packages depend downwards only, by the table in layers.go; only wiring names a backend, and only a backend
//	   imports the client library behind it.
//	R2 pure: the packages that compute state from the metalog import no clock, random source or I/O.
//	R3 call: packages under pkg/ read no clock and no environment, do not end the process and have no init function:
//	   what they need is passed in.
//	R4 file-length and function-length: 400 lines a file, 70 lines a function. Generated code is exempt from both, tests
//	   from the second.
//	R5 comment: what is left to do stands in an issue, not in a comment.
//
// An exception is one line in allow.txt, with its reason. A line that excuses nothing any more is itself a breach, so the
// list cannot outlive the code.
//
// # Non-goals
//
// Only syntax is read: nothing is type-checked, so a broken package is still judged, and a law that needs types belongs
// to the linters of .golangci.yml.
package lint
