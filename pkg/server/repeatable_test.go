package server_test

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/stepup-auth/stepup/pkg/access"
)

// TestTheDocumentsNameTheCallsThatHonourIdempotencyKeys: they refuse one that is none, which
// the others do not read.
func TestTheDocumentsNameTheCallsThatHonourIdempotencyKeys(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	client, honour := restClient{f.Service, nil, f.NewKey(t, access.IAMOwner, "")}, map[string]bool{}
	for _, c := range f.rpcs() {
		if _, refused := c.want.(*rpcstatus.Status); refused {
			continue
		}
		method := methodOf(t, c.request)
		body, err := protojson.Marshal(c.request)
		if err != nil {
			t.Fatal(err)
		}
		a := client.do(http.MethodPost, "/"+string(method.Parent().FullName())+"/"+string(method.Name()), string(body),
			"Content-Type", "application/json", "Idempotency-Key", "no key")
		honour[string(method.Name())] = honour[string(method.Name())] || strings.Contains(a.body, "STEPUP-idempotency-key")
	}
	var want, described []string
	for name, does := range honour {
		if does {
			want = append(want, name)
		}
	}
	for _, item := range document(t).Paths.Map() {
		for _, o := range item.Operations() {
			if o.Parameters.GetByInAndName("header", "Idempotency-Key") != nil {
				_, name, _ := strings.Cut(o.OperationID, "_")
				described = append(described, name)
			}
		}
	}
	text, err := os.ReadFile("../../docs/extensions.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| which calls \| (.+?)\. Others pay the header no attention`).FindSubmatch(text)
	if row == nil {
		t.Fatal("docs/extensions.md does not list the calls")
	}
	for where, got := range map[string][]string{"the OpenAPI document": described, "docs/extensions.md": strings.Split(string(row[1]), ", ")} {
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the server (-), %s (+):\n%s", where, diff)
		}
	}
}
