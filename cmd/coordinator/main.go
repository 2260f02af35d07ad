// Command coordinator is one coordinator of a region: it follows the metalog, and leads when it is elected.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/daemon"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := daemon.RunCoordinator(ctx, daemon.Env{
		Args: os.Args[1:], Getenv: os.Getenv, Out: os.Stdout, Err: os.Stderr, Now: time.Now, Version: cli.BuildVersion().Version,
	})
	stop()
	os.Exit(code)
}
