package state

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/namefilter"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// LinkInfo is what a link is at one instant, apart from its image. It is immutable.
type LinkInfo struct {
	Config            *metalogpb.LinkConfig
	SourceCluster     base.ClusterID
	SourceRegion      base.RegionNumber
	SourceIncarnation string
	Paused            bool
	Fault             string
	// Flip is set once the link has failed over; the image is then empty.
	Flip *metalogpb.RegionFlipped
	// Boundary is where the flip cut each partition, sorted.
	Boundary []Boundary
	// Position and PositionTime are the last entry of the source that the image holds, and its event time.
	Position     metastore.Head
	PositionTime int64
}

// Boundary is where a flip cut a partition.
type Boundary struct {
	Partition base.TopicPartition
	End       base.Offset // first offset that the cut does not hold
	Chain     base.Chain
}

// Link is a shadow link with its image.
type Link struct {
	info   atomic.Pointer[LinkInfo]
	image  atomic.Pointer[State]
	topics namefilter.Matcher
	groups namefilter.Matcher
}

func newLink(info LinkInfo, owner *State) (*Link, error) {
	topics, err := namefilter.New(info.Config.TopicFilters)
	if err != nil {
		return nil, err
	}
	groups, err := namefilter.New(info.Config.GroupFilters)
	if err != nil {
		return nil, err
	}
	l := &Link{topics: topics, groups: groups}
	l.info.Store(&info)
	l.setImage(newState(owner.serving), owner)
	return l, nil
}

func (l *Link) setImage(image, owner *State) {
	image.owner, image.link = owner.owner, l
	l.image.Store(image)
}

// Name returns the link's name.
func (l *Link) Name() string { return l.Info().Config.Name }

// Info returns the link's present description.
func (l *Link) Info() *LinkInfo { return l.info.Load() }

// Image returns the source's state at the link's position.
func (l *Link) Image() *State { return l.image.Load() }

// Active tells whether the link still shadows: it has not failed over.
func (l *Link) Active() bool { return l.Info().Flip == nil }

// WantsTopic tells whether the filters choose a topic of this name.
func (l *Link) WantsTopic(name string) bool { return l.topics.Match(name) }

// WantsGroup tells whether the filters choose a consumer group of this name. No filter at all means every group.
func (l *Link) WantsGroup(name string) bool {
	return len(l.Info().Config.GroupFilters) == 0 || l.groups.Match(name)
}

// LocalGroup tells whether this region runs the group for itself, although the link is active.
func (l *Link) LocalGroup(name string) bool {
	return slices.Contains(l.Info().Config.LocalGroups, name)
}

func (l *Link) shows(t *Topic) bool {
	info := t.Info()
	return info.Visible && l.Active()
}

func (l *Link) update(change func(*LinkInfo)) {
	info := *l.info.Load()
	change(&info)
	l.info.Store(&info)
}

func (s *State) putLink(l *Link) {
	links := slices.Clone(s.Links())
	links = append(links, l)
	slices.SortFunc(links, func(a, b *Link) int { return cmp.Compare(a.Name(), b.Name()) })
	s.links.Store(&links)
}

func (s *State) dropLink(name string) {
	links := slices.DeleteFunc(slices.Clone(s.Links()), func(l *Link) bool { return l.Name() == name })
	s.links.Store(&links)
}
