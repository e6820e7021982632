package main_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/stepup-auth/stepup/functions/api/apitest"
	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
)

const streamPackage = "github.com/stepup-auth/stepup/functions/stream"

// TestUploadsStaySmall bounds what is uploaded. docs/performance.md says what is in it,
// and what stands between api and its goal of 7 MB.
func TestUploadsStaySmall(t *testing.T) {
	t.Parallel()
	for pkg, limit := range map[string]int{apitest.Package: 7_100_000, streamPackage: 4_200_000} {
		t.Run(pkg, func(t *testing.T) {
			t.Parallel()
			binary, err := lambdatest.BuildFor(t.Context(), "arm64", pkg, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			var archive bytes.Buffer
			if err := lambdatest.Zip(&archive, binary); err != nil {
				t.Fatal(err)
			}
			if archive.Len() > limit {
				t.Errorf("the archive has %d bytes, more than %d", archive.Len(), limit)
			}
		})
	}
}

// strangers are functions of packages that belong to other programs, or that make a start
// slow, or a binary big, for what the functions do not do. A binary names every function
// in it.
var strangers = []string{
	"go.etcd.io/bbolt.Open",
	"connectrpc.com/grpcreflect.NewHandlerV1",
	"github.com/alecthomas/kong.New",
	"github.com/nyaruka/phonenumbers.init",
	"golang.org/x/text/language/display.init",
	"golang.org/x/net/trace.init",
	"github.com/aws/aws-sdk-go-v2/config.init",
	"go.yaml.in/yaml/v3.init",
	"net/http/pprof.init",
	"net/rpc.init",
	"text/template.(*Template).Execute",
	"html/template.(*Template).Execute",
	// The linker keeps this one, with every exported method of every type that is in an
	// interface, when something calls methods by name.
	"reflect.(*Value).MethodByName",
	// Of sixty requests of a client a few are made.
	"service/dynamodb.(*Client).CreateBackup",
	"service/sesv2.(*Client).CreateContact",
	"service/sns.(*Client).CreateTopic",
}

func TestFunctionsCarryNothingOfOtherPrograms(t *testing.T) {
	t.Parallel()
	for pkg, own := range map[string]string{
		apitest.Package: "service/dynamodb.(*Client).UpdateItem",
		streamPackage:   "service/eventbridge.(*Client).PutEvents",
	} {
		binary, err := os.ReadFile(builds.Binary(t, pkg))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(binary, []byte(own)) {
			t.Errorf("%s does not name %s, so nothing can be said of others", pkg, own)
		}
		for _, name := range strangers {
			if bytes.Contains(binary, []byte(name)) {
				t.Errorf("%s has %s", pkg, name)
			}
		}
	}
}
