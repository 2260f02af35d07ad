package groups

import (
	"crypto/rand"
	"fmt"
	"time"
)

// Defaults of Config.
const (
	DefaultMinSessionTimeout  = 6 * time.Second
	DefaultMaxSessionTimeout  = 30 * time.Minute
	DefaultMaxGroups          = 100_000
	DefaultMaxMembersPerGroup = 1000
	DefaultMaxGroupBytes      = 768 << 10
	DefaultMaxBytes           = 128 << 20
)

// Kafka has no limits of its own for these: group ids are as long as a string of the protocol, and instance ids are checked by
// clients, as topic names are.
const (
	GroupIDBytesMax    = 1024
	instanceIDBytesMax = 249
)

// newMemberTimeout bounds how long a member that never heard of a generation may wait for its first Join. It cannot send
// heartbeats yet, and a client that gave up its connection may come back as yet another member.
const newMemberTimeout = 5 * time.Minute

// Config sets the limits of a Manager. Zero values mean the defaults.
type Config struct {
	// MinSessionTimeout and MaxSessionTimeout bound what a member may ask for (6 s and 30 min).
	MinSessionTimeout, MaxSessionTimeout time.Duration
	// InitialRebalanceDelay is how long a group that was Empty waits for more members (0: not at all). It begins again
	// for each new member, up to the rebalance timeout in total.
	InitialRebalanceDelay time.Duration
	// MaxGroups bounds the groups known, Empty ones with a generation included (100 000). A Join that would create one
	// more gets GROUP_MAX_SIZE_REACHED.
	MaxGroups int
	// MaxMembersPerGroup bounds members and announced members together (1000).
	MaxMembersPerGroup int
	// MaxGroupBytes bounds the encoded GroupChanged of a group, which must fit into a metalog entry (768 KiB). Half of
	// it may be taken by members' protocols; a Join beyond gets GROUP_MAX_SIZE_REACHED.
	MaxGroupBytes int
	// MaxBytes bounds what names and protocols of all groups' members take, announced members included (128 MiB). A Join
	// beyond gets GROUP_MAX_SIZE_REACHED. Assignments come on top, at most as much again.
	MaxBytes int
	// NewMemberID returns a member id that was never used. For a static member it is given the instance id instead of
	// the client id, as Kafka does. nil: the argument, a dash, and a random UUID.
	NewMemberID func(clientID string) string
}

func (c Config) withDefaults() Config {
	if c.MinSessionTimeout <= 0 {
		c.MinSessionTimeout = DefaultMinSessionTimeout
	}
	if c.MaxSessionTimeout <= 0 {
		c.MaxSessionTimeout = DefaultMaxSessionTimeout
	}
	if c.MaxGroups <= 0 {
		c.MaxGroups = DefaultMaxGroups
	}
	if c.MaxMembersPerGroup <= 0 {
		c.MaxMembersPerGroup = DefaultMaxMembersPerGroup
	}
	if c.MaxGroupBytes <= 0 {
		c.MaxGroupBytes = DefaultMaxGroupBytes
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.NewMemberID == nil {
		c.NewMemberID = randomMemberID
	}
	return c
}

// randomMemberID appends a version 4 UUID. crypto/rand.Read never fails.
func randomMemberID(prefix string) string {
	var u [16]byte
	_, _ = rand.Read(u[:])
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%s-%x-%x-%x-%x-%x", prefix, u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
