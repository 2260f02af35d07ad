// Command gnomon is the operator's tool: development clusters, shadow links, topics, records, groups.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/cli/ops"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	env := &cli.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, InTerminal: terminal(os.Stdin), ErrTerminal: terminal(os.Stderr),
		Getenv: os.Getenv, Now: time.Now, Version: cli.BuildVersion(),
	}
	code := cli.Run(ctx, env, os.Args[1:], ops.Commands()...)
	stop()
	os.Exit(code)
}

// terminal tells whether a person is at the other end.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
