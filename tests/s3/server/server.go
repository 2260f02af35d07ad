// Package server runs a real store of a pinned version for tests, MinIO or versitygw: on a loopback port, over a folder, with one bucket, and in
// a process group of its own that SIGKILL can end at any moment.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	bucket = "gnomon-test"
	region = "us-east-1"
	user   = "gnomon-test"
	secret = "gnomon-test-only" // of a server on loopback that lives as long as the test

	startTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
)

// Server is one server with its data; its process may end and begin again.
type Server struct {
	program              Program
	binary, dir, address string
	process              *exec.Cmd
	log                  *os.File
}

// New starts a server of the program over an empty folder, on a free loopback port, and makes its bucket.
func (p Program) New(ctx context.Context, binary, dir string) (*Server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &Server{program: p, binary: binary, dir: dir, address: address}
	if err := s.Start(); err != nil {
		return nil, err
	}
	if err := s.makeBucket(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Start starts the process, which does not run. It returns before the server answers.
func (s *Server) Start() error {
	var err error
	if s.log, err = os.OpenFile(filepath.Join(s.dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return errors.Join(err, s.log.Close())
	}
	p := exec.Command(s.binary, s.program.command(s.address, data)...)
	p.Env = append(append(os.Environ(), s.program.env...), "HOME="+s.dir)
	p.Stdout, p.Stderr = s.log, s.log
	// A process group of its own: an interrupt at the terminal reaches the test first.
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.Start(); err != nil {
		return errors.Join(err, s.log.Close())
	}
	s.process = p
	return nil
}

// PID is the process id; the process must run.
func (s *Server) PID() int { return s.process.Process.Pid }

// Kill ends the process by SIGKILL, and returns once it is gone.
func (s *Server) Kill() error { return s.end(syscall.SIGKILL) }

// Stop ends the process by SIGTERM, and by SIGKILL if that takes too long.
func (s *Server) Stop() error { return s.end(syscall.SIGTERM) }

func (s *Server) end(sig syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	_ = s.process.Process.Signal(sig)
	timer := time.AfterFunc(stopTimeout, func() { _ = s.process.Process.Kill() })
	_ = s.process.Wait() // how a server that was told to end ends is of no interest
	timer.Stop()
	s.process = nil
	return s.log.Close()
}

// URL is the bucket as Gnomon takes it; prefix may be empty.
func (s *Server) URL(prefix string) string {
	if prefix != "" {
		prefix = "/" + prefix
	}
	return fmt.Sprintf("s3://%s%s?endpoint=http://%s&region=%s&path_style=true", bucket, prefix, s.address, region)
}

// Env is what a process needs in its environment to be let in, as NAME=value.
func (s *Server) Env() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + user, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_REGION=" + region, "AWS_SESSION_TOKEN="}
}

// makeBucket makes the bucket as soon as the server answers.
func (s *Server) makeBucket(ctx context.Context) error {
	client, err := minio.New(s.address, &minio.Options{Creds: credentials.NewStaticV4(user, secret, ""), Region: region})
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
