// Package migration owns the way of users in and out: the documented line of JSON that an
// export writes and an import reads, the formats of other systems that can be read as
// well, and the runs over many users.
//
// An import never changes a user who is there: it makes those who are missing, and says
// of the others whether they are the same. So it can be stopped at any point and run
// again. What a line means is decided in package user; this package reads and writes.
package migration

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Users are read and written by a run; *user.Service has them.
type Users interface {
	UserIDs(ctx context.Context, caller access.Caller) ([]string, error)
	Export(ctx context.Context, caller access.Caller, id string) (*user.Portable, error)
	Import(ctx context.Context, caller access.Caller, p user.Portable) (created bool, err error)
	CheckImport(caller access.Caller, p user.Portable) error
}

// Entry is one user of a file.
type Entry struct {
	// Line is where it stands: a line of a file that is read by lines, else the number of
	// the user in the file; both begin at 1.
	Line int
	User user.Portable
	// Lost are the fields that have no place here, in the words of the file's format.
	Lost []string
	// Err says why the user cannot be read; the entries behind it can.
	Err error
}

// Source is a file of users.
type Source struct {
	// Entries are the users in their order. An error, which is the file's, ends them.
	Entries iter.Seq2[Entry, error]
	// Total is how many there are, or 0 when that is not known before the end.
	Total int
}

// Format names a format that can be read.
type Format string

// The formats, as docs/migration.md describes them.
const (
	Stepup  Format = "stepup"
	Zitadel Format = "zitadel"
	Cognito Format = "cognito"
	Auth0   Format = "auth0"
)

// Open reads the beginning of a file, and all of it where its format is one document. It
// returns an error for a file that is not of the format at all.
func Open(f Format, r io.Reader) (Source, error) {
	switch f {
	case Stepup:
		return lines(r, 1, decode), nil
	case Zitadel:
		return openZitadel(r)
	case Cognito:
		return openCognito(r)
	case Auth0:
		return openAuth0(r)
	default:
		return Source{}, fmt.Errorf("format %q is not known", f)
	}
}
