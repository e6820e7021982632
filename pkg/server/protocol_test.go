package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"connectrpc.com/connect"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"

	sessionv1 "github.com/stepup-auth/stepup/pkg/gen/stepup/session/v1"
	"github.com/stepup-auth/stepup/pkg/gen/stepup/session/v1/sessionv1connect"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2/sessionv2connect"
	userv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2/userv2connect"
)

// protocol is one way to carry a call.
type protocol struct {
	name string
	dial func(t *testing.T, to endpoint) carry
}

// endpoint is where a service listens, and the credential to call it with.
type endpoint struct{ url, bearer string }

// carry makes a call and fills the response, or returns what the service refused
// with, in the one form that all protocols can be brought to.
type carry func(ctx context.Context, method protoreflect.MethodDescriptor, request, response proto.Message) *rpcstatus.Status

// protocols are all that the service speaks.
func protocols() []protocol {
	return []protocol{
		{"REST", dialREST},
		{"Connect JSON", dialConnect(http1(), connect.WithProtoJSON())},
		{"Connect proto", dialConnect(http1())},
		{"gRPC-Web", dialConnect(http1(), connect.WithGRPCWeb())},
		{"gRPC by connect-go", dialConnect(http2(), connect.WithGRPC())},
		{"gRPC by grpc-go", dialGRPC},
	}
}

// call carries a request to the method that it belongs to and returns the outcome:
// the response, or google.rpc.Status.
func (c carry) call(t *testing.T, request proto.Message) proto.Message {
	t.Helper()
	method := methodOf(t, request)
	kind, err := protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName())
	if err != nil {
		t.Fatal(err)
	}
	response := kind.New().Interface()
	if refusal := c(t.Context(), method, request, response); refusal != nil {
		return refusal
	}
	return response
}

// methodOf finds the method by the name of its request.
func methodOf(t *testing.T, request proto.Message) protoreflect.MethodDescriptor {
	t.Helper()
	message := request.ProtoReflect().Descriptor()
	name, _ := strings.CutSuffix(string(message.Name()), "Request")
	for _, service := range contract() {
		if method := service.Methods().ByName(protoreflect.Name(name)); method != nil {
			return method
		}
	}
	t.Fatalf("no method takes %s", message.FullName())
	return nil
}

// contract is the services that are offered.
func contract() []protoreflect.ServiceDescriptor {
	return []protoreflect.ServiceDescriptor{
		sessionv2.File_zitadel_session_v2_session_service_proto.Services().Get(0),
		userv2.File_zitadel_user_v2_user_service_proto.Services().Get(0),
		sessionv1.File_stepup_session_v1_session_service_proto.Services().Get(0),
	}
}

