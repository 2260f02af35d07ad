package cli

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func groupCommand(env *Env) *cobra.Command {
	return parent("group", "List, describe and delete consumer groups, and change their offsets", groupList(env), groupDescribe(env),
		groupDelete(env), groupDeleteOffsets(env), groupResetOffsets(env))
}

type groupSummary struct {
	Name         string `json:"name"`
	State        string `json:"state"`
	ProtocolType string `json:"protocol_type"`
	Coordinator  int32  `json:"coordinator"`
}

func groupList(env *Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the consumer groups",
		Args: arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return env.administerBy(cmd.Context(), func(ctx context.Context, client *kgo.Client, admin *kadm.Client) error {
				listed, err := admin.ListGroups(ctx)
				if err != nil {
					return failKafka("list the groups", err)
				}
				groups := []groupSummary{}
				for _, g := range listed.Sorted() {
					groups = append(groups, groupSummary{Name: g.Group, State: g.State, ProtocolType: g.ProtocolType, Coordinator: g.Coordinator})
				}
				return env.Emit(groups, func(w io.Writer) {
					if len(groups) == 0 && elsewhere(ctx, client, "") {
						env.note("no groups here: the region is a shadow, and groups belong to its source until a failover")
						return
					}
					if len(groups) == 0 {
						env.note("no groups; `gnomon consume TOPIC --group NAME` makes one")
						return
					}
					row(w, "NAME", "STATE", "TYPE", "COORDINATOR")
					for _, g := range groups {
						row(w, g.Name, g.State, g.ProtocolType, g.Coordinator)
					}
				})
			})
		},
	}
	env.addBrokers(cmd)
	return cmd
}

// elsewhere tells whether a group is not this region's to run: a standby lists and describes what is its own, which is
// nothing, and refuses a heartbeat by a code that a primary has no reason to give. Nothing is changed by such a heartbeat.
func elsewhere(ctx context.Context, client *kgo.Client, group string) bool {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.Generation = group, -1
	for _, broker := range client.SeedBrokers() {
		if resp, err := req.RequestWith(ctx, broker); err == nil { // asked once: other clients would wait for the coordinator
			return resp.ErrorCode == kerr.CoordinatorNotAvailable.Code
		}
	}
	return false
}

// refuseShadow fails if a group is not this region's to run. A client would wait for it, and then say less.
func refuseShadow(ctx context.Context, client *kgo.Client, what, group string) error {
	if !elsewhere(ctx, client, group) {
		return nil
	}
	return Fail(what, errors.New("the region is a shadow, and the group belongs to its source until a failover"), "ask the source, by --brokers")
}
