package fault

import "log/slog"

// Kind says what class of thing went wrong. It decides the code on the wire and
// nothing else: what a client should key on is the Fault's ID.
type Kind uint8

// The kinds. Internal is the zero value on purpose: a fault that nobody
// classified must never look like the caller's mistake.
const (
	// Internal is a defect or an unusable answer from something we depend on.
	Internal Kind = iota
	// Canceled means that the caller went away before the answer was ready.
	Canceled
	// InvalidArgument is a request that is wrong whatever the state is.
	InvalidArgument
	// DeadlineExceeded means that the time budget ran out before a decision.
	DeadlineExceeded
	// NotFound is a thing that the caller may know about and that is not there.
	NotFound
	// AlreadyExists is a creation of something that is there.
	AlreadyExists
	// PermissionDenied is a known caller without the right to do this.
	PermissionDenied
	// ResourceExhausted is a limit that was reached; RetryAfter says when to come back.
	ResourceExhausted
	// TooLarge is a request body over the limit.
	TooLarge
	// FailedPrecondition is a right request at the wrong time.
	FailedPrecondition
	// PreconditionNotMet is a conditional request (If-Match) whose condition is false.
	PreconditionNotMet
	// Aborted is a lost race; the same request may succeed when repeated.
	Aborted
	// Unimplemented is a protocol or a feature that this door does not serve.
	Unimplemented
	// MethodNotAllowed is a known path with a verb that it does not have.
	MethodNotAllowed
	// UnsupportedMediaType is a body in a format that this door does not read.
	UnsupportedMediaType
	// Unavailable is a dependency that does not answer; worth a retry.
	Unavailable
	// Unauthenticated is a missing or unusable credential.
	Unauthenticated

	kindCount
)

// rendering is one row of the table below.
type rendering struct {
	name  string
	grpc  uint32
	http  int
	level slog.Level
}

// renderings is the only place where a kind meets a transport. The numbers are
// written as literals so that they can be held next to google.rpc.Code and the
// HTTP mapping of google.api.http (wire contract, section "Code to HTTP").
var renderings = [kindCount]rendering{
	Internal:             {"internal", 13, 500, slog.LevelError},
	Canceled:             {"canceled", 1, 499, slog.LevelInfo},
	InvalidArgument:      {"invalid_argument", 3, 400, slog.LevelInfo},
	DeadlineExceeded:     {"deadline_exceeded", 4, 504, slog.LevelWarn},
	NotFound:             {"not_found", 5, 404, slog.LevelInfo},
	AlreadyExists:        {"already_exists", 6, 409, slog.LevelInfo},
	PermissionDenied:     {"permission_denied", 7, 403, slog.LevelInfo},
	ResourceExhausted:    {"resource_exhausted", 8, 429, slog.LevelInfo},
	TooLarge:             {"too_large", 8, 413, slog.LevelInfo},
	FailedPrecondition:   {"failed_precondition", 9, 400, slog.LevelInfo},
	PreconditionNotMet:   {"precondition_not_met", 9, 412, slog.LevelInfo},
	Aborted:              {"aborted", 10, 409, slog.LevelInfo},
	Unimplemented:        {"unimplemented", 12, 501, slog.LevelInfo},
	MethodNotAllowed:     {"method_not_allowed", 12, 405, slog.LevelInfo},
	UnsupportedMediaType: {"unsupported_media_type", 3, 415, slog.LevelInfo},
	Unavailable:          {"unavailable", 14, 503, slog.LevelError},
	Unauthenticated:      {"unauthenticated", 16, 401, slog.LevelInfo},
}

// Kinds returns every kind, for tests and documentation that must cover them all.
func Kinds() []Kind {
	all := make([]Kind, kindCount)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

func (k Kind) row() rendering {
	if k >= kindCount {
		return renderings[Internal]
	}
	return renderings[k]
}

// ParseKind returns the kind of that name, and Internal for a name that is none.
func ParseKind(name string) Kind {
	for _, k := range Kinds() {
		if k.String() == name {
			return k
		}
	}
	return Internal
}

// String returns the kind's name as it stands in logs and metrics.
func (k Kind) String() string { return k.row().name }

// GRPCCode returns the google.rpc.Code number, which Connect uses too.
func (k Kind) GRPCCode() uint32 { return k.row().grpc }

// HTTPStatus returns the status of the REST answer.
func (k Kind) HTTPStatus() int { return k.row().http }

// Level returns how loud a log line about this kind should be: what a client
// can cause is Info, what an operator must look at is Warn or Error.
func (k Kind) Level() slog.Level { return k.row().level }
