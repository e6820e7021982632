package migration

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stepup-auth/stepup/pkg/user"
)

// The file of a Cognito user import (Amazon Cognito developer guide, "Creating the user
// import CSV file"): a row of names, then a row for each user. It is no CSV as RFC 4180
// has it: there are no quotation marks, a comma inside a value stands behind a backslash,
// and white space around a value is not part of it.

const (
	cognitoName   = "cognito:username"
	cognitoCustom = "custom:" // begins the names of attributes of one's own
)

// cognitoTaken are the columns that are read, cognitoLost those of the standard header
// that have no place here.
var (
	cognitoTaken = []string{
		cognitoName, "name", "given_name", "family_name", "nickname", "email", "email_verified", "gender", "locale",
		"phone_number", "phone_number_verified",
	}
	cognitoLost = []string{
		"middle_name", "preferred_username", "profile", "picture", "website", "birthdate", "zoneinfo", "address",
		"updated_at", "cognito:mfa_enabled",
	}
)

func openCognito(r io.Reader) (Source, error) {
	buffered := bufio.NewReaderSize(r, MaxLine)
	header, err := buffered.ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return Source{}, fmt.Errorf("line 1: %w", err)
	}
	columns, err := cognitoColumns(string(header))
	if err != nil {
		return Source{}, fmt.Errorf("line 1 is not the header of a Cognito user import: %w", err)
	}
	return lines(buffered, 2, func(text []byte) (user.Portable, []string, error) {
		if !utf8.Valid(text) {
			return user.Portable{}, nil, errors.New("is not UTF-8")
		}
		values := cognitoValues(string(text))
		if len(values) != len(columns) {
			return user.Portable{}, nil, fmt.Errorf("has %d values, and the header %d; a comma in a value stands behind a backslash",
				len(values), len(columns))
		}
		row := make(cognitoRow, len(columns))
		for i, name := range columns {
			row[name] = values[i]
		}
		return row.decode()
	}), nil
}

func cognitoColumns(header string) ([]string, error) {
	columns := cognitoValues(header)
	for i, name := range columns {
		switch {
		case slices.Contains(columns[:i], name):
			return nil, at(quoted(name), "is there twice")
		case !slices.Contains(cognitoTaken, name) && !slices.Contains(cognitoLost, name) && !strings.HasPrefix(name, cognitoCustom):
			return nil, at(quoted(name), "is an unknown column")
		}
	}
	if !slices.Contains(columns, cognitoName) {
		return nil, at(cognitoName, "is missing")
	}
	return columns, nil
}

// cognitoValues cuts a row at the commas that no backslash stands before.
func cognitoValues(row string) []string {
	var values []string
	var value strings.Builder
	for i := 0; i < len(row); i++ {
		switch {
		case row[i] == '\\' && strings.HasPrefix(row[i+1:], ","):
			value.WriteByte(',')
			i++
		case row[i] == ',':
			values = append(values, strings.TrimSpace(value.String()))
			value.Reset()
		default:
			value.WriteByte(row[i])
		}
	}
	return append(values, strings.TrimSpace(value.String()))
}

// cognitoRow are the values of a row by column.
type cognitoRow map[string]string

func (r cognitoRow) decode() (p user.Portable, lost []string, err error) {
	for _, name := range cognitoTaken {
		if strings.HasPrefix(r[name], `"`) {
			return p, nil, at(name, "begins with a quotation mark, and the format has none")
		}
	}
	p = user.Portable{
		ID: r[cognitoName], Username: r[cognitoName], State: user.StateActive,
		Profile: names(r["given_name"], r["family_name"], r["name"], r["nickname"], r[cognitoName]),
		Email:   user.Contact{Address: r["email"]}, Phone: user.Contact{Address: r["phone_number"]},
	}
	p.Profile.NickName, p.Profile.DisplayName, p.Profile.Language = r["nickname"], r["name"], r["locale"]
	if p.Email.Verified, err = r.flag("email_verified"); err != nil {
		return p, nil, err
	}
	if p.Phone.Verified, err = r.flag("phone_number_verified"); err != nil {
		return p, nil, err
	}
	mfa, err := r.flag("cognito:mfa_enabled")
	if err != nil {
		return p, nil, err
	}
	gender, known := genders[strings.ToLower(r["gender"])]
	if p.Profile.Gender = gender; !known {
		lost = append(lost, "gender")
	}
	for name, value := range r {
		taken := slices.Contains(cognitoTaken, name)
		if value != "" && !taken && (name != "cognito:mfa_enabled" || mfa) {
			lost = append(lost, name)
		}
	}
	return p, lost, nil
}

// flag reads a boolean, which is written in either case; nothing means false.
func (r cognitoRow) flag(name string) (bool, error) {
	switch strings.ToLower(r[name]) {
	case "true":
		return true, nil
	case "false", "":
		return false, nil
	default:
		return false, at(name, "is neither TRUE nor FALSE")
	}
}

// names puts the first of the others that is not empty in the place of a given or family
// name that is not there, because a user here has both.
func names(given, family string, others ...string) user.Profile {
	other := cmp.Or(others...)
	return user.Profile{GivenName: cmp.Or(given, other), FamilyName: cmp.Or(family, other)}
}
