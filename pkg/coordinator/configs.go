package coordinator

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gnomon-stream/gnomon/internal/topicconfig"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ConfigValueBytesMax bounds the value of one setting.
const ConfigValueBytesMax = 4096

// resource is what a request to change configs names.
type resource struct {
	kind kmsg.ConfigResourceType
	name string
}

// twice counts how often a request names each resource.
func twice[R any](all []R, of func(*R) resource) map[resource]int {
	out := map[resource]int{}
	for i := range all {
		out[of(&all[i])]++
	}
	return out
}

// incrementalAlterConfigs answers IncrementalAlterConfigs (KIP-339): each resource as a whole, or not at all.
func (tx *Tx) incrementalAlterConfigs(req *kmsg.IncrementalAlterConfigsRequest) *kmsg.IncrementalAlterConfigsResponse {
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	named := twice(req.Resources, func(r *kmsg.IncrementalAlterConfigsRequestResource) resource {
		return resource{r.ResourceType, r.ResourceName}
	})
	for i := range req.Resources {
		r := &req.Resources[i]
		out := kmsg.NewIncrementalAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = r.ResourceType, r.ResourceName
		at := resource{r.ResourceType, r.ResourceName}
		err := checkOperations(r.Configs)
		if err == nil {
			err = tx.alterConfigs(at, named[at], req.ValidateOnly, func(have map[string]string) *apiError { return incremental(have, r.Configs) })
		}
		if err != nil {
			out.ErrorCode, out.ErrorMessage = err.err.Code, kmsg.StringPtr(err.message)
		}
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}

// replaceConfigs answers AlterConfigs: what a resource is to have, and nothing else.
func (tx *Tx) replaceConfigs(req *kmsg.AlterConfigsRequest) *kmsg.AlterConfigsResponse {
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	named := twice(req.Resources, func(r *kmsg.AlterConfigsRequestResource) resource { return resource{r.ResourceType, r.ResourceName} })
	for i := range req.Resources {
		r := &req.Resources[i]
		out := kmsg.NewAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = r.ResourceType, r.ResourceName
		at := resource{r.ResourceType, r.ResourceName}
		err := tx.alterConfigs(at, named[at], req.ValidateOnly, func(have map[string]string) *apiError { return replacement(have, r.Configs) })
		if err != nil {
			out.ErrorCode, out.ErrorMessage = err.err.Code, kmsg.StringPtr(err.message)
		}
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}

// alterConfigs changes a copy of what the resource has by change, checks it, and emits the difference.
func (tx *Tx) alterConfigs(at resource, times int, validateOnly bool, change func(map[string]string) *apiError) *apiError {
	switch {
	case times > 1:
		return fail(kerr.InvalidRequest, "resource %q is named more than once in the request", at.name)
	case at.kind == kmsg.ConfigResourceTypeBroker:
		return fail(kerr.InvalidConfig, "the settings of an agent cannot be changed while it runs: change its configuration and start it again")
	case at.kind != kmsg.ConfigResourceTypeTopic:
		return fail(kerr.InvalidRequest, "resources of type %d have no settings here", at.kind)
	}
	t, err := tx.ownTopic(at.name, "change its settings")
	if err != nil {
		return err
	}
	before := t.Info().Configs
	after := maps.Clone(before)
	if after == nil {
		after = map[string]string{}
	}
	if err := change(after); err != nil {
		return err
	}
	id := t.Info().ID
	ev := &metalogpb.TopicConfigChanged{TopicId: id[:]}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if old, had := before[name]; had && old == after[name] {
			continue
		}
		if err := checkConfig(at.name, name, after[name]); err != nil {
			return err
		}
		ev.Set = append(ev.Set, &metalogpb.ConfigEntry{Name: name, Value: after[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, kept := after[name]; !kept {
			ev.Remove = append(ev.Remove, name)
		}
	}
	if validateOnly || len(ev.Set)+len(ev.Remove) == 0 {
		return nil
	}
	return tx.change(&metalogpb.Event{Kind: &metalogpb.Event_TopicConfigChanged{TopicConfigChanged: ev}})
}

// checkConfig tells whether a topic may have a setting.
func checkConfig(topic, name, value string) *apiError {
	switch {
	case !utf8.ValidString(name) || !utf8.ValidString(value):
		return fail(kerr.InvalidConfig, "config %q of topic %q is not UTF-8", name, topic)
	case len(value) > ConfigValueBytesMax:
		return fail(kerr.InvalidConfig, "config %q of topic %q has %d bytes, at most %d", name, topic, len(value), ConfigValueBytesMax)
	}
	if err := topicconfig.Check(name, value); err != nil {
		return fail(kerr.InvalidConfig, "topic %q: %v", topic, err)
	}
	return nil
}

// checkOperations looks at the request alone, before anything else is looked at, as Kafka does.
func checkOperations(ops []kmsg.IncrementalAlterConfigsRequestResourceConfig) *apiError {
	seen := map[string]bool{}
	for _, c := range ops {
		switch {
		case seen[c.Name]:
			return fail(kerr.InvalidRequest, "config %q is named more than once", c.Name)
		case c.Op < kmsg.IncrementalAlterConfigOpSet || c.Op > kmsg.IncrementalAlterConfigOpSubtract:
			return fail(kerr.InvalidRequest, "operation %d on config %q is not known", c.Op, c.Name)
		case c.Op != kmsg.IncrementalAlterConfigOpDelete && c.Value == nil:
			return fail(kerr.InvalidRequest, "config %q has no value", c.Name)
		}
		seen[c.Name] = true
	}
	return nil
}

// incremental applies operations, which are sound, to what a topic has.
func incremental(have map[string]string, ops []kmsg.IncrementalAlterConfigsRequestResourceConfig) *apiError {
	for _, c := range ops {
		switch c.Op {
		case kmsg.IncrementalAlterConfigOpDelete:
			delete(have, c.Name)
		case kmsg.IncrementalAlterConfigOpSet:
			have[c.Name] = *c.Value
		case kmsg.IncrementalAlterConfigOpAppend, kmsg.IncrementalAlterConfigOpSubtract:
			if !topicconfig.IsList(c.Name) {
				return fail(kerr.InvalidConfig, "config %q is no list: nothing can be appended to it or taken from it", c.Name)
			}
			value, has := have[c.Name]
			if !has {
				value = topicconfig.Default(c.Name)
			}
			have[c.Name] = changeList(value, *c.Value, c.Op == kmsg.IncrementalAlterConfigOpAppend)
		}
	}
	return nil
}

// changeList adds items to a list, those that it has already excepted, or takes them from it.
func changeList(list, items string, add bool) string {
	split := func(s string) []string {
		return slices.DeleteFunc(strings.Split(s, ","), func(item string) bool { return strings.TrimSpace(item) == "" })
	}
	out := split(list)
	for _, item := range split(items) {
		switch i := slices.Index(out, item); {
		case add && i < 0:
			out = append(out, item)
		case !add && i >= 0:
			out = slices.Delete(out, i, i+1)
		}
	}
	return strings.Join(out, ",")
}

// replacement makes have what the request lists.
func replacement(have map[string]string, configs []kmsg.AlterConfigsRequestResourceConfig) *apiError {
	clear(have)
	for _, c := range configs {
		if _, named := have[c.Name]; named {
			return fail(kerr.InvalidRequest, "config %q is named more than once", c.Name)
		}
		if c.Value == nil {
			return fail(kerr.InvalidRequest, "config %q has no value", c.Name)
		}
		have[c.Name] = *c.Value
	}
	return nil
}
