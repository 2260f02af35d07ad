package ops

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
)

func healthCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Tell whether a region is ready; the exit code is 1 when it is not",
		Args:  cobra.NoArgs,
	}
	at := adminFlags(env, cmd)
	process := cmd.Flags().Bool("process", false, "ask only whether the process at --admin is ready: an agent, or a coordinator, a standby too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		servers := tlsfiles.Coordinators
		if *process {
			servers = tlsfiles.Processes
		}
		h, err := at.client(servers)
		if err != nil {
			return err
		}
		if *process {
			return processHealth(cmd.Context(), env, h, at.url)
		}
		c := adminpbconnect.NewClusterServiceClient(h, at.url)
		resp, err := c.Health(cmd.Context(), connect.NewRequest(&adminpb.HealthRequest{}))
		if err != nil {
			return failed("ask for the region's health", at.url, err)
		}
		m := resp.Msg
		if err := env.Emit(healthOf(m), func(w io.Writer) { healthText(w, m) }); err != nil {
			return err
		}
		if !m.Ready {
			return cli.Fail("call region "+m.RegionName+" ready", fmt.Errorf("a check failed"), "see the lines marked FAIL")
		}
		return nil
	}
	return cmd
}

// processTimeout bounds the question to one process, so that a check of a container has its answer in time.
const processTimeout = 3 * time.Second

// processHealth asks one process whether it is ready, by /readyz.
func processHealth(ctx context.Context, env *cli.Env, h *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, processTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/readyz", http.NoBody)
	if err != nil {
		return cli.Usage("--admin is %q: use http://host:port", url)
	}
	resp, err := h.Do(req)
	if err != nil {
		return failed("ask for the process's health", url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusBadRequest && strings.HasPrefix(url, "http:") {
		return cli.Fail("ask for the process's health", errors.New("the port has TLS"), "use https:// in --admin, with --tls-ca")
	}
	if resp.StatusCode != http.StatusOK {
		return cli.Fail("call the process at "+url+" ready", errors.New(resp.Status), "it waits for a coordinator, etcd or the bucket: see its log")
	}
	return env.Emit(map[string]bool{"ready": true}, func(w io.Writer) { _, _ = fmt.Fprintln(w, "ready") })
}

func healthText(w io.Writer, m *adminpb.HealthResponse) {
	_, _ = fmt.Fprintf(w, "region %s (number %d), role %s, epoch %d, seq %d, %d agents, leader %s, version %s\n",
		m.RegionName, m.RegionNumber, m.Role, m.Epoch, m.AppliedSeq, m.Agents, m.Leader, m.Version)
	for _, c := range m.Checks {
		state := "ok"
		if !c.Ok {
			state = "FAIL"
		}
		cli.Row(w, "  "+state, c.Name, c.Detail)
	}
}
