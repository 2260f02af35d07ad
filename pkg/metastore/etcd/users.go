package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/authpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// User of an etcd.
type User struct{ Name, Password string }

// Users are what InitUsers makes.
type Users struct {
	Root   User // etcd's own; its name is root
	Region User // has root's role: etcd lets nobody else compact
	Link   User // of the other region: reads the cluster's keys, and writes fence; no name: none is made
}

const rootUser = "root"

// InitUsers makes the users of a cluster with their roles, sets their passwords, and turns etcd's authentication on. Each step may
// be repeated, and authentication comes last: what was broken off is finished by another run. True when it was on before.
func InitUsers(ctx context.Context, cfg Config, u Users) (already bool, err error) {
	cfg.Username, cfg.Password = rootUser, u.Root.Password
	l, err := Open(cfg)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	status, err := l.client.AuthStatus(ctx)
	if err != nil {
		return false, failure("ask whether etcd has users", err)
	}
	link := "gnomon-" + cfg.Cluster.String() + "-link"
	end := clientv3.GetPrefixRangeEnd(l.prefix)
	steps := []step{
		{"make the role root", func() error { _, err := l.client.RoleAdd(ctx, rootUser); return err }},
		{"make the user root", l.putUser(ctx, User{rootUser, u.Root.Password}, rootUser)},
		{"make the region's user", l.putUser(ctx, u.Region, rootUser)},
	}
	if u.Link.Name != "" {
		steps = append(steps,
			step{"make the link's role", func() error { _, err := l.client.RoleAdd(ctx, link); return err }},
			step{"let it read", l.grantKeys(ctx, link, l.prefix, end, clientv3.PermRead)},
			step{"let it fence", l.grantKeys(ctx, link, l.key("fence"), "", clientv3.PermReadWrite)},
			step{"make the link's user", l.putUser(ctx, u.Link, link)})
	}
	if !status.Enabled {
		steps = append(steps, step{"turn authentication on", func() error { _, err := l.client.AuthEnable(ctx); return err }})
	}
	for _, s := range steps {
		if err := s.do(); err != nil && !errors.Is(err, rpctypes.ErrRoleAlreadyExist) {
			return status.Enabled, failure(s.what, err)
		}
	}
	return status.Enabled, nil
}

type step struct {
	what string
	do   func() error
}

func (l *Log) grantKeys(ctx context.Context, role, key, end string, kind authpb.Permission_Type) func() error {
	return func() error {
		_, err := l.client.RoleGrantPermission(ctx, role, key, end, clientv3.PermissionType(kind))
		return err
	}
}

// putUser makes a user, or sets the password of one that is there, and gives it its role.
func (l *Log) putUser(ctx context.Context, u User, role string) func() error {
	return func() error {
		_, err := l.client.UserAdd(ctx, u.Name, u.Password)
		if errors.Is(err, rpctypes.ErrUserAlreadyExist) {
			_, err = l.client.UserChangePassword(ctx, u.Name, u.Password)
		}
		if err != nil {
			return fmt.Errorf("user %s: %w", u.Name, err)
		}
		_, err = l.client.UserGrantRole(ctx, u.Name, role)
		return err
	}
}

// Unguarded tells whether etcd knows no users, although this client has one: its authentication is off, as in one that has lost its data. It then
// takes the client for anybody, and says nothing.
func (l *Log) Unguarded(ctx context.Context) (bool, error) {
	if l.cfg.Username == "" {
		return false, nil
	}
	ctx, cancel := l.call(ctx)
	defer cancel()
	status, err := l.client.AuthStatus(ctx)
	if errors.Is(err, rpctypes.ErrPermissionDenied) {
		return false, nil // root alone may ask: somebody judges
	}
	if err != nil {
		return false, failure("ask whether etcd has users", err)
	}
	return !status.Enabled, nil
}

// MayFence tells whether the user may write the fence, without writing it: etcd judges a transaction by all that it could
// do, and the condition of this one never holds.
func (l *Log) MayFence(ctx context.Context) error {
	ctx, cancel := l.call(ctx)
	defer cancel()
	key := l.key("fence")
	_, err := l.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", -1)).Then(clientv3.OpPut(key, "")).Commit()
	return failure("write the fence", err)
}
