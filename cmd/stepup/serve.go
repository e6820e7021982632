package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/stepup-auth/stepup/pkg/app"
	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/server"
	"github.com/stepup-auth/stepup/pkg/server/reflection"
)

// serve runs the service as it runs in a container.
type serve struct {
	Listen string `default:":8080" help:"Address to listen on."`
	Place  place  `embed:""`
}

// place says where the data is: on AWS when STEPUP_TABLE is set, else in a folder.
type place struct {
	Data string `default:".stepup" type:"path" help:"Folder of the embedded store, used unless STEPUP_TABLE is set."`

	sender  notify.Router    // of an embedded service
	metrics io.Writer        // nil writes none
	now     func() time.Time // nil is the machine's
}

// opened is a service with what must happen beside it and after it.
type opened struct {
	*app.App
	config config.Config
	sweep  func(context.Context)
	close  func() error
}

func (p place) open(ctx context.Context, c config.Config, logger *slog.Logger) (*opened, error) {
	now := p.now
	if now == nil {
		now = time.Now
	}
	ambient := app.Ambient{
		Logger: logger, Metrics: p.metrics, Now: now, Random: rand.Reader, Sender: p.sender, Reflection: reflection.Mount,
	}
	if c.Table == "" {
		e, err := app.InFolder(p.Data, c, ambient)
		if err != nil {
			return nil, err
		}
		return &opened{App: e.App, config: c, sweep: e.Sweep, close: e.Close}, nil
	}
	credentials, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	a, err := app.OnAWS(ctx, c, credentials, ambient)
	if err != nil {
		return nil, err
	}
	nothing := func(context.Context) {}
	return &opened{App: a, config: c, sweep: nothing, close: func() error { return nil }}, nil
}

// Run implements the command. In a container nobody sits at a terminal: a failure goes to
// the log, in the same words as that of a function.
func (s *serve) Run(ctx context.Context, t *terminal) error {
	var level slog.LevelVar
	logger := jsonLogger(t.out, &level)
	service, l, err := s.start(ctx, t.out, logger, &level)
	if err != nil {
		logger.Error("start failed", "error", err.Error())
		return errLogged
	}
	defer service.close() //nolint:errcheck // the process ends, and what was answered is on disk
	logger.Info("listening", "address", l.Addr().String())
	err = service.until(ctx, func(ctx context.Context, h http.Handler) error {
		return server.Serve(ctx, l, h, logger)
	})
	if err != nil {
		logger.Error("serving failed", "error", err.Error())
		return errLogged
	}
	return nil
}

// start opens the service and its port.
func (s *serve) start(ctx context.Context, out io.Writer, logger *slog.Logger, level *slog.LevelVar) (*opened, net.Listener, error) {
	c, err := config.Load(os.LookupEnv)
	if err != nil {
		return nil, nil, err
	}
	level.Set(c.LogLevel)
	s.Place.metrics = out
	service, err := s.Place.open(ctx, c, logger)
	if err != nil {
		return nil, nil, err
	}
	l, err := listen(ctx, s.Listen)
	if err != nil {
		return nil, nil, errors.Join(err, service.close())
	}
	return service, l, nil
}

// until serves, and sweeps beside it, until the context ends or serving fails.
func (o *opened) until(ctx context.Context, serve func(context.Context, http.Handler) error) error {
	ctx, stop := context.WithCancel(ctx)
	var sweeping sync.WaitGroup
	sweeping.Go(func() { o.sweep(ctx) })
	err := serve(ctx, o.Handler)
	stop()
	sweeping.Wait()
	return err
}
