package securitybar_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// secret is what values are called that somebody could guess byte by byte, if the time
// of a comparison told how far they got.
var secret = regexp.MustCompile(`(?i)^(.*(token|tokenid|secret|password|plain|mac|hash|digest|seed|verifier|nonce|signature)|code|answer)$`)

// pardoned are comparisons of what only sounds like one, with the reason.
var pardoned = map[string]string{
	"pkg/idp/idptest/stub.go: secret != ClientSecret":              "a stand-in for tests",
	"pkg/intent/callback.go: code == accessDenied":                 "the name of an error",
	"pkg/intent/callback.go: code == serverError":                  "the name of an error",
	"pkg/intent/callback.go: code == unavailable":                  "the name of an error",
	"pkg/password/blocklist.go: strings.EqualFold(plain)":          "the list is public",
	"pkg/table/bolt/token.go: string(stored) != string(digest(w))": "tells writes apart, by what the caller wrote",
	"pkg/user/change.go: c.New.Plain == c.Current":                 "both are the caller's own words",
	"pkg/user/user.go: m != AuthPassword":                          "the name of a method",
}

func TestO8_NoSecretIsComparedByteByByte(t *testing.T) {
	t.Parallel()
	used := make(map[string]bool)
	for _, c := range comparisons(t, os.DirFS(root), "pkg", "functions", "cmd") {
		if pardoned[c] == "" {
			t.Errorf("%s: compare secrets with otp.Equal, hmac.Equal or crypto/subtle", c)
		}
		used[c] = true
	}
	for c := range pardoned {
		if !used[c] {
			t.Errorf("%s is pardoned and not there", c)
		}
	}
}

// TestO8_AComparisonThatStopsEarlyIsFound shows that the test above can fail.
func TestO8_AComparisonThatStopsEarlyIsFound(t *testing.T) {
	t.Parallel()
	source := `package p
func f(a, b T) {
	_ = a.Token == b.Token
	_ = token != b.Current
	_ = bytes.Equal(sum, b.MAC[:16])
	_ = string(a.Hash) == stored
	_ = slices.Equal(code, answer)
	switch answer { case b.Code: }

	_ = a.Token == "" || b.Secret == nil || len(a.Hash) == len(b.Hash)
	_ = a.Code == http.StatusOK || code == codes.OK || code == codeThrottled || b.Code() == ErrCode
	_ = a.ID == b.ID || hmac.Equal(mac, b.MAC)
}`
	want := []string{
		"p.go: a.Token == b.Token", "p.go: token != b.Current", "p.go: bytes.Equal(b.MAC[:16])",
		"p.go: string(a.Hash) == stored", "p.go: slices.Equal(code)", "p.go: answer == b.Code",
	}
	if diff := cmp.Diff(want, inFile(t, "p.go", []byte(source))); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

// comparisons returns the suspicious ones of the folders, each with its file.
func comparisons(t *testing.T, root fs.FS, folders ...string) []string {
	t.Helper()
	var found []string
	for _, folder := range folders {
		err := fs.WalkDir(root, folder, func(file string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case file == "pkg/gen":
				return fs.SkipDir
			case d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
				return nil
			}
			source, err := fs.ReadFile(root, file)
			if err == nil {
				found = append(found, inFile(t, file, source)...)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func inFile(t *testing.T, file string, source []byte) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	report := func(format string, args ...any) {
		found = append(found, file+": "+fmt.Sprintf(format, args...))
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if (n.Op == token.EQL || n.Op == token.NEQ) && suspicious(n.X, n.Y) {
				report("%s %s %s", types.ExprString(n.X), n.Op, types.ExprString(n.Y))
			}
		case *ast.SwitchStmt:
			for _, clause := range n.Body.List {
				for _, value := range clause.(*ast.CaseClause).List {
					if n.Tag != nil && suspicious(n.Tag, value) {
						report("%s == %s", types.ExprString(n.Tag), types.ExprString(value))
					}
				}
			}
		case *ast.CallExpr:
			if earlyOut(n) {
				for _, a := range n.Args {
					if secret.MatchString(last(a)) {
						report("%s(%s)", types.ExprString(n.Fun), types.ExprString(a))
						break
					}
				}
			}
		}
		return true
	})
	return found
}

// suspicious reports whether a secret is compared with something that is not known when
// the program is written.
func suspicious(x, y ast.Expr) bool {
	return !known(x) && !known(y) && (secret.MatchString(last(x)) || secret.MatchString(last(y)))
}

// known reports whether the expression is a literal, a named constant or error of some
// package, a function's length or status.
func known(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.BasicLit, *ast.CompositeLit:
		return true
	case *ast.Ident:
		return x.Name == "nil" || strings.HasPrefix(x.Name, "Err") || strings.HasPrefix(x.Name, "code") && x.Name != "code"
	case *ast.SelectorExpr:
		pkg, ok := x.X.(*ast.Ident)
		return ok && (pkg.Name == "http" || pkg.Name == "codes" || pkg.Name == "keyring" || pkg.Name == "json")
	case *ast.CallExpr:
		name, ok := x.Fun.(*ast.Ident)
		return ok && name.Name == "len"
	}
	return false
}

// earlyOut reports whether the call compares and stops at the first difference.
func earlyOut(c *ast.CallExpr) bool {
	switch types.ExprString(c.Fun) {
	case "bytes.Equal", "bytes.Compare", "slices.Equal", "slices.Compare", "strings.EqualFold", "strings.Compare",
		"bytes.HasPrefix", "strings.HasPrefix", "reflect.DeepEqual":
		return true
	}
	return false
}

// last is the name that says what an expression is.
func last(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	case *ast.SliceExpr:
		return last(x.X)
	case *ast.IndexExpr:
		return last(x.X)
	case *ast.ParenExpr:
		return last(x.X)
	case *ast.StarExpr:
		return last(x.X)
	case *ast.CallExpr: // a conversion, such as string(token)
		if name, ok := x.Fun.(*ast.Ident); ok && len(x.Args) == 1 && name.Name == "string" {
			return last(x.Args[0])
		}
		return last(x.Fun)
	}
	return ""
}
