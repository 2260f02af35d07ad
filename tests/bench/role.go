package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/cli/ops"
	"github.com/gnomon-stream/gnomon/internal/daemon"
	"github.com/gnomon-stream/gnomon/pkg/metastore/embedetcd"
)

// roleVariable says what this process is: the bench when it is empty, else what the bench started.
const (
	roleVariable = "GNOMON_BENCH_ROLE"
	roleGnomon   = "gnomon"
	roleDiscard  = "discard"

	roleEtcd        = "etcd"
	roleCoordinator = "coordinator"
	roleAgent       = "agent"
)

func play(ctx context.Context, role string) int {
	switch role {
	case roleGnomon:
		env := &cli.Env{
			In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Now: time.Now, Version: cli.Version{Version: "bench"},
		}
		return cli.Run(ctx, env, os.Args[1:], ops.Commands()...)
	case roleCoordinator:
		return daemon.RunCoordinator(ctx, daemonEnv())
	case roleAgent:
		return daemon.RunAgent(ctx, daemonEnv())
	case roleEtcd:
		if err := etcd(ctx, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	case roleDiscard:
		if err := discard(ctx, os.Stdout, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	fmt.Fprintf(os.Stderr, "no role %q\n", role)
	return 2
}

func daemonEnv() daemon.Env {
	return daemon.Env{Args: os.Args[1:], Getenv: os.Getenv, Out: os.Stdout, Err: os.Stderr, Now: time.Now, Version: "bench"}
}

// etcd runs an etcd until ctx ends. args: directory, client port, peer port.
func etcd(ctx context.Context, args []string) error {
	client, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	peer, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	server, err := embedetcd.Start(embedetcd.Config{Dir: args[0], ClientPort: client, PeerPort: peer})
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Println("ready", server.Endpoint())
	<-ctx.Done()
	return nil
}
