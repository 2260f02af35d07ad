package kafkaapi

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// K5: what ApiVersions answers is what is dispatched, and what is served is what the design says.
func TestApiVersionsIsTheTable(t *testing.T) {
	h := start(t, nil)
	for version := range int16(5) {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "v1.0-x"
		resp := ask[*kmsg.ApiVersionsResponse](h.dial(), req, version)
		checkKeys(t, resp)
		if resp.ErrorCode != 0 {
			t.Fatalf("version %d: code %d", version, resp.ErrorCode)
		}
	}
	want := map[string][2]int16{
		"Produce": {0, 13}, "Fetch": {4, 18}, "ListOffsets": {1, 11}, "Metadata": {0, 13}, "ApiVersions": {0, 4},
		"OffsetForLeaderEpoch": {2, 4}, "OffsetCommit": {2, 10}, "OffsetFetch": {1, 10}, "FindCoordinator": {0, 6},
		"JoinGroup": {2, 9}, "Heartbeat": {0, 4}, "LeaveGroup": {0, 5}, "SyncGroup": {0, 5}, "DescribeGroups": {0, 6},
		"ListGroups": {0, 5}, "InitProducerId": {0, 5}, "CreateTopics": {2, 7}, "DeleteTopics": {1, 6},
		"DescribeConfigs": {1, 4}, "DescribeCluster": {0, 2}, "CreatePartitions": {0, 3}, "DeleteRecords": {0, 2},
		"AlterConfigs": {0, 2}, "IncrementalAlterConfigs": {0, 1}, "DescribeLogDirs": {1, 4}, "DescribeProducers": {0, 0},
		"ElectLeaders": {0, 2}, "AlterPartitionReassignments": {0, 1}, "ListPartitionReassignments": {0, 0},
		"ListConfigResources": {0, 1}, "DeleteGroups": {0, 2}, "OffsetDelete": {0, 0}, "DescribeTopicPartitions": {0, 0},
	}
	for _, a := range Supported() {
		if r, ok := want[a.Name]; !ok || r != [2]int16{a.Min, a.Max} {
			t.Errorf("%s: %d to %d, want %v", a.Name, a.Min, a.Max, r)
		}
		delete(want, a.Name)
	}
	if len(want) > 0 {
		t.Errorf("not served: %v", want)
	}
}

func checkKeys(t *testing.T, resp *kmsg.ApiVersionsResponse) {
	t.Helper()
	var got []APIVersions
	for _, k := range resp.ApiKeys {
		got = append(got, APIVersions{Key: k.ApiKey, Name: kmsg.NameForKey(k.ApiKey), Min: k.MinVersion, Max: k.MaxVersion})
	}
	want := Supported()
	for i := range want {
		// kmsg writes some names in its own way.
		want[i].Name = kmsg.NameForKey(want[i].Key)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("ApiVersions says %+v, dispatch has %+v", got, want)
	}
	if !slices.IsSortedFunc(got, func(a, b APIVersions) int { return int(a.Key) - int(b.Key) }) {
		t.Fatal("keys are not sorted")
	}
}

// A client from the future is told what the server speaks, in the one version that both know, and may go on.
func TestApiVersionsFromTheFuture(t *testing.T) {
	w := start(t, nil).dial()
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "1"
	req.SetVersion(99)
	w.send(req, 3)
	old := kmsg.NewPtrApiVersionsRequest()
	resp := w.receive(old, 3).(*kmsg.ApiVersionsResponse)
	if resp.ErrorCode != kerr.UnsupportedVersion.Code {
		t.Fatalf("code %d", resp.ErrorCode)
	}
	checkKeys(t, resp)
	if again := ask[*kmsg.ApiVersionsResponse](w, req, 4); again.ErrorCode != 0 {
		t.Fatalf("second try: code %d", again.ErrorCode)
	}
}

func TestApiVersionsChecksTheName(t *testing.T) {
	h := start(t, nil)
	for name, code := range map[string]int16{"a": 0, "": 42, "-a": 42, "a b": 42, "a.b-c": 0} {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = name, "1"
		if resp := ask[*kmsg.ApiVersionsResponse](h.dial(), req, 4); resp.ErrorCode != code {
			t.Errorf("%q: code %d, want %d", name, resp.ErrorCode, code)
		}
	}
}
