package kafkaapi

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// family says who reads an error code: clients retry different codes in different places.
type family int

const (
	// familyWrite: Produce. What is passing makes producers refresh metadata and send the same batch again.
	familyWrite family = iota
	// familyRead: Fetch, ListOffsets, OffsetForLeaderEpoch. The Java consumer dies of a code that it does not expect in
	// a Fetch answer, REQUEST_TIMED_OUT for one; KAFKA_STORAGE_ERROR makes every client refresh and ask again.
	familyRead
	// familyGroup: the group APIs, and whatever needs a transactional id.
	familyGroup
	// familyAdmin: topics.
	familyAdmin
	// familyProducerID: InitProducerId without a transactional id. There is no coordinator to look up for it, so the
	// code is the one that a Kafka broker gives which waits for a block of ids.
	familyProducerID
	// familyMetadata: topics in Metadata. Clients wait for a leader, and for a topic.
	familyMetadata
	families
)

// passing are the codes for what will be over soon: an outage, a change of leaders, a request that the server gave up.
var passing = [families]*kerr.Error{
	familyWrite:      kerr.RequestTimedOut,
	familyRead:       kerr.KafkaStorageError,
	familyGroup:      kerr.CoordinatorNotAvailable,
	familyAdmin:      kerr.NotController,
	familyProducerID: kerr.CoordinatorLoadInProgress,
	familyMetadata:   kerr.LeaderNotAvailable,
}

// mapping gives each sentinel a code for each family. The first that an error wraps counts.
var mapping = []struct {
	sentinel error
	codes    [families]*kerr.Error
}{
	{base.ErrReadOnly, [families]*kerr.Error{
		familyWrite: kerr.NotLeaderForPartition, familyRead: kerr.NotLeaderForPartition, familyGroup: kerr.CoordinatorNotAvailable,
		// An admin's change would be lost at a standby, and waiting does not help: no retriable code.
		familyAdmin: kerr.PolicyViolation, familyProducerID: kerr.CoordinatorLoadInProgress,
		familyMetadata: kerr.UnknownTopicOrPartition,
	}},
	{base.ErrFenced, [families]*kerr.Error{
		familyWrite: kerr.NotLeaderForPartition, familyRead: kerr.NotLeaderForPartition, familyGroup: kerr.CoordinatorNotAvailable,
		familyAdmin: kerr.NotController, familyProducerID: kerr.CoordinatorLoadInProgress, familyMetadata: kerr.LeaderNotAvailable,
	}},
	{base.ErrNotLeader, passing},
	{base.ErrUnavailable, passing},
	{context.Canceled, passing},
	{context.DeadlineExceeded, passing},
	{base.ErrNotFound, [families]*kerr.Error{
		familyWrite: kerr.UnknownTopicOrPartition, familyRead: kerr.UnknownTopicOrPartition, familyGroup: kerr.GroupIDNotFound,
		familyAdmin: kerr.UnknownTopicOrPartition, familyProducerID: kerr.CoordinatorLoadInProgress,
		familyMetadata: kerr.UnknownTopicOrPartition,
	}},
	{base.ErrTooLarge, [families]*kerr.Error{
		familyWrite: kerr.MessageTooLarge, familyRead: kerr.KafkaStorageError, familyGroup: kerr.InvalidRequest,
		familyAdmin: kerr.PolicyViolation, familyProducerID: kerr.CoordinatorLoadInProgress, familyMetadata: kerr.PolicyViolation,
	}},
	{base.ErrCorrupt, [families]*kerr.Error{
		familyWrite: kerr.CorruptMessage, familyRead: kerr.KafkaStorageError, familyGroup: kerr.InvalidRequest,
		familyAdmin: kerr.InvalidRequest, familyProducerID: kerr.InvalidRequest, familyMetadata: kerr.InvalidRequest,
	}},
	{base.ErrVersion, [families]*kerr.Error{
		familyWrite: kerr.UnsupportedVersion, familyRead: kerr.KafkaStorageError, familyGroup: kerr.UnsupportedVersion,
		familyAdmin: kerr.UnsupportedVersion, familyProducerID: kerr.UnsupportedVersion, familyMetadata: kerr.UnsupportedVersion,
	}},
}

// kafkaError finds the Kafka error for err: the *kerr.Error that it wraps, or what its sentinel means in a family. It is
// nil for nil. An error that is neither is a bug of whoever returned it, known tells so; clients get a code that they retry
// (K6), for they give records up at an UNKNOWN_SERVER_ERROR, also where an error wraps just that.
func kafkaError(err error, f family) *kerr.Error {
	if err == nil {
		return nil
	}
	if ke := known(err, f); ke != nil {
		return ke
	}
	if f == familyWrite {
		return kerr.KafkaStorageError
	}
	return passing[f]
}

// known is the Kafka error that err wraps or that its sentinel means; nil when it has neither.
func known(err error, f family) *kerr.Error {
	var ke *kerr.Error
	if errors.As(err, &ke) && ke != kerr.UnknownServerError {
		return ke
	}
	for _, m := range mapping {
		if errors.Is(err, m.sentinel) {
			return m.codes[f]
		}
	}
	return nil
}

// storageErrorSince is the Fetch version that knows KAFKA_STORAGE_ERROR; for older clients it is NOT_LEADER_OR_FOLLOWER,
// as in Kafka.
const storageErrorSince = 6

// code gives err's Kafka code for the request's family, counts it, and logs it when nobody knows what it is.
func (q *request) code(err error) int16 {
	if err == nil {
		return 0
	}
	ke := kafkaError(err, q.api.family)
	if known(err, q.api.family) == nil {
		q.server.log.Error("an error without a Kafka code", "api", q.api.name, "client_id", q.client.ID, "error", err)
	}
	if ke == kerr.KafkaStorageError && q.api.key == keyFetch && q.version < storageErrorSince {
		ke = kerr.NotLeaderForPartition
	}
	q.server.metrics.failed(q.api, ke)
	return ke.Code
}
