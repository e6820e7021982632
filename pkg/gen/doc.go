// Package gen roots the code that is generated from proto: messages, field validation,
// the gRPC server interfaces, the connect handlers and the REST gateway. It is never
// edited; "make generate" writes it anew.
package gen
