package coordinator

import (
	"strconv"
	"strings"
	"time"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/topicconfig"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// RetentionEveryDefault is Kafka's log.retention.check.interval.ms.
const RetentionEveryDefault = 5 * time.Minute

// retentionEventsMax bounds the events of one tick; the next one, a second later, goes on.
const retentionEventsMax = 1000

// Settings of a topic that retention goes by.
const (
	retentionMs    = "retention.ms"
	retentionBytes = "retention.bytes"
)

// retention raises the log start of partitions past what their topics' retention.ms and retention.bytes keep. Only the leader of the
// region that owns a topic does: at a shadow the source's events come over the link, so that both regions show the same
// records; a fenced region changes nothing.
//
// A span goes when its newest record is too old, or when what is left without it is still as large as it may be, and only
// after all before it: a record is kept at least as long as in Kafka, which decides by whole log segments in the same way. A span
// without timestamps stays. What goes is not shown any more; its bytes are the collector's.
func (l *leader) retention(now time.Time) {
	left := retentionEventsMax
	st := l.seq.State()
	for _, t := range st.Topics() {
		r := retentionOf(t.Info())
		if r.keepsAll() {
			continue
		}
		id := t.Info().ID
		for i := range t.Partitions() {
			p := t.Partition(i)
			start := r.logStart(p, now.UnixMilli())
			if start <= p.LogStart {
				continue
			}
			ev := &metalogpb.RecordsDeleted{TopicId: id[:], Partition: i, LogStart: int64(start)}
			l.emit(now, &metalogpb.Event{Kind: &metalogpb.Event_RecordsDeleted{RecordsDeleted: ev}})
			if left--; left == 0 {
				return // l.retained stays as it is: the next tick goes on
			}
		}
	}
	l.retained = now
}

// retainedBy is what a topic keeps; -1 for no limit.
type retainedBy struct{ ms, bytes int64 }

func retentionOf(info *state.TopicInfo) retainedBy {
	return retainedBy{ms: configOr(info, retentionMs), bytes: configOr(info, retentionBytes)}
}

// configOr is the topic's setting, or the default.
func configOr(info *state.TopicInfo, name string) int64 {
	value, ok := info.Configs[name]
	if !ok {
		value = topicconfig.Default(name)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if err != nil {
		return -1 // checked when it was set; what cannot be read deletes nothing
	}
	return n
}

func (r retainedBy) keepsAll() bool { return r.ms < 0 && r.bytes < 0 }

// logStart is where the partition is to begin.
func (r retainedBy) logStart(p *state.Partition, now int64) base.Offset {
	start := p.LogStart
	var size int64
	if r.bytes >= 0 {
		for _, sp := range p.Spans {
			size += sp.Length
		}
	}
	for _, sp := range p.Spans {
		tooOld := r.ms >= 0 && sp.MaxTimestamp >= 0 && sp.MaxTimestamp < now-r.ms
		tooMuch := r.bytes >= 0 && size-sp.Length >= r.bytes
		if !tooOld && !tooMuch {
			break
		}
		start, size = sp.Last+1, size-sp.Length
	}
	return start
}
