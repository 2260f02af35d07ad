package cli

import (
	"encoding/json"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// consumedRecord is a record as JSON. What is no UTF-8 text is given in base64, under the name that says so; a null is
// absent.
type consumedRecord struct {
	Topic       string           `json:"topic"`
	Partition   int32            `json:"partition"`
	Offset      int64            `json:"offset"`
	LeaderEpoch int32            `json:"leader_epoch"`
	TimestampMS int64            `json:"timestamp_ms"`
	Key         *string          `json:"key,omitempty"`
	KeyBase64   []byte           `json:"key_base64,omitempty"`
	Value       *string          `json:"value,omitempty"`
	ValueBase64 []byte           `json:"value_base64,omitempty"`
	Headers     []consumedHeader `json:"headers,omitempty"`
}

type consumedHeader struct {
	Key         string  `json:"key"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 []byte  `json:"value_base64,omitempty"`
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
		TimestampMS: record.Timestamp.UnixMilli(),
	}
	one.Key, one.KeyBase64 = textOrBytes(record.Key)
	one.Value, one.ValueBase64 = textOrBytes(record.Value)
	for _, h := range record.Headers {
		header := consumedHeader{Key: h.Key}
		header.Value, header.ValueBase64 = textOrBytes(h.Value)
		one.Headers = append(one.Headers, header)
	}
	encoder := json.NewEncoder(r.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(one)
}

// textOrBytes gives bytes as text when they are text.
func textOrBytes(b []byte) (*string, []byte) {
	if b == nil {
		return nil, nil
	}
	if !utf8.Valid(b) {
		return nil, b
	}
	text := string(b)
	return &text, nil
}
