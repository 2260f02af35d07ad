// Package cli is the operator's command line: one file a command, over the Kafka protocol, so that each works against any
// cluster that speaks it.
//
// # Concepts
//
// A [Command] makes a cobra command from an [Env], which holds all that a command may touch of its process: streams,
// environment, clock. So tests run commands in-process, and several at once. [Run] builds the tree, runs it, and turns the
// error into one line and an exit code. cmd/gnomon passes further commands to Run; they use [Env.Emit] and [Fail] as the
// commands here do.
//
// # Invariants
//
//	C1 results go to Out, everything else (progress, notes, errors) to Err: a pipe gets results only.
//	C2 an error is one sentence with what failed, why, and what to do about it; the exit code is then not 0.
//	C3 --format json gives one JSON value a result, a line a record for streams, and {"error": …} on Err.
//	C4 consume commits for a group only what it has written to Out.
//
// # Failure
//
// A broker that does not answer is found before anything is done, and named. A cancelled context (Ctrl-C) ends a stream in
// order: produce says what was acknowledged, consume commits what it wrote.
//
// # Non-goals
//
// Prompts: every command can run in a script.
package cli
