// Package reflection owns gRPC reflection, which tells tools such as grpcurl what can be
// called. It streams both ways, which API Gateway cannot carry, so it is for laptops and
// containers, and no function pays for its descriptors at the start.
package reflection

import (
	"net/http"

	"connectrpc.com/grpcreflect"
)

// Mount adds reflection of the services, in both versions of its protocol.
func Mount(mux *http.ServeMux, services []string) {
	reflector := grpcreflect.NewStaticReflector(services...)
	mux.Handle(grpcreflect.NewHandlerV1(reflector))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector))
}
