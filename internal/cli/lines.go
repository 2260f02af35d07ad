package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// lineMax is the longest line that produce reads, bytes: Kafka's default for max.message.bytes, about.
const lineMax = 1 << 20

// lineAhead is how many lines are read before they are sent.
const lineAhead = 256

// line is one line of the input, without its line feed, or the error that ended the input.
type line struct {
	text []byte
	err  error
}

// readLines reads the files in order, "-" being in, and closes the channel at the end or after an error. Its goroutine
// ends with ctx, except inside a read of a terminal, which nothing can interrupt: it then ends with the process.
func readLines(ctx context.Context, in io.Reader, files []string) <-chan line {
	out := make(chan line, lineAhead)
	go func() {
		defer close(out)
		for _, name := range files {
			if err := readFile(ctx, in, name, out); err != nil {
				select {
				case out <- line{err: err}:
				case <-ctx.Done():
				}
				return
			}
		}
	}()
	return out
}

func readFile(ctx context.Context, in io.Reader, name string, out chan<- line) error {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return Fail("read "+name, unwrapPath(err), "")
		}
		defer func() { _ = f.Close() }()
		in = f
	} else {
		name = "the standard input"
	}
	scanner := bufio.NewScanner(in)
	// A line of the greatest length with its line feed just fits.
	scanner.Buffer(make([]byte, 0, 64<<10), lineMax+1)
	scanner.Split(splitLines)
	number := 0
	for scanner.Scan() {
		number++
		select {
		case out <- line{text: bytes.Clone(scanner.Bytes())}:
		case <-ctx.Done():
			return nil
		}
	}
	err := scanner.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		return Fail("read "+name, fmt.Errorf("line %d is longer than %s", number+1, size(lineMax)), "split it, or use a client that sends files as records")
	}
	if err != nil {
		return Fail("read "+name, unwrapPath(err), "")
	}
	return nil
}

// splitLines cuts at line feeds and nothing else: a carriage return belongs to the record, as every other byte does.
func splitLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// unwrapPath takes the path off an error of package os: the message around it has it already.
func unwrapPath(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
