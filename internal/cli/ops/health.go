package ops

import (
	"fmt"
	"io"
	"net/http"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
)

func healthCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Tell whether a region is ready; the exit code is 1 when it is not",
		Args:  cobra.NoArgs,
	}
	url := adminFlag(env, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c := adminpbconnect.NewClusterServiceClient(http.DefaultClient, *url)
		resp, err := c.Health(cmd.Context(), connect.NewRequest(&adminpb.HealthRequest{}))
		if err != nil {
			return failed("ask for the region's health", *url, err)
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
