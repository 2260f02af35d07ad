package ops

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What `etcd users` does is tested on a real etcd, in package etcd and tests/cluster.
func TestEtcdUsersErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, empty := file("good", "a-password\n"), file("empty", "\n")
	id := "6b1f0c3de2a94b58a7d05c41f39e8712"
	whole := []string{"--etcd", "http://127.0.0.1:1", "--cluster-id", id, "--etcd-user", "gnomon", "--etcd-password-file", good, "--root-password-file", good, "--timeout", "100ms"}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nobody there":       {nil, 1, "start etcd"},
		"no etcd":            {[]string{"--etcd", ""}, 2, "--etcd"},
		"no URL":             {[]string{"--etcd", "x"}, 2, "--etcd"},
		"no cluster":         {[]string{"--cluster-id", "x"}, 2, "32 hexadecimal digits"},
		"root":               {[]string{"--etcd-user", "root"}, 2, "--etcd-user"},
		"one for both":       {[]string{"--link-user", "gnomon", "--link-password-file", good}, 2, "nor the link's"},
		"no link password":   {[]string{"--link-user", "x"}, 2, "--link-password-file"},
		"an empty password":  {[]string{"--root-password-file", empty}, 1, "is empty"},
		"no password at all": {[]string{"--etcd-password-file", ""}, 2, "--etcd-password-file"},
		"half a pair":        {[]string{"--etcd-tls-cert", good}, 2, "belong together"},
		"no time":            {[]string{"--timeout", "0s"}, 2, "--timeout"},
	} {
		code, _, errs := (&admin{}).run(t, append(append([]string{"etcd", "users"}, whole...), c.args...)...)
		if code != c.code || !strings.Contains(errs, c.want) || strings.Contains(errs, "a-password") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: %d, %s", name, code, errs)
		}
	}
}
