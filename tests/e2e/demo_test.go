package e2e

import (
	"encoding/json"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/demo"
	"github.com/gnomon-stream/gnomon/tests/harness"
)

// The demo keeps its promises, also at a rate at which the death of region A does cost records, and its report adds up.
func TestDemo(t *testing.T) {
	for _, rate := range []string{"4000", "24000"} {
		t.Run(rate, func(t *testing.T) {
			r := harness.Gnomon(t, "demo", "--rate", rate, "--format", "json")
			var report demo.Report
			if err := json.Unmarshal([]byte(r.Out), &report); err != nil {
				t.Fatalf("%v\n%s%s", err, r.Out, r.Err)
			}
			if r.Code != 0 || !report.OK {
				t.Fatalf("exit code %d: %+v\n%s", r.Code, report, r.Err)
			}
			switch {
			case report.AckedAtA+report.AckedAtB != 24_000, report.PresentAtB+report.RPO.Records != report.AckedAtA:
				t.Errorf("the figures do not add up: %+v", report)
			case report.Delivered-report.DeliveredAgain < report.PresentAtB+report.AckedAtB:
				t.Errorf("less was delivered than is there: %+v", report)
			case report.RTO.Command <= 0, report.RTO.FirstAck < report.RTO.Command, report.RTO.FirstRecord < report.RTO.Command:
				t.Errorf("recovery times: %+v", report.RTO)
			}
		})
	}
}
