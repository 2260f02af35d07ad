package differential

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// unknownGroup is what kfake says of groups that it does not know, or that have no name.
func unknownGroup(d *difference) bool {
	return d.codes(kerr.UnknownMemberID.Code, kerr.GroupIDNotFound.Code) || d.codes(kerr.InvalidGroupID.Code, kerr.GroupIDNotFound.Code)
}

var groupRules = []*rule{
	{
		api: "SyncGroup", name: "UNKNOWN_MEMBER_ID for a group that nobody knows, INVALID_GROUP_ID for an empty one; kfake: GROUP_ID_NOT_FOUND",
		why: "As Kafka (GroupMetadataManager.classicGroupSync).", where: unknownGroup,
	},
	{
		api: "Heartbeat", name: "UNKNOWN_MEMBER_ID for a group that nobody knows, INVALID_GROUP_ID for an empty one; kfake: GROUP_ID_NOT_FOUND",
		why: "As Kafka (GroupMetadataManager.classicGroupHeartbeat).", where: unknownGroup,
	},
	{
		api: "LeaveGroup", name: "for a group that nobody knows each member gets UNKNOWN_MEMBER_ID, for an empty one INVALID_GROUP_ID; kfake: GROUP_ID_NOT_FOUND",
		why: "As Kafka (GroupCoordinatorService.leaveGroup).",
		where: func(d *difference) bool {
			return unknownGroup(d) || d.codes(0, kerr.GroupIDNotFound.Code) || d.only() == "gnomon" && d.kind == "Members" && leftUnknown(d)
		},
	},
	{
		api: "LeaveGroup", name: "an instance id with a member id that is not its own is FENCED_INSTANCE_ID; kfake removes who has the instance id",
		why: "As Kafka (ClassicGroup.validateMember, KIP-345).", parts: true, rare: true,
		where: func(d *difference) bool {
			return d.only() == "gnomon" && d.fields["ErrorCode"] == code(kerr.FencedInstanceID) || d.only() == "kfake" && d.kfake.fields["InstanceID"] != "null"
		},
	},
	{
		api: "JoinGroup", name: "a refusal repeats the member id that the client sent; kfake: an empty one",
		why:   "As Kafka (GroupMetadataManager.classicGroupJoin).",
		where: func(d *difference) bool { return d.refused() && d.is("MemberID", "*", "") }, fields: []string{"MemberID"},
	},
	{
		api: "JoinGroup", name: "UNKNOWN_MEMBER_ID for a stranger, whatever the protocols; kfake: INCONSISTENT_GROUP_PROTOCOL",
		why: "As Kafka: for a group that nobody knows (GroupMetadataManager.classicGroupJoin).",
		where: func(d *difference) bool {
			return d.codes(kerr.UnknownMemberID.Code, kerr.InconsistentGroupProtocol.Code)
		}, fields: []string{"ErrorCode"},
	},
	{
		api: "JoinGroup", name: "who leads after the leader has left is any member; kfake tells several that they do",
		why: "As Kafka (ClassicGroup).", parts: true,
		where: func(d *difference) bool {
			return !d.refused() && d.roots.gnomon.fields["LeaderID"] != d.roots.kfake.fields["LeaderID"]
		},
		fields: []string{"", "LeaderID"},
	},
	{
		api: "JoinGroup", name: "the protocol type of a refused member does not stay; kfake refuses others for it with INCONSISTENT_GROUP_PROTOCOL",
		why: "As Kafka.", parts: true, rare: true,
		where: func(d *difference) bool {
			of := d.roots.gnomon.fields["ErrorCode"]
			return (of == "0" || of == code(kerr.MemberIDRequired)) && d.roots.kfake.fields["ErrorCode"] == code(kerr.InconsistentGroupProtocol)
		},
	},
	{
		api: "JoinGroup", name: "a static member that comes again makes a rebalance if another protocol is chosen; kfake: if it speaks others than before",
		why: "As Kafka (GroupMetadataManager.updateStaticMemberThenRebalanceOrCompleteJoin).", parts: true, rare: true,
		where: func(d *difference) bool {
			return !d.refused() && d.req.(*kmsg.JoinGroupRequest).InstanceID != nil && d.roots.gnomon.fields["Generation"] != d.roots.kfake.fields["Generation"]
		},
	},
	{
		api: "JoinGroup", name: "a static leader that comes again below version 9 gets no members; kfake lists them",
		why: "As Kafka (KIP-814): it must not assign anew.", rare: true,
		where: func(d *difference) bool {
			return d.version < 9 && d.only() == "kfake" && d.kind == "Members" && d.req.(*kmsg.JoinGroupRequest).InstanceID != nil
		},
	},
	{
		api: "DescribeGroups", name: "a group without members and offsets is gone at once; kfake, and Kafka until it looks again, show it as Empty",
		why:    "Nothing is known of it, and the next member makes it anew.",
		where:  func(d *difference) bool { return d.is("State", "Dead", "Empty") },
		fields: []string{"State", "ErrorCode", "ProtocolType"},
	},
	{
		api: "DescribeGroups", name: "what a refused member would have brought along is not shown; kfake shows its protocol type",
		why: "As Kafka.", rare: true,
		where: func(d *difference) bool { return d.is("ProtocolType", "", "*") }, fields: []string{"ProtocolType"},
	},
	{
		api: "ListGroups", name: "a group without members and offsets is gone at once; kfake, and Kafka until it looks again, show it as Empty",
		why: "Nothing is known of it, and the next member makes it anew.",
		where: func(d *difference) bool {
			return d.only() == "kfake" && d.kfake.fields["GroupState"] == "Empty" || d.only() == "kfake" && d.version < 4
		},
	},
	{
		api: "ListGroups", name: "types and states are chosen in any case of letters; kfake: in its own",
		why: "As Kafka (Group.GroupType.parse, KIP-848).", rare: true,
		where: func(d *difference) bool {
			r := d.req.(*kmsg.ListGroupsRequest)
			return d.only() == "gnomon" && (slices.Contains(r.TypesFilter, "Classic") || slices.Contains(r.StatesFilter, "stable"))
		},
	},
	{
		api: "ListGroups", name: "what a refused member would have brought along is not shown; kfake shows its protocol type",
		why: "As Kafka.", rare: true,
		where: func(d *difference) bool { return d.is("ProtocolType", "", "*") }, fields: []string{"ProtocolType"},
	},
	{
		api: "DeleteGroups", name: "a group without members and offsets is gone at once; kfake, and Kafka until it looks again, delete it",
		why:   "Nothing is known of it, and the next member makes it anew.",
		where: func(d *difference) bool { return d.codes(kerr.GroupIDNotFound.Code, 0) },
	},
	{
		api: "OffsetDelete", name: "a group without members and offsets is gone at once; kfake, and Kafka until it looks again, know it",
		why: "Nothing is known of it, and the next member makes it anew.",
		where: func(d *difference) bool {
			r, ok := d.whole.gnomon.(*kmsg.OffsetDeleteResponse)
			return ok && r.ErrorCode == kerr.GroupIDNotFound.Code
		},
	},
	{
		api: "DescribeGroups", name: "authorized operations are those that a group has; kfake shows fewer",
		why:   "As Kafka: settings of groups came with KIP-848.",
		where: func(d *difference) bool { return strings.HasPrefix(d.kind, "Groups") }, fields: []string{"AuthorizedOperations"},
	},
}

// leftUnknown tells whether kfake did not know the group that was to be left.
func leftUnknown(d *difference) bool {
	r, ok := d.whole.kfake.(*kmsg.LeaveGroupResponse)
	return ok && r.ErrorCode == kerr.GroupIDNotFound.Code
}
