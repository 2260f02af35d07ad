package daemon

import (
	"fmt"
	"os"
	"strings"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/metered"
)

const storePricesUsage = "what the store bills, for gnomon_store_cost_dollars_total: none, s3-us-east-1, s3-eu-central-1, or a YAML file; " +
	"default: S3's by the region of a bucket at AWS, else none"

// ReadPrices finds the price table that is built in under a name, or else reads it from a file.
func ReadPrices(v string) (*metered.Prices, error) {
	if p, found := metered.Table(v); found {
		return &p, nil
	}
	text, err := os.ReadFile(v)
	if err != nil {
		var names []string
		for _, p := range metered.Tables() {
			names = append(names, p.Name)
		}
		return nil, fmt.Errorf("use %s, or a YAML file: %w", strings.Join(names, ", "), err)
	}
	p, err := metered.ParsePrices(text)
	if err != nil {
		return nil, err
	}
	return &p, nil
}

func prices(into **metered.Prices) func(string) error {
	return func(v string) (err error) {
		*into, err = ReadPrices(v)
		return err
	}
}
