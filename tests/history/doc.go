// Command history runs a workload of Kafka clients against a cluster, records what they ask and are told, and checks the record.
//
//	go run ./tests/history -brokers 127.0.0.1:9092,127.0.0.1:9093 -duration 10m
//	go run ./tests/history -check history.jsonl -format json
//	go run ./tests/history -check history.jsonl -brokers 127.0.0.1:9192,127.0.0.1:9193 -failover failover.json
//
// Idempotent producers, consumers, members of two groups that come and go, and clients that ask for ends, log starts, high watermarks and
// committed offsets: one of each is pinned to each given address (any agent serves any partition), and one goes where Metadata sends it.
// Records of the last partition are deleted meanwhile. Somebody else makes faults. In the end everything is read through every address.
//
// The third form goes on with a history in the region that took over from the first one: the same records at the same offsets, one cut over
// partitions and groups, and groups that go on at exactly what they had committed.
//
// The exit code is 0 without anomalies, 1 with some, 2 when the workload could not be run. Package check tells what is found, and
// docs/HISTORY.md how an operator uses it.
package main