// routes are the REST routes (wire contract, sections 1 and 6.1).
var routes = map[protoreflect.Name]struct{ verb, path string }{
	"ListSessions":                   {"POST", "/v2/sessions/search"},
	"GetSession":                     {"GET", "/v2/sessions/{session_id}"},
	"CreateSession":                  {"POST", "/v2/sessions"},
	"SetSession":                     {"PATCH", "/v2/sessions/{session_id}"},
	"DeleteSession":                  {"DELETE", "/v2/sessions/{session_id}"},
	"AddHumanUser":                   {"POST", "/v2/users/human"},
	"CreateUser":                     {"POST", "/v2/users/new"},
	"GetUserByID":                    {"GET", "/v2/users/{user_id}"},
	"ListUsers":                      {"POST", "/v2/users"},
	"UpdateHumanUser":                {"PUT", "/v2/users/human/{user_id}"},
	"SetEmail":                       {"POST", "/v2/users/{user_id}/email"},
	"SendEmailCode":                  {"POST", "/v2/users/{user_id}/email/send"},
	"ResendEmailCode":                {"POST", "/v2/users/{user_id}/email/resend"},
	"VerifyEmail":                    {"POST", "/v2/users/{user_id}/email/verify"},
	"SetPhone":                       {"POST", "/v2/users/{user_id}/phone"},
	"RemovePhone":                    {"DELETE", "/v2/users/{user_id}/phone"},
	"ResendPhoneCode":                {"POST", "/v2/users/{user_id}/phone/resend"},
	"VerifyPhone":                    {"POST", "/v2/users/{user_id}/phone/verify"},
	"CreatePasskeyRegistrationLink":  {"POST", "/v2/users/{user_id}/passkeys/registration_link"},
	"StartIdentityProviderIntent":    {"POST", "/v2/idp_intents"},
	"RetrieveIdentityProviderIntent": {"POST", "/v2/idp_intents/{idp_intent_id}"},
	"AddIDPLink":                     {"POST", "/v2/users/{user_id}/links"},
	"ListIDPLinks":                   {"POST", "/v2/users/{user_id}/links/_search"},
	"RemoveIDPLink":                  {"DELETE", "/v2/users/{user_id}/links/{idp_id}/{linked_user_id}"},
	"SetPassword":                    {"POST", "/v2/users/{user_id}/password"},
	"LockUser":                       {"POST", "/v2/users/{user_id}/lock"},
	"UnlockUser":                     {"POST", "/v2/users/{user_id}/unlock"},
	"DeactivateUser":                 {"POST", "/v2/users/{user_id}/deactivate"},
	"ReactivateUser":                 {"POST", "/v2/users/{user_id}/reactivate"},
	"DeleteUser":                     {"DELETE", "/v2/users/{user_id}"},
	"ListAuthenticationMethodTypes":  {"GET", "/v2/users/{user_id}/authentication_methods"},
	"ListAuthenticationFactors":      {"POST", "/v2/users/{user_id}/authentication_factors/_search"},
	"RegisterTOTP":                   {"POST", "/v2/users/{user_id}/totp"},
	"VerifyTOTPRegistration":         {"POST", "/v2/users/{user_id}/totp/verify"},
	"RemoveTOTP":                     {"DELETE", "/v2/users/{user_id}/totp"},
	"AddOTPSMS":                      {"POST", "/v2/users/{user_id}/otp_sms"},
	"RemoveOTPSMS":                   {"DELETE", "/v2/users/{user_id}/otp_sms"},
	"AddOTPEmail":                    {"POST", "/v2/users/{user_id}/otp_email"},
	"RemoveOTPEmail":                 {"DELETE", "/v2/users/{user_id}/otp_email"},
	"GenerateRecoveryCodes":          {"POST", "/v2/users/{user_id}/recovery_codes"},
	"RemoveRecoveryCodes":            {"DELETE", "/v2/users/{user_id}/recovery_codes"},
	"RegisterPasskey":                {"POST", "/v2/users/{user_id}/passkeys"},
	"VerifyPasskeyRegistration":      {"POST", "/v2/users/{user_id}/passkeys/{passkey_id}"},
	"ListPasskeys":                   {"POST", "/v2/users/{user_id}/passkeys/_search"},
	"RemovePasskey":                  {"DELETE", "/v2/users/{user_id}/passkeys/{passkey_id}"},
	"RegisterU2F":                    {"POST", "/v2/users/{user_id}/u2f"},
	"VerifyU2FRegistration":          {"POST", "/v2/users/{user_id}/u2f/{u2f_id}"},
	"RemoveU2F":                      {"DELETE", "/v2/users/{user_id}/u2f/{u2f_id}"},
	"TerminateUserSessions":          {"POST", "/stepup/v1/users/{user_id}/sessions/terminate"},
}

func dialREST(t *testing.T, to endpoint) carry {
	t.Helper()
	client := bearing(t, http1(), to.bearer)
	return func(ctx context.Context, method protoreflect.MethodDescriptor, request, response proto.Message) *rpcstatus.Status {
		answer, err := client.Do(restRequest(ctx, t, to.url, method, request))
		if err != nil {
			t.Error(err)
			return &rpcstatus.Status{}
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Error(err)
		}
		conforms(t, answer.Request.Method, answer.Request.URL.EscapedPath(), answer.StatusCode, body)
		refusal := &rpcstatus.Status{}
		if answer.StatusCode >= http.StatusBadRequest {
			response = refusal
		}
		if err := protojson.Unmarshal(body, response); err != nil {
			t.Errorf("%s is not %s: %v", body, response.ProtoReflect().Descriptor().FullName(), err)
		}
		if answer.StatusCode >= http.StatusBadRequest {
			return refusal
		}
		return nil
	}
}

