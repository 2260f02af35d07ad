package differential

import (
	"fmt"
	"hash/crc32"
	"reflect"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// element is one struct of an answer: the answer itself, or one in one of its lists, with the fields that are compared.
type element struct {
	kind   string // path of the list: "Topics.Partitions"
	path   string // with what the elements are called: "Topics[a].Partitions[0]"
	fields map[string]string
}

// ignored are the fields that say nothing about behaviour or cannot be equal: by "API.kind.field", or "*.field".
var ignored = map[string]string{
	"*.Version":        "no part of the answer",
	"*.UnknownTags":    "no part of the answer",
	"*.ThrottleMillis": "there are no quotas",
	"*.ErrorMessage":   "texts are each server's own",
	"*.ErrMsg":         "texts are each server's own",
	"*.Brokers":        "hosts and ports",
	"*.NodeEndpoints":  "hosts and ports",
	"*.ClusterID":      "each has its own",
	"*.ControllerID":   "node ids",
	"*.CurrentLeader":  "node ids",
	"*.Leader":         "node ids",
	"*.Replicas":       "node ids",
	"*.ISR":            "node ids",
	"DescribeTopicPartitions.Topics.Partitions.LeaderID": "node ids",
	"*.NodeID":                           "node ids",
	"*.Host":                             "hosts and ports",
	"*.Port":                             "hosts and ports",
	"*.ClientID":                         "what the connection says",
	"*.ClientHost":                       "what the connection says",
	"*.Documentation":                    "texts are each server's own",
	"*.ConfigSynonyms":                   "levels of settings that a broker has: Gnomon has fewer",
	"CreateTopics.Topics.Configs":        "which settings a topic has differs: DescribeConfigs compares those that both have",
	"ApiVersions.ApiKeys":                "what each serves",
	"ApiVersions.SupportedFeatures":      "what each serves",
	"ApiVersions.FinalizedFeatures":      "what each serves",
	"ApiVersions.FinalizedFeaturesEpoch": "what each serves",
	"ApiVersions.ZkMigrationReady":       "what each serves",
}

func isIgnored(api, kind, field string) bool {
	at := api + "." + field
	if kind != "" {
		at = api + "." + kind + "." + field
	}
	return ignored["*."+field] != "" || ignored[at] != ""
}

// flattener makes the elements of one answer.
type flattener struct {
	s   *side
	api string
	out map[string]element
}

// flatten gives the elements of an answer by their paths.
func flatten(s *side, a answer) map[string]element {
	if a.resp == nil {
		end := a.end
		if end == "" {
			end = "no answer was due"
		}
		return map[string]element{"": {fields: map[string]string{"answer": end}}}
	}
	f := &flattener{s: s, api: kmsg.NameForKey(a.req.Key()), out: map[string]element{}}
	f.element(reflect.ValueOf(a.resp).Elem(), "", "")
	return f.out
}

func (f *flattener) element(v reflect.Value, kind, path string) {
	e := element{kind: kind, path: path, fields: map[string]string{}}
	f.fields(v, &e, "")
	f.out[path] = e
}

// fields enters the fields of a struct; prefix is that of a struct in a struct.
func (f *flattener) fields(v reflect.Value, e *element, prefix string) {
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Name, v.Field(i)
		if isIgnored(f.api, e.kind, name) {
			continue
		}
		switch {
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
			f.list(field, join(e.kind, name), join(e.path, name))
		case field.Kind() == reflect.Struct:
			f.fields(field, e, prefix+name+".")
		case name == "RecordBatches":
			f.batches(field.Bytes(), join(e.kind, name), join(e.path, name))
		default:
			e.fields[prefix+name] = f.value(name, field)
		}
	}
}

func join(path, name string) string { return strings.TrimPrefix(path+"."+name, ".") }

