package cli_test

import (
	"encoding/json"
	"net"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	if r := (invocation{}).must(t, "version"); r.out != "gnomon v1.2.3 abc go1.26\n" {
		t.Errorf("got %q", r.out)
	}
	got := decode[map[string]string](t, invocation{}.must(t, "version", "--format", "json"))
	if got["version"] != "v1.2.3" || got["commit"] != "abc" {
		t.Errorf("got %v", got)
	}
}

// A mistake in the command line ends with exit code 2, and one line that says how to go on.
func TestUsage(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"nonsense", "see `gnomon --help`"},
		{"topic nonsense", "see `gnomon topic --help`"},
		{"topic create", "gnomon topic create takes at least one name, not 0 arguments; see `gnomon topic create --help`"},
		{"topic list extra", "takes no arguments, not 1 arguments"},
		{"topic list --nonsense", "see `gnomon topic list --help`"},
		{"topic list --format yaml", "--format is \"yaml\": use text or json"},
		{"topic list --brokers nowhere", "--brokers has \"nowhere\", which is not host:port"},
		{"topic list --brokers ,", "--brokers names no broker"},
		{"topic create a --config b", "--config takes name=value, and got \"b\""},
		{"topic create a --config b=1 --config b=2", "--config gives b twice"},
		{"topic alter a", "nothing is to be altered: give --config, --delete-config or --partitions"},
		{"topic alter a --partitions 0", "--partitions is how many there are to be, at least 1, and not 0"},
		{"topic alter a --config b", "--config takes name=value, and got \"b\""},
		{"topic alter a --delete-config b=1", "--delete-config takes the name of a property, and got \"b=1\""},
		{"topic alter a --delete-config b --delete-config b", "--delete-config gives b twice"},
		{"topic alter a --delete-config b --config b=1", "b is both to be set and to be deleted"},
		{"topic delete a", "say --yes"},
		{"topic delete-records a --before-offset 1", "look with --dry-run, then say --yes"},
		{"topic delete-records a --yes", "give a topic and --before-offset, or --file"},
		{"topic delete-records --before-offset 1 --yes", "give a topic and --before-offset, or --file"},
		{"topic delete-records a --before-offset -1 --yes", "--before-offset is an offset or end, not \"-1\""},
		{"topic delete-records a --before-offset 1 -p -1 --yes", "--partition is a partition's number, not -1"},
		{"topic delete-records a --file b --yes", "--file says all"},
		{"group delete g", "say --yes"},
		{"group delete-offsets g --yes", "name the topics by --topic"},
		{"group delete-offsets g --topic t", "say --yes"},
		{"group reset-offsets g --topic t", "say where to by one of --to, --shift-by and --ago"},
		{"group reset-offsets g --topic t --to end --ago 1h", "say where to by one of --to, --shift-by and --ago"},
		{"group reset-offsets g --to end", "name the topics by --topic, or say --all-topics"},
		{"group reset-offsets g --to end --topic t --all-topics", "name the topics by --topic, or say --all-topics"},
		{"group reset-offsets g --topic t --to middle", "--to is beginning, end, an offset, or a time"},
		{"group reset-offsets g --topic t --ago -1h", "--ago is a duration that has passed"},
		{"group reset-offsets g --topic t:x --to end", "partitions as orders:0,2, and got \"t:x\""},
		{"group reset-offsets g --topic t --topic t:1 --to end", "--topic names t twice"},
		{"produce a --compression best", "--compression is none, gzip"},
		{"produce a --partition -2", "--partition is a partition's number"},
		{"consume a --from middle", "--from is beginning, end or an offset, not \"middle\""},
		{"consume a --from -1", "--from is beginning, end or an offset"},
		{"consume a --from 5 --group g", "exclude each other"},
		{"consume a --max -1", "--max is a number of records"},
		{"consume a --timeout -1s", "--timeout is a duration"},
	} {
		r := invocation{}.run(t.Context(), strings.Fields(c.args)...)
		if r.code != 2 || !strings.Contains(r.err, c.want) || strings.Count(r.err, "\n") != 1 || r.out != "" {
			t.Errorf("gnomon %s: code %d, out %q, err %q; want code 2 and %q", c.args, r.code, r.out, r.err, c.want)
		}
	}
}

// C2: a broker that is not there is named, with what to do.
func TestNoBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"topic list", "topic create a", "topic describe a", "produce a", "consume a", "group list", "group describe g", "topic alter a -p 2",
		"topic delete a --yes", "topic delete-records a --before-offset 1 --yes", "group delete g --yes", "group delete-offsets g -t a --yes",
		"group reset-offsets g -t a --to end"} {
		r := invocation{brokers: address}.run(t.Context(), strings.Fields(args)...)
		if r.code != 1 || strings.Count(r.err, "\n") != 1 {
			t.Errorf("gnomon %s: code %d, err %q", args, r.code, r.err)
		}
		for _, want := range []string{"cannot reach a broker at " + address, "refused", "--brokers or GNOMON_BROKERS"} {
			if !strings.Contains(r.err, want) {
				t.Errorf("gnomon %s: %q does not say %q", args, r.err, want)
			}
		}
	}
	// C3: the same as JSON.
	r := invocation{brokers: address}.run(t.Context(), "topic", "list", "--format", "json")
	var got map[string]string
	if err := json.Unmarshal([]byte(r.err), &got); err != nil || got["error"] == "" || r.code != 1 || r.out != "" {
		t.Errorf("got code %d, out %q, err %q", r.code, r.out, r.err)
	}
}

// --brokers is above GNOMON_BROKERS.
func TestBrokersFlagWins(t *testing.T) {
	_, address := cluster(t)
	invocation{brokers: "127.0.0.1:1"}.must(t, "topic", "list", "--brokers", address)
}
