package region

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gnomon-stream/gnomon/pkg/objlog/objstore/metered"
)

// newStores are the metrics of the stores of a process: by the table that was chosen, or else by that of the bucket's place.
func newStores(reg prometheus.Registerer, prices *metered.Prices, bucketURL string, now func() time.Time) *metered.Metrics {
	if prices == nil {
		p, _ := metered.Table(metered.TableFor(bucketURL)) // is there: a test has all of them
		prices = &p
	}
	return metered.NewMetrics(reg, *prices, now)
}
