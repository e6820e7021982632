package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"text/tabwriter"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/config"
)

// keys are the commands about API keys.
type keys struct {
	Create keyCreate `cmd:"" help:"Issue a key and print it. It cannot be shown again."`
	List   keyList   `cmd:"" help:"List all keys, without their secrets."`
	Revoke keyRevoke `cmd:"" help:"End a key."`
}

type keyCreate struct {
	Place        place  `embed:""`
	Role         string `default:"IAM_LOGIN_CLIENT" help:"Role of the key, such as IAM_OWNER or ORG_OWNER."`
	Organization string `help:"Organization that an ORG_ role counts in."`
	Name         string `default:"" help:"A note on what the key is for."`
}

// Run implements the command.
func (k *keyCreate) Run(ctx context.Context, t *terminal) error {
	return k.Place.with(ctx, t, func(s *opened) error {
		key, text, err := s.Keys.Issue(ctx, access.NewKey{
			Name: k.Name, Role: access.Role(k.Role), Organization: k.Organization,
		})
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(t.errors, "key %s with role %s; keep it safe, it cannot be shown again:\n", key.ID, key.Role)
		t.sayf("%s", text)
		return nil
	})
}

type keyList struct {
	Place place `embed:""`
}

// Run implements the command.
func (k *keyList) Run(ctx context.Context, t *terminal) error {
	return k.Place.with(ctx, t, func(s *opened) error {
		all, err := s.Keys.List(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "ID\tROLE\tORGANIZATION\tCREATED\tREVOKED\tNAME")
		for _, key := range all {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", key.ID, key.Role, dash(key.Organization),
				stamp(key.Created), stamp(key.RevokedAt), key.Name)
		}
		return w.Flush()
	})
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.RFC3339)
}

type keyRevoke struct {
	Place place  `embed:""`
	ID    string `arg:"" help:"Id of the key, as list shows it."`
}

// Run implements the command.
func (k *keyRevoke) Run(ctx context.Context, t *terminal) error {
	return k.Place.with(ctx, t, func(s *opened) error {
		if err := s.Keys.Revoke(ctx, k.ID); err != nil {
			return err
		}
		t.sayf("revoked; processes that run may accept it for up to %v more", s.config.KeyCache)
		return nil
	})
}

// with opens the store for the time of one operator's command.
func (p place) with(ctx context.Context, t *terminal, command func(*opened) error) error {
	c, err := config.Load(os.LookupEnv)
	if err != nil {
		return err
	}
	service, err := p.open(ctx, c, jsonLogger(t.errors, slog.LevelWarn))
	if err != nil {
		return err
	}
	defer service.close() //nolint:errcheck // the process ends, and what was answered is on disk
	return command(service)
}
