package config

import (
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"

	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/phone"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// setTestCodes reads pairs of an address and its code, separated by semicolons:
// "+41446681800=12345678; test@example.com=87654321". The last equals sign counts,
// because a mail address may have one.
func setTestCodes(c *Config, s string) error {
	texts, mails, n := make(sending.FixedCodes), make(sending.FixedCodes), 0
	for entry := range strings.SplitSeq(s, ";") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		n++
		at := max(strings.LastIndexByte(entry, '='), 0)
		address, code := strings.ToLower(entry[:at]), strings.TrimPrefix(entry[at:], "=")
		codes := mails
		if strings.HasPrefix(address, "+") {
			codes = texts
		}
		switch _, taken := codes[address]; {
		case !isCode(code), !isNumber(address) && !isMail(address):
			return fmt.Errorf("entry %d %w", n, errTestCode)
		case taken:
			return fmt.Errorf("entry %d %w", n, errTwice)
		}
		codes[address] = code
	}
	c.SMS.Limits.Fixed, c.Mail.Limits.Fixed = texts, mails
	return nil
}

// isCode reports whether the text could be a code that was sent.
func isCode(s string) bool { return len(s) == otp.Digits && strings.Trim(s, "0123456789") == "" }

// isNumber and isMail take an address in the spelling that users have.
func isNumber(s string) bool {
	e164, _, err := phone.Parse(s)
	return err == nil && e164 == s
}

func isMail(s string) bool {
	parsed, err := mail.ParseAddress(s)
	return err == nil && parsed.Address == s && !strings.HasPrefix(s, "+")
}

var (
	errTestCode = errors.New("is not a phone number or mail address and a code of eight digits, such as +41446681800=12345678 or test@example.com=87654321")
	errTwice    = errors.New("has the address of an earlier entry")
	errNoTests  = errors.New("is set, and only an environment for tests may have it: let STEPUP_ENV be dev, test, ci or staging, or begin with one of these and a hyphen")
)

// testEnvironments may have fixed codes. Whatever else an environment is called, it may
// be one that real people use.
func testEnvironments() []string { return []string{"dev", "test", "ci", "staging"} }

// TestCodes is how many addresses have a fixed code.
func (c Config) TestCodes() int { return len(c.SMS.Limits.Fixed) + len(c.Mail.Limits.Fixed) }

// checkTestCodes refuses fixed codes where they would open accounts of real people: in
// production, and in an environment that does not say what it is.
func (c Config) checkTestCodes() error {
	kind, _, _ := strings.Cut(c.Environment, "-")
	if c.TestCodes() > 0 && !slices.Contains(testEnvironments(), kind) {
		return fmt.Errorf("STEPUP_TEST_CODES: %w", errNoTests)
	}
	return nil
}
