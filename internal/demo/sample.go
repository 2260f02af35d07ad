package demo

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed" // for the records
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

//go:embed flights.csv.gz
var sample []byte

// keyColumn is the tail number of the aircraft.
const keyColumn = "tailnum"

// records gives the sample as records: the key is the tail number, the value the row with its number before it, which makes
// values unique.
func records(topic string) ([]*kgo.Record, error) {
	z, err := gzip.NewReader(bytes.NewReader(sample))
	if err != nil {
		return nil, fmt.Errorf("open the sample: %w", err)
	}
	lines := bufio.NewScanner(z)
	lines.Scan()
	key := -1
	for i, name := range strings.Split(lines.Text(), ",") {
		if name == keyColumn {
			key = i
		}
	}
	if key < 0 {
		return nil, fmt.Errorf("the sample has no column %s", keyColumn)
	}
	var out []*kgo.Record
	for lines.Scan() {
		cells := strings.Split(lines.Text(), ",")
		if len(cells) <= key {
			return nil, fmt.Errorf("row %d of the sample is short", len(out)+1)
		}
		out = append(out, &kgo.Record{Topic: topic, Key: []byte(cells[key]), Value: []byte(strconv.Itoa(len(out)) + "," + lines.Text())})
	}
	return out, lines.Err()
}
