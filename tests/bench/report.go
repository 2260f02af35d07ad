package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"
)

// report is what a run found.
type report struct {
	Started time.Time `json:"started"`
	Cores   int       `json:"cores"`
	Seconds float64   `json:"seconds"` // of each measurement
	Figures []figure  `json:"figures"`

	produce map[shape]float64
}

// figure is one measured value, with what bounds it.
type figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Limits []limit `json:"limits,omitempty"`
}

// limit is what a figure is compared with. Ratio is the figure as a share, or a multiple, of it.
type limit struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Ratio float64 `json:"ratio"`
}

func (r *report) add(name string, value float64, unit string, limits ...limit) {
	for i := range limits {
		if limits[i].Value > 0 {
			limits[i].Ratio = value / limits[i].Value
		}
	}
	r.Figures = append(r.Figures, figure{Name: name, Value: value, Unit: unit, Limits: limits})
}

// compare says how full one producer keeps the pipe.
func (r *report) compare() {
	one := r.produce[shape{1, 1}]
	four := r.produce[shape{4, 16}]
	if one > 0 && four > 0 {
		r.add("one producer to 1, as a share", one, "MB/s", limit{Name: "four producers to 16", Value: four})
	}
}

func (r *report) write(w io.Writer, format string) error {
	if format == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	if _, err := fmt.Fprintf(w, "%s, %d cores, %g s each\n\n", r.Started.Format(time.DateTime), r.Cores, r.Seconds); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "figure\tvalue\tunit\tlimit\tvalue\tratio")
	fmt.Fprintln(t, "------\t-----\t----\t-----\t-----\t-----")
	for _, f := range r.Figures {
		fmt.Fprintf(t, "%s\t%s\t%s", f.Name, short(f.Value), f.Unit)
		for i, l := range f.Limits {
			if i > 0 {
				fmt.Fprint(t, "\n\t\t")
			}
			fmt.Fprintf(t, "\t%s\t%s\t%.2f", l.Name, short(l.Value), l.Ratio)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// short prints three digits that count.
func short(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
