// Command minio (run it by run.sh) runs a command against a real MinIO server of a pinned version: it builds the server
// if need be, starts it on a free loopback port over a temporary directory, makes a bucket, runs the command with
// GNOMON_TEST_S3 and credentials in its environment, and stops the server that it started. Its exit code is the
// command's.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	// version is the last one of MinIO's community edition.
	version = "v0.0.0-20260212201848-7aac2a2c5b7c"

	bucket = "gnomon-test"
	region = "us-east-1"
	user   = "gnomon-test"
	secret = "gnomon-test-only" // of a server on loopback that lives as long as the command

	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
)

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
	binary, err := build(ctx, tools)
	if err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "gnomon-minio-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()

	address, err := freeAddress()
	if err != nil {
		return 1, err
	}
	stopServer, err := start(binary, dir, address)
	if err != nil {
		return 1, err
	}
	code, err := runCommand(ctx, address, command)
	return code, errors.Join(err, stopServer())
}

// build returns the server's binary, which it installs if it is not there.
func build(ctx context.Context, tools string) (string, error) {
	tools, err := filepath.Abs(filepath.Join(tools, "minio-"+version))
	if err != nil {
		return "", err
	}
	binary := filepath.Join(tools, "minio")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	fmt.Fprintln(os.Stderr, "minio: building the server, once; this takes some minutes")
	install := exec.CommandContext(ctx, "go", "install", "github.com/minio/minio@"+version)
	install.Env = append(os.Environ(), "GOBIN="+tools, "GOFLAGS=")
	install.Stdout, install.Stderr = os.Stderr, os.Stderr
	install.Dir = os.TempDir() // outside of this module
	if err := install.Run(); err != nil {
		return "", fmt.Errorf("go install minio@%s: %w", version, err)
	}
	return binary, nil
}

// start starts the server and returns how to stop it.
func start(binary, dir, address string) (func() error, error) {
	log, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		return nil, err
	}
	server := exec.Command(binary, "server", "--quiet", "--address", address, filepath.Join(dir, "data"))
	server.Env = append(os.Environ(), "MINIO_ROOT_USER="+user, "MINIO_ROOT_PASSWORD="+secret,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off", "HOME="+dir)
	server.Stdout, server.Stderr = log, log
	// A process group of its own: an interrupt at the terminal reaches the command first.
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := server.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return func() error {
		_ = server.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(stopTimeout, func() { _ = server.Process.Kill() })
		defer timer.Stop()
		_ = server.Wait() // how a server that was told to end ends is of no interest
		return log.Close()
	}, nil
}

func runCommand(ctx context.Context, address string, command []string) (int, error) {
	if err := makeBucket(ctx, address); err != nil {
		return 1, err
	}
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = stopTimeout
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Env = append(os.Environ(),
		fmt.Sprintf("GNOMON_TEST_S3=s3://%s?endpoint=http://%s&region=%s&path_style=true", bucket, address, region),
		"AWS_ACCESS_KEY_ID="+user, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_REGION="+region, "AWS_SESSION_TOKEN=")
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

// makeBucket makes the bucket as soon as the server answers.
func makeBucket(ctx context.Context, address string) error {
	client, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(user, secret, ""), Region: region})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := client.MakeBucket(ctx, bucket, minio.MakeBucketOptions{Region: region})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("make a bucket on the server: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// freeAddress returns a loopback address that nobody listens on at this moment.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
