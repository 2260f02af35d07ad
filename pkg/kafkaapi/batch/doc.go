// Package batch is Kafka's record batch, format version 2, as a view over its bytes: the header is parsed, the records
// are never decoded.
//
// # Layout (big endian; https://kafka.apache.org/documentation/#recordbatch)
//
//	 0  int64  baseOffset             patched in memory when a batch is read, outside the CRC
//	 8  int32  batchLength            bytes after this field
//	12  int32  partitionLeaderEpoch   patched likewise
//	16  int8   magic                  2
//	17  uint32 crc                    CRC-32C of everything after this field
//	21  int16  attributes             0–2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon
//	23  int32  lastOffsetDelta
//	27  int64  baseTimestamp
//	35  int64  maxTimestamp
//	43  int64  producerId
//	51  int16  producerEpoch
//	53  int32  baseSequence
//	57  int32  number of records
//	61         records
//
// # Invariants
//
//	B1 Digest covers bytes 16 to the end: it is the same for a batch as it was produced and as it is served.
//	B2 no function reads beyond the batch or allocates by what a length field says.
package batch
