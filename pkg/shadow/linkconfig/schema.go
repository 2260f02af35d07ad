package linkconfig

import (
	"strings"

	"github.com/gnomon-stream/gnomon/internal/namefilter"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Values of the policies.
const (
	OnDeletedKeep     = "KEEP"
	OnDeletedDelete   = "DELETE"
	OnRecreatedFault  = "FAULT"
	OnRecreatedFollow = "FOLLOW"
)

// linkSchema is link.yaml from its top.
func linkSchema() schema {
	return schema{
		"name": func(p *parser, f field) {
			p.lines["name"] = f.line
			p.config.Link.Name, _ = f.text(p)
		},
		"source": func(p *parser, f field) { f.section(p, sourceSchema()) },
		"on_topic_deleted": func(p *parser, f field) {
			if s, ok := f.choice(p, OnDeletedKeep, OnDeletedDelete); ok {
				p.config.Link.OnTopicDeleted = s
			}
		},
		"on_topic_recreated": func(p *parser, f field) {
			if s, ok := f.choice(p, OnRecreatedFault, OnRecreatedFollow); ok {
				p.config.Link.OnTopicRecreated = s
			}
		},
		"local_groups": func(p *parser, f field) { p.config.Link.LocalGroups = f.texts(p) },

		"topic_metadata_sync_options":  func(p *parser, f field) { f.section(p, topicSchema()) },
		"consumer_offset_sync_options": func(p *parser, f field) { f.section(p, groupSchema()) },
		"security_sync_options":        func(p *parser, f field) { f.section(p, securitySchema()) },
		"role_sync_options":            func(p *parser, f field) { f.section(p, roleSchema()) },
		"schema_registry_sync_options": func(p *parser, f field) { f.section(p, registrySchema()) },
		"client_options":               func(p *parser, f field) { f.section(p, clientSchema()) },
	}
}

func topicSchema() schema {
	return schema{
		"auto_create_shadow_topic_filters": func(p *parser, f field) {
			p.lines[f.name] = f.line
			f.items(p, filter(&p.config.Link.TopicFilters))
		},
		"paused": func(p *parser, f field) {
			if v, ok := f.flag(p); ok && v {
				p.config.Paused = true
				p.warn(f.line, "paused pauses the whole link, groups and all: what a shadow shows is always one cut of its source")
			}
		},
		"start_at_earliest": func(p *parser, f field) { f.empty(p) }, // what a link does anyway
		"start_at_latest": func(p *parser, f field) {
			f.empty(p)
			p.warn(f.line, whyEarliest, f.name)
		},
		"start_at_timestamp": func(p *parser, f field) {
			f.moment(p)
			p.warn(f.line, whyEarliest, f.name)
		},
		"interval": noInterval,
		"synced_shadow_topic_properties": func(p *parser, f field) {
			f.texts(p)
			p.warn(f.line, "%s chooses nothing here: every property of a topic is in the link's image and holds at the shadow", f.name)
		},
		"exclude_default": func(p *parser, f field) {
			if v, ok := f.flag(p); ok && v {
				p.warn(f.line, "%s leaves nothing out here: every property of a topic is in the link's image and holds at the shadow", f.name)
			}
		},
	}
}

func groupSchema() schema {
	return schema{
		"group_filters": func(p *parser, f field) {
			p.lines[f.name] = f.line
			f.items(p, filter(&p.config.Link.GroupFilters))
		},
		"paused":   notAlone("group offsets"),
		"interval": noInterval,
	}
}

// filter reads one rule of a list of filters. It is judged by what the state machine will judge it by.
func filter(list *[]*metalogpb.Filter) func(p *parser, f field) {
	return func(p *parser, f field) {
		rule := &metalogpb.Filter{}
		before := len(p.errors)
		f.section(p, schema{
			"pattern_type": func(p *parser, f field) { rule.PatternType, _ = f.choice(p, namefilter.Literal, namefilter.Prefix) },
			"filter_type":  func(p *parser, f field) { rule.FilterType, _ = f.choice(p, namefilter.Include, namefilter.Exclude) },
			"name":         func(p *parser, f field) { rule.Name, _ = f.text(p) },
		})
		if len(p.errors) > before {
			return
		}
		if _, err := namefilter.New([]*metalogpb.Filter{rule}); err != nil {
			p.fail(f.line, "filter: %s", strings.TrimPrefix(err.Error(), "filter 1: "))
			return
		}
		*list = append(*list, rule)
	}
}
