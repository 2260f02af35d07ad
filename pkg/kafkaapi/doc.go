// Package kafkaapi is the Kafka server of an agent: listeners, connections, the wire format, and one file for each API.
// It knows no storage: what it serves it asks of the small interfaces in backend.go.
//
// # Concepts
//
// A frame is a request as it lies in memory; it holds budget until its answer is written. A connection has three
// goroutines: the reader cuts frames off the socket, the handler decodes and starts them in order, the writer answers
// in order. A reply is a place in that order; it becomes ready when its answer is known.
//
// Produce is pipelined: the handler goes on to the next request as soon as the Appender has taken the batches over. All
// other requests are handled one at a time, and only after the Produce requests before them are settled, which is what a
// client sees of Kafka's muted channel. A Produce that is not durable when its client's patience ends is answered so, and its
// frame stays with the Appender (producewait.go).
//
// # Invariants
//
//	K1 answers leave a connection in the order of its requests.
//	K2 the bytes of a Produce frame are not reused before the Appender called done.
//	K3 nothing is allocated by what a length or count field says before that much input is there: frames grow with
//	   the bytes that arrive, and a body passes its shape (shapes.go) before it is decoded.
//	K4 what connections hold is bounded: requests and bytes each, and bytes over all. At a bound sockets are not read.
//	K5 ApiVersions and dispatch come from one table, Supported; what it does not list closes the connection.
//	K6 a passing fault, and an error that nobody knows, gets a code that clients retry, never UNKNOWN_SERVER_ERROR
//	   (errors.go is the one place).
//	K7 record bytes are copied neither on the way in nor on the way out.
//
// # Concurrency
//
// A Server may serve several listeners at once. Serve returns once all of its goroutines have ended. Of a connection's
// state the reader, handler and writer each own a part; they meet in two bounded channels. No lock is held while a
// backend is called.
//
// # Failure
//
// Bytes that are no request close the connection with a line in the log. A panic in a handler closes the connection and
// is logged with its stack; the process stays up. At shutdown reading stops at once, waiting fetches are answered, and
// produces in flight have Limits.Drain to settle before their connections are cut.
//
// # Non-goals
//
// No authentication, authorization, quotas or TLS of its own yet: a TLS listener can be passed in. No fetch sessions:
// each fetch is a full one. No transactions.
package kafkaapi
