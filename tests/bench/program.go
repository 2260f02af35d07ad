package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// program is a process whose cost is looked at.
type program interface{ PID() int }

// programs are processes that are told apart from others: the agents, the store.
type programs struct {
	name string
	all  []program
	// beside: it works for what is measured, but is no part of it.
	beside bool
}

// cost is what processes have used.
type cost struct {
	cpu  time.Duration
	rss  int64 // bytes, now
	peak int64 // bytes, the most so far
}

// clockTick is USER_HZ, which Linux fixes for what it tells programs.
const clockTick = 10 * time.Millisecond

// costOf adds up what processes have used, from /proc.
func costOf[P program](all ...P) (cost, error) {
	var sum cost
	for _, p := range all {
		c, err := costOfOne(p.PID())
		if err != nil {
			return sum, err
		}
		sum.cpu, sum.rss, sum.peak = sum.cpu+c.cpu, sum.rss+c.rss, sum.peak+c.peak
	}
	return sum, nil
}

func costOfOne(pid int) (cost, error) {
	var c cost
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return c, err
	}
	// The name of the program, in brackets, may hold anything; after it come fields with spaces in between.
	_, rest, _ := strings.Cut(string(raw), ") ")
	f := strings.Fields(rest)
	const utime, stime = 11, 12
	if len(f) <= stime {
		return c, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(f))
	}
	for _, i := range []int{utime, stime} {
		ticks, err := strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return c, err
		}
		c.cpu += time.Duration(ticks) * clockTick
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return c, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		into := map[string]*int64{"VmRSS": &c.rss, "VmHWM": &c.peak}[name]
		if into == nil {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return c, err
		}
		*into = kb << 10
	}
	return c, nil
}

// cpuOf gives the CPU seconds that each group has used so far.
func cpuOf(groups []programs) ([]float64, error) {
	var out []float64
	for _, g := range groups {
		c, err := costOf(g.all...)
		if err != nil {
			return nil, err
		}
		out = append(out, c.cpu.Seconds())
	}
	return out, nil
}
