package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Bounds of a connection. A request's own deadline, Config.Timeout, is to be shorter than
// the write timeout, which would otherwise cut its answer off.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 30 * time.Second
	keepAlive         = 2 * time.Minute
	drainTimeout      = 10 * time.Second
)

// Serve answers HTTP/1.1 and, for gRPC, HTTP/2 without TLS on the listener,
// until the context ends; then it finishes the requests under way.
func Serve(ctx context.Context, l net.Listener, h http.Handler, logger *slog.Logger) error {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler:           h,
		Protocols:         &protocols,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       keepAlive,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(l) }()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	return server.Shutdown(drain)
}
