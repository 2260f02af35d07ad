package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

type groupDescription struct {
	groupSummary
	Assignor   string           `json:"assignor,omitempty"`
	Lag        int64            `json:"lag"`
	Members    []groupMember    `json:"members"`
	Partitions []groupPartition `json:"partitions"`
}

type groupMember struct {
	ID         string `json:"id"`
	InstanceID string `json:"instance_id,omitempty"`
	ClientID   string `json:"client_id"`
	Host       string `json:"host"`
}

type groupPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Committed is -1 when the group has committed nothing; Lag is -1 when it cannot be told.
	Committed int64  `json:"committed_offset"`
	End       int64  `json:"end_offset"`
	Lag       int64  `json:"lag"`
	Member    string `json:"member,omitempty"`
	Error     string `json:"error,omitempty"`
}

func groupDescribe(env *Env) *cobra.Command {
	var members bool
	cmd := &cobra.Command{
		Use: "describe NAME...", Short: "Show members, offsets and lag of consumer groups",
		Args: arguments(1, -1, "at least one name"),
		RunE: func(cmd *cobra.Command, names []string) error {
			return env.administerBy(cmd.Context(), func(ctx context.Context, client *kgo.Client, admin *kadm.Client) error {
				groups, err := describeGroups(ctx, client, admin, names)
				if err != nil {
					return err
				}
				return env.Emit(groups, func(w io.Writer) { writeGroups(w, groups, members) })
			})
		},
	}
	env.addBrokers(cmd)
	cmd.Flags().BoolVar(&members, "members", false, "the members, and how many partitions each has (as JSON they are always there)")
	return cmd
}

func describeGroups(ctx context.Context, client *kgo.Client, admin *kadm.Client, names []string) ([]groupDescription, error) {
	// Lag may reorder its argument.
	lags, err := admin.Lag(ctx, append([]string{}, names...)...)
	if err != nil {
		return nil, failKafka("describe the groups", err)
	}
	out := []groupDescription{}
	for _, name := range names {
		l, ok := lags[name]
		err := l.Error()
		// Kafka says so by an error since 4.0 (KIP-1043), and before it by a group that is dead.
		if !ok || errors.Is(err, kerr.GroupIDNotFound) || err == nil && l.State == "Dead" && len(l.Lag.Sorted()) == 0 {
			if err := refuseShadow(ctx, client, "describe group "+name, name); err != nil {
				return nil, err
			}
			return nil, Fail("describe group "+name, errors.New("it does not exist"), "see what there is with `gnomon group list`")
		}
		if err != nil {
			return nil, failKafka("describe group "+name, err)
		}
		out = append(out, describeGroup(l))
	}
	return out, nil
}

func describeGroup(l kadm.DescribedGroupLag) groupDescription {
	g := groupDescription{
		groupSummary: groupSummary{Name: l.Group, State: l.State, ProtocolType: l.ProtocolType, Coordinator: l.Coordinator.NodeID},
		Assignor:     l.Protocol, Members: []groupMember{}, Partitions: []groupPartition{},
	}
	for _, m := range l.Members {
		member := groupMember{ID: m.MemberID, ClientID: m.ClientID, Host: m.ClientHost}
		if m.InstanceID != nil {
			member.InstanceID = *m.InstanceID
		}
		g.Members = append(g.Members, member)
	}
	for _, p := range l.Lag.Sorted() {
		one := groupPartition{Topic: p.Topic, Partition: p.Partition, Committed: p.Commit.At, End: p.End.Offset, Lag: p.Lag}
		if p.Member != nil {
			one.Member = p.Member.MemberID
		}
		if p.Err != nil {
			one.Error = cause(p.Err)
		}
		g.Lag += max(0, p.Lag)
		g.Partitions = append(g.Partitions, one)
	}
	return g
}

func writeGroups(w io.Writer, groups []groupDescription, members bool) {
	for i, g := range groups {
		if i > 0 {
			row(w)
		}
		text := fmt.Sprintf("group %s, %s, %s, lag %s", g.Name, lower(g.State), count(int64(len(g.Members)), "member"), thousands(g.Lag))
		if g.Assignor != "" {
			text += ", assignor " + g.Assignor
		}
		row(w, text)
		if members {
			writeMembers(w, g)
			continue
		}
		if len(g.Partitions) == 0 {
			continue
		}
		row(w, "TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER")
		for _, p := range g.Partitions {
			row(w, p.Topic, p.Partition, orDash(p.Committed), p.End, orDash(p.Lag), p.Member+p.Error)
		}
	}
}

func writeMembers(w io.Writer, g groupDescription) {
	if len(g.Members) == 0 {
		return
	}
	row(w, "MEMBER", "INSTANCE", "CLIENT", "HOST", "PARTITIONS")
	for _, m := range g.Members {
		instance, has := m.InstanceID, 0
		if instance == "" {
			instance = "-"
		}
		for _, p := range g.Partitions {
			if p.Member == m.ID {
				has++
			}
		}
		row(w, m.ID, instance, m.ClientID, m.Host, has)
	}
}

func orDash(n int64) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
