// Command history runs a workload of Kafka clients against a cluster, records what they ask and are told, and checks the record.
//
//	go run ./tests/history -brokers 127.0.0.1:9092,127.0.0.1:9093 -seconds 60 -out history.jsonl
//	go run ./tests/history -check history.jsonl -format json
//
// Idempotent producers, consumers, members of two groups that come and go, and clients that ask for the ends of partitions and
// for committed offsets: one of each is pinned to each given address (any agent serves any partition), and one goes where
// Metadata sends it. Somebody else makes faults meanwhile. In the end everything is read through every address.
//
// The exit code is 0 without anomalies, 1 with some, 2 when the workload could not be run. Package check tells what is found.
package main
