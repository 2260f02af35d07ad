package demo

import (
	"fmt"
	"io"
)

// Report is what the demo measured. Times are in seconds.
type Report struct {
	// AckedAtA were acked by region a before it died; PresentAtB of them are in b, each at its offset.
	AckedAtA   int `json:"acked_at_a"`
	PresentAtB int `json:"present_at_b"`
	// RPO is what was acked by a beyond the boundary.
	RPO RPO `json:"rpo"`
	RTO RTO `json:"rto"`
	// Mode is "cut": etcd of a died with a. The boundary is the end of each partition of b at the failover.
	Mode     string          `json:"mode"`
	Boundary map[int32]int64 `json:"boundary"`
	// AckedAtB were acked by b after the failover, to the same producer.
	AckedAtB  int `json:"acked_at_b"`
	Delivered int `json:"delivered"`
	// DeliveredAgain were delivered twice because a's death came before their commit; DeliveredBelowCommitted were delivered
	// again although they were committed, which must not be.
	DeliveredAgain          int `json:"delivered_again"`
	DeliveredBelowCommitted int `json:"delivered_below_committed"`
	Skipped                 int `json:"skipped"`
	// Problems are broken promises, the first ten.
	Problems []string `json:"problems"`
	OK       bool     `json:"ok"`
}

// RPO is the recovery point: what is lost.
type RPO struct {
	Records int `json:"records"`
	// Seconds from the first lost ack to the last ack of region a.
	Seconds float64 `json:"seconds"`
}

// RTO is the recovery time, from the command to fail over.
type RTO struct {
	Command     float64 `json:"command_seconds"`
	FirstAck    float64 `json:"first_ack_seconds"`
	FirstRecord float64 `json:"first_record_seconds"`
}

// Write shows the report to a person; columns are parted by tabs.
func (r *Report) Write(w io.Writer) {
	line := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(w, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	_, _ = fmt.Fprintln(w)
	line("acked at a", "%d records", r.AckedAtA)
	line("present at b", "%d records, at the same offsets", r.PresentAtB)
	line("RPO", "%d records, %.3f s beyond the boundary (%s)", r.RPO.Records, r.RPO.Seconds, r.Mode)
	line("RTO, first ack at b", "%.3f s after the command (the command itself: %.3f s)", r.RTO.FirstAck, r.RTO.Command)
	line("RTO, first record at b", "%.3f s after the command, by the same consumer group", r.RTO.FirstRecord)
	line("acked at b", "%d records, to the same idempotent producer", r.AckedAtB)
	line("delivered", "%d records, of which %d again: they were not committed yet", r.Delivered, r.DeliveredAgain)
	line("delivered again below the committed offset", "%d", r.DeliveredBelowCommitted)
	line("skipped", "%d", r.Skipped)
	for _, p := range r.Problems {
		line("PROBLEM", "%s", p)
	}
	_, _ = fmt.Fprintln(w)
	if r.OK {
		_, _ = fmt.Fprintln(w, "every record at or below the boundary is at b; nothing was skipped, and nothing that was committed came again")
	} else {
		_, _ = fmt.Fprintln(w, "FAILED: a promise was broken, see above")
	}
}
