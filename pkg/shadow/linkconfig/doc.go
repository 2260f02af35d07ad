// Package linkconfig reads link.yaml: what a shadow link copies, from where, and by which policies.
//
// # Concepts
//
// The file has the sections and names that users of Redpanda's shadow links know, and a section `source` that says where
// Gnomon's source is. [Parse] is strict: what it does not know, or finds in the wrong place, is an error with a line
// number. What it knows but has no use for here (an interval, a fetch size) is a [Warning] that says why: the file of
// another system can be brought over as it is, and nobody is left to believe that such a setting did anything.
//
// # Invariants
//
//	F1 no secret passes: a password or key in the file is an error, and a URL with credentials in it as well. Files and
//	   environment variables are named instead.
//	F2 no message quotes a value that may be a secret.
//	F3 what Parse accepts can be encoded into the metalog, and its filters are those that the state machine accepts.
//	F4 every key of the file is honoured, warned of or refused; none is dropped in silence.
//
// # Concurrency and failure
//
// Pure: no I/O, no clock, no state. All errors of a file are found in one go and returned as [Errors].
//
// # Non-goals
//
// Reading credentials (the wiring does, when it opens the source), and defaults that depend on the source.
package linkconfig
