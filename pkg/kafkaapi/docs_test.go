package kafkaapi

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/internal/golden"
)

const kafkaDocument = "../../docs/KAFKA.md"

// honoured are the settings of a topic that this build acts upon; the others are kept, shown, and do nothing.
var honoured = []string{
	"compression.gzip.level", "compression.lz4.level", "compression.type", "compression.zstd.level",
	maxMessageBytesName, "message.timestamp.after.max.ms", "message.timestamp.before.max.ms", "message.timestamp.type",
	"retention.bytes", "retention.ms",
}

// The tables of docs/KAFKA.md are those that drive dispatch and DescribeConfigs.
func TestKafkaDocument(t *testing.T) {
	golden.Section(t, kafkaDocument, "api table", apiTable())
	golden.Section(t, kafkaDocument, "config table", configTable(t))
}

func apiTable() string {
	var b strings.Builder
	b.WriteString("| API | key | versions |\n|---|---:|---|\n")
	for _, a := range apis() {
		versions := fmt.Sprintf("%d to %d", a.min, a.max)
		if a.refuseBelow > a.min {
			versions += fmt.Sprintf("; below %d answered with UNSUPPORTED_VERSION", a.refuseBelow)
		}
		fmt.Fprintf(&b, "| %s | %d | %s |\n", a.name, a.key, versions)
	}
	return b.String()
}

func configTable(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| setting | default | effect here |\n|---|---|---|\n")
	left := slices.Clone(honoured)
	for _, c := range topicConfigs {
		effect := "kept and shown; does nothing yet"
		switch {
		case slices.Contains(honoured, c.name):
			effect = c.doc
			left = slices.DeleteFunc(left, func(name string) bool { return name == c.name })
		case strings.HasPrefix(c.doc, "Has no meaning here"):
			effect = c.doc
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.name, orNone(c.value), effect)
	}
	if len(left) > 0 {
		t.Errorf("no settings of a topic: %v", left)
	}
	return b.String()
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return "`" + value + "`"
}
