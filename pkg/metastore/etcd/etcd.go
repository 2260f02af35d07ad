package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/protobuf/proto"

	"github.com/gnomon-stream/gnomon/internal/base"
	"github.com/gnomon-stream/gnomon/pkg/metastore"
	"github.com/gnomon-stream/gnomon/pkg/metastore/metalogpb"
)

// Config of a Log.
type Config struct {
	Endpoints []string
	Cluster   base.ClusterID
	// LeaseTTL is how long a dead leader, or agent, is believed to live; 0 means 3 s. etcd rounds up to seconds.
	LeaseTTL time.Duration
	// CallTimeout bounds one request; 0 means 3 s.
	CallTimeout time.Duration
	// TLS gives the configuration of a connection to a server of that name, when it is made; nil: plain connections.
	TLS                func(serverName string) *tls.Config
	Username, Password string
	Logger             *slog.Logger
}

// Log implements metastore.Log on etcd.
type Log struct {
	cfg     Config
	client  *clientv3.Client
	prefix  string
	watches atomic.Int64 // that were begun
}

// openTimeout bounds the question whether a password is right; etcd makes it slow on purpose.
const openTimeout = 2 * time.Second

// Open connects. Without a user it does not wait for etcd to answer. With one it does: metastore.ErrRefused when the password
// is wrong, base.ErrUnavailable when nobody answers.
func Open(cfg Config) (*Log, error) {
	if cfg.LeaseTTL == 0 {
		cfg.LeaseTTL = 3 * time.Second
	}
	if cfg.CallTimeout == 0 {
		cfg.CallTimeout = 3 * time.Second
	}
	// gRPC's own default waits up to two minutes between two attempts to connect: too long for an etcd that is back.
	dial := []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
		MinConnectTimeout: cfg.CallTimeout,
	}), grpc.WithChainUnaryInterceptor(attempt)}
	if cfg.TLS != nil {
		dial = append(dial, grpc.WithTransportCredentials(fresh{cfg.TLS}))
	}
	c, err := clientv3.New(clientv3.Config{
		Endpoints: cfg.Endpoints, DialTimeout: max(cfg.CallTimeout, openTimeout), DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: 3 * time.Second,
		Username: cfg.Username, Password: cfg.Password, Logger: zap.NewNop(), DialOptions: dial,
		MaxCallSendMsgSize: 8 << 20, MaxCallRecvMsgSize: 64 << 20,
	})
	if err != nil {
		return nil, failure("connect to etcd at "+strings.Join(cfg.Endpoints, ","), err)
	}
	return &Log{cfg: cfg, client: c, prefix: "/gnomon/" + cfg.Cluster.String() + "/"}, nil
}

// Close implements metastore.Log.
func (l *Log) Close() error {
	if err := l.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("close etcd client: %w", err)
	}
	return nil
}

func (l *Log) key(name string) string { return l.prefix + name }

func logKey(incarnation string, seq base.Seq) string {
	return fmt.Sprintf("%s/log/%016x", incarnation, uint64(seq))
}

// failure names what was asked and classifies: whatever etcd may get over is base.ErrUnavailable.
func failure(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("%s: etcd is out of space (its quota alarm is on: compact, defragment, disarm): %w", what, base.ErrUnavailable)
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return fmt.Errorf("%s: etcd does not know the user, or the password is wrong (etcd-user, etcd-password-file): %w", what, metastore.ErrRefused)
	case errors.Is(err, rpctypes.ErrUserEmpty), errors.Is(err, rpctypes.ErrUserNotFound):
		return fmt.Errorf("%s: etcd wants a user and a password (etcd-user, etcd-password-file): %w", what, metastore.ErrRefused)
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return fmt.Errorf("%s: etcd does not let the user do this: see `gnomon etcd users`: %w", what, metastore.ErrRefused)
	}
	return fmt.Errorf("%s: %w: %w", what, base.ErrUnavailable, err)
}

func (l *Log) call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, l.cfg.CallTimeout)
}

