package harness

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
)

const (
	// callTimeout bounds a question to an etcd member.
	callTimeout = 5 * time.Second
	// memberTick is etcd's default heartbeat; an election takes ten of them.
	memberTick = 100
)

// startMembers starts an etcd of several members, each a process, and returns them and their client URLs.
func (c *Cluster) startMembers() (urls string) {
	c.t.Helper()
	ports := freePorts(c.t, 2*c.Config.EtcdMembers)
	var all, peers []string
	for i := range c.Config.EtcdMembers {
		n := &Node{Name: fmt.Sprintf("etcd-%s%d", c.Config.Name, i+1), t: c.t, role: roleMember, Admin: "http://127.0.0.1:" + ports[2*i]}
		c.Members = append(c.Members, n)
		all = append(all, n.Admin)
		peers = append(peers, fmt.Sprintf("%s=http://127.0.0.1:%s", n.Name, ports[2*i+1]))
	}
	for i, n := range c.Members {
		n.args = []string{
			n.Name, filepath.Join(c.data, n.Name), n.Admin, strings.SplitN(peers[i], "=", 2)[1], strings.Join(peers, ","), strconv.FormatInt(c.Config.EtcdQuota, 10),
		}
		n.Launch()
	}
	for _, n := range c.Members {
		n.WaitReady()
	}
	return strings.Join(all, ",")
}

// EtcdClient is a client of the members.
func (c *Cluster) EtcdClient() *clientv3.Client {
	c.t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(c.EtcdURL, ",")})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// EtcdLeader is the member that leads the etcd now, and its id.
func (c *Cluster) EtcdLeader() (leader *Node, id uint64) {
	c.t.Helper()
	client := c.EtcdClient()
	Eventually(c.t, time.Minute, "the etcd has a leader", func() string {
		for _, n := range c.Members {
			if !n.Running() {
				continue
			}
			ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
			s, err := client.Status(ctx, n.Admin)
			cancel()
			if err == nil && s.Leader == s.Header.MemberId {
				leader, id = n, s.Leader
				return ""
			}
		}
		return "no member leads"
	})
	return leader, id
}

// member runs one member of an etcd until a signal. args: name, directory, client URL, peer URL, all peers, quota in bytes.
func member(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := embed.NewConfig()
	c.Name, c.Dir, c.InitialCluster = args[0], args[1], args[4]
	client, err := url.Parse(args[2])
	if err != nil {
		return refuse(err)
	}
	peer, err := url.Parse(args[3])
	if err != nil {
		return refuse(err)
	}
	if c.QuotaBackendBytes, err = strconv.ParseInt(args[5], 10, 64); err != nil {
		return refuse(err)
	}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	c.TickMs, c.ElectionMs = memberTick, 10*memberTick
	c.MaxRequestBytes = 4 << 20
	c.LogLevel, c.LogOutputs = "error", []string{"/dev/null"}
	e, err := embed.StartEtcd(c)
	if err != nil {
		return refuse(err)
	}
	defer e.Close()
	select {
	case <-e.Server.ReadyNotify():
		fmt.Println("ready", args[0])
	case err := <-e.Err():
		return refuse(err)
	case <-ctx.Done():
		return 0
	}
	<-ctx.Done()
	return 0
}

func refuse(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}
