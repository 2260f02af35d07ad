// Command agent is one agent of a region: it speaks the Kafka protocol and keeps no state of its own.
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
	code := daemon.RunAgent(ctx, daemon.Env{
		Args: os.Args[1:], Getenv: os.Getenv, Out: os.Stdout, Err: os.Stderr, Now: time.Now, Version: cli.BuildVersion().Version,
	})
	stop()
	os.Exit(code)
}
