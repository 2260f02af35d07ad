package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
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

type options struct {
	Workload
	brokers, out, check, failover, format string
	partitions                            int
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("history", flag.ContinueOnError)
	f.StringVar(&o.brokers, "brokers", "", "addresses of agents, by comma")
	f.DurationVar(&o.For, "duration", 30*time.Second, "how long to write")
	f.IntVar(&o.Records, "records", 1_000_000, "write so many records at most; the check takes some 200 bytes each")
	f.IntVar(&o.Rate, "rate", 2000, "records a second, of all producers")
	f.DurationVar(&o.Final, "final", 90*time.Second, "how long to wait for what is left when writing has ended, and for reading everything; 0 leaves it out, for a cluster that is to be lost")
	f.StringVar(&o.Topic, "topic", fmt.Sprint("history-", os.Getpid()), "a topic that is not there yet; its name begins those of the groups")
	f.IntVar(&o.partitions, "partitions", 4, "of the topic")
	f.StringVar(&o.out, "out", "", "file for the history (history.jsonl; with -check and -brokers history-after.jsonl)")
	f.StringVar(&o.check, "check", "", "files of histories, by comma: check them; with -brokers, go on at these agents, of the region that took over")
	f.StringVar(&o.failover, "failover", "", "with -check and -brokers, what `gnomon shadow failover --yes --format json` printed; without it nothing may be lost")
	f.StringVar(&o.format, "format", "text", "text or json")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.Partitions, o.Rate = int32(o.partitions), max(o.Rate, 1)
	if o.brokers != "" {
		o.Brokers = strings.Split(o.brokers, ",")
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("%q is no flag", f.Arg(0))
	case o.brokers == "" && o.check == "":
		return o, errors.New("-brokers or -check is needed")
	case o.format != "text" && o.format != "json":
		return o, fmt.Errorf("-format is text or json, not %q", o.format)
	}
	return o, nil
}

func command(ctx context.Context, args []string, out io.Writer) (clean bool, err error) {
	o, err := parse(args)
	if err != nil {
		return false, err
	}
	var files []string
	switch {
	case o.check == "":
		files = []string{cmp.Or(o.out, "history.jsonl")}
		err = recordTo(files[0], func(rec *Recorder) error { return o.Run(ctx, rec) })
	case o.brokers == "":
		files = strings.Split(o.check, ",")
	default:
		files = []string{o.check, cmp.Or(o.out, "history-after.jsonl")}
		err = goOn(ctx, o, files)
	}
	if err != nil {
		return false, err
	}
	return report(out, o.format, files...)
}

// goOn has the second region asked for what the first one's history promises.
func goOn(ctx context.Context, o options, files []string) error {
	w, err := resume(files[0])
	if err != nil {
		return err
	}
	w.Brokers, w.Final = o.Brokers, o.Final
	marker, err := w.marker(o.failover)
	if err != nil {
		return err
	}
	return recordTo(files[1], func(rec *Recorder) error { return w.After(ctx, rec, marker) })
}

func recordTo(path string, run func(*Recorder) error) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	buffer := bufio.NewWriter(file)
	if err = run(NewRecorder(buffer, time.Now)); err != nil {
		err = fmt.Errorf("%w\nwhat was told until then is in %s", err, path)
	}
	return errors.Join(err, buffer.Flush(), file.Close())
}
