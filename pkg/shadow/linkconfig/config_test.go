package linkconfig_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/namefilter"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
	"github.com/gnomon-stream/gnomon/pkg/shadow/linkconfig"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The sample in deploy/ is one that works as it stands, with nothing to warn of.
func TestSample(t *testing.T) {
	text := read(t, "../../../deploy/link.yaml")
	got, err := linkconfig.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Warnings) > 0 || got.Paused {
		t.Errorf("warnings %v, paused %v; want none of either", got.Warnings, got.Paused)
	}
	all := &metalogpb.Filter{PatternType: "LITERAL", FilterType: "INCLUDE", Name: "*"}
	want := &metalogpb.LinkConfig{
		Name:          "a-to-b",
		Coordinators:  []string{"https://coordinator-1.region-a.example:9644", "https://coordinator-2.region-a.example:9644"},
		EtcdEndpoints: []string{"https://etcd-1.region-a.example:2379", "https://etcd-2.region-a.example:2379", "https://etcd-3.region-a.example:2379"},
		Bucket:        "s3://gnomon-region-a/cluster-1?region=eu-central-1",
		CredentialFiles: map[string]string{
			"bucket_credentials_file": "/etc/gnomon/region-a-bucket.credentials",
			"etcd_username_env":       "GNOMON_SOURCE_ETCD_USERNAME", "etcd_password_file": "/etc/gnomon/region-a-etcd.password",
			"etcd_ca_file": "/etc/gnomon/region-a-etcd-ca.pem", "etcd_cert_file": "/etc/gnomon/region-a.pem", "etcd_key_file": "/etc/gnomon/region-a-key.pem",
			"coordinator_cert_file": "/etc/gnomon/region-a.pem", "coordinator_key_file": "/etc/gnomon/region-a-key.pem", "coordinator_ca_file": "/etc/gnomon/region-a-ca.pem",
		},
		TopicFilters:     []*metalogpb.Filter{all, {PatternType: "PREFIX", FilterType: "EXCLUDE", Name: "scratch-"}},
		GroupFilters:     []*metalogpb.Filter{all},
		OnTopicDeleted:   linkconfig.OnDeletedKeep,
		OnTopicRecreated: linkconfig.OnRecreatedFault,
		SourceYaml:       text,
	}
	if !proto.Equal(got.Link, want) {
		t.Errorf("got  %v\nwant %v", got.Link, want)
	}
	topics, err := namefilter.New(got.Link.TopicFilters)
	if err != nil {
		t.Fatal(err)
	}
	if !topics.Match("orders") || topics.Match("scratch-1") {
		t.Error("the filters do not choose what the comments say")
	}
}

// A file with every setting that Redpanda's have is accepted, once it says where the source is; whatever does not do
// there what it does here is warned of, in its line.
func TestEverySettingOfAPeer(t *testing.T) {
	text := read(t, "testdata/peer.yaml")
	got, err := linkconfig.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	warned := map[int]bool{}
	for _, w := range got.Warnings {
		warned[w.Line] = true
	}
	for i, line := range strings.Split(text, "\n") {
		if want := strings.HasSuffix(line, "# warned"); want != warned[i+1] {
			t.Errorf("line %d, %q: warned %v, want %v", i+1, line, warned[i+1], want)
		}
	}
	if !got.Paused || len(got.Link.TopicFilters) != 2 || len(got.Link.GroupFilters) != 1 {
		t.Errorf("what has a meaning was not honoured: %+v", got)
	}
}

func TestPolicies(t *testing.T) {
	got, err := linkconfig.Parse([]byte(minimal + "on_topic_deleted: delete\non_topic_recreated: FOLLOW\nlocal_groups: [one, two]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if l := got.Link; l.OnTopicDeleted != "DELETE" || l.OnTopicRecreated != "FOLLOW" || strings.Join(l.LocalGroups, " ") != "one two" {
		t.Errorf("got %v", l)
	}
}

func TestWarningsOfTheWhole(t *testing.T) {
	got, err := linkconfig.Parse([]byte("name: a\nsource:\n  coordinators: [http://a:1]\n  bucket: file:///b\n" +
		"consumer_offset_sync_options:\n  group_filters: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"cannot fence", "the link shows none", "line 6: group_filters is empty"} {
		found := false
		for _, w := range got.Warnings {
			found = found || strings.Contains(w.String(), want)
		}
		if !found {
			t.Errorf("no warning says %q: %v", want, got.Warnings)
		}
	}
}

func TestTooLarge(t *testing.T) {
	_, err := linkconfig.Parse([]byte(minimal + "#" + strings.Repeat("x", linkconfig.TextMax)))
	if !errors.Is(err, base.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

// minimal is the smallest file without a warning; five lines, so that what is appended begins in line 6.
const minimal = `name: a-to-b
source: {coordinators: [http://a:9644], etcd: [http://a:2379], bucket: file:///b}
topic_metadata_sync_options:
  auto_create_shadow_topic_filters:
    - {pattern_type: LITERAL, filter_type: INCLUDE, name: '*'}
`
