package ops

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/gnomon-stream/gnomon/internal/cli"
	"github.com/gnomon-stream/gnomon/internal/tlsfiles"
	"github.com/gnomon-stream/gnomon/pkg/adminpb"
	"github.com/gnomon-stream/gnomon/pkg/adminpb/adminpbconnect"
	"github.com/gnomon-stream/gnomon/pkg/shadow/linkconfig"
)

// shadowTool is what the shadow commands share.
type shadowTool struct {
	env *cli.Env
	at  *adminTarget

	api adminpbconnect.ShadowServiceClient // once the flags are read
}

func (s *shadowTool) client() adminpbconnect.ShadowServiceClient { return s.api }

// connect makes the client before a command runs: flags are known then, and not before.
func (s *shadowTool) connect(cmd *cobra.Command) {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		h, err := s.at.client(tlsfiles.Coordinators)
		if err != nil {
			return err
		}
		s.api = adminpbconnect.NewShadowServiceClient(h, s.at.url)
		return run(cmd, args)
	}
}

func shadowCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shadow",
		Short: "Create, watch, verify and fail over shadow links",
		Long: `A shadow link makes this region hold the same bytes at the same offsets as its source. All commands go to the
shadow region: name its admin URL with --admin or GNOMON_ADMIN.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	s := &shadowTool{env: env, at: adminFlags(env, cmd)}
	cmd.AddCommand(s.create(), s.list(), s.describe(), s.status(), s.verify(), s.failover(), s.pause(true), s.pause(false), s.delete())
	for _, child := range cmd.Commands() {
		s.connect(child)
	}
	return cmd
}

func (s *shadowTool) create() *cobra.Command {
	var file string
	var dryRun, ifNotExists bool
	cmd := &cobra.Command{
		Use:   "create -f link.yaml",
		Short: "Check everything that a link needs, and create it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return cli.Usage("name the link's configuration with -f; deploy/link.yaml is a sample with every key")
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return cli.Fail("read the link's configuration", err, "name it with -f")
			}
			cfg, err := linkconfig.Parse(text)
			if err != nil {
				return cli.Fail("use "+file, err, "deploy/link.yaml is a sample with every key")
			}
			for _, w := range cfg.Warnings {
				_, _ = fmt.Fprintf(s.env.Err, "%s, line %d: %s\n", file, w.Line, w.Message)
			}
			if ifNotExists {
				if there, err := s.exists(cmd.Context(), cfg.Link.Name); err != nil || there {
					return err
				}
			}
			resp, err := s.client().Create(cmd.Context(), connect.NewRequest(&adminpb.CreateRequest{
				Config: cfg.Link, ValidateOnly: dryRun, Paused: cfg.Paused,
			}))
			if err != nil {
				return failed("create the link", s.at.url, err)
			}
			return s.created(cfg.Link.Name, resp.Msg, dryRun)
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the link's configuration, link.yaml")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check only")
	cmd.Flags().BoolVar(&ifNotExists, "if-not-exists", false, "a link of that name is no error, whatever its configuration")
	return cmd
}

// exists tells whether the region has the link, and says so.
func (s *shadowTool) exists(ctx context.Context, name string) (bool, error) {
	resp, err := s.client().List(ctx, connect.NewRequest(&adminpb.ListRequest{}))
	if err != nil {
		return false, failed("list the links", s.at.url, err)
	}
	for _, l := range resp.Msg.Links {
		if l.Link == name {
			return true, s.env.Emit(createdJSON{Checks: checksOf(nil)}, func(w io.Writer) {
				_, _ = fmt.Fprintf(w, "link %s is there already\n", name)
			})
		}
	}
	return false, nil
}

func (s *shadowTool) created(name string, m *adminpb.CreateResponse, dryRun bool) error {
	ok := true
	err := s.env.Emit(createdJSON{checksOf(m.Checks), m.Created}, func(w io.Writer) {
		for _, c := range m.Checks {
			state := "ok"
			if !c.Ok {
				state = "FAIL"
			}
			cli.Row(w, state, c.Name, c.Detail)
		}
		if m.Created {
			_, _ = fmt.Fprintf(w, "link %s created; watch it with `gnomon shadow status %s`\n", name, name)
		}
	})
	for _, c := range m.Checks {
		ok = ok && c.Ok
	}
	if err == nil && !ok {
		return cli.Fail("create link "+name, fmt.Errorf("a check failed"), "see the lines marked FAIL")
	}
	if err == nil && !dryRun && !m.Created {
		return cli.Fail("create link "+name, fmt.Errorf("it was not entered into the log"), "try again")
	}
	return err
}

func (s *shadowTool) list() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the links of the region",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			resp, err := s.client().List(cmd.Context(), connect.NewRequest(&adminpb.ListRequest{}))
			if err != nil {
				return failed("list the links", s.at.url, err)
			}
			return s.env.Emit(linksOf(resp.Msg.Links), func(w io.Writer) {
				cli.Row(w, "LINK", "STATE", "APPLIED SEQ", "SOURCE")
				for _, l := range resp.Msg.Links {
					cli.Row(w, l.Link, l.State, l.AppliedSeq, strings.Join(l.Config.GetCoordinators(), ","))
				}
			})
		},
	}
}

func (s *shadowTool) describe() *cobra.Command {
	return &cobra.Command{
		Use:   "describe LINK",
		Short: "Show a link's configuration",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			resp, err := s.client().List(cmd.Context(), connect.NewRequest(&adminpb.ListRequest{}))
			if err != nil {
				return failed("describe the link", s.at.url, err)
			}
			for _, l := range resp.Msg.Links {
				if l.Link == args[0] {
					return s.env.Emit(linkOf(l), func(w io.Writer) { describeText(w, l) })
				}
			}
			return cli.Fail("describe link "+args[0], fmt.Errorf("there is no such link"), "see `gnomon shadow list`")
		},
	}
}

func describeText(w io.Writer, l *adminpb.LinkSummary) {
	c := l.Config
	cli.Row(w, "link", l.Link)
	cli.Row(w, "state", l.State)
	cli.Row(w, "source cluster", l.Source)
	cli.Row(w, "source coordinators", strings.Join(c.GetCoordinators(), ", "))
	cli.Row(w, "source etcd", strings.Join(c.GetEtcdEndpoints(), ", "))
	cli.Row(w, "source bucket", c.GetBucket())
	for _, f := range c.GetTopicFilters() {
		cli.Row(w, "topics", f.FilterType+" "+f.PatternType+" "+f.Name)
	}
	for _, f := range c.GetGroupFilters() {
		cli.Row(w, "groups", f.FilterType+" "+f.PatternType+" "+f.Name)
	}
	cli.Row(w, "on topic deleted", c.GetOnTopicDeleted())
	cli.Row(w, "on topic recreated", c.GetOnTopicRecreated())
}

func (s *shadowTool) pause(paused bool) *cobra.Command {
	use, short := "pause LINK", "Stop copying; the source's log is read again from the same place after resume"
	if !paused {
		use, short = "resume LINK", "Go on with a paused link"
	}
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := s.client().Pause(cmd.Context(), connect.NewRequest(&adminpb.PauseRequest{Link: args[0], Paused: paused}))
			if err != nil {
				return failed(strings.Fields(use)[0]+" link "+args[0], s.at.url, err)
			}
			return nil
		},
	}
}

func (s *shadowTool) delete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete LINK",
		Short: "Delete a link and its image; topics that a failover has made this region's own stay",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				return cli.Usage("deleting link %s drops its image: say --yes", args[0])
			}
			_, err := s.client().Delete(cmd.Context(), connect.NewRequest(&adminpb.DeleteRequest{Link: args[0]}))
			if err != nil {
				return failed("delete link "+args[0], s.at.url, err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}
