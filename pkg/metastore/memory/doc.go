// Package memory is a metalog in memory: for tests and the simulation. A [Server] plays etcd; each process opens a
// [Log] on it. Leases end only when the test says so ([Server.ExpireLeader]), and faults are injected by a hook before
// and after each call, so that a lost answer to an append can be told from an append that never was.
package memory
