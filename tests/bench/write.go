package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

const (
	formatText     = "text"
	formatJSON     = "json"
	formatMarkdown = "markdown"
)

var columns = []string{"figure", "value", "limit", "value", "ratio", "first target", "goal"}

func (r *report) write(w io.Writer, format string) error {
	switch format {
	case formatJSON:
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	case formatMarkdown:
		return r.markdown(w)
	}
	return r.text(w)
}

// head says when and where.
func (r *report) head() string {
	scale := ""
	if r.Scale != 1 {
		scale = fmt.Sprintf(", scale %g", r.Scale)
	}
	return fmt.Sprintf("%s, %s; load average %.1f before and %.1f at the end; %g s each%s",
		r.Started.Format(time.DateOnly+" 15:04 MST"), r.Machine, r.Busy[0], r.Busy[1], r.Seconds, scale)
}

func (r *report) sections() []string {
	var out []string
	seen := map[string]bool{}
	for _, f := range r.Figures {
		if !seen[f.Section] {
			seen[f.Section] = true
			out = append(out, f.Section)
		}
	}
	return out
}

// rows of a section: a figure with its first limit, and a row for each further one.
func (r *report) rows(section string) [][]string {
	var out [][]string
	for _, f := range r.Figures {
		if f.Section != section {
			continue
		}
		first, goal := f.tell()
		row := []string{f.Name + partsOf(f), short(f.Value) + " " + f.Unit, "", "", "", first, goal}
		for i, l := range f.Limits {
			if i > 0 {
				row = make([]string, len(columns))
			}
			row[2], row[3] = l.Name, short(l.Value)
			if l.Ratio > 0 {
				row[4] = short(l.Ratio)
			}
			out = append(out, row)
		}
		if len(f.Limits) == 0 {
			out = append(out, row)
		}
	}
	return out
}

func partsOf(f figure) string {
	if len(f.Parts) == 0 {
		return ""
	}
	var all []string
	for _, p := range f.Parts {
		all = append(all, p.Name+" "+short(p.Value))
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// markdown is as docs/PERFORMANCE.md has it.
func (r *report) markdown(w io.Writer) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s.\n", r.head())
	for _, s := range r.sections() {
		fmt.Fprintf(&out, "\n### %s\n\n| %s |\n|%s\n", s, strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
		for _, row := range r.rows(s) {
			fmt.Fprintf(&out, "| %s |\n", strings.Join(row, " | "))
		}
	}
	for _, l := range r.LeftOut {
		fmt.Fprintf(&out, "\nLeft out: %s.\n", l)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (r *report) text(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s\n", r.head()); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range r.sections() {
		fmt.Fprintf(t, "\n%s\n%s\n", strings.ToUpper(s), strings.Join(columns, "\t"))
		for _, row := range r.rows(s) {
			fmt.Fprintln(t, strings.TrimRight(strings.Join(row, "\t"), "\t"))
		}
	}
	for _, l := range r.LeftOut {
		fmt.Fprintf(t, "\nleft out: %s\n", l)
	}
	return t.Flush()
}

// short prints three digits that count.
func short(v float64) string {
	switch {
	case v >= 100:
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v > 0 && v < 0.095:
		return strconv.FormatFloat(v, 'f', 3, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// counted prints a whole number of something.
func counted(n int, one string) string {
	if n != 1 {
		one += "s"
	}
	return thousands(strconv.Itoa(n)) + " " + one
}

// thousands sets commas.
func thousands(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
