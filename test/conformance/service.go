package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	pb "github.com/stepup-auth/stepup/test/conformance/gen/connectrpc/conformance/v1"
	"github.com/stepup-auth/stepup/test/conformance/gen/connectrpc/conformance/v1/conformancev1connect"
)

// service does what each request asks for and says what it saw of it, as the comments of
// service.proto have it. Unimplemented stays so.
type service struct {
	conformancev1connect.UnimplementedConformanceServiceHandler
}

// Unary implements the RPC of that name.
func (service) Unary(ctx context.Context, r *connect.Request[pb.UnaryRequest]) (*connect.Response[pb.UnaryResponse], error) {
	c := callOf(ctx, r)
	payload, err := c.unary(ctx, r.Msg.GetResponseDefinition(), r.Msg)
	if err != nil {
		return nil, err
	}
	return respond(&pb.UnaryResponse{Payload: payload}, r.Msg.GetResponseDefinition()), nil
}

// IdempotentUnary implements the RPC of that name, which may come as a GET.
func (service) IdempotentUnary(ctx context.Context, r *connect.Request[pb.IdempotentUnaryRequest]) (*connect.Response[pb.IdempotentUnaryResponse], error) {
	c := callOf(ctx, r)
	payload, err := c.unary(ctx, r.Msg.GetResponseDefinition(), r.Msg)
	if err != nil {
		return nil, err
	}
	return respond(&pb.IdempotentUnaryResponse{Payload: payload}, r.Msg.GetResponseDefinition()), nil
}

