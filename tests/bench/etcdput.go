package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

// etcdPutter puts values into an etcd: the plain call, with nothing of ours around it. The one message that it sends is
// encoded by hand, as only the metastore's backend may know etcd's client library.
type etcdPutter struct{ conn *grpc.ClientConn }

// newEtcdPutter starts an etcd for itself, in a process of its own as a region's is.
func newEtcdPutter(b *bench, dir string) (*etcdPutter, error) {
	ports, err := b.freePorts(2)
	if err != nil {
		return nil, err
	}
	if _, err := b.start("etcd", roleEtcd, dir, ports[0], ports[1]); err != nil {
		return nil, err
	}
	return dialEtcd("http://127.0.0.1:" + ports[0])
}

func dialEtcd(url string) (*etcdPutter, error) {
	conn, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	return &etcdPutter{conn}, err
}

func (e *etcdPutter) put(ctx context.Context, key, value []byte) error {
	req := protowire.AppendTag(nil, 1, protowire.BytesType)
	req = protowire.AppendBytes(req, key)
	req = protowire.AppendTag(req, 2, protowire.BytesType)
	req = protowire.AppendBytes(req, value)
	var resp []byte
	return e.conn.Invoke(ctx, "/etcdserverpb.KV/Put", &req, &resp, grpc.ForceCodec(plain{}))
}

func (e *etcdPutter) close() error { return e.conn.Close() }

// plain passes messages on as bytes.
type plain struct{}

var errNotPlain = errors.New("not bytes")

func (plain) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("encode %T: %w", v, errNotPlain)
	}
	return *b, nil
}

func (plain) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("decode %T: %w", v, errNotPlain)
	}
	*b = append((*b)[:0], data...)
	return nil
}

func (plain) Name() string { return "proto" }
