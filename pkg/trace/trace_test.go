package trace_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/trace"
)

const id = "1-5759e988-bd862e3fe1be46a994272793"

func TestOnlyAWellFormedIDIsRead(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Root=" + id: id,
		"Root=" + id + ";Parent=53995c3f42cd8ad8;Sampled=1":             id,
		"Self=1-67891234-12456789abcdef012345678;Root=" + id:            id, // as a load balancer writes it
		"Self=1-67891234-12456789abcdef012345678; Root=" + id + " ;A=b": id,
		"":                                    "",
		id:                                    "",
		"Root=" + id + "0":                    "",
		"Root=" + id[:len(id)-1]:              "",
		"Root=2" + id[1:]:                     "",
		"Root=" + strings.ToUpper(id):         "",
		"Root=" + id + "\",\"level\":\"ERROR": "",
		"Root=" + id + "\nlevel=ERROR":        "",
		"NotRoot=" + id:                       "",
		"Root=;Root=" + id:                    id,
		"Root=+41446681800;Parent=x":          "",
		strings.Repeat("a;", 1000) + "Root=" + id: "",
	} {
		if got := trace.ID(header); got != want {
			t.Errorf("%q: got %q, want %q", header, got, want)
		}
	}
}

func FuzzID(f *testing.F) {
	f.Add("Root=" + id + ";Parent=53995c3f42cd8ad8;Sampled=1")
	f.Add("Root=1-x;Root=" + id)
	f.Add("Root=\n")
	wellFormed := regexp.MustCompile(`^1-[0-9a-f]{8}-[0-9a-f]{24}$`)
	f.Fuzz(func(t *testing.T, header string) {
		if got := trace.ID(header); got != "" && !wellFormed.MatchString(got) {
			t.Errorf("%q: got %q", header, got)
		}
		if n := len(trace.Attrs(header)); n > 1 {
			t.Errorf("%q: %d attributes", header, n)
		}
	})
}
