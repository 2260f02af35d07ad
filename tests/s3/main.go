// Command s3 (run it by run.sh) runs a command against a real store of a pinned version, MinIO or versitygw: it builds the server
// if need be, starts it on a free loopback port over a temporary directory, makes a bucket, runs the command with
// GNOMON_TEST_S3 and credentials in its environment, and stops the server that it started. The command finds the server's
// name and binary in GNOMON_TEST_S3_SERVER, for servers of its own. The exit code is the command's.
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

	"github.com/gnomon-stream/gnomon/tests/s3/server"
)

const stopTimeout = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, os.Getenv("GNOMON_TOOLS_BIN"), os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "s3:", err)
	}
	os.Exit(code)
}

func run(ctx context.Context, tools string, command []string) (int, error) {
	if tools == "" || len(command) < 2 {
		return 2, errors.New("use tests/s3/run.sh minio|versitygw [command]")
	}
	program, err := server.Find(command[0])
	if err != nil {
		return 2, err
	}
	binary, err := program.Build(ctx, tools)
	if err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "gnomon-s3-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := program.New(ctx, binary, dir)
	if err != nil {
		return 1, err
	}
	code, err := runCommand(ctx, s, program.Setting(binary), command[1:])
	return code, errors.Join(err, s.Stop())
}

func runCommand(ctx context.Context, s *server.Server, setting string, command []string) (int, error) {
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = stopTimeout
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Env = append(append(os.Environ(), s.Env()...), "GNOMON_TEST_S3="+s.URL(""), server.Variable+"="+setting)
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
