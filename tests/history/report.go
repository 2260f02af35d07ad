package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"

	"github.com/gnomon-stream/gnomon/tests/history/check"
)

// load gives the events of histories in files, one behind the other; *err is what went wrong. A file that ends in the middle of a line is
// that of a process that was killed: its history ends there.
func load(err *error, paths ...string) iter.Seq[check.Event] {
	return func(yield func(check.Event) bool) {
		for _, path := range paths {
			var more bool
			if more, *err = loadOne(path, yield); !more || *err != nil {
				return
			}
		}
	}
}

func loadOne(path string, yield func(check.Event) bool) (more bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }() // it was read only
	d := json.NewDecoder(bufio.NewReader(file))
	for {
		var e check.Event
		switch err := d.Decode(&e); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return true, nil
		case err != nil:
			return false, fmt.Errorf("%s: %w", path, err)
		}
		if !yield(e) {
			return false, nil
		}
	}
}

func report(out io.Writer, format string, paths ...string) (clean bool, err error) {
	r := check.Check(load(&err, paths...))
	if err != nil {
		return false, err
	}
	if format == "json" {
		return r.Clean(), json.NewEncoder(out).Encode(r)
	}
	fmt.Fprintf(out, "%d events, %d records acked, %d read, %d offsets committed\n", r.Events, r.Acked, r.Read, r.Commits)
	switch f := r.Failover; {
	case f == nil && !r.Complete:
		fmt.Fprintln(out, "not read to the end: what was acked last is judged as far as somebody read on")
	case f != nil && f.Mode == check.Cut:
		fmt.Fprintf(out, "after a failover by a cut: %d records are there, %d were deleted; %d that were acked lie beyond the cut and are lost; groups resumed in %d places\n", f.Read, f.Deleted, f.Beyond, f.Resumed)
	case f != nil:
		fmt.Fprintf(out, "after a failover that may lose nothing: %d records are there, %d were deleted; groups resumed in %d places\n", f.Read, f.Deleted, f.Resumed)
	}
	if r.Clean() {
		fmt.Fprintln(out, "no anomalies")
		return true, nil
	}
	return false, tell(out, r, paths)
}

// tell shows the first anomalies of each kind, with the events that make them up.
func tell(out io.Writer, r check.Report, paths []string) (err error) {
	wanted := map[int]string{}
	for _, a := range r.First {
		for _, n := range a.Events {
			wanted[n] = ""
		}
	}
	n := 0
	for e := range load(&err, paths...) {
		if _, ok := wanted[n]; ok {
			e.Records = e.Records[:min(len(e.Records), 20)]
			line, _ := json.Marshal(e) // it was decoded from such a line
			wanted[n] = string(line)
		}
		n++
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Counts)) {
		fmt.Fprintf(out, "%s: %d\n", kind, r.Counts[kind])
		for _, a := range r.First {
			if a.Kind == kind {
				fmt.Fprintf(out, "  %s\n", a.Detail)
				for _, n := range slices.Sorted(slices.Values(a.Events)) {
					fmt.Fprintf(out, "    %d %s\n", n, wanted[n])
				}
			}
		}
	}
	return err
}
