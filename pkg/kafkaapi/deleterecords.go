package kafkaapi

import "github.com/twmb/franz-go/pkg/kmsg"

// DeleteRecords (key 21), versions 0 to 2. Forwarded to the coordinator leader, by whichever agent is asked.
//
// KAFKA_STORAGE_ERROR when there is no leader: clients ask Metadata and try again. POLICY_VIOLATION for topics of a link.
func deleteRecordsAPI() *api {
	return forwardChange(api{
		key: int16(kmsg.DeleteRecords), name: "DeleteRecords", min: 0, max: 2, family: familyRead,
		new: func() kmsg.Request { return kmsg.NewPtrDeleteRecordsRequest() }, shape: shapeDeleteRecords,
	}, refuseDeleteRecords)
}

func refuseDeleteRecords(r kmsg.Request, code int16) kmsg.Response {
	req := r.(*kmsg.DeleteRecordsRequest)
	resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
	for _, t := range req.Topics {
		out := kmsg.NewDeleteRecordsResponseTopic()
		out.Topic = t.Topic
		for _, p := range t.Partitions {
			po := kmsg.NewDeleteRecordsResponseTopicPartition()
			po.Partition, po.LowWatermark, po.ErrorCode = p.Partition, -1, code
			out.Partitions = append(out.Partitions, po)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}
