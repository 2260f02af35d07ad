package kafkaapi

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListPartitionReassignments (key 46), version 0. No reassignment is ever under way: agents hold no replicas.
func listPartitionReassignmentsAPI() *api {
	return &api{
		key: int16(kmsg.ListPartitionReassignments), name: "ListPartitionReassignments", min: 0, max: 0, family: familyAdmin,
		new:   func() kmsg.Request { return kmsg.NewPtrListPartitionReassignmentsRequest() },
		shape: shapeListPartitionReassignments,
		handle: func(_ context.Context, q *request) answer {
			return message{q.body.(*kmsg.ListPartitionReassignmentsRequest).ResponseKind()}
		},
	}
}

// AlterPartitionReassignments (key 45), versions 0 and 1.
//
// There is nothing to move: INVALID_REPLICA_ASSIGNMENT for each partition that is to be moved, and NO_REASSIGNMENT_IN_PROGRESS for
// each whose move is to be cancelled.
func alterPartitionReassignmentsAPI() *api {
	return &api{
		key: int16(kmsg.AlterPartitionAssignments), name: "AlterPartitionReassignments", min: 0, max: 1, family: familyAdmin,
		new:   func() kmsg.Request { return kmsg.NewPtrAlterPartitionAssignmentsRequest() },
		shape: shapeAlterPartitionReassignments, handle: alterPartitionReassignments,
	}
}

var errNothingToMove = errors.New("agents hold no replicas: any of them serves any partition, and there is nothing to move")

func alterPartitionReassignments(ctx context.Context, q *request) answer {
	req := q.body.(*kmsg.AlterPartitionAssignmentsRequest)
	resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
	look := q.lookup(ctx)
	for _, rt := range req.Topics {
		out := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		out.Topic = rt.Topic
		t, err := look.byName(rt.Topic)
		for _, p := range rt.Partitions {
			po := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			po.Partition = p.Partition
			perr := err
			if perr == nil {
				_, perr = look.partition(t, p.Partition)
			}
			switch {
			case perr != nil:
			case p.Replicas == nil:
				perr = kerr.NoReassignmentInProgress
			default:
				perr = errors.Join(errNothingToMove, kerr.InvalidReplicaAssignment)
			}
			po.ErrorCode, po.ErrorMessage = q.code(perr), kmsg.StringPtr(perr.Error())
			out.Partitions = append(out.Partitions, po)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return message{resp}
}
