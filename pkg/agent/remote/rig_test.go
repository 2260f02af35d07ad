package remote

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/internal/rpcfault"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb"
	"github.com/gnomon-stream/gnomon/pkg/coordinatorpb/coordinatorpbconnect"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// stub is a coordinator that does what a test says. Real ones are in tests/cluster.
type stub struct {
	coordinatorpbconnect.UnimplementedCoordinatorServiceHandler
	adminpbconnect.UnimplementedSourceServiceHandler
	url string

	mu      sync.Mutex
	leader  string // what Identify says; empty: nobody leads
	asked   int    // times that Forward was asked
	forward func() error
	commit  func(*coordinatorpb.CommitRequest) (*coordinatorpb.CommitResponse, error) // an error breaks the stream off
	numbers []uint64                                                                  // of the commits that came
	head    uint64
	silent  time.Duration // how long Head takes without one
	name    string        // of the incarnation; empty means i, and that Head does not tell it
	entries uint64        // that Follow gives
	follows int
	lists   chan *coordinatorpb.WatchResponse
}

func newStub(t *testing.T) *stub {
	t.Helper()
	return newStubTLS(t, nil)
}

// newStubTLS is one that shows what the set holds; plain without a set.
func newStubTLS(t *testing.T, set *tlsfiles.Set) *stub {
	t.Helper()
	s := &stub{lists: make(chan *coordinatorpb.WatchResponse)}
	mux := http.NewServeMux()
	mux.Handle(coordinatorpbconnect.NewCoordinatorServiceHandler(s))
	mux.Handle(adminpbconnect.NewSourceServiceHandler(s))
	server := httptest.NewUnstartedServer(mux)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	if set == nil {
		server.Start()
	} else {
		server.Config.Protocols.SetHTTP2(true)
		server.TLS, server.EnableHTTP2 = set.Server(), true
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
	}
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	s.url = server.URL
	return s
}

func (s *stub) locked(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

// elect makes a leader of the last, as all see it.
func elect(leader *stub, stubs ...*stub) {
	for _, s := range append(stubs, leader) {
		s.locked(func() { s.leader = leader.url })
	}
}

func newClient(t *testing.T, stubs ...*stub) *Client {
	t.Helper()
	return newClientTLS(t, nil, stubs...)
}

func newClientTLS(t *testing.T, set *tlsfiles.Set, stubs ...*stub) *Client {
	t.Helper()
	var urls []string
	for _, s := range stubs {
		urls = append(urls, s.url)
	}
	c, err := New(Config{Coordinators: urls, HTTP: NewHTTP(set), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close) // before the servers
	return c
}

func (s *stub) Identify(context.Context, *connect.Request[coordinatorpb.IdentifyRequest]) (*connect.Response[coordinatorpb.IdentifyResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return connect.NewResponse(&coordinatorpb.IdentifyResponse{LeaderUrl: s.leader}), nil
}

func (s *stub) Position(context.Context, *connect.Request[coordinatorpb.PositionRequest]) (*connect.Response[coordinatorpb.PositionResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := s.name
	if name == "" {
		name = "i"
	}
	return connect.NewResponse(&coordinatorpb.PositionResponse{Incarnation: name, HeadSeq: s.head}), nil
}

func (s *stub) Head(context.Context, *connect.Request[coordinatorpb.HeadRequest]) (*connect.Response[coordinatorpb.HeadResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.head == 0 {
		time.Sleep(s.silent)
		return nil, rpcfault.Connect(base.ErrUnavailable)
	}
	return connect.NewResponse(&coordinatorpb.HeadResponse{Seq: s.head, Incarnation: s.name}), nil
}

func (s *stub) Follow(ctx context.Context, req *connect.Request[adminpb.FollowRequest], stream *connect.ServerStream[adminpb.FollowResponse]) error {
	var upTo uint64
	s.locked(func() { s.follows++; upTo = s.entries })
	for n := req.Msg.FromSeq; n <= upTo; n++ {
		if err := stream.Send(&adminpb.FollowResponse{Seq: n, Entry: []byte{1}}); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *stub) Watch(ctx context.Context, _ *connect.Request[coordinatorpb.WatchRequest], stream *connect.ServerStream[coordinatorpb.WatchResponse]) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-s.lists:
			if err := stream.Send(m); err != nil {
				return err
			}
		}
	}
}

func (s *stub) OpenSession(context.Context, *connect.Request[coordinatorpb.OpenSessionRequest]) (*connect.Response[coordinatorpb.OpenSessionResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leader != s.url {
		return nil, rpcfault.Connect(base.ErrNotLeader)
	}
	return connect.NewResponse(&coordinatorpb.OpenSessionResponse{Session: 7}), nil
}

func (s *stub) Forward(context.Context, *connect.Request[coordinatorpb.ForwardRequest]) (*connect.Response[coordinatorpb.ForwardResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if err := s.forward(); err != nil {
		return nil, err
	}
	return connect.NewResponse(&coordinatorpb.ForwardResponse{Body: []byte{0, 0}}), nil
}

func (s *stub) Commit(_ context.Context, stream *connect.BidiStream[coordinatorpb.CommitRequest, coordinatorpb.CommitResponse]) error {
	for {
		m, err := stream.Receive()
		if err != nil {
			return err
		}
		s.mu.Lock()
		s.numbers = append(s.numbers, m.Commit.Number)
		answer, err := s.commit(m)
		s.mu.Unlock()
		if err != nil {
			return err
		}
		if answer != nil {
			if err := stream.Send(answer); err != nil {
				return err
			}
		}
	}
}

// yes answers a commit.
func yes(m *coordinatorpb.CommitRequest) (*coordinatorpb.CommitResponse, error) {
	return &coordinatorpb.CommitResponse{Id: m.Id, Result: &metalogpb.CommitResult{Number: m.Commit.Number}}, nil
}

// answered is what became of one commit.
type answered struct {
	res *metalogpb.CommitResult
	err error
}

// send commits and returns where the answer will be; a second one fails the test.
func send(t *testing.T, c *Client, number uint64) <-chan answered {
	t.Helper()
	out := make(chan answered, 1)
	c.CommitAsync(context.Background(), &metalogpb.CommitRequest{Number: number}, func(res *metalogpb.CommitResult, err error) {
		select {
		case out <- answered{res, err}:
		default:
			t.Errorf("commit %d was answered twice", number)
		}
	})
	return out
}

func await(t *testing.T, what string, ch <-chan answered) answered {
	t.Helper()
	select {
	case a := <-ch:
		return a
	case <-time.After(10 * time.Second):
		t.Fatal(fmt.Sprint("no answer: ", what))
		return answered{}
	}
}
