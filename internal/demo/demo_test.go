package demo

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// The sample is what the package comment says: rows of flights, keyed by the tail number, each value once. The ledger of the
// demo tells records apart by their values.
func TestRecords(t *testing.T) {
	rows, err := records("flights")
	if err != nil || len(rows) != 24_000 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	seen, keys := map[string]bool{}, map[string]bool{}
	for i, r := range rows {
		value := string(r.Value)
		cells := strings.Split(value, ",")
		if r.Topic != "flights" || seen[value] || cells[1] != "2013" {
			t.Fatalf("row %d: %q of topic %s", i, value, r.Topic)
		}
		seen[value], keys[string(r.Key)] = true, true
		if !strings.Contains(value, ","+string(r.Key)+",") {
			t.Fatalf("row %d: key %q is not in %q", i, r.Key, value)
		}
	}
	if len(keys) < 1000 || !strings.HasPrefix(string(rows[7].Value), "7,") {
		t.Fatalf("%d keys; row 7 is %q", len(keys), rows[7].Value)
	}
}

// D2: a broken promise is said in as many words, and so is a kept one; the JSON form has every figure, zeros too.
func TestReport(t *testing.T) {
	r := Report{AckedAtA: 100, PresentAtB: 97, RPO: RPO{Records: 3, Seconds: 0.25}, Mode: "cut", Boundary: map[int32]int64{0: 97}, Delivered: 120, DeliveredAgain: 20, OK: true}
	text := func() string {
		var b bytes.Buffer
		r.Write(&b)
		return b.String()
	}
	for _, want := range []string{"100 records", "97 records", "3 records, 0.250 s", "(cut)", "every record at or below the boundary is at b"} {
		if !strings.Contains(text(), want) {
			t.Errorf("the report does not say %q:\n%s", want, text())
		}
	}
	r.OK, r.Skipped, r.Problems = false, 1, []string{"0:5 was delivered, 4 was due"}
	for _, want := range []string{"FAILED", "0:5 was delivered, 4 was due"} {
		if !strings.Contains(text(), want) {
			t.Errorf("the report does not say %q:\n%s", want, text())
		}
	}
	b, err := json.Marshal(Report{})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"acked_at_a", "present_at_b", "rpo", "records", "seconds", "rto", "first_ack_seconds", "first_record_seconds", "delivered_again",
		"delivered_below_committed", "skipped", "ok",
	} {
		if !strings.Contains(string(b), `"`+key+`"`) {
			t.Errorf("no %q in %s", key, b)
		}
	}
}
