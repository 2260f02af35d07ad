package metered

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gnomon-stream/gnomon/internal/base"
)

// Prices is what a store bills, in dollars. Deletes are free in every table known.
type Prices struct {
	// Name and AsOf say whose prices they are, and of when.
	Name string `yaml:"name"`
	AsOf string `yaml:"as-of"`
	// Per 1,000 requests: class A (puts, and each 1,000 keys of a list) and class B (gets, ranges, heads).
	Put  float64 `yaml:"put-per-1000"`
	List float64 `yaml:"list-per-1000"`
	Get  float64 `yaml:"get-per-1000"`
	// Per GiB that leaves the bucket: to processes beside it, and to another region, as a link's copies do.
	Read        float64 `yaml:"read-per-gib"`
	CrossRegion float64 `yaml:"cross-region-per-gib"`
}

// None is the table of a store that bills nothing by the request, such as one of one's own.
const None = "none"

// Tables are the tables that are built in. Storage itself is not in them: it does not depend on what processes do.
func Tables() []Prices {
	return []Prices{
		{Name: None},
		{Name: "s3-us-east-1", AsOf: "2026-03", Put: 0.005, List: 0.005, Get: 0.0004, CrossRegion: 0.02},
		{Name: "s3-eu-central-1", AsOf: "2026-03", Put: 0.0054, List: 0.0054, Get: 0.00043, CrossRegion: 0.02},
	}
}

// TableFor is the table for a bucket that none was chosen for: S3 Standard by the region of the URL (Europe's differ little from each
// other, and so do others from us-east-1), and nothing for a directory or a store with an endpoint of its own.
func TableFor(bucketURL string) string {
	u, err := url.Parse(bucketURL)
	switch {
	case err != nil || u.Scheme != "s3" || u.Query().Get("endpoint") != "":
		return None
	case strings.HasPrefix(u.Query().Get("region"), "eu-"):
		return "s3-eu-central-1"
	}
	return "s3-us-east-1"
}

// Table finds a table that is built in.
func Table(name string) (Prices, bool) {
	for _, p := range Tables() {
		if p.Name == name {
			return p, true
		}
	}
	return Prices{}, false
}

// ParsePrices reads a table from YAML. An unknown key, and a price that is none, is an error (base.ErrCorrupt).
func ParsePrices(text []byte) (Prices, error) {
	var p Prices
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&p); err != nil {
		return Prices{}, fmt.Errorf("price table: %w: %w", base.ErrCorrupt, err)
	}
	return p, p.check()
}

func (p Prices) check() error {
	for _, x := range []float64{p.Put, p.List, p.Get, p.Read, p.CrossRegion} {
		if x < 0 || math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("price table: a price is dollars, 0 or more, not %v: %w", x, base.ErrCorrupt)
		}
	}
	if p.Name == "" {
		return fmt.Errorf("price table: %w: %w", base.ErrCorrupt, errors.New("name is missing"))
	}
	return nil
}
