package password_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/password"
)

func TestP1OnlyLengthAndBlocklistDecideAboutANewPassword(t *testing.T) {
	t.Parallel()
	list := password.Blocklist("Password1\nletmeinplease")
	strict := password.Policy{MinLength: 15, MaxLength: 64, Blocked: list.Contains}
	tests := []struct {
		name   string
		policy password.Policy
		plain  string
		want   error
	}{
		{"empty", password.Policy{}, "", password.ErrTooShort},
		{"7 characters", password.Policy{}, "1234567", password.ErrTooShort},
		{"8 characters of one kind", password.Policy{}, "aaaaaaaa", nil},
		{"8 code points in 16 bytes", password.Policy{}, "ääääääää", nil},
		{"7 code points in 28 bytes", password.Policy{}, "😀😀😀😀😀😀😀", password.ErrTooShort},
		{"8 spaces", password.Policy{}, "        ", nil},
		{"200 characters", password.Policy{}, strings.Repeat("ä", 200), nil},
		{"201 characters", password.Policy{}, strings.Repeat("a", 201), password.ErrTooLong},
		{"14 of 15", strict, "abcdefghijklmn", password.ErrTooShort},
		{"15 of 15", strict, "abcdefghijklmno", nil},
		{"65 of 64", strict, strings.Repeat("a", 65), password.ErrTooLong},
		{"on the list", password.Policy{Blocked: list.Contains}, "Password1", password.ErrCommon},
		{"on the list in other capitals", password.Policy{Blocked: list.Contains}, "pASSWORD1", password.ErrCommon},
		{"contains a word of the list", password.Policy{Blocked: list.Contains}, "my Password1 is long", nil},
		{"too short comes first", strict, "Password1", password.ErrTooShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.policy.Check(tt.plain); !errors.Is(err, tt.want) {
				t.Errorf("Check = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestTooShortIsTheFaultOfTheWireContract(t *testing.T) {
	t.Parallel()
	f := fault.From(password.Policy{}.Check("short"))
	if f.Kind != fault.InvalidArgument || f.ID != "DOMAIN-HuJf6" || f.Text != "Password is too short" {
		t.Errorf("fault %v %s %q", f.Kind, f.ID, f.Text)
	}
}

func TestP1PolicyOutsideTheStandardsIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		policy password.Policy
		want   string
	}{
		{"default", password.Policy{}, ""},
		{"password only", password.Policy{MinLength: 15}, ""},
		{"maximum at 64", password.Policy{MaxLength: 64}, ""},
		{"minimum below 8", password.Policy{MinLength: 7}, "MinLength 7"},
		{"negative minimum", password.Policy{MinLength: -1}, "MinLength -1"},
		{"maximum below 64", password.Policy{MaxLength: 63}, "MaxLength 63"},
		{"minimum above maximum", password.Policy{MinLength: 101, MaxLength: 100}, "MaxLength 100 is below 101"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.policy.Validate()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("Validate: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Validate: %v; want an error with %q", err, tt.want)
			}
		})
	}
}
