package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

type resetFlags struct {
	topics []string
	all    bool
	to     string
	shift  int64
	ago    time.Duration
	dryRun bool
}

func groupResetOffsets(env *Env) *cobra.Command {
	var f resetFlags
	cmd := &cobra.Command{
		Use: "reset-offsets NAME {--topic TOPIC[:PARTITION,…]... | --all-topics} {--to WHERE | --shift-by N | --ago DURATION}", Short: "Set what a group has committed",
		Long: "Set what a consumer group without members has committed, to where it is to go on: the beginning, the end, an offset, the first record\n" +
			"of a time, so many records further or back. What is outside of a partition becomes its beginning or its end.",
		Example: "  gnomon group reset-offsets billing --topic orders --to beginning --dry-run\n" +
			"  gnomon group reset-offsets billing --all-topics --to 2026-11-24T22:20:00Z\n" +
			"  gnomon group reset-offsets billing --topic orders:0 --shift-by -100",
		Args: arguments(1, 1, "the name of one group"),
		RunE: func(cmd *cobra.Command, names []string) error {
			places, err := parsePlaces(f.topics)
			if err != nil {
				return err
			}
			changed := cmd.Flags().Changed
			t, err := f.target(env.Now(), changed("shift-by"), changed("ago"))
			switch {
			case err != nil:
				return err
			case f.all == (len(places) > 0):
				return usagef("name the topics by --topic, or say --all-topics for those that the group has offsets of")
			}
			return env.administerBy(cmd.Context(), func(ctx context.Context, client *kgo.Client, admin *kadm.Client) error {
				what := "reset offsets of group " + names[0]
				if err := refuseShadow(ctx, client, what, names[0]); err != nil {
					return err
				}
				return env.resetOffsets(ctx, admin, what, names[0], places, t, f.dryRun)
			})
		},
	}
	env.addBrokers(cmd)
	addPlaces(cmd, &f.topics)
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all-topics", false, "the topics and partitions that the group has offsets of")
	flags.StringVar(&f.to, "to", "", "beginning, end, an offset, or a time as 2026-11-24T22:20:00Z")
	flags.Int64Var(&f.shift, "shift-by", 0, "so many offsets further than committed; back, if it is negative")
	flags.DurationVar(&f.ago, "ago", 0, "to the first record of so long ago, as 15m")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only show what would be committed")
	return cmd
}

// target is where offsets are to go: to the beginning or the end, to an offset, a time, or by so many.
type target struct {
	kind   targetKind
	number int64 // the offset, the time in Unix milliseconds, or by how many
}

type targetKind int

const (
	toBeginning targetKind = iota
	toEnd
	toOffset
	toTime
	byNumber
)

func (f *resetFlags) target(now time.Time, shifts, ago bool) (target, error) {
	given := 0
	for _, is := range []bool{f.to != "", shifts, ago} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		return target{}, usagef("say where to by one of --to, --shift-by and --ago")
	case shifts:
		return target{byNumber, f.shift}, nil
	case ago && f.ago < 0:
		return target{}, usagef("--ago is a duration that has passed, not %s", f.ago)
	case ago:
		return target{toTime, now.Add(-f.ago).UnixMilli()}, nil
	case f.to == "beginning":
		return target{kind: toBeginning}, nil
	case f.to == "end":
		return target{kind: toEnd}, nil
	}
	if n, err := strconv.ParseInt(f.to, 10, 64); err == nil && n >= 0 {
		return target{toOffset, n}, nil
	}
	at, err := time.Parse(time.RFC3339, f.to)
	if err != nil {
		return target{}, usagef("--to is beginning, end, an offset, or a time as 2026-11-24T22:20:00Z, not %q", f.to)
	}
	return target{toTime, at.UnixMilli()}, nil
}

