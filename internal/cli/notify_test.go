package cli_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gnomon-stream/gnomon/internal/cli"
)

// notifyingBuffer closes seen once what was written ends with want.
type notifyingBuffer struct {
	syncBuffer
	want string
	seen chan struct{}
	once sync.Once
}

func (b *notifyingBuffer) Write(p []byte) (int, error) {
	n, err := b.syncBuffer.Write(p)
	if strings.HasSuffix(b.String(), b.want) {
		b.once.Do(func() { close(b.seen) })
	}
	return n, err
}

// runTo runs a command whose results go to out.
func runTo(ctx context.Context, address string, out io.Writer, args ...string) result {
	var errs syncBuffer
	code := cli.Run(ctx, &cli.Env{
		In: strings.NewReader(""), Out: out, Err: &errs, Getenv: func(string) string { return address }, Now: time.Now,
	}, args)
	return result{code: code, err: errs.String()}
}
