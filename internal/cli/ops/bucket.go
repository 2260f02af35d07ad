package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/region"
)

func bucketCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bucket",
		Short: "Prepare the bucket of a region",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(bucketInitCommand(env))
	return cmd
}

const bucketURLForm = "s3://bucket/prefix?region=… (see `gnomon bucket init --help`)"

func bucketInitCommand(env *cli.Env) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "init URL",
		Short: "Make a bucket ready: create it, have uploads that never end removed, check that it refuses to overwrite",
		Long: `Makes the bucket of a region ready. It may run again at any time: what is there stays.

  gnomon bucket init 's3://gnomon-a/cluster?region=eu-central-1'
  gnomon bucket init 's3://gnomon-a?endpoint=http://127.0.0.1:9000'      # MinIO and others

Credentials come from the standard AWS chain (environment, ~/.aws, instance role). They need the right to make the bucket, if it is
not there, and to read and set its lifecycle rules; agents and coordinators need none of these. A bucket with a rule by which
objects of the region expire is refused: it would lose records.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if timeout <= 0 {
				return cli.Usage("--timeout is %s: use a time such as 60s", timeout)
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			r, err := region.InitBucket(ctx, args[0])
			switch {
			case errors.Is(err, region.ErrStoreUnreachable):
				return cli.Fail("prepare the bucket", err, "start the store, or correct the endpoint in the URL")
			case errors.Is(err, region.ErrDirectoryBucket):
				return cli.Usage("%w; `gnomon bucket init` takes %s", err, bucketURLForm)
			case err != nil:
				return cli.Fail("prepare the bucket", err, "")
			}
			return env.Emit(bucketReport{r.Bucket, r.Created, r.AbortedUploads}, func(w io.Writer) {
				state := "was there"
				if r.Created {
					state = "made"
				}
				_, _ = fmt.Fprintf(w, "bucket %s: %s, refuses to overwrite; uploads that never end: %s\n", r.Bucket, state, r.AbortedUploads)
			})
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait for a store that does not answer")
	return cmd
}

type bucketReport struct {
	Bucket         string `json:"bucket"`
	Created        bool   `json:"created"`
	AbortedUploads string `json:"aborted_uploads"`
}
