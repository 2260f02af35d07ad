package cluster

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gnomon-stream/gnomon/tests/harness"
)

// What no line may have, whatever the level.
const (
	secretKey   = "wJalrXUtnFEMI-K7MDENG-secret"
	secretToken = "FwoGZXIvYXdzE-token-secret"
	secretValue = "the-value-of-a-record-secret"
)

// A sound region says each change in one line at info and little else; its lines are JSON; and nothing that it was given in confidence
// is in any of them, at debug either.
func TestLogs(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", secretKey)
	t.Setenv("AWS_SESSION_TOKEN", secretToken)
	flags := []string{"--log-level", "debug", "--log-format", "json"}
	cfg := harness.ClusterConfig{Agents: 1, Coordinators: 1, Agent: flags, Coordinator: flags}
	p := harness.NewClusterPair(t, cfg, cfg)
	cl := newClient(t, p.A.Kafka(), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("orders"), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"))
	ctx := testContext(t, time.Minute)
	for range 20 {
		if err := cl.ProduceSync(ctx, kgo.StringRecord(secretValue)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	cl.PollFetches(ctx)
	if err := cl.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	p.WaitCaughtUp()
	harness.Eventually(t, 10*time.Second, "the state of the link is told", func() string {
		log := p.B.Coordinators[0].Process().Log()
		if !strings.Contains(log, `"state":"ACTIVE"`) {
			return log
		}
		return ""
	})
	said := map[string][]string{}
	for _, n := range slices.Concat(p.A.Coordinators, p.A.Agents, p.B.Coordinators, p.B.Agents) {
		log := n.Process().Log()
		withoutSecrets(t, n.Name, log)
		for _, line := range strings.Split(strings.TrimSpace(log), "\n") {
			if strings.HasPrefix(line, "ready") {
				if slices.Contains(p.A.Agents, n) || slices.Contains(p.B.Agents, n) {
					said[n.Name] = nil // while an agent starts it may have to wait for a coordinator, and says so
				}
				continue
			}
			var l struct{ Time, Level, Msg string }
			if err := json.Unmarshal([]byte(line), &l); err != nil || l.Time == "" || l.Msg == "" {
				t.Errorf("%s: %v: %s", n.Name, err, line)
			}
			if l.Level != "DEBUG" {
				said[n.Name] = append(said[n.Name], l.Msg)
			}
		}
	}
	for name, want := range map[string][]string{
		p.A.Coordinators[0].Name: {"leads", "role of the region"},
		p.B.Coordinators[0].Name: {"leads", "role of the region", "state of a link"},
		p.A.Agents[0].Name:       nil,
		p.B.Agents[0].Name:       nil,
	} {
		if !slices.Equal(slices.Compact(said[name]), want) { // b may be seen as a primary, before it has the link
			t.Errorf("%s says %q, want %q", name, said[name], want)
		}
	}
}

func withoutSecrets(t *testing.T, name, log string) {
	t.Helper()
	for _, secret := range []string{secretKey, secretToken, secretValue} {
		if strings.Contains(log, secret) {
			t.Errorf("%s tells %s:\n%s", name, secret, log)
		}
	}
}

// What does not start says why, and not what it was given in confidence.
func TestRefusalsKeepSecrets(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", secretKey)
	t.Setenv("AWS_SESSION_TOKEN", secretToken)
	url := "http://me:" + secretKey + "@127.0.0.1:1"
	for name, args := range map[string][]string{
		"bucket":        {"--bucket-a", "s3://me:" + secretKey + "@b/p"},
		"endpoint":      {"--bucket-a", "s3://b/p?endpoint=" + url},
		"store setting": {"--bucket-a", "s3://b/p?secret_access_key=" + secretKey},
	} {
		d := harness.NewDev(t)
		p := d.Launch(append(args, "--region", "a", "--log-level", "debug")...)
		if code := p.Wait(2 * time.Minute); code == 0 {
			t.Errorf("%s: it ran", name)
		}
		if log := p.Log(); strings.TrimSpace(log) == "" {
			t.Errorf("%s: nothing is said", name)
		}
		withoutSecrets(t, name, p.Log())
	}
	// A store that does not answer is waited for.
	p := harness.NewDev(t).Launch("--bucket-a", "s3://b/p?endpoint=http://127.0.0.1:1&region=eu-central-1", "--region", "a", "--log-level", "debug")
	harness.Eventually(t, 20*time.Second, "the wait for a store is told", func() string {
		if log := p.Log(); !strings.Contains(log, "127.0.0.1:1") {
			return "it says " + log
		}
		return ""
	})
	withoutSecrets(t, "store away", p.Log())
	p.Kill()
}
