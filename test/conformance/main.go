// Command conformance is the server under test of connectrpc's conformance suite. It mounts
// the suite's service beside the service's own routes, so that all that carries the calls
// of those carries the calls of the suite: middleware, handler options, limits, and either
// the listener of the container or the function's door to API Gateway.
//
// The suite's runner starts it, once for each combination of protocol and HTTP version, and
// talks to it over the standard streams (connectrpc/conformance, docs/testing_servers.md).
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/stepup-auth/stepup/pkg/app"
	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/server"
	conformancev1 "github.com/stepup-auth/stepup/test/conformance/gen/connectrpc/conformance/v1"
	"github.com/stepup-auth/stepup/test/conformance/gen/connectrpc/conformance/v1/conformancev1connect"
)

func main() {
	through := flag.String("through", "server", "what carries the calls: server, or gateway for API Gateway and the function's adapter")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, *through); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1) //nolint:gocritic // the process ends, and the signals with it
	}
}

// run reads what the runner asks for, tells it the address, and serves until it has enough.
// Any HTTP version and protocol that it may name is served anyway.
func run(ctx context.Context, through string) error {
	if through != "server" && through != "gateway" {
		return fmt.Errorf("-through is neither server nor gateway: %q", through)
	}
	var asked conformancev1.ServerCompatRequest
	if err := readDelimited(os.Stdin, &asked); err != nil {
		return fmt.Errorf("read the runner's request: %w", err)
	}
	if asked.GetUseTls() {
		return errors.New("the service does not speak TLS: something in front of it does")
	}
	folder, err := os.MkdirTemp("", "stepup-conformance-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a folder for temporary files is cleaned by others too
	service, err := open(folder, int(asked.GetMessageReceiveLimit()))
	if err != nil {
		return err
	}
	defer service.Close() //nolint:errcheck // nothing was written
	handler := service.Handler
	if through == "gateway" {
		handler = throughGateway(service.App)
	}
	return serve(ctx, handler)
}

// open puts the whole service together, with the suite's service where the container
// mounts reflection. The suite asks for a limit of its own, so that it can try it.
func open(folder string, limit int) (*app.Embedded, error) {
	c, err := config.Load(func(string) (string, bool) { return "", false })
	if err != nil {
		return nil, err
	}
	options := server.HandlerOptions()
	if limit > 0 {
		options = append(options, connect.WithReadMaxBytes(limit))
	}
	return app.InFolder(folder, c, app.Ambient{
		Logger: slog.New(slog.DiscardHandler), Now: time.Now, Random: rand.Reader, Sender: notify.Router{},
		Reflection: func(mux *http.ServeMux, _ []string) {
			mux.Handle(conformancev1connect.NewConformanceServiceHandler(service{}, options...))
		},
	})
}

func serve(ctx context.Context, h http.Handler) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().(*net.TCPAddr)
	// The listener is open: whoever reads the address can connect.
	err = writeDelimited(os.Stdout, &conformancev1.ServerCompatResponse{Host: address.IP.String(), Port: uint32(address.Port)})
	if err != nil {
		return fmt.Errorf("answer the runner: %w", err)
	}
	err = server.Serve(ctx, l, h, slog.New(slog.DiscardHandler))
	if errors.Is(err, context.DeadlineExceeded) { // connections that the runner did not close
		return nil
	}
	return err
}

// readDelimited reads one message after its length in four bytes.
func readDelimited(r io.Reader, m proto.Message) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	text := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(r, text); err != nil {
		return err
	}
	return proto.Unmarshal(text, m)
}

func writeDelimited(w io.Writer, m proto.Message) error {
	text, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	return err
}
