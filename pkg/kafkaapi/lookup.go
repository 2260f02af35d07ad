package kafkaapi

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// lookup finds the topics of one request. What the view does not know it asks for once more after a Refresh, one for the
// whole request: a topic that another agent has just created is known here as well.
type lookup struct {
	ctx       context.Context
	catalog   Catalog
	refreshed bool
	err       error // of the Refresh
}

func (q *request) lookup(ctx context.Context) *lookup {
	return &lookup{ctx: ctx, catalog: q.server.deps.Catalog}
}

// refresh brings the view to the head of the log, once.
func (l *lookup) refresh() error { return l.refreshBy(l.ctx) }

func (l *lookup) refreshBy(ctx context.Context) error {
	if !l.refreshed {
		l.refreshed = true
		if err := l.catalog.Refresh(ctx); err != nil {
			l.err = fmt.Errorf("reach the head of the metalog: %w", err)
		}
	}
	return l.err
}

// freshMax bounds what an answer about topics waits for the head of the log. A region that takes no changes, as its etcd or its
// coordinators are away, still tells clients where to read; what it does not know it says that it cannot tell.
const freshMax = 500 * time.Millisecond

// fresh brings the view to the head of the log, once, if that is to be had soon. What has been created, changed or deleted through any agent is
// seen through each, whoever asks after the answer to the change. Kafka's brokers are only eventually that far.
func (l *lookup) fresh() {
	ctx, cancel := context.WithTimeout(l.ctx, freshMax)
	defer cancel()
	_ = l.refreshBy(ctx) // who asks for what is not known gets the error
}

// byName finds a topic. UNKNOWN_TOPIC_OR_PARTITION, or what kept the view from knowing.
func (l *lookup) byName(name string) (Topic, error) {
	if t, ok := l.catalog.TopicByName(name); ok {
		return t, nil
	}
	if err := l.refresh(); err != nil {
		return Topic{}, err
	}
	if t, ok := l.catalog.TopicByName(name); ok {
		return t, nil
	}
	return Topic{}, fmt.Errorf("topic %q: %w", name, kerr.UnknownTopicOrPartition)
}

// byID finds a topic. UNKNOWN_TOPIC_ID, or what kept the view from knowing.
func (l *lookup) byID(id base.TopicID) (Topic, error) {
	if t, ok := l.catalog.TopicByID(id); ok {
		return t, nil
	}
	if err := l.refresh(); err != nil {
		return Topic{}, err
	}
	if t, ok := l.catalog.TopicByID(id); ok {
		return t, nil
	}
	return Topic{}, fmt.Errorf("topic id %s: %w", id, kerr.UnknownTopicID)
}

// topic finds a topic by id where the request's version has ids, else by name.
func (l *lookup) topic(name string, id base.TopicID, byID bool) (Topic, error) {
	if byID {
		return l.byID(id)
	}
	return l.byName(name)
}

// partition checks that t has a partition, and returns t as it is after a Refresh if there was one.
func (l *lookup) partition(t Topic, partition int32) (Topic, error) {
	if partition >= 0 && partition < t.Partitions {
		return t, nil
	}
	if partition >= 0 {
		if err := l.refresh(); err != nil {
			return t, err
		}
		if again, ok := l.catalog.TopicByID(t.ID); ok && partition < again.Partitions {
			return again, nil
		}
	}
	return t, fmt.Errorf("partition %d of topic %q: %w", partition, t.Name, kerr.UnknownTopicOrPartition)
}
