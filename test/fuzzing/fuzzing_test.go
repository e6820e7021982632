// Package fuzzing_test lists what reads bytes of others, and sees to it that each has a
// fuzz target with seeds. "make fuzz" runs them.
package fuzzing_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// parsers are the places where bytes of others come in, and the targets that try them.
var parsers = map[string][]string{
	"REST bodies":                         {"pkg/server.FuzzRESTBody"},
	"headers and credentials":             {"pkg/server.FuzzHeaders", "pkg/server.FuzzAuthorizationHeader", "pkg/access.FuzzAuthenticate"},
	"frames of Connect and gRPC-Web":      {"pkg/server.FuzzFrame"},
	"events of API Gateway":               {"pkg/apigw.FuzzInvoke", "pkg/apigw.FuzzRequest", "pkg/apigw/lambdatest.FuzzGatewayAnswer"},
	"ARNs of callers":                     {"pkg/access.FuzzPrincipals", "pkg/access.FuzzMapping"},
	"tokens of sessions":                  {"pkg/session.FuzzTokensParse", "pkg/server.FuzzSessionToken"},
	"tokens of intents, callbacks":        {"pkg/intent.FuzzTokensCheck", "pkg/server.FuzzCallback"},
	"positions in lists":                  {"pkg/table.FuzzCursor"},
	"hashes of passwords":                 {"pkg/password.FuzzCheckImportAdmitsNothingAboveTheBounds", "pkg/password.FuzzVerifyNeverPanicsAndAgreesWithCheckImport"},
	"URL templates":                       {"pkg/notify.FuzzParseURLTemplate", "pkg/notify.FuzzURLTemplateValuesStayValues"},
	"texts of messages":                   {"pkg/notify/template.FuzzHTML", "pkg/notify/template.FuzzText", "pkg/notify.FuzzRenderKeepsEveryValueInItsPlace"},
	"links":                               {"pkg/weblink.FuzzParse"},
	"phone numbers":                       {"pkg/phone.FuzzParseAgreesWithTheLibrary", "pkg/phone.FuzzParseReturnsOneSpelling", "pkg/phone.FuzzCallingCode"},
	"assertions and registrations":        {"pkg/passkey.FuzzFinishAssertion", "pkg/passkey.FuzzFinishRegistration", "pkg/passkey.FuzzResponses"},
	"seeds of authenticator apps":         {"pkg/otp.FuzzParseSecret", "pkg/otp.FuzzURIKeepsItsPartsApart"},
	"recovery codes":                      {"pkg/otp.FuzzNormalize", "pkg/otp.FuzzANewCodeIsItsOwnNormalForm"},
	"lines of imports":                    {"pkg/migration.FuzzLines", "pkg/migration.FuzzZitadel", "pkg/migration.FuzzCognito", "pkg/migration.FuzzAuth0"},
	"metrics":                             {"pkg/metrics.FuzzLine"},
	"records of the stream":               {"pkg/stream.FuzzBatch"},
	"stored items":                        {"pkg/store.FuzzDecode", "pkg/table/bolt.FuzzDecodeItem", "pkg/table/bolt.FuzzTuple", "pkg/table/bolt.FuzzUntuple"},
	"sealed and stamped values, keyrings": {"pkg/keyring.FuzzOpenRefusesWhatSealDidNotMake", "pkg/keyring.FuzzUnstampRefusesWhatStampDidNotMake", "pkg/keyring.FuzzParseNeverPanicsAndOnlyYieldsUsableRings"},
	"ids":                                 {"pkg/id.FuzzDecodeAcceptsOnlyWhatEncodeWrites", "pkg/id.FuzzDecodeInvertsEncode", "pkg/server.FuzzSessionID", "pkg/trace.FuzzID"},
	"identity providers":                  {"pkg/idp.FuzzParseOfProviders"},
	"lists of passwords":                  {"pkg/password.FuzzBlocklistHoldsItsLines"},
	"prices of messages":                  {"pkg/sending/price.FuzzParseList"},
	"fixed codes of tests":                {"pkg/config.FuzzTestCodes"},
}

func TestEveryParserHasAFuzzTarget(t *testing.T) {
	t.Parallel()
	there := targets(t)
	for parser, names := range parsers {
		for _, name := range names {
			if _, ok := there[name]; !ok {
				t.Errorf("%s: there is no %s", parser, name)
			}
		}
	}
}

// TestEveryFuzzTargetIsInTheList, so that the list is whole.
func TestEveryFuzzTargetIsInTheList(t *testing.T) {
	t.Parallel()
	listed := slices.Concat(slices.Collect(maps.Values(parsers))...)
	for name := range targets(t) {
		if !slices.Contains(listed, name) {
			t.Errorf("%s is not in the list", name)
		}
	}
}

func TestEveryFuzzTargetHasSeeds(t *testing.T) {
	t.Parallel()
	there := targets(t)
	if len(there) == 0 {
		t.Fatal("no targets were found")
	}
	for name, seeded := range there {
		folder, target, _ := strings.Cut(name, ".")
		corpus, err := filepath.Glob(filepath.Join(root, folder, "testdata", "fuzz", target, "*"))
		if !seeded && (err != nil || len(corpus) == 0) {
			t.Errorf("%s has no seeds", name)
		}
	}
}

// targets are the fuzz targets by folder and name, and whether each hands its *testing.F
// to something that adds seeds.
func targets(t *testing.T) map[string]bool {
	t.Helper()
	files := make(map[string][]*ast.File)
	err := filepath.WalkDir(filepath.Join(root, "pkg"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err == nil {
			folder, _ := filepath.Rel(root, filepath.Dir(path)) // both are relative
			files[filepath.ToSlash(folder)] = append(files[filepath.ToSlash(folder)], parsed)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	for folder, parsed := range files {
		functions := declared(parsed)
		for name, f := range functions {
			if strings.HasPrefix(name, "Fuzz") {
				found[folder+"."+name] = adds(f, functions, 2)
			}
		}
	}
	return found
}

func declared(files []*ast.File) map[string]*ast.FuncDecl {
	functions := make(map[string]*ast.FuncDecl)
	for _, file := range files {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				functions[f.Name.Name] = f
			}
		}
	}
	return functions
}

// adds reports whether the function calls Add, or a function of its package that does.
func adds(f *ast.FuncDecl, functions map[string]*ast.FuncDecl, depth int) bool {
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch fun := call.Fun.(type) {
		case *ast.SelectorExpr:
			x, ok := fun.X.(*ast.Ident)
			found = found || ok && x.Name == "f" && fun.Sel.Name == "Add"
		case *ast.Ident:
			if helper := functions[fun.Name]; helper != nil && depth > 0 {
				found = found || adds(helper, functions, depth-1)
			}
		}
		return true
	})
	return found
}
