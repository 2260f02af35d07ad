// Command minio (run it by run.sh) runs a command against a real MinIO server of a pinned version: it builds the server
// if need be, starts it on a free loopback port over a temporary directory, makes a bucket, runs the command with
// GNOMON_TEST_S3 and credentials in its environment, and stops the server that it started. The command finds the server's
// binary in GNOMON_TEST_MINIO, for servers of its own. The exit code is the command's.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/gnomon-stream/gnomon/tests/minio/server"
)

const stopTimeout = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, os.Getenv("GNOMON_TOOLS_BIN"), os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "minio:", err)
	}
	os.Exit(code)
}

func run(ctx context.Context, tools string, command []string) (int, error) {
	if tools == "" || len(command) == 0 {
		return 2, errors.New("use tests/minio/run.sh [command]")
	}
	binary, err := server.Build(ctx, tools)
	if err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "gnomon-minio-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := server.New(ctx, binary, dir)
	if err != nil {
		return 1, err
	}
	code, err := runCommand(ctx, s, binary, command)
	return code, errors.Join(err, s.Stop())
}

func runCommand(ctx context.Context, s *server.Server, binary string, command []string) (int, error) {
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = stopTimeout
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Env = append(append(os.Environ(), s.Env()...), "GNOMON_TEST_S3="+s.URL(""), server.BinaryVariable+"="+binary)
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Exited() {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
