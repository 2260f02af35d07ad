package metered

import (
	"errors"
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/base"
)

func TestTableFor(t *testing.T) {
	for url, want := range map[string]string{
		"s3://b/p?region=eu-central-1": "s3-eu-central-1",
		"s3://b/p?region=eu-west-1":    "s3-eu-central-1",
		"s3://b":                       "s3-us-east-1",
		"s3://b?endpoint=http://minio:9000&region=eu-x": None,
		"file:///data": None,
		"s3://%zz":     None,
	} {
		if got := TableFor(url); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
		if _, found := Table(want); !found {
			t.Errorf("there is no table %s", want)
		}
	}
	if _, found := Table("gold"); found {
		t.Error("a table that is not there is found")
	}
}

func TestTablesAreWhole(t *testing.T) {
	for _, p := range Tables() {
		if err := p.check(); err != nil {
			t.Error(err)
		}
		if p.Name != None && (p.AsOf == "" || p.Put == 0 || p.List == 0 || p.Get == 0 || p.CrossRegion == 0) {
			t.Errorf("%+v", p)
		}
	}
}

func TestParsePrices(t *testing.T) {
	p, err := ParsePrices([]byte("name: ours\nas-of: 2026-11\nput-per-1000: 0.01\nlist-per-1000: 0.02\nget-per-1000: 0.03\nread-per-gib: 0.04\ncross-region-per-gib: 0.05\n"))
	if want := (Prices{"ours", "2026-11", 0.01, 0.02, 0.03, 0.04, 0.05}); err != nil || p != want {
		t.Errorf("%+v, %v", p, err)
	}
	for text, want := range map[string]string{
		"name: x\nput: 1\n":             "field put not found",
		"name: x\nput-per-1000: -1\n":   "0 or more",
		"name: x\nget-per-1000: .nan\n": "0 or more",
		"put-per-1000: 1\n":             "name is missing",
		"":                              "EOF",
	} {
		if _, err := ParsePrices([]byte(text)); !errors.Is(err, base.ErrCorrupt) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
