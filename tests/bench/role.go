package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/cli/ops"
)

// roleVariable says what this process is: the bench when it is empty, else what the bench started.
const (
	roleVariable = "GNOMON_BENCH_ROLE"
	roleGnomon   = "gnomon"
	roleDiscard  = "discard"
)

func play(ctx context.Context, role string) int {
	switch role {
	case roleGnomon:
		env := &cli.Env{
			In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Now: time.Now, Version: cli.Version{Version: "bench"},
		}
		return cli.Run(ctx, env, os.Args[1:], ops.Commands()...)
	case roleDiscard:
		if err := discard(ctx, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	fmt.Fprintf(os.Stderr, "no role %q\n", role)
	return 2
}
