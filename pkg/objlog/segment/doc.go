// Package segment is the format of Gnomon's data objects.
//
// # Layout
//
// Integers are big endian and of fixed width. An object is
//
//	header    magic "GNOMSEG\x00" 8 | version u16 | header length u16 | cluster id 16 | session u64 | number u64 |
//	          CRC-32C of the 44 bytes before u32                                                       48 bytes
//	extents   one behind the other, sorted by topic id, then partition; an extent is the record batches of one
//	          partition exactly as they were produced, in the order of their offsets
//	footer    extent count u32, then for each extent
//	            topic id 16 | partition i32 | position u64 | length u64 | batch count u32             40 bytes
//	            and for each of its batches
//	            length u32 | records u32 | producer id i64 | producer epoch i16 | base sequence i32 |
//	            attributes i16 | base timestamp i64 | max timestamp i64 | digest 16                    56 bytes
//	trailer   footer position u64 | footer length u32 | CRC-32C of the footer u32 | version u16 | zero u16 |
//	          CRC-32C of the 20 bytes before u32 | magic "GNOMEND\x00" 8                               32 bytes
//
// # Invariants
//
//	G1 batches are stored unpatched: baseOffset and partitionLeaderEpoch are the client's, and no byte ever changes.
//	G2 a digest is SHA-256 of a batch from its magic byte on, cut to 128 bits: the same in every region and for ever.
//	G3 an unknown version (base.ErrVersion) and damage (base.ErrCorrupt) are different errors.
//	G4 no length read from an object leads to an allocation before it was compared with what is there.
//
// A new version keeps the magics and the place of the version numbers.
package segment
