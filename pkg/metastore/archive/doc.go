// Package archive keeps the metalog in the bucket: entries, snapshots and blobs as objects.
//
// # Layout (big endian)
//
//	meta/log/<incarnation>/<first seq, 16 hex>
//	    magic "GNOMLOG\x00" 8 | version u16 | incarnation length u16 | incarnation | first u64 | last u64 |
//	    for each entry: length u32, the entry as it stands in the log | CRC-32C of all before u32
//	meta/snapshot/<incarnation>/<seq, 16 hex>-<SHA-256, first 16 hex>
//	    magic "GNOMSNP\x00" 8 | version u16 | the Snapshot message, zstd
//	meta/blob/<SHA-256 in hex>
//	    the payload as it is
//
// # Invariants
//
//	A1 objects are immutable, and writing one again is no error.
//	A2 what is read is proved: CRC and contiguity of entries, SHA-256 of snapshots and blobs.
//	A3 the log objects of an incarnation follow each other without gap or overlap, and hold one history, whoever writes.
//
// A3 rests on the store, which stores nothing under a name that is taken, and on the writers, who begin where an object ends. The proof: each
// object's first seq is the incarnation's first one, or follows the end of an object that was there. Behind each object but the last
// another one begins already; so a PUT that succeeds puts its object behind the last one. What it holds goes on from that one's
// last entry, as entries are chained by hash and its writer knows that entry: by the pointer in etcd, which is only ever moved to the end of an
// object whose last entry etcd has, or by having read it.
//
// The walk: (1) A leader dies between the object 24 to 30 and its pointer. (2) The next one, at entry 45, wants to archive 24 to 45. The name is taken;
// the content is the same up to 30: so its pointer goes there, and it goes on with 31. (3) The old leader was only paused, and its PUT
// of 24 to 28 was on its way: it is refused whenever it comes.
//
// The walk of two histories: (1) etcd is set back to entry 25, the end of an object. A coordinator that knows of nothing else leads on, and
// has another entry 26. (2) One that remembers the first history wants to archive its entries 26 to 60. At the same instant the
// leader wants to archive its entry 26. (3) Both look, and neither finds anything. One PUT succeeds. The other writer finds another entry 26,
// and knows that there are two histories (ErrOther).
package archive
