package harness

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/cli/ops"
	"github.com/gnomon-stream/gnomon/internal/daemon"
	"github.com/gnomon-stream/gnomon/pkg/metastore/embedetcd"
)

// roleVariable says what this process is: nothing for the tests, else a role.
const (
	roleVariable = "GNOMON_TEST_ROLE"
	roleCommand  = "command"
	roleEtcd     = "etcd"
	// Those of a cluster of processes.
	roleAgent       = "agent"
	roleCoordinator = "coordinator"
	roleMember      = "etcd member"
)

// Main runs the tests, or, in a process that a test started, the gnomon command, an etcd, an agent or a coordinator.
func Main(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case roleCommand:
		os.Exit(command())
	case roleEtcd:
		os.Exit(etcd(os.Args[1:]))
	case roleMember:
		os.Exit(member(os.Args[1:]))
	case roleAgent:
		os.Exit(run(daemon.RunAgent))
	case roleCoordinator:
		os.Exit(run(daemon.RunCoordinator))
	}
	os.Exit(m.Run())
}

// etcdTokenTTL is how long etcd remembers a user that asks nothing: 5 minutes elsewhere, which no test would reach.
const etcdTokenTTL = 3 * time.Second

func command() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	env := &cli.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Now: time.Now, Version: cli.Version{Version: "test"},
	}
	return cli.Run(ctx, env, os.Args[1:], ops.Commands()...)
}

func run(what func(context.Context, daemon.Env) int) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return what(ctx, daemon.Env{Args: os.Args[1:], Getenv: os.Getenv, Out: os.Stdout, Err: os.Stderr, Now: time.Now, Version: "test"})
}

// etcd runs an etcd until a signal. args: directory, client port, peer port; for TLS: certificate, key, authorities.
func etcd(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client, err := strconv.Atoi(args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	peer, err := strconv.Atoi(args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	cfg := embedetcd.Config{Dir: args[0], ClientPort: client, PeerPort: peer, TokenTTL: etcdTokenTTL, PasswordCost: 4}
	if len(args) > 3 {
		cfg.CertFile, cfg.KeyFile, cfg.CAFile = args[3], args[4], args[5]
	}
	server, err := embedetcd.Start(cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Close()
	fmt.Println("ready", server.Endpoint())
	<-ctx.Done()
	return 0
}