// Position implements metastore.Log: one transaction reads all keys.
func (l *Log) Position(ctx context.Context) (metastore.Position, error) {
	ctx, cancel := l.call(ctx)
	defer cancel()
	var ops []clientv3.Op
	for _, name := range []string{"current", "head", "fence", "snapshot", "archive", "leader"} {
		ops = append(ops, clientv3.OpGet(l.key(name)))
	}
	resp, err := l.client.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return metastore.Position{}, failure("read the metalog's position", err)
	}
	kv := func(i int) *mvccpb.KeyValue {
		if kvs := resp.Responses[i].GetResponseRange().Kvs; len(kvs) > 0 {
			return kvs[0]
		}
		return nil
	}
	return decodePosition(kv)
}

func decodePosition(kv func(int) *mvccpb.KeyValue) (pos metastore.Position, err error) {
	if x := kv(0); x != nil {
		pos.Incarnation = string(x.Value)
	}
	if x := kv(1); x != nil {
		if pos.Head, err = decodeHead(x.Value); err != nil {
			return pos, err
		}
	}
	if x := kv(2); x != nil {
		pos.Fence, pos.FenceRevision = &metalogpb.Fence{}, x.ModRevision
		err = errors.Join(err, decode("fence", x.Value, pos.Fence))
	}
	if x := kv(3); x != nil {
		pos.Snapshot = &metalogpb.Pointer{}
		err = errors.Join(err, decode("snapshot", x.Value, pos.Snapshot))
	}
	if x := kv(4); x != nil {
		pos.Archive = &metalogpb.Pointer{}
		err = errors.Join(err, decode("archive", x.Value, pos.Archive))
	}
	if x := kv(5); x != nil {
		pos.Leader = &metalogpb.Leader{}
		err = errors.Join(err, decode("leader", x.Value, pos.Leader))
	}
	return pos, err
}

func decode(name string, value []byte, into proto.Message) error {
	if err := proto.Unmarshal(value, into); err != nil {
		return fmt.Errorf("key %s: %w: %w", name, err, base.ErrCorrupt)
	}
	return nil
}

func encode(m proto.Message) string {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err) // our own small messages
	}
	return string(b)
}

func encodeHead(h metastore.Head) string {
	return encode(&metalogpb.Head{Seq: uint64(h.Seq), Hash: h.Hash[:]})
}

func decodeHead(value []byte) (metastore.Head, error) {
	var m metalogpb.Head
	if err := decode("head", value, &m); err != nil {
		return metastore.Head{}, err
	}
	if len(m.Hash) != len(metastore.Hash{}) {
		return metastore.Head{}, fmt.Errorf("key head: hash of %d bytes: %w", len(m.Hash), base.ErrCorrupt)
	}
	return metastore.Head{Seq: base.Seq(m.Seq), Hash: metastore.Hash(m.Hash)}, nil
}

// WriteFence implements metastore.Log.
func (l *Log) WriteFence(ctx context.Context, fence *metalogpb.Fence) error {
	ctx, cancel := l.call(ctx)
	defer cancel()
	key := l.key("fence")
	for {
		resp, err := l.client.Get(ctx, key)
		if err != nil {
			return failure("read the fence", err)
		}
		revision := int64(0)
		if len(resp.Kvs) > 0 {
			stands := &metalogpb.Fence{}
			if err := decode("fence", resp.Kvs[0].Value, stands); err != nil {
				return err
			}
			if err := metastore.CheckFence(stands, fence); err != nil {
				return err
			}
			revision = resp.Kvs[0].ModRevision
		}
		txn, err := l.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
			Then(clientv3.OpPut(key, encode(fence))).Commit()
		if err != nil {
			return failure("write the fence", err)
		}
		if txn.Succeeded {
			return nil
		}
	}
}

func parseSeq(key string) (base.Seq, error) {
	n, err := strconv.ParseUint(key[strings.LastIndexByte(key, '/')+1:], 16, 64)
	if err != nil {
		return 0, fmt.Errorf("key %s: %w: %w", key, err, base.ErrCorrupt)
	}
	return base.Seq(n), nil
}
