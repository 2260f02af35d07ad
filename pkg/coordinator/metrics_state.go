package coordinator

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomon-stream/gnomon/pkg/metastore/state"
)

// stateCollector tells what the cluster is and holds, when it is asked. What is the cluster's and not the process's (how much there
// is, what groups lag) the leader alone tells, so that nothing is told twice.
type stateCollector struct {
	c   *Coordinator
	lag groupLag
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	regionRole  = desc("gnomon_region_role", "1 for the role that the region has, as this coordinator knows it.", "role")
	regionEpoch = desc("gnomon_region_epoch", "The region's epoch: it rises with each flip.")
	archiveAge  = desc("gnomon_metalog_archive_age_seconds", "Time since the archive in the bucket last held all entries: what a loss of etcd would cost.")
	topicCount  = desc("gnomon_topics", "Topics, those that links shadow here included.")
	partCount   = desc("gnomon_partitions", "Partitions of all these topics.")
	groupCount  = desc("gnomon_consumer_groups", "Consumer groups of the region.")
	limitUsed   = desc("gnomon_limit_used_ratio", "How much of a limit is used, 0 to 1; by the name of its setting.", "limit")
	lagOffsets  = desc("gnomon_group_lag_offsets", "Offsets between what a group has committed and the end, over the partitions of a topic.", "group", "topic")
	lagLeftOut  = desc("gnomon_group_lag_left_out", "Pairs of group and topic whose lag is not told, as there are more than 1,000: those that lag least.")
)

// Describe implements prometheus.Collector.
func (s *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{regionRole, regionEpoch, archiveAge, topicCount, partCount, groupCount, limitUsed, lagOffsets, lagLeftOut} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *stateCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	c := s.c
	if c.replica.Applied() < 1 {
		return // it does not know the cluster
	}
	is := c.Role()
	for _, role := range []Role{Primary, Shadow, Fenced} {
		v := 0.0
		if role == is {
			v = 1
		}
		gauge(regionRole, v, string(role))
	}
	gauge(regionEpoch, float64(c.replica.State().Region().Epoch))
	if !c.Leading() {
		return
	}
	if is != Fenced { // a fenced log gets no entries, and archives none
		gauge(archiveAge, c.cfg.Now().Sub(time.Unix(0, c.metrics.archivedAt.Load())).Seconds())
	}
	var has state.Counts
	var groups int
	c.replica.With(func(st *state.State) { has, groups = held(st), st.GroupCount() })
	gauge(topicCount, float64(has.Topics))
	gauge(partCount, float64(has.Partitions))
	gauge(groupCount, float64(groups))
	limits := c.cfg.Limits.withDefaults()
	for _, l := range []struct {
		name      string
		has, most float64
	}{
		{"max-topics", float64(has.Topics), float64(limits.Topics)},
		{"max-partitions", float64(has.Partitions), float64(limits.Partitions)},
		{"max-producers", float64(has.Producers), float64(limits.Producers)},
		{"max-offset-bytes", float64(has.Offsets*offsetBytes + has.OffsetMetadata), float64(limits.OffsetBytes)},
	} {
		gauge(limitUsed, l.has/l.most, l.name)
	}
	lags, leftOut := s.lag.get(c)
	for _, x := range lags {
		gauge(lagOffsets, float64(x.offsets), x.group, x.topic)
	}
	gauge(lagLeftOut, float64(leftOut))
}
