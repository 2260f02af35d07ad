// Package differential asks Gnomon and kfake the same questions and compares what they say.
//
// kfake is franz-go's implementation of a Kafka broker in memory, written by others from Kafka's own code. A seed gives a sequence of
// requests, sound and unsound ones; both get it, one after the other, and each answer of the one is held against that of the other.
// A difference is a mistake of Gnomon's and gets mended, or it has a rule (rules_test.go) that says why it is there; docs/KAFKA.md
// lists the rules. So a change of what Gnomon answers shows up even where nobody has thought of a test.
//
//	go test ./tests/differential -seeds 1500        # more sequences
//	go test ./tests/differential -seed 17 -v        # one of them, with each request and both answers
//
// Invariants:
//
//	D1. All that is random in a step is drawn before either is asked: both get the same request, but for ids that they gave themselves.
//	D2. What a server makes up (topic ids, member ids, producer ids, leader epochs) is compared by the name of the thing, which the
//	    sequence knows. What cannot be the same (hosts, node ids, texts of errors) is left out, by a table (ignored).
//	D3. A sequence ends where a rule says that the two now hold different things: what follows would say nothing.
//	D4. Every rule explains something, or it goes.
package differential
