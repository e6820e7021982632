package config_test

import (
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// testCodes is the row of STEPUP_TEST_CODES in settings.
var testCodes = setting{
	good: "+15005550006=12345678;\n Test@example.com=87654321; a=b@example.com=00000000;",
	alter: func(c *config.Config) {
		c.SMS.Limits.Fixed = sending.FixedCodes{"+15005550006": "12345678"}
		c.Mail.Limits.Fixed = sending.FixedCodes{"test@example.com": "87654321", "a=b@example.com": "00000000"}
	},
	bad: []string{
		"canary", "=", "=12345678", "canary=12345678", "canary@example.com", "canary@example.com=", "canary@example.com=1234567",
		"canary@example.com=123456789", "canary@example.com=1234567a", "canary@example.com=１２３４５６７８", "canary@example.com= 12345678",
		"Canary <canary@example.com>=12345678", "15005550006=12345678", "+1 500 555 0006=12345678", "+1500=12345678",
		"+canary@example.com=12345678", "+15005550006=12345678,canary@example.com=12345678",
		"canary@example.com=12345678;CANARY@example.com=12345678", "+15005550006=12345678;+15005550006=87654321",
	},
}

func TestABadTestCodeIsNamedByItsPlace(t *testing.T) {
	t.Parallel()
	_, err := load("STEPUP_ENV", "ci", "STEPUP_TEST_CODES", "test@example.com=12345678;;canary")
	if err == nil || !strings.Contains(err.Error(), "STEPUP_TEST_CODES: entry 2 ") {
		t.Errorf("err = %v, want it to name entry 2", err)
	}
}

func TestFixedCodesAreOnlyForEnvironmentsThatSayTheyAreForTests(t *testing.T) {
	t.Parallel()
	for environment, allowed := range map[string]bool{
		"dev": true, "test": true, "ci": true, "staging": true, "dev-ada": true, "staging-2": true,
		"": false, "prod": false, "PROD": false, "production": false, "prod-eu": false, "live": false, "main": false,
		"Dev": false, "devil": false, "-dev": false, "prod-dev": false, "dev prod": false,
	} {
		_, err := load("STEPUP_ENV", environment, "STEPUP_TEST_CODES", "test@example.com=12345678")
		switch {
		case allowed && err != nil:
			t.Errorf("%q: %v", environment, err)
		case !allowed && (err == nil || !strings.Contains(err.Error(), "STEPUP_TEST_CODES: ") || strings.Contains(err.Error(), "12345678")):
			t.Errorf("%q: err = %v, want one that names STEPUP_TEST_CODES", environment, err)
		}
		if _, err := load("STEPUP_ENV", environment); err != nil {
			t.Errorf("%q without codes: %v", environment, err)
		}
	}
}

func FuzzTestCodes(f *testing.F) {
	f.Add(testCodes.good)
	for _, bad := range testCodes.bad {
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := load("STEPUP_ENV", "ci", "STEPUP_TEST_CODES", text)
		if err != nil {
			return
		}
		for _, codes := range []sending.FixedCodes{c.SMS.Limits.Fixed, c.Mail.Limits.Fixed} {
			for address, code := range codes {
				if found, ok := codes.Code(address); !ok || found != code || len(code) != 8 || strings.Trim(code, "0123456789") != "" {
					t.Errorf("%q has the code %q, and is found with %q", address, code, found)
				}
			}
		}
	})
}
