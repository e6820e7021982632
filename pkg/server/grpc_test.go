package server_test

import (
	"net/http"
	"slices"
	"testing"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/gen/stepup/session/v1/sessionv1connect"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2/sessionv2connect"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2/userv2connect"
)

// services are what health and reflection must know.
func services() []string {
	return []string{
		grpc_health_v1.Health_ServiceDesc.ServiceName,
		sessionv1connect.SessionServiceName, sessionv2connect.SessionServiceName, userv2connect.UserServiceName,
	}
}

func TestHealthAnswersWithoutACredential(t *testing.T) {
	t.Parallel()
	url := apptest.New(t, apptest.Options{}).Serve(t)
	client := grpc_health_v1.NewHealthClient(grpcConnection(t, url))
	for _, service := range []string{"", sessionv1connect.SessionServiceName, sessionv2connect.SessionServiceName, userv2connect.UserServiceName} {
		answer, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil || answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("service %q: got %v, %v", service, answer, err)
		}
	}
	if _, err := client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "unknown"}); err == nil {
		t.Error("an unknown service is healthy")
	}
}

func TestReflectionListsTheServicesByGRPC(t *testing.T) {
	t.Parallel()
	url := apptest.New(t, apptest.Options{}).Serve(t)
	stream, err := grpc_reflection_v1.NewServerReflectionClient(grpcConnection(t, url)).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
	})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range answer.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	slices.Sort(names)
	if diff := cmp.Diff(services(), names); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}

func TestReflectionDescribesEveryServiceByConnect(t *testing.T) {
	t.Parallel()
	url := apptest.New(t, apptest.Options{}).Serve(t)
	client := bearing(t, http2(), "")
	stream := grpcreflect.NewClient(client, url, connect.WithGRPC()).NewStream(t.Context())
	defer stream.Close()
	for _, name := range services() {
		files, err := stream.FileContainingSymbol(protoreflect.FullName(name))
		if err != nil || len(files) == 0 {
			t.Errorf("%s: %d files, %v", name, len(files), err)
		}
	}
}

func TestHealthzAnswersWithoutACredential(t *testing.T) {
	t.Parallel()
	answer := send(apptest.New(t, apptest.Options{}).Handler, request(http.MethodGet, "/debug/healthz", ""))
	if answer.status != http.StatusOK || answer.body != "ok\n" {
		t.Errorf("got %d %q", answer.status, answer.body)
	}
}
