package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// place is a topic as it is named on the command line, with all of its partitions (nil) or some.
type place struct {
	topic      string
	partitions []int32
}

func addPlaces(cmd *cobra.Command, topics *[]string) {
	cmd.Flags().StringArrayVarP(topics, "topic", "t", nil, "a topic, or some of its partitions as orders:0,2; may be repeated")
}

func parsePlaces(texts []string) ([]place, error) {
	var out []place
	for _, text := range texts {
		name, list, some := strings.Cut(text, ":")
		p := place{topic: name}
		if name == "" {
			return nil, usagef("--topic takes a topic, or partitions as orders:0,2, and got %q", text)
		}
		if slices.ContainsFunc(out, func(x place) bool { return x.topic == name }) {
			return nil, usagef("--topic names %s twice", name)
		}
		for number := range strings.SplitSeq(list, ",") {
			if !some {
				break
			}
			n, err := strconv.ParseInt(number, 10, 32)
			if err != nil || n < 0 {
				return nil, usagef("--topic takes a topic, or partitions as orders:0,2, and got %q", text)
			}
			p.partitions = append(p.partitions, int32(n))
		}
		out = append(out, p)
	}
	return out, nil
}

// findPlaces gives the partitions, all of which exist.
func findPlaces(ctx context.Context, admin *kadm.Client, what string, places []place) (kadm.TopicsSet, error) {
	var names []string
	for _, p := range places {
		names = append(names, p.topic)
	}
	details, err := requireTopics(ctx, admin, what, names...)
	if err != nil {
		return nil, err
	}
	set := kadm.TopicsSet{}
	for _, p := range places {
		all := partitionsOf(details[p.topic], allPartitions)
		for _, n := range p.partitions {
			if !slices.Contains(all, n) {
				return nil, Fail(what, fmt.Errorf("topic %s has no partition %d", p.topic, n), "see what there is with `gnomon topic describe`")
			}
		}
		if p.partitions == nil {
			set.Add(p.topic, all...)
		} else {
			set.Add(p.topic, p.partitions...)
		}
	}
	return set, nil
}

// partitionFailures are partitions for which something failed, in order.
type partitionFailures []partitionFailure

type partitionFailure struct {
	topic      string
	err        error
	partitions []string
}

// add puts partitions of one topic together that failed for one reason.
func (f *partitionFailures) add(topic string, partition int32, err error) {
	number := strconv.Itoa(int(partition))
	if n := len(*f); n > 0 && (*f)[n-1].topic == topic && errors.Is(err, (*f)[n-1].err) {
		(*f)[n-1].partitions = append((*f)[n-1].partitions, number)
		return
	}
	*f = append(*f, partitionFailure{topic, err, []string{number}})
}

// errors gives a sentence for each topic and reason: "cannot delete the records of partitions 0, 1 of orders: …".
func (f partitionFailures) errors(what string) []error {
	var out []error
	for _, x := range f {
		unit := " partition "
		if len(x.partitions) > 1 {
			unit = " partitions "
		}
		out = append(out, failKafka(what+unit+strings.Join(x.partitions, ", ")+" of "+x.topic, x.err))
	}
	return out
}
