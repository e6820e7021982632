package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/stepup-auth/stepup/pkg/fault"
	pb "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	"github.com/stepup-auth/stepup/pkg/session"
)

var errIfMatch = fault.New(fault.InvalidArgument, "STEPUP-if-match", `If-Match must be "*" or a list of ETags such as "7"`)

// An ETag of a session begins with its sequence. What Get answers also depends on the
// user and on the time, so its ETag goes on with a digest of the answer: "7.x8Zs…".
//
// As with the other patterns of this package that most calls do not need, the first call that does
// compiles it: a start of a function would touch some 30 pages of memory for them.
var etag = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:W/)?"([0-9]{1,19})(?:\.[A-Za-z0-9_-]+)?"$`)
})

// match reads If-Match (RFC 9110, section 13.1.1) as the sequences that a session may
// have. Weak ETags match none. Without the header, and with "*", every session matches; one
// that is empty is refused, because its client meant a state and lost it.
func match(ctx context.Context) (session.Match, error) {
	values := exchangeOf(ctx).header.Values("If-Match")
	header := strings.Join(values, ",")
	if len(values) == 0 || strings.TrimSpace(header) == "*" {
		return nil, nil
	}
	allowed := session.Match{}
	for part := range strings.SplitSeq(header, ",") {
		tag := strings.TrimSpace(part)
		groups := etag().FindStringSubmatch(tag)
		if groups == nil {
			return nil, errIfMatch
		}
		sequence, err := strconv.ParseUint(groups[1], 10, 64)
		if err != nil {
			return nil, errIfMatch
		}
		if !strings.HasPrefix(tag, "W/") {
			allowed = append(allowed, sequence)
		}
	}
	return allowed, nil
}

// tag puts the ETag of a session's new state into the answer of any protocol.
func tag(ctx context.Context, sequence uint64) {
	if sequence > 0 {
		exchangeOf(ctx).answer.Set("ETag", strconv.Quote(strconv.FormatUint(sequence, 10)))
	}
}

// tagView puts the ETag of what Get answers into the answer.
func tagView(ctx context.Context, m *pb.GetSessionResponse) error {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return fault.From(err)
	}
	sum := sha256.Sum256(body)
	exchangeOf(ctx).answer.Set("ETag",
		fmt.Sprintf(`"%d.%s"`, m.GetSession().GetSequence(), base64.RawURLEncoding.EncodeToString(sum[:12])))
	return nil
}

// errNotModified ends a Get whose answer the client has already.
var errNotModified = errors.New("not modified")

// unlessNew compares If-None-Match (RFC 9110, section 13.1.2) with the ETag of a
// session that is about to be written as REST.
func unlessNew(ctx context.Context, w http.ResponseWriter, m proto.Message) error {
	if _, ok := m.(*pb.GetSessionResponse); !ok {
		return nil
	}
	current := w.Header().Get("ETag")
	for part := range strings.SplitSeq(strings.Join(exchangeOf(ctx).header.Values("If-None-Match"), ","), ",") {
		if known := strings.TrimPrefix(strings.TrimSpace(part), "W/"); known == "*" || known == current && known != "" {
			return errNotModified
		}
	}
	return nil
}

func notModified(w http.ResponseWriter) {
	w.Header().Del("Content-Type")
	w.WriteHeader(http.StatusNotModified)
}
