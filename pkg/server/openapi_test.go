package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/gen/openapi"
)

func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openapi.Document)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestTheOpenAPIDocumentIsValidAndServedToEverybody(t *testing.T) {
	t.Parallel()
	if err := document(t).Validate(t.Context()); err != nil {
		t.Error(err)
	}
	a := send(apptest.New(t, apptest.Options{}).Handler, request(http.MethodGet, "/openapi.json", ""))
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" || a.body != string(openapi.Document) {
		t.Errorf("status %d, %s, %d bytes", a.status, a.header.Get("Content-Type"), len(a.body))
	}
}

func TestTheOpenAPIDocumentHasTheRoutesOfTheContractAndNoOthers(t *testing.T) {
	t.Parallel()
	want, got := map[string]string{}, map[string]string{}
	for _, service := range contract() {
		for i := range service.Methods().Len() {
			name := service.Methods().Get(i).Name()
			want[routes[name].verb+" "+camel(routes[name].path)] = string(service.Name()) + "_" + string(name)
		}
	}
	for path, item := range document(t).Paths.Map() {
		for verb, o := range item.Operations() {
			got[verb+" "+path] = o.OperationID
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-contract +document):\n%s", diff)
	}
}

func TestTheOpenAPIDocumentSaysWhatItsGeneratorDoesNotKnow(t *testing.T) {
	t.Parallel()
	doc := document(t)
	scheme := doc.Components.SecuritySchemes["bearer"]
	if scheme == nil || scheme.Value.Type != "http" || scheme.Value.Scheme != "bearer" || len(doc.Security) != 1 {
		t.Errorf("security %+v, schemes %+v", doc.Security, doc.Components.SecuritySchemes)
	}
	for path, item := range doc.Paths.Map() {
		for verb, o := range item.Operations() {
			refusal := o.Responses.Value("default").Value.Content.Get("application/json")
			if refusal == nil || refusal.Schema.Ref != "#/components/schemas/Status" {
				t.Errorf("%s %s: a refusal is not a Status", verb, path)
			}
		}
	}
	for where, ok := range map[string]bool{
		"Idempotency-Key of CreateSession": doc.Paths.Find("/v2/sessions").Post.Parameters.GetByInAndName("header", "Idempotency-Key") != nil,
		"Idempotency-Key of SetSession":    doc.Paths.Find("/v2/sessions/{sessionId}").Patch.Parameters.GetByInAndName("header", "Idempotency-Key") != nil,
		"If-Match of SetSession":           doc.Paths.Find("/v2/sessions/{sessionId}").Patch.Parameters.GetByInAndName("header", "If-Match") != nil,
		"If-None-Match of GetSession":      doc.Paths.Find("/v2/sessions/{sessionId}").Get.Parameters.GetByInAndName("header", "If-None-Match") != nil,
		"require of GetSession":            doc.Paths.Find("/v2/sessions/{sessionId}").Get.Parameters.GetByInAndName("query", "require.maxAge") != nil,
		"assurance of a session":           doc.Components.Schemas["Session"].Value.Properties["assurance"] != nil,
	} {
		if !ok {
			t.Errorf("%s is missing", where)
		}
	}
}

// An answer that the document does not describe must not pass, or the checks of the other
// tests would say nothing.
func TestAnswersThatTheDocumentDoesNotDescribeAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		verb, path string
		status     int
		body       string
		ok         bool
	}{
		"right":                {"GET", "/v2/sessions/1", 200, `{"session": {"id": "1", "sequence": "7"}}`, true},
		"a number for a text":  {"GET", "/v2/sessions/1", 200, `{"session": {"id": 1}}`, false},
		"a field nobody knows": {"GET", "/v2/sessions/1", 200, `{"session": {"name": "1"}}`, false},
		"a status nobody told": {"POST", "/v2/sessions", 200, `{}`, false},
		"a refusal":            {"GET", "/v2/sessions/1", 404, `{"code": 5, "message": "m", "details": [{"@type": "t", "id": "x"}]}`, true},
		"a refusal of words":   {"GET", "/v2/sessions/1", 404, `{"code": "NOT_FOUND"}`, false},
		"a refusal that is no": {"GET", "/nowhere", 404, `{"error": "Not Found"}`, false},
	} {
		if err := describes(c.verb, c.path, c.status, []byte(c.body)); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// strict is the document with every object closed: a field that it does not name is
// none.
var strict = sync.OnceValues(func() (*openapi3.T, error) {
	doc, err := openapi3.NewLoader().LoadFromData(openapi.Document)
	if err != nil {
		return nil, err
	}
	for _, s := range doc.Components.Schemas {
		closeObject(s)
	}
	return doc, nil
})

func closeObject(s *openapi3.SchemaRef) {
	if s.Ref != "" {
		return // closed where it is defined
	}
	a := &s.Value.AdditionalProperties
	if len(s.Value.Properties) > 0 && a.Has == nil && a.Schema == nil { // without any it is free JSON
		a.Has = new(false)
	}
	for _, p := range s.Value.Properties {
		closeObject(p)
	}
	if s.Value.Items != nil {
		closeObject(s.Value.Items)
	}
}

// conforms fails the test unless the document describes the answer.
func conforms(t *testing.T, verb, path string, status int, body []byte) {
	t.Helper()
	if err := describes(verb, path, status, body); err != nil {
		t.Errorf("%s %s answered %d with what the OpenAPI document does not describe: %v\n%s", verb, path, status, err, body)
	}
}

func describes(verb, path string, status int, body []byte) error {
	doc, err := strict()
	if err != nil {
		return err
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		return err
	}
	schema := doc.Components.Schemas["Status"]
	if o := operation(doc, verb, path); o != nil {
		answer := o.Responses.Status(status)
		switch {
		case answer == nil && status < http.StatusBadRequest:
			return fmt.Errorf("%s has no status %d", o.OperationID, status)
		case answer == nil:
			answer = o.Responses.Default()
		}
		schema = answer.Value.Content.Get("application/json").Schema
	}
	return schema.Value.VisitJSON(value, openapi3.MultiErrors(), openapi3.EnableFormatValidation())
}

// operation is the one that a request is for: of two that fit, the one with fewer names
// in braces.
func operation(doc *openapi3.T, verb, path string) *openapi3.Operation {
	path, _, _ = strings.Cut(path, "?")
	var best *openapi3.Operation
	least := 1 << 10
	for pattern, item := range doc.Paths.Map() {
		o := item.GetOperation(verb)
		if n := strings.Count(pattern, "{"); o != nil && n < least && fits(pattern, path) {
			best, least = o, n
		}
	}
	return best
}

func fits(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && !strings.HasPrefix(want[i], "{") {
			return false
		}
	}
	return true
}

// camel spells the names in braces as JSON does.
func camel(path string) string {
	words := strings.Split(path, "_")
	inside := false
	for i, w := range words {
		if i > 0 && inside {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		} else if i > 0 {
			words[i] = "_" + w
		}
		if open, shut := strings.LastIndex(w, "{"), strings.LastIndex(w, "}"); open >= 0 || shut >= 0 {
			inside = open > shut
		}
	}
	return strings.Join(words, "")
}
