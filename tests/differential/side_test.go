package differential

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// patience is how long an answer may take.
const patience = 20 * time.Second

// side is one of the two servers, as one sequence sees it: its connections, and what it has given names to.
type side struct {
	name   string
	addr   string
	prefix string // of all names of the sequence

	mu    sync.Mutex // lanes: members ask at the same time
	lanes map[string]*lane

	topics    map[string][16]byte // ids by name, also of topics that are gone
	topicOf   map[[16]byte]string
	members   map[string]string   // ids by "group/slot" of those that the group has, or has announced
	memberOf  map[string]string   // also of members that are gone
	leader    map[string]string   // the leader's id by group
	protocol  map[string]string   // by group
	speaks    map[string][]string // protocols by member
	round     map[string]int32    // generation by group
	producers map[string]producer
	producing map[int64]string     // names by producer id
	next      map[string]int32     // sequence by "producer/topic/partition"
	last      map[string]sequences // of the last batch that was taken, likewise
	epoch     int32                // of leaders
}

type sequences struct{ first, count int32 }

type producer struct {
	id    int64
	epoch int16
}

func newSide(name, addr, prefix string) *side {
	return &side{
		name: name, addr: addr, prefix: prefix, lanes: map[string]*lane{},
		topics: map[string][16]byte{}, topicOf: map[[16]byte]string{},
		members: map[string]string{}, memberOf: map[string]string{}, leader: map[string]string{}, protocol: map[string]string{}, speaks: map[string][]string{}, round: map[string]int32{},
		producers: map[string]producer{}, producing: map[int64]string{}, next: map[string]int32{}, last: map[string]sequences{},
	}
}

func (s *side) close() {
	for _, l := range s.lanes {
		_ = l.conn.Close()
	}
}

// answer is what came back for a request: a message, nothing (Produce with acks 0), a closed connection, or no sign of life.
type answer struct {
	label string
	req   kmsg.Request
	resp  kmsg.Response
	end   string // why there is no message
}

const closed = "connection closed"

// lane is a connection. Members of a group have one each, as their requests wait for each other.
type lane struct {
	conn net.Conn
	corr int32
}

// ask sends a request and waits for the answer.
func (s *side) ask(name string, req kmsg.Request) answer {
	a := answer{label: name, req: req}
	l, err := s.lane(name)
	if err != nil {
		a.end = fmt.Sprint("cannot connect: ", err)
		return a
	}
	silent := false
	if p, ok := req.(*kmsg.ProduceRequest); ok {
		silent = p.Acks == 0
	}
	a.resp, err = l.ask(req, silent)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		a.end = "no answer"
	case errors.Is(err, errUnreadable):
		a.end = err.Error()
	case err != nil:
		a.end = closed
	}
	if err != nil {
		_ = l.conn.Close()
		s.mu.Lock()
		delete(s.lanes, name)
		s.mu.Unlock()
	}
	return a
}

func (s *side) lane(name string) (*lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lanes[name]; l != nil {
		return l, nil
	}
	conn, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		return nil, err
	}
	s.lanes[name] = &lane{conn: conn}
	return s.lanes[name], nil
}

var (
	errUnreadable = errors.New("the answer cannot be read")
	formatter     = kmsg.NewRequestFormatter(kmsg.FormatterClientID("differential"))
)

func (l *lane) ask(req kmsg.Request, silent bool) (kmsg.Response, error) {
	l.corr++
	if err := l.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := l.conn.Write(formatter.AppendRequest(nil, req, l.corr)); err != nil || silent {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(l.conn, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(l.conn, body); err != nil {
		return nil, err
	}
	if len(body) < 4 || int32(binary.BigEndian.Uint32(body)) != l.corr {
		return nil, fmt.Errorf("%w: it is to another request", errUnreadable)
	}
	body = body[4:]
	resp := req.ResponseKind()
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		if len(body) < 1 || body[0] != 0 {
			return nil, fmt.Errorf("%w: its header has tags", errUnreadable)
		}
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return resp, nil
}

// learnTopic notes the id of a topic.
func (s *side) learnTopic(name string, id [16]byte) {
	if id != [16]byte{} {
		s.topics[name], s.topicOf[id] = id, name
	}
}

// learnMember notes the id that a member got.
func (s *side) learnMember(member, id string) {
	if id != "" {
		s.members[member], s.memberOf[id] = id, member
	}
}
