// Package harness runs gnomon for tests as its users run it: as processes, on loopback and free ports, in temporary
// folders, with SIGKILL at hand.
//
// No binary is built: the test's own binary runs itself again with an environment variable that Main looks for. A test
// package therefore has
//
//	func TestMain(m *testing.M) { harness.Main(m) }
//
// Invariants:
//
//	H1. What was started is gone when the test ends: by SIGINT, and by SIGKILL after 20 s, which fails the test.
//	H2. A process that ends by itself before the test asked for it fails the test, with the end of its log.
//	H3. Waits have deadlines and poll a condition; none is a mere sleep.
package harness
