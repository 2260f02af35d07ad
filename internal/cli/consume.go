package cli

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	fromBeginning = "beginning"
	fromEnd       = "end"
)

type consumeFlags struct {
	group        string
	from         string
	max          int64
	timeout      time.Duration
	keySeparator string
}

func consumeCommand(env *Env) *cobra.Command {
	var f consumeFlags
	cmd := &cobra.Command{
		Use: "consume TOPIC...", Short: "Write the records of topics to the standard output, a line each",
		Example: "  gnomon consume orders --max 10\n  gnomon consume orders --from end\n  gnomon consume orders --group billing --timeout 5s",
		Args:    arguments(1, -1, "at least one topic"),
		RunE: func(cmd *cobra.Command, topics []string) error {
			return env.consume(cmd.Context(), f, topics)
		},
	}
	env.addBrokers(cmd)
	flags := cmd.Flags()
	flags.StringVarP(&f.group, "group", "g", "", "read as a member of this group, and commit what was written")
	flags.StringVar(&f.from, "from", fromBeginning, "beginning, end, or an offset; with --group only where the group has no offset yet")
	flags.Int64VarP(&f.max, "max", "n", 0, "end after this many records (0: never)")
	flags.DurationVar(&f.timeout, "timeout", 0, "end when no record came for this long (0: never); an error if --max were wanted and did not come")
	flags.StringVarP(&f.keySeparator, "key-separator", "k", "", "write keys as well, and this between key and value")
	return cmd
}

// options are those of the client that reads.
func (f consumeFlags) options(topics []string) ([]kgo.Opt, error) {
	if f.max < 0 {
		return nil, usagef("--max is a number of records, not %d", f.max)
	}
	if f.timeout < 0 {
		return nil, usagef("--timeout is a duration such as 5s, not %s", f.timeout)
	}
	start := kgo.NewOffset()
	switch f.from {
	case fromBeginning:
		start = start.AtStart()
	case fromEnd:
		start = start.AtEnd()
	default:
		offset, err := strconv.ParseInt(f.from, 10, 64)
		if err != nil || offset < 0 {
			return nil, usagef("--from is beginning, end or an offset, not %q", f.from)
		}
		if f.group != "" {
			return nil, usagef("--from %s and --group exclude each other: a group goes on where it stopped", f.from)
		}
		start = start.At(offset)
	}
	opts := []kgo.Opt{kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(start), kgo.FetchMaxWait(500 * time.Millisecond)}
	if f.group != "" {
		// Marks keep C4: what was fetched but not written is not committed.
		opts = append(opts, kgo.ConsumerGroup(f.group), kgo.AutoCommitMarks(), kgo.BlockRebalanceOnPoll())
	}
	return opts, nil
}
