package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options of a run.
type options struct {
	seconds time.Duration // of each measurement, warm-up not included
	scale   float64       // of partitions, members, connections and bytes to read
	format  string
	stores  []string
	only    *regexp.Regexp
	// onlyGiven: what takes long is made only by name.
	onlyGiven bool
	dir       string // where the temporary folder is made
	profiles  string // folder for CPU profiles of gnomon; empty: none
	out, log  io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := 0
	if role := os.Getenv(roleVariable); role != "" {
		code = play(ctx, role)
	} else if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		code = 1
	}
	stop()
	os.Exit(code)
}

func command(ctx context.Context, args []string) error {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := run(ctx, o)
	if r != nil {
		if werr := r.write(o.out, o.format); werr != nil {
			return werr
		}
	}
	return err
}

func parse(args []string) (options, error) {
	o := options{out: os.Stdout, log: os.Stderr}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	seconds := f.Float64("seconds", 4, "length of each measurement, without its warm-up")
	f.Float64Var(&o.scale, "scale", 1, "share of the partitions, members, connections and bytes of the measurements that have many")
	stores := f.String("store", storeDirectory, "stores to measure on, with commas between them: directory, minio, versitygw")
	only := f.String("only", "", "measure what matches this regular expression, and the limits that it needs; what takes long is measured only so")
	list := f.Bool("list", false, "list the names of the measurements")
	f.StringVar(&o.format, "format", formatText, "text, json, or markdown as docs/PERFORMANCE.md has it")
	f.StringVar(&o.dir, "dir", os.TempDir(), "where the temporary folder is made; on a memory file system the figures say nothing")
	f.StringVar(&o.profiles, "profiles", "", "folder for a CPU profile of gnomon in each measurement of throughput")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || *seconds <= 0 || *seconds > 60 || o.scale <= 0 || o.scale > 1 || !slices.Contains([]string{formatText, formatJSON, formatMarkdown}, o.format) {
		return o, errors.New("usage: bench [-store directory,minio,versitygw] [-seconds up to 60] [-scale up to 1] [-only REGEXP] [-format text|json|markdown] [-dir DIR] " +
			"[-profiles DIR] [-list]")
	}
	o.stores = strings.Split(*stores, ",")
	for _, s := range o.stores {
		if !slices.Contains([]string{storeDirectory, storeMinIO, storeVersityGW}, s) {
			return o, fmt.Errorf("there is no store %q: use directory, minio, versitygw, or some of them with commas between them", s)
		}
	}
	if *list {
		for _, m := range measurements(o.stores) {
			note := ""
			if m.long {
				note = "  (only by name)"
			}
			fmt.Fprintln(o.out, m.name+note)
		}
		return o, flag.ErrHelp
	}
	o.onlyGiven = *only != ""
	o.seconds = time.Duration(*seconds * float64(time.Second))
	var err error
	o.only, err = regexp.Compile(*only)
	return o, err
}
