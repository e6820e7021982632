// Package openapi holds the OpenAPI document of the REST routes. The document is generated
// from proto, proto/http.yaml and tools/openapi; "make generate" writes it anew.
package openapi

import _ "embed"

// Document is OpenAPI 3.0 in JSON.
//
//go:embed openapi.json
var Document []byte
