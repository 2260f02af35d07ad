// Package agent is the runtime of a stateless agent: it joins the Kafka server (pkg/kafkaapi), which knows no storage, to
// the write path, the read path and the view of the metalog.
//
// # Invariants
//
//	A1 an agent keeps nothing that it could not load again: its view comes from the metalog, its bytes from the bucket.
//	A2 read index: an answer that a lag would falsify (latest offset, out of range, unknown topic, no record since a time) is given only after the
//	   view has reached the head of the log as it was when the question came.
//	A3 one view for all connections; readers never wait for an apply.
//	A4 an agent that starts serves nobody before its view has reached the head of the log: high watermarks and log starts go
//	   back through no one agent, also when it is started again. Across agents only answers under A2 do not go back.
//
// # Failure
//
// When the coordinator or etcd is away, produce waits and then fails with a retriable code, reads of what the view and
// the cache hold go on, and everything recovers by itself.
package agent
