package differential

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const maxTimestamp = -3 // of ListOffsets (KIP-734)

// asks tells whether a partition of ListOffsets was asked for with a timestamp.
func (d *difference) asks(timestamp int64) bool {
	for _, t := range d.req.(*kmsg.ListOffsetsRequest).Topics {
		for _, p := range t.Partitions {
			if fmt.Sprintf("Topics[%s].Partitions[%d]", t.Topic, p.Partition) == d.path {
				return p.Timestamp == timestamp
			}
		}
	}
	return false
}

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
		why: "As Kafka up to 4.4. Kafka 4.5 refuses it there (KAFKA-15591); a producer that goes on after a failover has to be taken.", parts: true,
		where: func(d *difference) bool { return d.codes(0, kerr.OutOfOrderSequenceNumber.Code) },
	},
	{
		api: "Produce", name: "an error in answer to acks 0 closes the connection; kfake goes on",
		why: "As Kafka (KafkaApis.handleProduceRequest): the client learns of it in no other way.", parts: true,
		where: func(d *difference) bool { return d.roots.gnomon.fields["answer"] == closed },
	},
	{
		api: "Produce", name: "an epoch of a producer is known by partition; kfake has one for all, and refuses the one before with INVALID_PRODUCER_EPOCH",
		why: "As Kafka (ProducerStateManager).", parts: true, rare: true,
		where: func(d *difference) bool { return d.codes(0, kerr.InvalidProducerEpoch.Code) },
	},
	{
		api: "DescribeProducers", name: "all producers of a partition; kfake: those with transactions",
		why:   "As Kafka (ProducerStateManager.activeProducers).",
		where: func(d *difference) bool { return d.only() == "gnomon" && d.kind == "Topics.Partitions.ActiveProducers" },
	},
	{
		api: "InitProducerID", name: "TRANSACTIONAL_ID_AUTHORIZATION_FAILED for a transactional id; kfake gives a producer id",
		why:   "No transactions yet.",
		where: func(d *difference) bool { return d.codes(kerr.TransactionalIDAuthorizationFailed.Code, 0) },
	},
	{
		api: "Produce", name: "a batch that was taken before is answered with the log start; kfake: -1",
		why: "As Kafka (UnifiedLog.append).", rare: true,
		where: func(d *difference) bool { return !d.refused() && d.is("LogStartOffset", "*", "-1") }, fields: []string{"LogStartOffset"},
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
		api: "ListOffsets", name: "a record that is deleted is not answered as that of the largest timestamp (-3), but one behind it of the same time, or none; kfake answers it",
		why: "It cannot be read. Kafka answers it until the segment is gone (UnifiedLog.fetchOffsetByTimestamp).", rare: true,
		where:  func(d *difference) bool { return d.kind == "Topics.Partitions" && d.asks(maxTimestamp) },
		fields: []string{"Offset", "Timestamp", "LeaderEpoch"},
	},
	{
		api: "OffsetForLeaderEpoch", name: "for an epoch above the present one there is an answer; kfake, as Kafka: -1",
		why: "Never −1, on purpose: see the paragraph above.", rare: true,
		where: func(d *difference) bool { return d.is("EndOffset", "*", "-1") },
	},
}