// list enters a list. Its order does not matter, as servers keep lists in maps; a name that is there twice is numbered.
func (f *flattener) list(v reflect.Value, kind, path string) {
	seen := map[string]int{}
	for i := range v.Len() {
		key := f.key(v.Index(i))
		if f.foreign(kind, key) {
			continue
		}
		if seen[key]++; seen[key] > 1 {
			key = fmt.Sprintf("%s #%d", key, seen[key])
		}
		f.element(v.Index(i), kind, path+"["+key+"]")
	}
}

// foreign tells whether an element is another sequence's: answers that list all there is are full of those.
func (f *flattener) foreign(kind, key string) bool {
	at := f.api + "." + kind
	return (at == "Metadata.Topics" || at == "ListGroups.Groups") && isOtherSequence(key, f.s.prefix)
}

// keys are the fields that say what an element is about.
var keys = []string{
	"Topic", "TopicID", "Partition", "Group", "Key", "MemberID", "InstanceID", "ResourceType", "ResourceName", "Name", "ProducerID",
}

func (f *flattener) key(v reflect.Value) string {
	var parts []string
	for _, name := range keys {
		field := v.FieldByName(name)
		if !field.IsValid() {
			continue
		}
		// Whether it is called by its name, its id, or both is the version's business; the field itself is compared besides.
		if text := f.value(name, field); text != "" && text != "null" && !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, " ")
}

// value is a field as it is compared: ids that a server made up by what they stand for.
func (f *flattener) value(name string, v reflect.Value) string {
	switch x := v.Interface().(type) {
	case [16]byte:
		return f.s.topicName(x)
	case *string:
		if x == nil {
			return "null"
		}
		return f.text(name, *x)
	case string:
		return f.text(name, x)
	case []byte:
		return fmt.Sprintf("%q", x)
	case int64:
		if name == "ProducerID" {
			return f.s.producerName(x)
		}
	case int32:
		if strings.HasSuffix(name, "LeaderEpoch") && f.api != "OffsetFetch" { // there it is what the client said
			return f.s.epochName(x)
		}
	}
	return fmt.Sprint(v.Interface())
}

func (f *flattener) text(name, text string) string {
	if member, known := f.s.memberOf[text]; known && (name == "MemberID" || name == "LeaderID") {
		return member
	}
	return text
}

func (s *side) topicName(id [16]byte) string {
	switch name, known := s.topicOf[id]; {
	case known:
		return name
	case id == [16]byte{}:
		return ""
	case string(id[:4]) == unknownIDMark:
		return fmt.Sprintf("unknown id %x", id[4:8])
	}
	return "new id"
}

func (s *side) producerName(id int64) string {
	if name, known := s.producing[id]; known {
		return name
	}
	if id < 0 {
		return fmt.Sprint(id)
	}
	return "new producer"
}

// epochName names a leader epoch by the one that the server's leaders have.
func (s *side) epochName(epoch int32) string {
	switch {
	case epoch < 0:
		return fmt.Sprint(epoch)
	case epoch == s.epoch:
		return "current"
	}
	return fmt.Sprintf("current%+d", epoch-s.epoch)
}

// batches enters the batches of a fetched partition. A batch that does not fit is cut off, as Kafka's are.
func (f *flattener) batches(raw []byte, kind, path string) {
	for len(raw) >= 61 {
		var b kmsg.RecordBatch
		if err := b.ReadFrom(raw); err != nil || int(b.Length)+12 > len(raw) {
			break
		}
		raw = raw[int(b.Length)+12:]
		at := fmt.Sprintf("%s[%d]", path, b.FirstOffset)
		f.out[at] = element{kind: kind, path: at, fields: map[string]string{
			"Records": fmt.Sprint(b.NumRecords), "Attributes": fmt.Sprint(b.Attributes), "Producer": f.s.producerName(b.ProducerID),
			"ProducerEpoch": fmt.Sprint(b.ProducerEpoch), "Sequence": fmt.Sprint(b.FirstSequence),
			"Timestamps": fmt.Sprint(b.FirstTimestamp, b.MaxTimestamp), "Content": fmt.Sprintf("%08x", crc32.ChecksumIEEE(b.Records)),
		}}
	}
}
