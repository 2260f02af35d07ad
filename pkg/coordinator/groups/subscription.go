package groups

import (
	"encoding/binary"
	"maps"
)

// typeConsumer is the protocol type of consumers: the metadata of their protocols begins with the topics that they subscribe to.
const typeConsumer = "consumer"

// Use says what a group is in use for, for who wants to delete offsets of it.
type Use struct {
	Known   bool // to the machine; there may be committed offsets under the name of a group that is not
	Members bool // there are some
	// Consumers tells that the members are consumers. Then those of a topic that one of them subscribes to are in use.
	Consumers bool
	topics    map[string]bool // nil when it is not known to what they subscribe
}

// Subscribed tells whether members read a topic, as far as is known: in doubt they do.
func (u Use) Subscribed(topic string) bool { return u.topics == nil || u.topics[topic] }

// Use looks at a group.
func (m *Manager) Use(name string) Use {
	g := m.groups[name]
	if g == nil {
		return Use{}
	}
	u := Use{Known: true, Members: len(g.members) > 0, Consumers: g.protocolType == typeConsumer}
	if !u.Members || !u.Consumers {
		return u
	}
	topics := map[string]bool{}
	for _, x := range g.members {
		// Until a generation is decided, what was decided last does not count: any of its protocols may be selected.
		for _, p := range x.protocols {
			subscribed, ok := subscription(p.metadata)
			if !ok {
				return u
			}
			maps.Copy(topics, subscribed)
		}
	}
	u.topics = topics
	return u
}

// subscription reads the topics at the beginning of Kafka's ConsumerProtocolSubscription, which are there in every version: a
// version, and an array of names.
func subscription(metadata []byte) (topics map[string]bool, ok bool) {
	const head, length = 6, 2
	if len(metadata) < head {
		return nil, false
	}
	count, rest := int32(binary.BigEndian.Uint32(metadata[2:])), metadata[head:]
	topics = map[string]bool{}
	for range count {
		if len(rest) < length {
			return nil, false
		}
		n := int(int16(binary.BigEndian.Uint16(rest)))
		if rest = rest[length:]; n < 0 || n > len(rest) {
			return nil, false
		}
		topics[string(rest[:n])] = true
		rest = rest[n:]
	}
	return topics, count >= 0
}
