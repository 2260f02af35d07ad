package kafkaapi

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gnomon-stream/gnomon/internal/topicconfig"
)

// configDef is what is known of one setting.
type configDef struct {
	name   string
	kind   kmsg.ConfigType
	value  string // the default
	broker string // the broker's setting of the same meaning, if there is one
	doc    string
}

// Defaults that the produce path uses too.
const (
	maxMessageBytesName    = "max.message.bytes"
	maxMessageBytesDefault = 1048588
	timestampAfterDefault  = 3600000 // ms
)

// topicConfigs are the settings of topicconfig.All.
var topicConfigs = func() []configDef {
	var out []configDef
	for _, d := range topicconfig.All {
		out = append(out, configDef{d.Name, d.Kind, d.Value, d.Broker, d.Doc})
	}
	return out
}()
