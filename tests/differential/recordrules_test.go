package differential

import (
	"github.com/twmb/franz-go/pkg/kerr"
)

var recordRules = []*rule{
	{
		api: "Produce", name: "with an error the base offset is -1; kfake: 0",
		why:   "As Kafka (ProduceResponse.PartitionResponse).",
		where: func(d *difference) bool { return d.refused() && d.is("BaseOffset", "-1", "0") }, fields: []string{"BaseOffset"},
	},
	{
		api: "Produce", name: "INVALID_RECORD for what is no one sound batch of version 2; kfake: CORRUPT_MESSAGE, or MESSAGE_TOO_LARGE",
		why: "As Kafka (ProduceRequest.validateRecords, LogValidator).",
		where: func(d *difference) bool {
			return d.codes(kerr.InvalidRecord.Code, kerr.CorruptMessage.Code) || d.codes(kerr.InvalidRecord.Code, kerr.MessageTooLarge.Code)
		},
		fields: []string{"ErrorCode"},
	},
	{
		api: "Produce", name: "INVALID_RECORD for a producer id with a negative epoch or sequence; kfake: OUT_OF_ORDER_SEQUENCE_NUMBER or INVALID_PRODUCER_EPOCH, or it takes the batch",
		why: "As Kafka (LogValidator.validateBatch).", parts: true,
		where: func(d *difference) bool {
			return d.codes(kerr.InvalidRecord.Code, kerr.OutOfOrderSequenceNumber.Code) || d.codes(kerr.InvalidRecord.Code, 0) ||
				d.codes(kerr.InvalidRecord.Code, kerr.InvalidProducerEpoch.Code)
		},
	},
	{
		api: "Produce", name: "a producer that nobody knows may begin with any sequence; kfake: not in a partition that was never written to",
		why: "As Kafka up to 4.4. Kafka 4.5 refuses it there (KAFKA-15591); a producer that goes on after a failover has to be taken.", parts: true, rare: true,
		where: func(d *difference) bool { return d.codes(0, kerr.OutOfOrderSequenceNumber.Code) },
	},
	{
		api: "Produce", name: "UNSUPPORTED_COMPRESSION_TYPE for a codec that nobody has; kfake: CORRUPT_MESSAGE",
		why: "What it is. Kafka: UNKNOWN_SERVER_ERROR for the whole request (CompressionType.forId).", rare: true,
		where: func(d *difference) bool {
			return d.codes(kerr.UnsupportedCompressionType.Code, kerr.CorruptMessage.Code)
		}, fields: []string{"ErrorCode"},
	},
	{
		api: "Fetch", name: "with an error there are no offsets (-1); kfake shows them",
		why:   "As Kafka (FetchResponse, ReplicaManager.createLogReadResult).",
		where: func(d *difference) bool { return d.refused() }, fields: []string{"HighWatermark", "LastStableOffset", "LogStartOffset"},
	},
	{
		api: "Fetch", name: "no fetch session is made",
		why:   "[ADR 0011](adr/0011-no-fetch-sessions.md). Kafka makes none either when it has no room.",
		where: func(d *difference) bool { return d.is("SessionID", "0", "*") }, fields: []string{"SessionID"},
	},
	{
		api: "DeleteRecords", name: "with an error the low watermark is -1; kfake: 0",
		why:   "As Kafka (DeleteRecordsResponse).",
		where: func(d *difference) bool { return d.refused() && d.is("LowWatermark", "-1", "0") }, fields: []string{"LowWatermark"},
	},
	{
		api: "DeleteRecords", name: "no error where all is deleted already; kfake: OFFSET_OUT_OF_RANGE",
		why: "As Kafka (UnifiedLog.maybeIncrementLogStartOffset).", rare: true,
		where: func(d *difference) bool { return d.codes(0, kerr.OffsetOutOfRange.Code) },
	},
	{
		api: "OffsetForLeaderEpoch", name: "for an epoch above the present one there is an answer; kfake, as Kafka: -1",
		why:   "Never −1, on purpose: see the paragraph above.",
		where: func(d *difference) bool { return d.is("EndOffset", "*", "-1") },
	},
}
