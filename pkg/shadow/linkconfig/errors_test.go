package linkconfig_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gnomon-stream/gnomon/pkg/shadow/linkconfig"
)

// What is appended to minimal begins in line 6; the want is a part of the whole message.
func TestErrors(t *testing.T) {
	const source = "name: a\nsource:\n  coordinators: [http://a:1]\n  etcd: [http://a:2]\n  bucket: file:///b\n"
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", minimal + "on_topic_delted: KEEP\n", `line 6: "on_topic_delted" is unknown in link.yaml; did you mean "on_topic_deleted"?`},
		{"unknown key, nothing close", minimal + "zookeeper: x\n", `line 6: "zookeeper" is unknown in link.yaml`},
		{"unknown key in a section", source + "consumer_offset_sync_options:\n  group_filter: []\n", `line 7: "group_filter" is unknown in consumer_offset_sync_options; did you mean "group_filters"?`},
		{"key twice", minimal + "name: b\n", "line 6: name is given twice in link.yaml, first in line 1"},
		{"number for a text", "name: 12\n", "line 1: name must be a text, but it is a number; put it in quotes"},
		{"text for a flag", source + "topic_metadata_sync_options:\n  paused: yes\n", "line 7: paused must be true or false, but it is a text"},
		{"tagged flag", source + "topic_metadata_sync_options:\n  paused: !!bool maybe\n", "line 7: paused must be true or false"},
		{"text for a number", source + "client_options:\n  fetch_max_bytes: 1 MiB\n", "line 7: fetch_max_bytes must be a whole number, but it is a text"},
		{"no duration", source + "security_sync_options:\n  interval: often\n", "line 7: interval must be a duration"},
		{"list for a section", minimal + "client_options: []\n", "line 6: client_options must be a section (indented keys), but it is a list"},
		{"text for a list", minimal + "local_groups: mine\n", "line 6: local_groups must be a list, but it is a text"},
		{"nothing for a text", "name:\n", "line 1: name must be a text, but it is nothing"},
		{"policy", minimal + "on_topic_deleted: DELET\n", `line 6: on_topic_deleted must be one of KEEP, DELETE; did you mean "DELETE"?`},
		{"start", source + "topic_metadata_sync_options:\n  start_at_earliest: 5\n", "line 7: start_at_earliest must be a section"},
		{"filter type", source + "topic_metadata_sync_options:\n  auto_create_shadow_topic_filters:\n    - {pattern_type: GLOB, filter_type: INCLUDE, name: a}\n", "line 8: pattern_type must be one of LITERAL, PREFIX"},
		{"filter without a name", source + "topic_metadata_sync_options:\n  auto_create_shadow_topic_filters:\n    - {pattern_type: LITERAL, filter_type: INCLUDE}\n", "line 8: filter: name is empty"},
		{"star as a prefix", source + "topic_metadata_sync_options:\n  auto_create_shadow_topic_filters:\n    - {pattern_type: PREFIX, filter_type: INCLUDE, name: '*'}\n", `line 8: filter: "*" is for pattern_type LITERAL only`},
		{"alias", "name: &n a\nsource: *n\n", "line 2: source must be a section (indented keys), but it is an alias"},
		{"merge key", "name: a\n<<: {source: {}}\n", "line 2: a key of link.yaml is not a plain name"},
		{"not YAML", "name: a\n  b: [\n", "is not YAML"},
		{"second document", minimal + "---\nname: b\n", "a second YAML document"},
		{"empty", "", "the file is empty"},
		{"not UTF-8", "name: \xff\n", "the file is not UTF-8"},
		{"no name", "source: {}\n", "a link needs a name"},
		{"capitals in the name", "name: A-to-B\n", "line 1: name: a link's name has 1 to 63 lower-case letters"},
		{"no coordinators", "name: a\nsource:\n  bucket: file:///b\n", "coordinators lists none"},
		{"no bucket", "name: a\nsource:\n  coordinators: [http://a:1]\n", "bucket is missing"},
		{"coordinator without a scheme", "name: a\nsource:\n  coordinators:\n    - a:9644\n", "line 4: an item of coordinators is not a coordinator's admin URL"},
		{"coordinator with a path", "name: a\nsource:\n  coordinators: [http://a/x]\n", "nothing after them"},
		{"bucket scheme", "name: a\nsource:\n  coordinators: [http://a:1]\n  bucket: gs://a\n", "line 4: bucket's URL must have the scheme s3 or file"},
		{"bucket directory", "name: a\nsource:\n  coordinators: [http://a:1]\n  bucket: file://a\n", "line 4: bucket with scheme file needs three slashes"},
		{"relative file", "name: a\nsource:\n  etcd_password_file: secrets/p\n", "line 3: etcd_password_file must be an absolute path"},
		{"both forms", "name: a\nsource:\n  etcd_password_file: /p\n  etcd_password_env: P\n", "line 4: etcd_password_file and etcd_password_env are both given"},
		{"both forms, the other way round", "name: a\nsource:\n  etcd_password_env: P\n  etcd_password_file: /p\n", "etcd_password_file and etcd_password_env are both given"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := linkconfig.Parse([]byte(c.text))
			var list linkconfig.Errors
			if !errors.As(err, &list) {
				t.Fatalf("got %v, want Errors", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// F1, F2: a secret in the file is refused wherever it may stand, and no message repeats it.
func TestSecretsAreRefusedUnquoted(t *testing.T) {
	const secret = "hunter2-c0ffee"
	const head = "name: a\nsource:\n  coordinators: [http://a:1]\n  bucket: file:///b\n"
	for _, c := range []struct{ name, text string }{
		{"etcd password", head + "  etcd_password: " + secret},
		{"etcd user", head + "  etcd_username: " + secret},
		{"bucket key", head + "  bucket_secret_key: " + secret},
		{"bucket credentials", head + "  bucket_credentials: " + secret},
		{"token", head + "  coordinator_token: {value: " + secret + "}"},
		{"value for a variable's name", head + "  etcd_password_env: " + secret},
		{"value for a file", head + "  etcd_password_file: " + secret},
		{"PEM for a file", head + "  etcd_key_file: |\n    -----BEGIN PRIVATE KEY-----\n    " + secret},
		{"bucket user", "name: a\nsource:\n  coordinators: [http://a:1]\n  bucket: s3://me:" + secret + "@b"},
		{"bucket query", "name: a\nsource:\n  coordinators: [http://a:1]\n  bucket: s3://b?secret_access_key=" + secret},
		{"bucket endpoint", "name: a\nsource:\n  coordinators: [http://a:1]\n  bucket: s3://b?endpoint=http://me:" + secret + "@c"},
		{"coordinator user", "name: a\nsource:\n  coordinators: ['http://me:" + secret + "@a:1']\n  bucket: file:///b"},
		{"coordinator query", "name: a\nsource:\n  coordinators: ['http://a:1/?token=" + secret + "']\n  bucket: file:///b"},
		{"etcd URL that does not parse", "name: a\nsource:\n  coordinators: [http://a:1]\n  bucket: file:///b\n  etcd: ['http://me:" + secret + "@%zz']"},
		{"SCRAM", head + "client_options:\n  authentication_configuration:\n    scram_configuration: {username: u, password: " + secret + "}"},
		{"PEM", head + "client_options:\n  tls_settings:\n    tls_pem_settings: {key: " + secret + "}"},
		{"PEM, flat", head + "client_options:\n  tls_settings: {key: " + secret + "}"},
		{"registry", head + "schema_registry_sync_options:\n  shadow_schema_registry_api: {password: " + secret + "}"},
		{"wrong type", head + "local_groups: " + secret},
		{"wrong choice", head + "on_topic_deleted: " + secret},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := linkconfig.Parse([]byte(c.text + "\n"))
			if err == nil {
				t.Fatal("accepted")
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the message repeats the secret: %v", err)
			}
		})
	}
}

func TestErrorsAreInOrderAndBounded(t *testing.T) {
	_, err := linkconfig.Parse([]byte(minimal + "zz: 1\nname: x\n" + manyUnknown(100)))
	var list linkconfig.Errors
	if !errors.As(err, &list) {
		t.Fatal(err)
	}
	if len(list) != 20 {
		t.Errorf("%d errors are reported, want the first 20", len(list))
	}
	for i := 1; i < len(list); i++ {
		if list[i].Line < list[i-1].Line {
			t.Errorf("line %d comes after line %d", list[i].Line, list[i-1].Line)
		}
	}
}

func manyUnknown(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("unknown" + strings.Repeat("x", i) + ": 1\n")
	}
	return b.String()
}
