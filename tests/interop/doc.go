// Package interop tests Gnomon with what others have made for Kafka: their clients, their tools, and the tests of their clients.
//
//	make interop                                             everything
//	GNOMON_INTEROP=kgo,java go test -v ./tests/interop       some of it
//
// Each test installs what it needs from the registry of its language into a cache folder (GNOMON_TOOLS_DIR), in pinned versions, and
// needs that language's tools on the machine: Go, Java with Maven, Python, Node.js, kcat. Plain `go test ./...` leaves all of it out.
//
// A client is a small program below this folder that takes the addresses of brokers and does what clients.go asks of each; it prints
// a line a check and ends with 1 at the first that fails.
package interop
