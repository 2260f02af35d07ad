package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// report is what a run found.
type report struct {
	Started time.Time `json:"started"`
	Machine string    `json:"machine"`
	// Busy is the load average over the minute before the run, and over the last minute of it: other work on the machine is in the figures.
	Busy    [2]float64 `json:"busy"`
	Seconds float64    `json:"seconds"` // of each measurement
	Scale   float64    `json:"scale"`
	Figures []figure   `json:"figures"`
	// LeftOut says what was asked for and could not be measured on this machine.
	LeftOut []string `json:"left_out,omitempty"`
}

// figure is one measured value, with what bounds it.
type figure struct {
	Section string  `json:"section"`
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	// Parts are what the value is made of, or what stands beside it.
	Parts  []part  `json:"parts,omitempty"`
	Limits []limit `json:"limits,omitempty"`
	Target *target `json:"target,omitempty"`
}

// part is a named value in the figure's unit.
type part struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// limit is what a figure is compared with. Ratio is the figure as a share, or a multiple, of it.
type limit struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Ratio float64 `json:"ratio"`
}

func newReport(o options) *report {
	return &report{Started: time.Now().UTC(), Machine: machine(), Busy: [2]float64{loadAverage()}, Seconds: o.seconds.Seconds(), Scale: o.scale}
}

func (r *report) add(section, name string, value float64, unit string, limits ...limit) *figure {
	for i := range limits {
		if limits[i].Value > 0 {
			limits[i].Ratio = value / limits[i].Value
		}
	}
	r.Figures = append(r.Figures, figure{Section: section, Name: name, Value: value, Unit: unit, Limits: limits})
	return &r.Figures[len(r.Figures)-1]
}

// aim says what the figure is to reach.
func (f *figure) aim(t target) *figure {
	f.Target = &t
	return f
}

func (f *figure) of(parts ...part) *figure {
	f.Parts = parts
	return f
}

// find returns a figure's value; 0 when it was not measured.
func (r *report) find(section, name string) float64 {
	for _, f := range r.Figures {
		if f.Section == section && f.Name == name {
			return f.Value
		}
	}
	return 0
}

// machine is what the figures were measured on.
func machine() string {
	cpu := runtime.GOARCH
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	var kb int64
	if raw, err := os.ReadFile("/proc/meminfo"); err == nil {
		_, _ = fmt.Sscanf(string(raw), "MemTotal: %d kB", &kb) // 0 where there is no such file
	}
	return fmt.Sprintf("%d cores of %s, %.0f GB of memory, %s", runtime.NumCPU(), cpu, float64(kb)/1e6, runtime.GOOS)
}

// loadAverage is that of the last minute; 0 where nobody tells.
func loadAverage() float64 {
	var one float64
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(raw), &one)
	}
	return one
}
