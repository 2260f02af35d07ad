package kafkaapi

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// DescribeLogDirs (key 35), versions 1 to 4.
//
// One directory, the bucket. An agent tells of the partitions that clients are steered to it for, so that a tool which adds up what
// all agents say counts each partition once. A size is that of the records between log start and high watermark, to whole spans,
// as they are stored. What the bucket holds in all, and has left, is not known (-1).
func describeLogDirsAPI() *api {
	return &api{
		key: int16(kmsg.DescribeLogDirs), name: "DescribeLogDirs", min: 1, max: 4, family: familyAdmin,
		new: func() kmsg.Request { return kmsg.NewPtrDescribeLogDirsRequest() }, shape: shapeDescribeLogDirs, handle: describeLogDirs,
	}
}

// logDir is the name of the one directory.
const logDir = "bucket"

func describeLogDirs(ctx context.Context, q *request) answer {
	req := q.body.(*kmsg.DescribeLogDirsRequest)
	resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	look := q.lookup(ctx)
	if err := look.refresh(); err != nil {
		resp.ErrorCode = q.code(err)
		return message{resp}
	}
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir, dir.TotalBytes, dir.UsableBytes = logDir, -1, -1
	add := func(t Topic, wants func(partition int32) bool) {
		out := kmsg.NewDescribeLogDirsResponseDirTopic()
		out.Topic = t.Name
		for p := range t.Partitions {
			if !wants(p) || q.server.deps.Catalog.Leader(t.ID, p) != q.server.cfg.NodeID {
				continue
			}
			po := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
			po.Partition = p
			po.Size = q.server.deps.Catalog.PartitionBytes(base.TopicPartition{Topic: t.ID, Partition: p})
			out.Partitions = append(out.Partitions, po)
		}
		if len(out.Partitions) > 0 {
			dir.Topics = append(dir.Topics, out)
		}
	}
	if req.Topics == nil {
		for _, t := range q.server.deps.Catalog.Topics() {
			add(t, func(int32) bool { return true })
		}
	}
	for _, rt := range req.Topics {
		if t, ok := q.server.deps.Catalog.TopicByName(rt.Topic); ok {
			named := map[int32]bool{}
			for _, p := range rt.Partitions {
				named[p] = true
			}
			add(t, func(p int32) bool { return named[p] })
		}
	}
	resp.Dirs = append(resp.Dirs, dir)
	return message{resp}
}
