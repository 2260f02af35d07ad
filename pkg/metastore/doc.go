// Package metastore is the contract of the metalog: one totally ordered log of events in etcd, and the few keys beside it
// (leader, fence, pointers, agents).
//
// # Concepts
//
// A [Log] is a process's handle on the metalog of one cluster. A [Term] is one leadership; only it appends. An entry is
// encoded by [EncodeEntry] and chained to the one before by its SHA-256.
//
// # Invariants
//
//	M1 an append is one transaction, conditional on the term, the head and the fence: a deposed or fenced leader cannot
//	   append.
//	M2 entries are contiguous; entry n names the hash of entry n-1.
//	M3 Append returns nil only for an entry that is durable, once.
//	M4 Position is linearizable.
//
// # Failure
//
// base.ErrUnavailable is for what may pass by itself. ErrAmbiguous is for an append of unknown fate. ErrChain says that the
// log is not what it was.
//
// # Non-goals
//
// What events mean (package state), keeping a state in step (package replica), consensus (etcd has it).
package metastore
