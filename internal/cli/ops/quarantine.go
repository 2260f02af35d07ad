package ops

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch"
	"github.com/gnomon-stream/gnomon/pkg/kafkaapi/batch/records"
	"github.com/gnomon-stream/gnomon/pkg/recovery"
)

func quarantineCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quarantine",
		Short: "See, read and release the records that a restore found outside of the log",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(quarantineListCommand(env), quarantineExportCommand(env), quarantineDropCommand(env))
	return cmd
}

// restoreFlag names one restore by the incarnation that it began.
func restoreFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("restore", "", "incarnation that the restore began; without it all")
}

// heldJSON is what `quarantine list` prints.
type heldJSON struct {
	Restores []restoreJSON            `json:"restores"`
	Total    recovery.QuarantineTotal `json:"total"`
	Objects  []recovery.HeldObject    `json:"objects"`
}

type restoreJSON struct {
	Incarnation string `json:"incarnation"`
	Seq         uint64 `json:"seq"`
	TimeMs      int64  `json:"time_ms"`
	Released    bool   `json:"released"`
}

func quarantineListCommand(env *cli.Env) *cobra.Command {
	var f storesFlags
	cmd := &cobra.Command{Use: "list", Short: "List what is held, by topic and partition; --format json has the objects", Args: cobra.NoArgs}
	f.add(env, cmd, false)
	restore := restoreFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := f.open(cmd.Context(), env)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		l, held, err := loadHeld(cmd.Context(), env, s, *restore, false)
		if err != nil {
			return cli.Fail("list the quarantine", err, "")
		}
		out := heldJSON{Restores: []restoreJSON{}, Total: recovery.Sum(held), Objects: held}
		for _, x := range l.State.Restores() {
			out.Restores = append(out.Restores, restoreJSON{x.ID, uint64(x.Seq), x.Time, x.Released})
		}
		return env.Emit(out, func(w io.Writer) {
			for _, x := range out.Restores {
				_, _ = fmt.Fprintf(w, "restore %s at seq %d, released: %t\n", x.Incarnation, x.Seq, x.Released)
			}
			quarantineText(w, out.Total)
		})
	}
	return cmd
}

func quarantineExportCommand(env *cli.Env) *cobra.Command {
	var f storesFlags
	cmd := &cobra.Command{
		Use: "export", Short: "Write the records that are held to the standard output, one JSON object a line", Args: cobra.NoArgs,
		Long: `Writes each record that is held as one line of JSON: topic, partition, producer, sequence, time, key, value, headers. Text that is not
UTF-8 is in base64, under key_base64 and value_base64. A record may be in its topic as well: its producer was not told that it
was written, and sent it again.`,
	}
	f.add(env, cmd, false)
	restore := restoreFlag(cmd)
	topic := cmd.Flags().String("topic", "", "only this topic, by its name or id")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := f.open(cmd.Context(), env)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		l, held, err := loadHeld(cmd.Context(), env, s, *restore, false)
		if err != nil {
			return cli.Fail("export the quarantine", err, "")
		}
		out := bufio.NewWriter(env.Out)
		err = recovery.Export(cmd.Context(), s.Bucket, held, func(b recovery.HeldBatch) error {
			name := ""
			if t := l.State.Topic(b.Topic); t != nil {
				name = t.Info().Name
			}
			if *topic != "" && *topic != name && *topic != b.Topic.String() {
				return nil
			}
			return exportBatch(out, name, b)
		})
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			return cli.Fail("export the quarantine", err, "")
		}
		return nil
	}
	return cmd
}

// heldRecord is one line of the export.
type heldRecord struct {
	Topic       string `json:"topic"`
	TopicID     string `json:"topic_id"`
	Partition   int32  `json:"partition"`
	Object      string `json:"object"`
	ProducerID  int64  `json:"producer_id"`
	Sequence    int32  `json:"sequence"`
	TimestampMS int64  `json:"timestamp_ms"`
	cli.RecordJSON
}

// batchMemory bounds a batch, decompressed.
const batchMemory = 1 << 30

func exportBatch(w io.Writer, topic string, b recovery.HeldBatch) error {
	h, _, err := batch.Parse(b.Bytes)
	if err != nil {
		return err
	}
	plain, err := records.Open(h, b.Bytes, batchMemory)
	if err != nil {
		return fmt.Errorf("object %s: %w", b.Object, err)
	}
	if err := records.Walk(plain, h.Records, func(records.Record) (bool, error) { return true, nil }); err != nil {
		return fmt.Errorf("object %s: %w", b.Object, err)
	}
	for i := range h.Records {
		length, n := binary.Varint(plain)
		end := n + int(length) // Walk has seen that it fits
		var r kmsg.Record
		if err := r.ReadFrom(plain[:end]); err != nil {
			return fmt.Errorf("object %s: read a record: %w", b.Object, err)
		}
		plain = plain[end:]
		one := heldRecord{
			Topic: topic, TopicID: b.Topic.String(), Partition: b.Partition, Object: b.Object, ProducerID: h.ProducerID, Sequence: -1,
			TimestampMS: h.BaseTimestamp + r.TimestampDelta64, RecordJSON: cli.RecordOf(r.Key, r.Value),
		}
		if h.ProducerID >= 0 {
			one.Sequence = int32((int64(h.BaseSequence) + int64(i)) & 0x7fffffff)
		}
		for _, x := range r.Headers {
			one.AddHeader(x.Key, x.Value)
		}
		if err := cli.WriteLine(w, one); err != nil {
			return err
		}
	}
	return nil
}

func quarantineDropCommand(env *cli.Env) *cobra.Command {
	var f storesFlags
	cmd := &cobra.Command{
		Use: "drop INCARNATION", Short: "Release what the restore that began INCARNATION holds, and delete it", Args: cobra.ExactArgs(1),
		Long: `Has the region release what a restore has quarantined, by an event, and deletes the objects. It may run again.`,
	}
	f.add(env, cmd, false)
	at := adminFlags(env, cmd)
	yes := cmd.Flags().Bool("yes", false, "do it: the records are gone then")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !*yes {
			return cli.Usage("the records are gone then: export them, then say --yes")
		}
		h, err := at.client(tlsfiles.Coordinators)
		if err != nil {
			return err
		}
		s, err := f.open(cmd.Context(), env)
		if err != nil {
			return err
		}
		defer func() { _ = s.Close() }()
		_, held, err := loadHeld(cmd.Context(), env, s, args[0], true)
		if err != nil {
			return cli.Fail("list the quarantine", err, "")
		}
		if err := release(cmd.Context(), h, at.url, args[0]); err != nil {
			return err
		}
		keys := make([]string, len(held))
		for i, o := range held {
			keys[i] = o.Key
		}
		if err := s.Bucket.Delete(cmd.Context(), keys...); err != nil {
			return cli.Fail("delete the quarantined objects", err, "run the command again")
		}
		total := recovery.Sum(held)
		return env.Emit(total, func(w io.Writer) {
			_, _ = fmt.Fprintf(w, "dropped %d objects, %d records, %s\n", total.Objects, total.Records, size(total.Bytes))
		})
	}
	return cmd
}

func release(ctx context.Context, h *http.Client, url, incarnation string) error {
	c := adminpbconnect.NewMetastoreServiceClient(h, url)
	_, err := c.ReleaseQuarantine(ctx, connect.NewRequest(&adminpb.ReleaseQuarantineRequest{Incarnation: incarnation}))
	if err != nil {
		return failed("release the quarantine", url, err)
	}
	return nil
}
