package ops

import (
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// The documented shapes of what commands print with --format json. Messages of the API are not printed as they are:
// protobuf's JSON makes texts of large numbers.

type healthJSON struct {
	Ready        bool        `json:"ready"`
	Role         string      `json:"role"`
	RegionName   string      `json:"region_name"`
	RegionNumber int32       `json:"region_number"`
	Epoch        int32       `json:"epoch"`
	Leader       string      `json:"leader"`
	AppliedSeq   uint64      `json:"applied_seq"`
	Agents       int32       `json:"agents"`
	Checks       []checkJSON `json:"checks"`
	Version      string      `json:"version"`
}

type checkJSON struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

func checksOf(list []*adminpb.CheckResult) []checkJSON {
	out := []checkJSON{}
	for _, c := range list {
		out = append(out, checkJSON{c.Name, c.Ok, c.Detail})
	}
	return out
}

func healthOf(m *adminpb.HealthResponse) healthJSON {
	return healthJSON{
		Ready: m.Ready, Role: m.Role, RegionName: m.RegionName, RegionNumber: m.RegionNumber, Epoch: m.Epoch, Leader: m.Leader,
		AppliedSeq: m.AppliedSeq, Agents: m.Agents, Checks: checksOf(m.Checks), Version: m.Version,
	}
}

// createdJSON is what `shadow create` prints.
type createdJSON struct {
	Checks  []checkJSON `json:"checks"`
	Created bool        `json:"created"`
}

// linksJSON is what `shadow list` prints.
type linksJSON struct {
	Links []linkJSON `json:"links"`
}

// linkJSON is what `shadow describe` prints.
type linkJSON struct {
	Link       string     `json:"link"`
	State      string     `json:"state"`
	Source     string     `json:"source"`
	AppliedSeq uint64     `json:"applied_seq"`
	Config     configJSON `json:"config"`
}

type configJSON struct {
	Name             string            `json:"name"`
	Coordinators     []string          `json:"coordinators"`
	EtcdEndpoints    []string          `json:"etcd_endpoints"`
	Bucket           string            `json:"bucket"`
	CredentialFiles  map[string]string `json:"credential_files"`
	TopicFilters     []filterJSON      `json:"topic_filters"`
	GroupFilters     []filterJSON      `json:"group_filters"`
	OnTopicDeleted   string            `json:"on_topic_deleted"`
	OnTopicRecreated string            `json:"on_topic_recreated"`
	LocalGroups      []string          `json:"local_groups"`
	SourceYAML       string            `json:"source_yaml"`
}

type filterJSON struct {
	PatternType string `json:"pattern_type"`
	FilterType  string `json:"filter_type"`
	Name        string `json:"name"`
}

func linksOf(list []*adminpb.LinkSummary) linksJSON {
	out := linksJSON{Links: []linkJSON{}}
	for _, l := range list {
		out.Links = append(out.Links, linkOf(l))
	}
	return out
}

func linkOf(l *adminpb.LinkSummary) linkJSON {
	c := l.GetConfig()
	out := linkJSON{Link: l.Link, State: l.State, Source: l.Source, AppliedSeq: l.AppliedSeq, Config: configJSON{
		Name: c.GetName(), Coordinators: some(c.GetCoordinators()), EtcdEndpoints: some(c.GetEtcdEndpoints()), Bucket: c.GetBucket(),
		CredentialFiles: c.GetCredentialFiles(), TopicFilters: filtersOf(c.GetTopicFilters()), GroupFilters: filtersOf(c.GetGroupFilters()),
		OnTopicDeleted: c.GetOnTopicDeleted(), OnTopicRecreated: c.GetOnTopicRecreated(), LocalGroups: some(c.GetLocalGroups()),
		SourceYAML: c.GetSourceYaml(),
	}}
	if out.Config.CredentialFiles == nil {
		out.Config.CredentialFiles = map[string]string{}
	}
	return out
}

func filtersOf(list []*metalogpb.Filter) []filterJSON {
	out := []filterJSON{}
	for _, f := range list {
		out = append(out, filterJSON{f.PatternType, f.FilterType, f.Name})
	}
	return out
}

// some shows a list that is empty as such, and not as null.
func some(list []string) []string { return append([]string{}, list...) }
