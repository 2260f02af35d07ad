package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// LoseEtcd kills the region's etcd, deletes its data, and starts an empty one at the same place. Its users are lost with it.
func (c *Cluster) LoseEtcd() {
	c.t.Helper()
	c.Etcd.Kill()
	if err := os.RemoveAll(c.etcdData()); err != nil {
		c.t.Fatal(err)
	}
	c.startEtcd()
}

// BackUpEtcd stops the region's etcd, copies its data, and starts it again. It returns where the copy is.
func (c *Cluster) BackUpEtcd() string {
	c.t.Helper()
	c.Etcd.Stop()
	backup := filepath.Join(c.t.TempDir(), "backup")
	if err := os.CopyFS(backup, os.DirFS(c.etcdData())); err != nil {
		c.t.Fatal(err)
	}
	c.startEtcd()
	return backup
}

// SetEtcdBack kills the region's etcd, puts a backup in the place of its data, and starts it.
func (c *Cluster) SetEtcdBack(backup string) {
	c.t.Helper()
	c.Etcd.Kill()
	err := os.RemoveAll(c.etcdData())
	if err == nil {
		err = os.CopyFS(c.etcdData(), os.DirFS(backup))
	}
	if err == nil {
		err = private(c.etcdData())
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.startEtcd()
}

// KillCoordinators ends them all by SIGKILL.
func (c *Cluster) KillCoordinators() {
	c.t.Helper()
	for _, n := range c.Coordinators {
		if n.p != nil {
			n.Kill()
		}
	}
}

// JustBeforeArchive waits until the leader is about to archive: what it has confirmed in the last part of a second is in etcd alone, and
// something from before is in the archive. The bucket must be a directory.
func (c *Cluster) JustBeforeArchive() {
	c.t.Helper()
	archived := func() int {
		files, err := filepath.Glob(filepath.Join(c.data, "bucket", "meta", "log", "*", "*"))
		if err != nil {
			c.t.Fatal(err)
		}
		return len(files)
	}
	before := archived()
	Eventually(c.t, 20*time.Second, "the leader archives", func() string {
		if archived() == before {
			return fmt.Sprint(before, " objects")
		}
		return ""
	})
	time.Sleep(700 * time.Millisecond)
}

// private gives folders the permissions that etcd asks for.
func private(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o700)
		}
		return err
	})
}

func (c *Cluster) etcdData() string { return filepath.Join(c.data, "etcd", "data") }

// Ends waits for the process to end by itself, and returns its exit code and the end of its log.
func (n *Node) Ends(within time.Duration) (code int, log string) {
	n.t.Helper()
	code = n.p.Wait(within)
	log = n.p.Log()
	n.p, n.paused = nil, false
	return code, log
}

// Restore runs gnomon metastore restore for the region's bucket and etcd.
func (c *Cluster) Restore(args ...string) Result {
	c.t.Helper()
	return Gnomon(c.t, append([]string{"metastore", "restore", "--bucket", c.Config.Bucket, "--etcd", c.EtcdURL, "--format", "json"}, append(c.EtcdFlags(), args...)...)...)
}