// ClientStream implements the RPC of that name: the first message says what to answer.
func (service) ClientStream(ctx context.Context, s *connect.ClientStream[pb.ClientStreamRequest]) (*connect.Response[pb.ClientStreamResponse], error) {
	c := newCall(ctx, s.RequestHeader(), s.Peer())
	var asked *pb.UnaryResponseDefinition
	var received []proto.Message
	for s.Receive() {
		if len(received) == 0 {
			asked = s.Msg().GetResponseDefinition()
		}
		received = append(received, s.Msg())
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	payload, err := c.unary(ctx, asked, received...)
	if err != nil {
		return nil, err
	}
	return respond(&pb.ClientStreamResponse{Payload: payload}, asked), nil
}

// ServerStream implements the RPC of that name.
func (service) ServerStream(ctx context.Context, r *connect.Request[pb.ServerStreamRequest], s *connect.ServerStream[pb.ServerStreamResponse]) error {
	a := &answers{
		call: callOf(ctx, r), asked: r.Msg.GetResponseDefinition(), received: []proto.Message{r.Msg},
		send: func(p *pb.ConformancePayload) error { return s.Send(&pb.ServerStreamResponse{Payload: p}) },
	}
	setHeaders(s.ResponseHeader(), a.asked.GetResponseHeaders())
	setHeaders(s.ResponseTrailer(), a.asked.GetResponseTrailers())
	if len(a.asked.GetResponseData()) > 0 {
		if err := s.Send(nil); err != nil { // sends the headers
			return err
		}
	}
	return a.finish(ctx)
}

// BidiStream implements the RPC of that name: in full duplex each message is answered at
// once, else all of them at the end.
func (service) BidiStream(ctx context.Context, s *connect.BidiStream[pb.BidiStreamRequest, pb.BidiStreamResponse]) error {
	a := &answers{
		call: newCall(ctx, s.RequestHeader(), s.Peer()),
		send: func(p *pb.ConformancePayload) error { return s.Send(&pb.BidiStreamResponse{Payload: p}) },
	}
	fullDuplex := false
	for first := true; ; first = false {
		m, err := s.Receive()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if first {
			fullDuplex, a.asked = m.GetFullDuplex(), m.GetResponseDefinition()
			setHeaders(s.ResponseHeader(), a.asked.GetResponseHeaders())
			setHeaders(s.ResponseTrailer(), a.asked.GetResponseTrailers())
		}
		a.received = append(a.received, m)
		if !fullDuplex {
			continue
		}
		if a.sent == len(a.asked.GetResponseData()) {
			break
		}
		if err := a.next(ctx); err != nil {
			return err
		}
	}
	return a.finish(ctx)
}

// call is what the service saw of one beside its messages.
type call struct {
	header  []*pb.Header
	query   []*pb.Header
	timeout *int64 // in milliseconds
}

func callOf[T any](ctx context.Context, r *connect.Request[T]) call {
	return newCall(ctx, r.Header(), r.Peer())
}

func newCall(ctx context.Context, header http.Header, peer connect.Peer) call {
	c := call{header: headersOf(header), query: headersOf(peer.Query)}
	// A call has a deadline of the server's in any case.
	byClient := header.Get("Connect-Timeout-Ms") + header.Get("Grpc-Timeout")
	if end, ok := ctx.Deadline(); ok && byClient != "" {
		c.timeout = new(time.Until(end).Milliseconds())
	}
	return c
}

// info is what the client wants to hear of the call.
func (c call) info(received ...proto.Message) (*pb.ConformancePayload_RequestInfo, error) {
	info := &pb.ConformancePayload_RequestInfo{RequestHeaders: c.header, TimeoutMs: c.timeout}
	if len(c.query) > 0 {
		info.ConnectGetInfo = &pb.ConformancePayload_ConnectGetInfo{QueryParams: c.query}
	}
	for _, m := range received {
		wrapped, err := anypb.New(m)
		if err != nil {
			return nil, err
		}
		info.Requests = append(info.Requests, wrapped)
	}
	return info, nil
}

// unary waits as long as it is told, and returns the payload or the error that is asked for.
func (c call) unary(ctx context.Context, asked *pb.UnaryResponseDefinition, received ...proto.Message) (*pb.ConformancePayload, error) {
	if err := wait(ctx, asked.GetResponseDelayMs()); err != nil {
		return nil, err
	}
	info, err := c.info(received...)
	if err != nil {
		return nil, err
	}
	if asked.GetError() == nil {
		return &pb.ConformancePayload{Data: asked.GetResponseData(), RequestInfo: info}, nil
	}
	failure, err := failureOf(asked.GetError(), info)
	if err != nil {
		return nil, err
	}
	setHeaders(failure.Meta(), asked.GetResponseHeaders())
	setHeaders(failure.Meta(), asked.GetResponseTrailers())
	return nil, failure
}

// answers are the messages of a stream to the client.
type answers struct {
	call     call
	asked    *pb.StreamResponseDefinition
	received []proto.Message // that no answer named yet
	sent     int
	send     func(*pb.ConformancePayload) error
}

// next sends the next answer. Only the first tells of the call, and each of the messages
// since the one before.
func (a *answers) next(ctx context.Context) error {
	if err := wait(ctx, a.asked.GetResponseDelayMs()); err != nil {
		return err
	}
	payload := &pb.ConformancePayload{Data: a.asked.GetResponseData()[a.sent]}
	if a.sent == 0 || len(a.received) > 0 {
		var c call
		if a.sent == 0 {
			c = a.call
		}
		info, err := c.info(a.received...)
		if err != nil {
			return err
		}
		payload.RequestInfo = info
	}
	a.received = nil
	a.sent++
	return a.send(payload)
}

// finish sends what is left, and returns the error that is asked for.
func (a *answers) finish(ctx context.Context) error {
	for a.sent < len(a.asked.GetResponseData()) {
		if err := a.next(ctx); err != nil {
			return err
		}
	}
	if a.asked.GetError() == nil {
		return nil
	}
	if a.sent > 0 {
		return failure(a.asked.GetError())
	}
	info, err := a.call.info(a.received...)
	if err != nil {
		return err
	}
	return failure(a.asked.GetError(), info)
}

// failure is the error that is asked for.
func failure(asked *pb.Error, more ...proto.Message) error {
	f, err := failureOf(asked, more...)
	if err != nil {
		return err
	}
	return f
}

func failureOf(asked *pb.Error, more ...proto.Message) (*connect.Error, error) {
	f := connect.NewError(connect.Code(asked.GetCode()), errors.New(asked.GetMessage()))
	var details []proto.Message
	for _, d := range asked.GetDetails() {
		m, err := d.UnmarshalNew()
		if err != nil {
			return nil, err
		}
		details = append(details, m)
	}
	for _, m := range append(details, more...) {
		detail, err := connect.NewErrorDetail(m)
		if err != nil {
			return nil, err
		}
		f.AddDetail(detail)
	}
	return f, nil
}

func respond[T any](m *T, asked *pb.UnaryResponseDefinition) *connect.Response[T] {
	r := connect.NewResponse(m)
	setHeaders(r.Header(), asked.GetResponseHeaders())
	setHeaders(r.Trailer(), asked.GetResponseTrailers())
	return r
}

func headersOf(values map[string][]string) []*pb.Header {
	all := make([]*pb.Header, 0, len(values))
	for name, v := range values {
		all = append(all, &pb.Header{Name: name, Value: v})
	}
	return all
}

func setHeaders(h http.Header, asked []*pb.Header) {
	for _, a := range asked {
		for _, v := range a.GetValue() {
			h.Add(a.GetName(), v)
		}
	}
}

// wait is ended by the client, or by the deadline of the call. It fails with an error of
// the protocol: a fault of the service would carry a detail that the suite does not expect.
func wait(ctx context.Context, milliseconds uint32) error {
	select {
	case <-time.After(time.Duration(milliseconds) * time.Millisecond):
		return nil
	case <-ctx.Done():
		code := connect.CodeCanceled
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			code = connect.CodeDeadlineExceeded
		}
		return connect.NewError(code, ctx.Err())
	}
}
