package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// brokersDefault is where `gnomon dev` and most others listen.
	brokersDefault = "127.0.0.1:9092"

	dialTimeout = 3 * time.Second
	// callTimeout bounds an administrative call, retries and all.
	callTimeout = 15 * time.Second
	clientID    = "gnomon-cli"
)

// addBrokers gives a command the flag --brokers.
func (e *Env) addBrokers(cmd *cobra.Command) {
	cmd.Flags().StringVar(&e.brokers, "brokers", "",
		"addresses of brokers, host:port, separated by commas (else GNOMON_BROKERS, else "+brokersDefault+")")
}

// seeds are the brokers to begin with.
func (e *Env) seeds() ([]string, error) {
	list, from := e.brokers, "--brokers"
	if list == "" {
		list, from = e.Getenv("GNOMON_BROKERS"), "GNOMON_BROKERS"
	}
	if list == "" {
		list = brokersDefault
	}
	var out []string
	for address := range strings.SplitSeq(list, ",") {
		address = strings.TrimSpace(address)
		if address == "" {
			continue
		}
		if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
			return nil, usagef("%s has %q, which is not host:port", from, address)
		}
		out = append(out, address)
	}
	if len(out) == 0 {
		return nil, usagef("%s names no broker; give host:port", from)
	}
	return out, nil
}

// connect returns a client whose brokers were found to answer. Close it.
func (e *Env) connect(ctx context.Context, more ...kgo.Opt) (*kgo.Client, error) {
	seeds, err := e.seeds()
	if err != nil {
		return nil, err
	}
	opts := append([]kgo.Opt{
		kgo.ClientID(clientID), kgo.SeedBrokers(seeds...), kgo.DialTimeout(dialTimeout), kgo.RetryTimeout(callTimeout),
	}, more...)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, Fail("use the Kafka client", err, "")
	}
	ping, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := client.Ping(ping); err != nil {
		client.Close()
		return nil, Fail("reach a broker at "+strings.Join(seeds, ", "), err,
			"start a cluster with `gnomon dev`, or name one by --brokers or GNOMON_BROKERS")
	}
	return client, nil
}

// administer connects, calls fn within the time for an administrative call, and closes.
func (e *Env) administer(ctx context.Context, fn func(ctx context.Context, admin *kadm.Client) error) error {
	return e.administerBy(ctx, func(ctx context.Context, _ *kgo.Client, admin *kadm.Client) error { return fn(ctx, admin) })
}

// administerBy is administer with the client below.
func (e *Env) administerBy(ctx context.Context, fn func(ctx context.Context, client *kgo.Client, admin *kadm.Client) error) error {
	client, err := e.connect(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return fn(ctx, client, kadm.NewClient(client))
}

// requireTopics fails unless all the topics exist: a client would else wait for them to appear.
func requireTopics(ctx context.Context, admin *kadm.Client, what string, names ...string) (kadm.TopicDetails, error) {
	details, err := admin.ListTopicsWithInternal(ctx, names...)
	if err != nil {
		return nil, failKafka(what, err)
	}
	for _, name := range names {
		detail, ok := details[name]
		if !ok || errors.Is(detail.Err, kerr.UnknownTopicOrPartition) {
			return nil, Fail(what, fmt.Errorf("topic %q does not exist", name), remedies[kerr.UnknownTopicOrPartition])
		}
		if detail.Err != nil {
			return nil, failKafka(what, detail.Err)
		}
	}
	return details, nil
}
