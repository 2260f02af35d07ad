// Package ops has the commands that run regions and talk to their admin API: dev, health, shadow, bucket, certs. They are apart from
// package cli, whose commands need no more than the Kafka protocol.
package ops

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/cli"
)

// Commands are all of them.
func Commands() []cli.Command {
	return []cli.Command{devCommand, demoCommand, healthCommand, shadowCommand, bucketCommand, metastoreCommand, fsckCommand, certsCommand, etcdCommand}
}

// failed turns an error of the admin API into one sentence.
func failed(what, url string, err error) error {
	var ce *connect.Error
	var op *net.OpError
	if secure := refused(what, url, err); secure != nil {
		return secure
	}
	switch {
	case connect.CodeOf(err) == connect.CodeUnauthenticated && errors.As(err, &ce):
		return cli.Fail(what, errors.New(strings.TrimSpace(ce.Message())), "give it by --token-file or GNOMON_TOKEN, or a certificate by --tls-cert and --tls-key")
	case errors.As(err, &op):
		return cli.Fail(what, fmt.Errorf("no answer from %s (%w)", url, op.Err), "start the region, or name it with --admin or GNOMON_ADMIN")
	case errors.As(err, &ce):
		return cli.Fail(what, errors.New(strings.TrimSpace(ce.Message())), "")
	}
	return cli.Fail(what, err, "")
}

// coded is an error with an exit code of its own.
type coded struct {
	error
	code int
}

func (c coded) ExitCode() int { return c.code }
func (c coded) Unwrap() error { return c.error }

// optional shows a figure that may never have been seen.
func optional[T any](v *T, format string) string {
	if v == nil {
		return "?"
	}
	return fmt.Sprintf(format, *v)
}

// size shows bytes in units of 1,024.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/unit, 0
	for f >= unit && i < 4 {
		f /= unit
		i++
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTP"[i])
}
