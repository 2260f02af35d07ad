package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gnomon-stream/gnomon/pkg/metastore/embedetcd"
)

// etcdPutter puts values into an etcd of its own: the plain call, with nothing of ours around it. The one message that it
// sends is encoded by hand, as only the metastore's backend may know etcd's client library.
type etcdPutter struct {
	server *embedetcd.Server
	conn   *grpc.ClientConn
}

func newEtcdPutter(dir string) (*etcdPutter, error) {
	server, err := embedetcd.Start(embedetcd.Config{Dir: dir})
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(strings.TrimPrefix(server.Endpoint(), "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		server.Close()
		return nil, err
	}
	return &etcdPutter{server: server, conn: conn}, nil
}

func (e *etcdPutter) put(ctx context.Context, key, value []byte) error {
	req := protowire.AppendTag(nil, 1, protowire.BytesType)
	req = protowire.AppendBytes(req, key)
	req = protowire.AppendTag(req, 2, protowire.BytesType)
	req = protowire.AppendBytes(req, value)
	var resp []byte
	return e.conn.Invoke(ctx, "/etcdserverpb.KV/Put", &req, &resp, grpc.ForceCodec(plain{}))
}

func (e *etcdPutter) close() error {
	err := e.conn.Close()
	e.server.Close()
	return err
}

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
