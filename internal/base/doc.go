// Package base holds the vocabulary that every other package shares: named types for offsets, ids and epochs, digests,
// and the sentinel errors that cross package borders. It imports nothing of this module.
//
// Words are those of docs/GLOSSARY.md. One type for one thing: an [Offset] is never a plain int64 on a public API, a
// [Seq] is never a plain uint64, so that a mistake between the two is a compile error.
package base
