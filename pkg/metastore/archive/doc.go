// Package archive keeps the metalog in the bucket: entries, snapshots and blobs as objects.
//
// # Layout (big endian)
//
//	meta/log/<incarnation>/<first seq, 16 hex>-<last seq, 16 hex>
//	    magic "GNOMLOG\x00" 8 | version u16 | incarnation length u16 | incarnation | first u64 | last u64 |
//	    for each entry: length u32, the entry as it stands in the log | CRC-32C of all before u32
//	meta/snapshot/<incarnation>/<seq, 16 hex>-<SHA-256, first 16 hex>
//	    magic "GNOMSNP\x00" 8 | version u16 | the Snapshot message, zstd
//	meta/blob/<SHA-256 in hex>
//	    the payload as it is
//
// # Invariants
//
//	A1 objects are immutable and named by what they hold: writing one again is no error.
//	A2 what is read is proved: CRC and contiguity of entries, SHA-256 of snapshots and blobs.
//
// A leader that dies between the object and its pointer leaves an object whose range overlaps the next leader's. Both
// hold the same entries, so a reader may use either.
package archive
