// Command openapi turns the document that protoc-gen-openapiv2 writes into OpenAPI 3, and
// adds what neither the contract nor its routes say.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var old openapi2.T
	if err := json.NewDecoder(in).Decode(&old); err != nil {
		return err
	}
	doc, err := openapi2conv.ToV3(&old)
	if err != nil {
		return err
	}
	finish(doc)
	e := json.NewEncoder(out)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	return e.Encode(doc)
}

func finish(doc *openapi3.T) {
	doc.Info = &openapi3.Info{
		Title: "stepup", Version: "v2",
		Description: "Sessions that collect proofs about a user, and the users they are about: zitadel.session.v2 and a part of zitadel.user.v2.",
	}
	doc.Servers = openapi3.Servers{{URL: "/"}}
	const bearer = "bearer"
	doc.Components.SecuritySchemes = openapi3.SecuritySchemes{bearer: &openapi3.SecuritySchemeRef{
		Value: openapi3.NewSecurityScheme().WithType("http").WithScheme("bearer").
			WithDescription("An API key, or the token of a session."),
	}}
	doc.Security = openapi3.SecurityRequirements{openapi3.NewSecurityRequirement().Authenticate(bearer)}
	status := doc.Components.Schemas["Status"].Value
	status.Description = "google.rpc.Status: a gRPC code, words for people, and details such as zitadel.v1.ErrorDetail with the id of the fault."
	for _, path := range doc.Paths.Map() {
		for _, o := range path.Operations() {
			describe(o)
			addHeaders(o)
		}
	}
}

// describe corrects what the generator takes for granted.
func describe(o *openapi3.Operation) {
	if o.RequestBody != nil {
		o.RequestBody.Value.Required = false // no body is an empty message
		o.RequestBody.Extensions = nil
	}
	for _, p := range o.Parameters {
		if name, ok := strings.CutSuffix(p.Value.Name, "[string]"); ok { // a map
			p.Value.Name, p.Value.Style, p.Value.Explode = name, openapi3.SerializationDeepObject, new(true)
			values := openapi3.NewObjectSchema()
			values.AdditionalProperties.Schema = p.Value.Schema
			p.Value.Schema = values.NewRef()
		}
	}
	o.Responses.Value("default").Value.Description = new("What was refused, and why.")
	ok := o.Responses.Value("200")
	ok.Value.Description = new("What was asked for.")
	if o.OperationID == "SessionService_CreateSession" { // the one route that answers 201
		o.Responses.Delete("200")
		o.Responses.Set("201", ok)
	}
}

// repeatable are the calls that honour Idempotency-Key.
var repeatable = map[string]bool{
	"SessionService_CreateSession":              true,
	"SessionService_SetSession":                 true,
	"UserService_AddHumanUser":                  true,
	"UserService_CreateUser":                    true,
	"UserService_UpdateHumanUser":               true,
	"UserService_SetEmail":                      true,
	"UserService_SendEmailCode":                 true,
	"UserService_ResendEmailCode":               true,
	"UserService_SetPhone":                      true,
	"UserService_RemovePhone":                   true,
	"UserService_ResendPhoneCode":               true,
	"UserService_CreatePasskeyRegistrationLink": true,
}

func addHeaders(o *openapi3.Operation) {
	if repeatable[o.OperationID] {
		header(o, "Idempotency-Key", "A string of the caller's own: a repetition with it within a day has the answer of the first, and no effect.")
	}
	switch o.OperationID {
	case "SessionService_SetSession":
		header(o, "If-Match", "The ETag of the state that the step may happen to; in any other it is refused.")
	case "SessionService_GetSession":
		header(o, "If-None-Match", "The ETag of what the caller has.")
		o.Responses.Set("304", &openapi3.ResponseRef{Value: openapi3.NewResponse().WithDescription("The caller has it already.")})
	}
}

func header(o *openapi3.Operation, name, what string) {
	o.Parameters = append(o.Parameters, &openapi3.ParameterRef{
		Value: openapi3.NewHeaderParameter(name).WithDescription(what).WithSchema(openapi3.NewStringSchema()),
	})
}
