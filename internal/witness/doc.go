// Package witness has Kafka clients that remember what they were promised, and say when a promise is broken: a ledger of
// what was acked, a member of a consumer group that watches what it is given, and a dialer that moves clients from one region
// to another as a change of DNS does. The demo and the end-to-end tests use them on both sides of a failover.
//
//	W1. A ledger counts a record as acked when the client says so, and at the partition and offset that it says.
//	W2. A reader commits only what was delivered to it, after every poll.
//	W3. Findings are counted in full and described for the first ten.
package witness
