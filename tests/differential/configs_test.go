package differential

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

var configKinds = []kind{
	{3, (*world).describeConfigs},
	{3, (*world).incrementalAlterConfigs},
	{2, (*world).alterConfigs},
}

// setting draws a setting of a topic and a value, sound or not.
func (w *world) setting() (string, *string) {
	name, value := pick(w, "retention.ms", "max.message.bytes", "retention.bytes", "segment.bytes"), pick(w, "1500000", "1600000")
	switch w.IntN(25) { // seldom, as kfake takes any: the sequence ends
	case 0:
		return name, nil
	case 1:
		value = pick(w, "x", "", "-7")
	case 2:
		name = "nonsense"
	}
	return name, &value
}

type resource struct {
	kind kmsg.ConfigResourceType
	name string
}

// resources draws topics, and now and then what has no settings.
func (w *world) resources() []resource {
	if w.in(10) {
		return []resource{{pick(w, kmsg.ConfigResourceTypeBrokerLogger, kmsg.ConfigResourceTypeUnknown, kmsg.ConfigResourceType(77)), "x"}}
	}
	var out []resource
	for _, name := range w.topics() {
		out = append(out, resource{kmsg.ConfigResourceTypeTopic, name})
	}
	return out
}

func (w *world) describeConfigs() step {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version = w.version(1, 4)
	for _, at := range w.resources() {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceType, r.ResourceName = at.kind, at.name
		r.ConfigNames = []string{"retention.ms", "max.message.bytes", "retention.bytes", "nonsense"}
		req.Resources = append(req.Resources, r)
	}
	return plain(req)
}

func (w *world) incrementalAlterConfigs() step {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version, req.ValidateOnly = w.version(0, 1), w.in(15)
	for _, at := range w.resources() {
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = at.kind, at.name
		for range 1 + w.IntN(8)/7 {
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Value = w.setting()
			if c.Op = pick[kmsg.IncrementalAlterConfigOp](w, 0, 0, 0, 0, 0, 1, 1, 2, 3, 9); c.Op == kmsg.IncrementalAlterConfigOpDelete {
				c.Value = nil
			}
			r.Configs = append(r.Configs, c)
		}
		req.Resources = append(req.Resources, r)
	}
	return plain(req)
}

func (w *world) alterConfigs() step {
	req := kmsg.NewPtrAlterConfigsRequest()
	req.Version, req.ValidateOnly = w.version(0, 2), w.in(15)
	for _, at := range w.resources() {
		r := kmsg.NewAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = at.kind, at.name
		for range 1 + w.IntN(8)/7 {
			c := kmsg.NewAlterConfigsRequestResourceConfig()
			c.Name, c.Value = w.setting()
			r.Configs = append(r.Configs, c)
		}
		req.Resources = append(req.Resources, r)
	}
	return plain(req)
}
