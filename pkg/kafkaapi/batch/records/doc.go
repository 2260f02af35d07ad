// Package records looks into record batches: decompresses, walks over the records, and builds the same batch under another
// codec. Only what a topic asks for comes here (compression.type, bounds of timestamps that it sets, a search by time): the
// write path of other topics, and links, look at headers alone.
//
// # Invariants
//
//	R1 memory is bounded by what the caller allows, whatever the bytes claim: base.ErrTooLarge beyond it.
//	R2 a recoded batch has the same records byte for byte, and the same header but for codec, length and CRC: producer id,
//	   epoch and sequence stay, so that retries are still recognised.
//	R3 bytes that are not what the header says are base.ErrCorrupt, and never a panic.
package records