// restRequest puts the id into the path, and the rest into the body, or for GET into
// the query.
func restRequest(ctx context.Context, t *testing.T, base string, method protoreflect.MethodDescriptor, request proto.Message) *http.Request {
	t.Helper()
	route := routes[method.Name()]
	path, query := route.path, url.Values{}
	request.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		inPath := strings.Replace(path, "{"+string(field.Name())+"}", url.PathEscape(value.String()), 1)
		if inPath == path && route.verb == http.MethodGet {
			inQuery(t, query, field, value)
		}
		path = inPath
		return true
	})
	body, err := protojson.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	if route.verb == http.MethodGet {
		path, body = path+"?"+query.Encode(), nil
	}
	r, err := http.NewRequestWithContext(ctx, route.verb, base+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// inQuery writes a field as REST reads it from a query: members of a message behind a
// dot, those of a map in brackets, and each element of a list by itself.
func inQuery(t *testing.T, query url.Values, field protoreflect.FieldDescriptor, value protoreflect.Value) {
	t.Helper()
	if field.Message() == nil {
		query.Set(field.JSONName(), value.String())
		return
	}
	text, err := protojson.Marshal(value.Message().Interface())
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	for name, member := range members {
		name = field.JSONName() + "." + name
		switch member := member.(type) {
		case []any:
			for _, element := range member {
				query.Add(name, fmt.Sprint(element))
			}
		case map[string]any:
			for key, element := range member {
				query.Set(name+"["+key+"]", fmt.Sprint(element))
			}
		default:
			query.Set(name, fmt.Sprint(member))
		}
	}
}

// dialConnect uses the generated clients, whose methods are called by name so that
// one adapter carries every call.
func dialConnect(transport *http.Transport, options ...connect.ClientOption) func(*testing.T, endpoint) carry {
	return func(t *testing.T, to endpoint) carry {
		t.Helper()
		client := bearing(t, transport, to.bearer)
		services := map[protoreflect.FullName]any{
			sessionv2connect.SessionServiceName: sessionv2connect.NewSessionServiceClient(client, to.url, options...),
			userv2connect.UserServiceName:       userv2connect.NewUserServiceClient(client, to.url, options...),
			sessionv1connect.SessionServiceName: sessionv1connect.NewSessionServiceClient(client, to.url, options...),
		}
		return func(ctx context.Context, method protoreflect.MethodDescriptor, request, response proto.Message) *rpcstatus.Status {
			call := reflect.ValueOf(services[method.Parent().FullName()]).MethodByName(string(method.Name()))
			results := call.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(request)})
			if err, refused := reflect.TypeAssert[error](results[1]); refused && err != nil {
				return connectStatus(t, err)
			}
			received, _ := reflect.TypeAssert[proto.Message](results[0])
			proto.Merge(response, received)
			return nil
		}
	}
}

func connectStatus(t *testing.T, err error) *rpcstatus.Status {
	t.Helper()
	var refused *connect.Error
	if !errors.As(err, &refused) {
		t.Errorf("not an error of connect: %v", err)
		return &rpcstatus.Status{}
	}
	s := &rpcstatus.Status{Code: int32(refused.Code()), Message: refused.Message()}
	for _, detail := range refused.Details() {
		s.Details = append(s.Details, &anypb.Any{TypeUrl: "type.googleapis.com/" + detail.Type(), Value: detail.Bytes()})
	}
	return s
}

func dialGRPC(t *testing.T, to endpoint) carry {
	t.Helper()
	connection := grpcConnection(t, to.url)
	return func(ctx context.Context, method protoreflect.MethodDescriptor, request, response proto.Message) *rpcstatus.Status {
		if to.bearer != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+to.bearer)
		}
		path := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
		return status.Convert(connection.Invoke(ctx, path, request, response)).Proto()
	}
}

func grpcConnection(t *testing.T, url string) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func http1() *http.Transport {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return &http.Transport{Protocols: p}
}

// http2 speaks HTTP/2 without TLS from the first byte, as gRPC does.
func http2() *http.Transport {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return &http.Transport{Protocols: p}
}

// bearing returns a client that presents the credential with every request.
func bearing(t *testing.T, transport *http.Transport, bearer string) *http.Client {
	t.Helper()
	t.Cleanup(transport.CloseIdleConnections)
	header := http.Header{}
	if bearer != "" {
		header.Set("Authorization", "Bearer "+bearer)
	}
	return &http.Client{Transport: headerTransport{transport, header}}
}

type headerTransport struct {
	http.RoundTripper

	header http.Header
}

func (h headerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	maps.Copy(r.Header, h.header)
	return h.RoundTripper.RoundTrip(r)
}
