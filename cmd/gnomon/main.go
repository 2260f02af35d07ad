// Command gnomon is the operator's tool: development clusters, shadow links, topics, records, groups.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/cli/ops"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	env := &cli.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, InTerminal: terminal(os.Stdin), ErrTerminal: terminal(os.Stderr),
		Getenv: os.Getenv, Now: time.Now, Version: version(),
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

// version is what the Go tool has written into the binary.
func version() cli.Version {
	v := cli.Version{Version: "devel"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Go = info.GoVersion
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	return v
}