// resetOffsets computes the new offsets and commits them, all in one request.
func (e *Env) resetOffsets(ctx context.Context, admin *kadm.Client, what, group string, places []place, t target, dryRun bool) error {
	if err := refuseMembers(ctx, admin, what, group); err != nil {
		return err
	}
	committed, err := admin.FetchOffsets(ctx, group)
	if err != nil {
		return failKafka(what, err)
	}
	set := committedPlaces(committed)
	if len(places) > 0 {
		if set, err = findPlaces(ctx, admin, what, places); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return Fail(what, errors.New("it has committed nothing"), "name topics by --topic, and see the group with `gnomon group describe`")
	}
	done, offsets, err := newOffsets(ctx, admin, what, set, committed, t)
	if err != nil {
		return err
	}
	var failures partitionFailures
	if !dryRun {
		responses, err := admin.CommitOffsets(ctx, group, offsets)
		if err != nil {
			return failKafka(what, err)
		}
		kept := done[:0]
		for _, d := range done {
			if r, _ := responses.Lookup(d.Topic, d.Partition); r.Err != nil {
				failures.add(d.Topic, d.Partition, r.Err)
				continue
			}
			kept = append(kept, d)
		}
		done = kept
	}
	return e.emitOffsets(done, failures.errors(what+" for"))
}

// refuseMembers fails while a group has members: they would go on where they are, and commit over what is set.
func refuseMembers(ctx context.Context, admin *kadm.Client, what, group string) error {
	described, err := admin.DescribeGroups(ctx, group)
	if err != nil {
		return failKafka(what, err)
	}
	g := described[group]
	switch {
	case errors.Is(g.Err, kerr.GroupIDNotFound): // offsets may be committed for a group that is to come
		return nil
	case g.Err != nil:
		return failKafka(what, g.Err)
	case len(g.Members) > 0:
		return Fail(what, fmt.Errorf("it has %s", count(int64(len(g.Members)), "member")), remedies[kerr.NonEmptyGroup])
	}
	return nil
}

// committedPlaces are the partitions that a group has offsets of.
func committedPlaces(committed kadm.OffsetResponses) kadm.TopicsSet {
	set := kadm.TopicsSet{}
	for _, o := range committed.Sorted() {
		if o.Err == nil && o.At >= 0 {
			set.Add(o.Topic, o.Partition)
		}
	}
	return set
}

// newOffsets are the offsets that the partitions are to have, none outside of what is there.
func newOffsets(ctx context.Context, admin *kadm.Client, what string, set kadm.TopicsSet, committed kadm.OffsetResponses, t target) ([]groupOffset, kadm.Offsets, error) {
	names := set.Topics()
	starts, err := admin.ListStartOffsets(ctx, names...)
	if err != nil {
		return nil, nil, failKafka(what, err)
	}
	ends, err := admin.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil, nil, failKafka(what, err)
	}
	at := ends
	if t.kind == toTime {
		if at, err = admin.ListOffsetsAfterMilli(ctx, t.number, names...); err != nil {
			return nil, nil, failKafka(what, err)
		}
	}
	done, offsets := []groupOffset{}, kadm.Offsets{}
	for _, p := range set.Sorted() {
		for _, partition := range p.Partitions {
			of := fmt.Sprintf("partition %d of %s", partition, p.Topic)
			start, found := starts.Lookup(p.Topic, partition)
			end, _ := ends.Lookup(p.Topic, partition)
			first, _ := at.Lookup(p.Topic, partition)
			if err := cmp.Or(start.Err, end.Err, first.Err); err != nil || !found {
				return nil, nil, failKafka(what+" for "+of, cmp.Or[error](err, kerr.UnknownTopicOrPartition))
			}
			one := groupOffset{Topic: p.Topic, Partition: partition, From: committedAt(committed, p.Topic, partition)}
			if t.kind == byNumber && one.From < 0 {
				return nil, nil, Fail(what, errors.New("it has committed nothing for "+of+" that could be shifted"), "use --to")
			}
			one.To = min(max(t.of(one.From, start.Offset, end.Offset, first.Offset), start.Offset), end.Offset)
			done = append(done, one)
			offsets.AddOffset(p.Topic, partition, one.To, -1)
		}
	}
	return done, offsets, nil
}

// of is the target's offset in a partition with a committed offset, a beginning, an end, and a first record of the time.
func (t target) of(committed, start, end, first int64) int64 {
	switch t.kind {
	case toBeginning:
		return start
	case toEnd:
		return end
	case toTime:
		return first
	case byNumber:
		return committed + t.number
	}
	return t.number
}
