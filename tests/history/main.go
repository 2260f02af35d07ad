package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gnomon-stream/gnomon/tests/history/check"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	clean, err := command(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "history:", err)
		os.Exit(2)
	case !clean:
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, out io.Writer) (clean bool, err error) {
	f := flag.NewFlagSet("history", flag.ContinueOnError)
	brokers := f.String("brokers", "", "addresses of agents, by comma")
	seconds := f.Float64("seconds", 30, "how long to write")
	records := f.Int("records", 1_000_000, "write so many records at most; the check takes some 200 bytes each")
	rate := f.Int("rate", 2000, "records a second, of all producers")
	topic := f.String("topic", fmt.Sprint("history-", os.Getpid()), "a topic that is not there yet")
	partitions := f.Int("partitions", 4, "of the topic")
	path := f.String("out", "history.jsonl", "file for the history")
	only := f.String("check", "", "check this history, and run nothing")
	format := f.String("format", "text", "text or json")
	if err := f.Parse(args); err != nil {
		return false, err
	}
	if *only != "" {
		*path = *only
	} else {
		if *brokers == "" {
			return false, errors.New("-brokers or -check is needed")
		}
		w := &Workload{
			Brokers: strings.Split(*brokers, ","), Topic: *topic, Partitions: int32(*partitions), Records: *records,
			For: time.Duration(*seconds * float64(time.Second)), Rate: max(*rate, 1),
		}
		if err := recordTo(ctx, *path, w); err != nil {
			return false, err
		}
	}
	return report(out, *path, *format)
}

func recordTo(ctx context.Context, path string, w *Workload) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriter(file)
	err = w.Run(ctx, NewRecorder(buffer, time.Now))
	return errors.Join(err, buffer.Flush(), file.Close())
}

// load gives the events of a history in a file; *err is what went wrong.
func load(path string, err *error) iter.Seq[check.Event] {
	return func(yield func(check.Event) bool) {
		file, oerr := os.Open(path)
		if *err = oerr; oerr != nil {
			return
		}
		defer func() { _ = file.Close() }() // it was read only
		d := json.NewDecoder(bufio.NewReader(file))
		for {
			var e check.Event
			if derr := d.Decode(&e); derr != nil {
				if !errors.Is(derr, io.EOF) {
					*err = fmt.Errorf("%s: %w", path, derr)
				}
				return
			}
			if !yield(e) {
				return
			}
		}
	}
}

func report(out io.Writer, path, format string) (clean bool, err error) {
	r := check.Check(load(path, &err))
	if err != nil {
		return false, err
	}
	if format == "json" {
		return r.Clean(), json.NewEncoder(out).Encode(r)
	}
	fmt.Fprintf(out, "%d events, %d records acked, %d read, %d commits\n", r.Events, r.Acked, r.Read, r.Commits)
	if r.Clean() {
		fmt.Fprintln(out, "no anomalies")
		return true, nil
	}
	wanted := map[int]string{}
	for _, a := range r.First {
		for _, n := range a.Events {
			wanted[n] = ""
		}
	}
	n := 0
	for e := range load(path, &err) {
		if _, ok := wanted[n]; ok {
			e.Records = e.Records[:min(len(e.Records), 20)]
			line, _ := json.Marshal(e) // it was decoded from such a line
			wanted[n] = string(line)
		}
		n++
	}
	for kind, count := range r.Counts {
		fmt.Fprintf(out, "%s: %d\n", kind, count)
		for _, a := range r.First {
			if a.Kind == kind {
				fmt.Fprintf(out, "  %s\n", a.Detail)
				for _, n := range slices.Sorted(slices.Values(a.Events)) {
					fmt.Fprintf(out, "    %d %s\n", n, wanted[n])
				}
			}
		}
	}
	return false, err
}
