// Package check says whether a history of what Kafka clients asked and were told is one that a log could have given.
//
// A history is a list of events in the order of one monotonic clock: an operation is invoked, and ends ok, fails (it had no
// effect), or ends with info (nobody knows), as in Jepsen's workload for Kafka. Check is a pure function of it.
//
//	C1. No false alarm: what is reported cannot be explained by any delay. What nobody knows may have happened, at any later time.
//	C2. Each anomaly names the events that make it up.
//	C3. Memory is bounded by the number of records (some 200 bytes each); anomalies are counted in full and kept for the first ten of a kind.
//
// Values are unique: a producer and its number. Offsets are dense here: Gnomon writes no control batches yet. What somebody has asked to
// delete may be there or not. A history may go on in another region, behind a failover (failover.go).
package check
