package cli

import "github.com/twmb/franz-go/pkg/kgo"

// consumedRecord is a record as JSON.
type consumedRecord struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	Offset      int64  `json:"offset"`
	LeaderEpoch int32  `json:"leader_epoch"`
	TimestampMS int64  `json:"timestamp_ms"`
	RecordJSON
}

// write writes one record as a line.
func (r *reading) write(record *kgo.Record) error {
	var err error
	if r.env.JSON() {
		err = r.writeJSON(record)
	} else {
		err = r.writeText(record)
	}
	if err != nil {
		return Fail("write records", err, "")
	}
	r.written++
	return nil
}

func (r *reading) writeText(record *kgo.Record) error {
	if separator := r.flags.keySeparator; separator != "" {
		if _, err := r.out.Write(record.Key); err != nil {
			return err
		}
		if _, err := r.out.WriteString(separator); err != nil {
			return err
		}
	}
	if _, err := r.out.Write(record.Value); err != nil {
		return err
	}
	return r.out.WriteByte('\n')
}

func (r *reading) writeJSON(record *kgo.Record) error {
	one := consumedRecord{
		Topic: record.Topic, Partition: record.Partition, Offset: record.Offset, LeaderEpoch: record.LeaderEpoch,
		TimestampMS: record.Timestamp.UnixMilli(), RecordJSON: RecordOf(record.Key, record.Value),
	}
	for _, h := range record.Headers {
		one.AddHeader(h.Key, h.Value)
	}
	return WriteLine(r.out, one)
}
