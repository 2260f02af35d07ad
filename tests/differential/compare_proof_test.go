package differential

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A comparison that overlooks a field would find that all is well. Each field of each answer is changed, and must show up as a
// difference, unless it is among those that are left out on purpose.
func TestEachFieldIsCompared(t *testing.T) {
	found, left := 0, 0
	for _, req := range []kmsg.Request{
		kmsg.NewPtrMetadataRequest(), kmsg.NewPtrProduceRequest(), kmsg.NewPtrFetchRequest(), kmsg.NewPtrListOffsetsRequest(),
		kmsg.NewPtrOffsetCommitRequest(), kmsg.NewPtrOffsetFetchRequest(), kmsg.NewPtrJoinGroupRequest(), kmsg.NewPtrSyncGroupRequest(),
		kmsg.NewPtrLeaveGroupRequest(), kmsg.NewPtrDescribeGroupsRequest(), kmsg.NewPtrListGroupsRequest(), kmsg.NewPtrDescribeConfigsRequest(),
		kmsg.NewPtrDescribeProducersRequest(), kmsg.NewPtrInitProducerIDRequest(), kmsg.NewPtrOffsetForLeaderEpochRequest(),
	} {
		s := newSide("one", "", "d0-")
		s.producing[1], s.producing[2] = "one", "another"
		whole := func() kmsg.Response {
			resp := req.ResponseKind()
			fill(reflect.ValueOf(resp).Elem())
			return resp
		}
		api := kmsg.NameForKey(req.Key())
		leaves(reflect.ValueOf(whole()).Elem(), "", func(path []int, kind, name string) {
			other := whole()
			change(reflect.ValueOf(other).Elem(), path)
			differs := len(compare(s, s, answer{req: req, resp: whole()}, answer{req: req, resp: other})) > 0
			if differs == isIgnored(api, kind, name) {
				t.Errorf("%s.%s.%s: a change of it is found: %v", api, kind, name, differs)
			}
			if differs {
				found++
			} else {
				left++
			}
		})
	}
	t.Logf("%d fields are compared, %d are not", found, left)
	if found < 100 {
		t.Errorf("only %d fields are compared", found)
	}
}

// So it is for record batches.
func TestEachFieldOfABatchIsCompared(t *testing.T) {
	s := newSide("one", "", "d0-")
	s.producing[1], s.producing[2] = "one", "another"
	fetched := func(change func(b *kmsg.RecordBatch)) answer {
		b := kmsg.RecordBatch{Magic: 2, NumRecords: 1, ProducerID: 1, Records: []byte("records")}
		change(&b)
		b.Length = int32(len(b.AppendTo(nil)) - 12)
		req := kmsg.NewPtrFetchRequest()
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		resp.Topics = []kmsg.FetchResponseTopic{{Topic: "t", Partitions: []kmsg.FetchResponseTopicPartition{{RecordBatches: b.AppendTo(nil)}}}}
		return answer{req: req, resp: resp}
	}
	for name, change := range map[string]func(b *kmsg.RecordBatch){
		"offset":        func(b *kmsg.RecordBatch) { b.FirstOffset = 1 },
		"attributes":    func(b *kmsg.RecordBatch) { b.Attributes = 1 },
		"first time":    func(b *kmsg.RecordBatch) { b.FirstTimestamp = 1 },
		"largest time":  func(b *kmsg.RecordBatch) { b.MaxTimestamp = 1 },
		"producer":      func(b *kmsg.RecordBatch) { b.ProducerID = 2 },
		"epoch":         func(b *kmsg.RecordBatch) { b.ProducerEpoch = 1 },
		"sequence":      func(b *kmsg.RecordBatch) { b.FirstSequence = 1 },
		"record count":  func(b *kmsg.RecordBatch) { b.NumRecords = 2 },
		"records":       func(b *kmsg.RecordBatch) { b.Records = []byte("recordz") },
		"no such batch": func(b *kmsg.RecordBatch) { b.Records = nil },
	} {
		if len(compare(s, s, fetched(func(*kmsg.RecordBatch) {}), fetched(change))) == 0 {
			t.Errorf("%s: a change of it is not found", name)
		}
	}
	if d := compare(s, s, fetched(func(*kmsg.RecordBatch) {}), fetched(func(*kmsg.RecordBatch) {})); len(d) > 0 {
		t.Errorf("a batch differs from itself: %v", d)
	}
}

// fill makes one element of each list, and no field zero.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "UnknownTags" {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte("x"))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	default:
		set(v, 1)
	}
}

// set gives a field one of two values.
func set(v reflect.Value, n int64) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("v", n))
	case reflect.Bool:
		v.SetBool(n == 1)
	case reflect.Uint32, reflect.Uint64, reflect.Uint16, reflect.Uint8:
		v.SetUint(uint64(n))
	case reflect.Array: // a topic id that nobody has
		for i, c := range []byte(unknownIDMark + "   " + fmt.Sprint(n)) {
			v.Index(i).SetUint(uint64(c))
		}
	default:
		v.SetInt(n)
	}
}

// leaves goes through the fields that have values, by where they are: indices of fields, and of the one element of a list.
func leaves(v reflect.Value, kind string, visit func(path []int, kind, name string), path ...int) {
	for i := range v.NumField() {
		name, field := v.Type().Field(i).Name, v.Field(i)
		at := append(append([]int{}, path...), i)
		switch {
		case name == "UnknownTags" || name == "RecordBatches": // batches are compared in their own way
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct && !isIgnored("", "", name):
			leaves(field.Index(0), join(kind, name), visit, at...)
		case field.Kind() == reflect.Struct && !isIgnored("", "", name):
			leaves(field, kind, visit, at...)
		default:
			visit(at, kind, name)
		}
	}
}

// change gives another value to the field at a path.
func change(v reflect.Value, path []int) {
	for _, i := range path {
		for v.Kind() == reflect.Slice {
			v = v.Index(0)
		}
		v = v.Field(i)
	}
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch {
	case v.Kind() == reflect.Struct:
		set(v.Field(0), 2)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		v.SetBytes([]byte("y"))
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		v.Set(reflect.Zero(v.Type()))
	case v.Kind() == reflect.Slice:
		set(v.Index(0), 2)
	default:
		set(v, 2)
	}
}
