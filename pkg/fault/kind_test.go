package fault_test

import (
	"log/slog"
	"testing"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// The table of the kinds, written a second time: whoever changes one of the two has
// to say so in the other.
var kinds = map[fault.Kind]struct {
	name  string
	grpc  uint32
	http  int
	level slog.Level
}{
	fault.Internal:             {"internal", 13, 500, slog.LevelError},
	fault.Canceled:             {"canceled", 1, 499, slog.LevelInfo},
	fault.InvalidArgument:      {"invalid_argument", 3, 400, slog.LevelInfo},
	fault.DeadlineExceeded:     {"deadline_exceeded", 4, 504, slog.LevelWarn},
	fault.NotFound:             {"not_found", 5, 404, slog.LevelInfo},
	fault.AlreadyExists:        {"already_exists", 6, 409, slog.LevelInfo},
	fault.PermissionDenied:     {"permission_denied", 7, 403, slog.LevelInfo},
	fault.ResourceExhausted:    {"resource_exhausted", 8, 429, slog.LevelInfo},
	fault.TooLarge:             {"too_large", 8, 413, slog.LevelInfo},
	fault.FailedPrecondition:   {"failed_precondition", 9, 400, slog.LevelInfo},
	fault.PreconditionNotMet:   {"precondition_not_met", 9, 412, slog.LevelInfo},
	fault.Aborted:              {"aborted", 10, 409, slog.LevelInfo},
	fault.Unimplemented:        {"unimplemented", 12, 501, slog.LevelInfo},
	fault.MethodNotAllowed:     {"method_not_allowed", 12, 405, slog.LevelInfo},
	fault.UnsupportedMediaType: {"unsupported_media_type", 3, 415, slog.LevelInfo},
	fault.Unavailable:          {"unavailable", 14, 503, slog.LevelError},
	fault.Unauthenticated:      {"unauthenticated", 16, 401, slog.LevelInfo},
}

func TestEveryKindIsRenderedAsTheTableSays(t *testing.T) {
	t.Parallel()
	all := fault.Kinds()
	if len(all) != len(kinds) {
		t.Errorf("%d kinds, and %d in the table of this test", len(all), len(kinds))
	}
	names := map[string]fault.Kind{}
	for _, k := range all {
		want, known := kinds[k]
		if !known {
			t.Errorf("kind %d %q is not in the table of this test", k, k)
			continue
		}
		if k.String() != want.name || k.GRPCCode() != want.grpc || k.HTTPStatus() != want.http || k.Level() != want.level {
			t.Errorf("got %s %d %d %v, want %+v", k, k.GRPCCode(), k.HTTPStatus(), k.Level(), want)
		}
		if other, taken := names[k.String()]; taken {
			t.Errorf("kinds %d and %d have the name %q", other, k, k)
		}
		names[k.String()] = k
	}
}

func TestAKindOutsideTheTableIsInternal(t *testing.T) {
	t.Parallel()
	beyond := fault.Kind(len(fault.Kinds()))
	if beyond.String() != "internal" || beyond.HTTPStatus() != 500 || beyond.GRPCCode() != 13 || beyond.Level() != slog.LevelError {
		t.Errorf("got %s %d %d %v", beyond, beyond.GRPCCode(), beyond.HTTPStatus(), beyond.Level())
	}
	var zero fault.Kind
	if zero != fault.Internal {
		t.Errorf("the zero kind is %s", zero)
	}
}
