package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// beforeEnd is the value of --before-offset that deletes all that is there, as -1 does in Kafka's file.
const (
	beforeEnd   = "end"
	endOfRecord = -1
)

type deleteRecordsFlags struct {
	partitions []int32
	before     string
	file       string
	yes        bool
	dryRun     bool
}

type recordsDeleted struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Start is where the partition begins now or, with --dry-run, would begin; Deleted is how many offsets that takes away.
	Start   int64 `json:"start_offset"`
	Deleted int64 `json:"deleted_offsets"`
}

func topicDeleteRecords(env *Env) *cobra.Command {
	var f deleteRecordsFlags
	cmd := &cobra.Command{
		Use: "delete-records {NAME --before-offset OFFSET | --file FILE} --yes", Short: "Delete the records below an offset",
		Long: "Delete the records below an offset. There is no way back. Topics of a shadow are changed at its source.\n\n" +
			"A file has the form of Kafka's kafka-delete-records.sh, offset -1 for all that is there:\n" +
			`  {"partitions": [{"topic": "orders", "partition": 0, "offset": 1000}], "version": 1}`,
		Example: "  gnomon topic delete-records orders --partition 0 --before-offset 1000 --yes\n" +
			"  gnomon topic delete-records orders --before-offset end --dry-run\n" +
			"  gnomon topic delete-records --file offsets.json --yes",
		Args: arguments(0, 1, "one name, or --file"),
		RunE: func(cmd *cobra.Command, names []string) error {
			wanted, err := f.wanted(env.In, names, cmd.Flags().Changed("partition"))
			switch {
			case err != nil:
				return err
			case !f.yes && !f.dryRun:
				return usagef("records are deleted for good: look with --dry-run, then say --yes")
			}
			return env.administer(cmd.Context(), func(ctx context.Context, admin *kadm.Client) error {
				return env.deleteRecords(ctx, admin, f, wanted)
			})
		},
	}
	env.addBrokers(cmd)
	flags := cmd.Flags()
	flags.Int32SliceVarP(&f.partitions, "partition", "p", nil, "a partition; may be repeated (else all of the topic)")
	flags.StringVar(&f.before, "before-offset", "", "the first offset that stays; "+beforeEnd+" deletes all that is there")
	flags.StringVarP(&f.file, "file", "f", "", "a JSON file that names topics, partitions and offsets; - for the standard input")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only show where the partitions would begin")
	flags.BoolVar(&f.yes, "yes", false, "do it")
	return cmd
}

// wantedOffset is one line of what is to be deleted. Partition -1 stands for all of the topic.
type wantedOffset struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    *int64 `json:"offset"`
}

// wanted reads flags, or the file.
func (f *deleteRecordsFlags) wanted(in io.Reader, names []string, some bool) ([]wantedOffset, error) {
	switch {
	case f.file != "" && (len(names) > 0 || f.before != "" || some):
		return nil, usagef("--file says all: give no topic, --partition or --before-offset with it")
	case f.file != "":
		return readOffsetsFile(in, f.file)
	case len(names) == 0 || f.before == "":
		return nil, usagef("give a topic and --before-offset, or --file")
	}
	offset := int64(endOfRecord)
	if f.before != beforeEnd {
		var err error
		if offset, err = strconv.ParseInt(f.before, 10, 64); err != nil || offset < 0 {
			return nil, usagef("--before-offset is an offset or %s, not %q", beforeEnd, f.before)
		}
	}
	if !some {
		return []wantedOffset{{names[0], allPartitions, &offset}}, nil
	}
	var out []wantedOffset
	for _, p := range f.partitions {
		if p < 0 {
			return nil, usagef("--partition is a partition's number, not %d", p)
		}
		out = append(out, wantedOffset{names[0], p, &offset})
	}
	return out, once(out)
}

// allPartitions stands for all partitions of a topic.
const allPartitions = -1

func readOffsetsFile(in io.Reader, name string) ([]wantedOffset, error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, Fail("read "+name, unwrapPath(err), "")
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	var content struct {
		Partitions []wantedOffset `json:"partitions"`
		Version    *int           `json:"version"`
	}
	decoder := json.NewDecoder(io.LimitReader(in, offsetsFileMax))
	decoder.DisallowUnknownFields()
	const form = `the form is {"partitions": [{"topic": "orders", "partition": 0, "offset": 1000}], "version": 1}`
	if err := decoder.Decode(&content); err != nil {
		return nil, Fail("read the offsets in "+name, err, form)
	}
	if content.Version != nil && *content.Version != 1 {
		return nil, Fail("read the offsets in "+name, fmt.Errorf("its version is %d", *content.Version), form)
	}
	for _, w := range content.Partitions {
		if w.Topic == "" || w.Partition < 0 || w.Offset == nil || *w.Offset < endOfRecord {
			return nil, Fail("read the offsets in "+name, fmt.Errorf("an item lacks a topic, a partition or an offset: %+v", w.text()), form)
		}
	}
	if len(content.Partitions) == 0 {
		return nil, Fail("read the offsets in "+name, fmt.Errorf("it names no partition"), form)
	}
	return content.Partitions, once(content.Partitions)
}

// offsetsFileMax bounds what is read of a file of offsets, bytes.
const offsetsFileMax = 16 << 20

func (w wantedOffset) text() string {
	offset := "none"
	if w.Offset != nil {
		offset = strconv.FormatInt(*w.Offset, 10)
	}
	return fmt.Sprintf("topic %q, partition %d, offset %s", w.Topic, w.Partition, offset)
}

// once refuses a partition that is named twice: which of its offsets is meant?
func once(all []wantedOffset) error {
	type place struct {
		topic     string
		partition int32
	}
	seen := map[place]bool{}
	for _, w := range all {
		if seen[place{w.Topic, w.Partition}] {
			return usagef("partition %d of %s is named twice", w.Partition, w.Topic)
		}
		seen[place{w.Topic, w.Partition}] = true
	}
	return nil
}

// deleteRecords tells where each partition begins after it, and fails if one could not be changed.
func (e *Env) deleteRecords(ctx context.Context, admin *kadm.Client, f deleteRecordsFlags, wanted []wantedOffset) error {
	const what = "delete the records"
	plan, err := planDeletion(ctx, admin, wanted)
	if err != nil {
		return err
	}
	done := []recordsDeleted{}
	var failures partitionFailures
	if f.dryRun {
		for _, p := range plan {
			done = append(done, recordsDeleted{p.topic, p.partition, p.newStart(), p.newStart() - p.start})
		}
	} else {
		offsets := kadm.Offsets{}
		for _, p := range plan {
			offsets.AddOffset(p.topic, p.partition, p.before, -1)
		}
		responses, err := admin.DeleteRecords(ctx, offsets)
		if err != nil {
			return failKafka(what, err)
		}
		for _, p := range plan {
			r, err := responses.On(p.topic, p.partition, nil)
			if err == nil {
				err = r.Err
			}
			if err != nil {
				failures.add(p.topic, p.partition, err)
				continue
			}
			done = append(done, recordsDeleted{p.topic, p.partition, r.LowWatermark, max(0, r.LowWatermark-p.start)})
		}
	}
	return e.emitSome(done, len(done), failures.errors("delete the records of"), func(w io.Writer) {
		row(w, "TOPIC", "PARTITION", "START", "DELETED")
		for _, d := range done {
			row(w, d.Topic, d.Partition, d.Start, thousands(d.Deleted))
		}
	})
}
