package main

import "fmt"

// target is what a figure, or its ratio to its first limit, is to reach: first, and in the end.
type target struct {
	Absolute bool    `json:"absolute"` // of the value; else of the ratio
	AtMost   bool    `json:"at_most"`  // less is better
	First    float64 `json:"first"`
	Goal     float64 `json:"goal"` // 0: none was set
}

var (
	aimThroughput = target{First: 0.55, Goal: 0.66}
	aimCPU        = target{Absolute: true, AtMost: true, First: 2, Goal: 1.3}
	aimAckP50     = target{AtMost: true, First: 2, Goal: 1.2}
	aimAckP99     = target{AtMost: true, First: 3, Goal: 2}
	aimConsume    = target{First: 0.7}
	aimCopy       = target{First: 0.7, Goal: 0.9}
	aimSequencer  = target{Absolute: true, First: 100_000}
	// The design's budgets.
	aimPartition = target{Absolute: true, AtMost: true, First: 1 << 10}
	aimSpan      = target{Absolute: true, AtMost: true, First: 100}
)

// tell gives the cells of the first target and the goal, each with whether it is reached.
func (f figure) tell() (first, goal string) {
	if f.Target == nil {
		return "", ""
	}
	value := f.Value
	if !f.Target.Absolute {
		if len(f.Limits) == 0 || f.Limits[0].Ratio == 0 {
			return "", ""
		}
		value = f.Limits[0].Ratio
	}
	cell := func(bound float64) string {
		if bound == 0 {
			return ""
		}
		sign, met := "≥", value >= bound
		if f.Target.AtMost {
			sign, met = "≤", value <= bound
		}
		word := "missed"
		if met {
			word = "met"
		}
		return fmt.Sprintf("%s %s %s", sign, short(bound), word)
	}
	return cell(f.Target.First), cell(f.Target.Goal)
}
