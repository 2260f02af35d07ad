package harness

import (
	"encoding/json"
	"testing"
	"time"
)

// Link is the name of the link that gnomon dev makes.
const Link = "a-to-b"

// Status is what `shadow status --format json` prints, as its users parse it.
type Status struct {
	Link     string
	State    string
	Role     string
	AsOf     *time.Time `json:"as_of"`
	Position struct {
		AppliedSeq uint64  `json:"applied_seq"`
		SourceSeq  *uint64 `json:"source_seq"`
	}
	Lag struct {
		Events  *int64
		Bytes   *int64
		Seconds *float64
	}
	Topics []struct {
		Name       string
		State      string
		Partitions []struct {
			Partition       int32
			SourceEndOffset *int64   `json:"source_end_offset"`
			EndOffset       int64    `json:"end_offset"`
			LagOffsets      *int64   `json:"lag_offsets"`
			LagSeconds      *float64 `json:"lag_seconds"`
		}
	}
}

// Boundary is a partition in the report of a failover.
type Boundary struct {
	Topic           string
	Partition       int32
	EndOffset       int64  `json:"end_offset"`
	SourceEndOffset *int64 `json:"source_end_offset"`
	LostOffsets     *int64 `json:"lost_offsets"`
	MissingBytes    int64  `json:"missing_bytes"`
}

// Failover is what `shadow failover --format json` prints.
type Failover struct {
	Link       string
	DryRun     bool `json:"dry_run"`
	Mode       string
	Detail     string
	Fence      string // of a dry run
	Epoch      int32
	CutSeq     uint64   `json:"cut_seq"`
	SourceSeq  uint64   `json:"source_seq"`
	RPOSeconds *float64 `json:"rpo_seconds"`
	DurationMs int64    `json:"duration_ms"`
	Partitions []Boundary
}

// Eventually polls until the condition gives "", and fails with what it gave last after the timeout.
func Eventually(t testing.TB, timeout time.Duration, what string, condition func() (missing string)) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	for {
		missing := condition()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %s: %s", what, timeout, missing)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// WaitLink waits until B says that the link is in the state.
func (d *Dev) WaitLink(state string) {
	d.t.Helper()
	Eventually(d.t, 30*time.Second, "link "+state, func() string {
		r := d.TryAdmin("b", "shadow", "status", Link)
		var s Status
		if r.Code != 0 || json.Unmarshal([]byte(r.Out), &s) != nil {
			return r.Out + r.Err
		}
		if s.State != state {
			return "it is " + s.State
		}
		return ""
	})
}

// WaitCaughtUp waits until B has applied all that A had when the call began.
func (d *Dev) WaitCaughtUp() {
	d.t.Helper()
	began := time.Now()
	Eventually(d.t, 60*time.Second, "B has all of A", func() string {
		r := d.TryAdmin("b", "shadow", "status", Link)
		var s Status
		if r.Code != 0 || json.Unmarshal([]byte(r.Out), &s) != nil {
			return r.Out + r.Err
		}
		if s.State != "ACTIVE" || s.Lag.Events == nil || *s.Lag.Events != 0 || s.AsOf == nil || s.AsOf.Before(began) {
			return r.Out
		}
		return ""
	})
}
