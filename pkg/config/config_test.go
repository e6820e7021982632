package config_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/password"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/sending/price"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// load reads an environment that consists of names and values in turn.
func load(env ...string) (config.Config, error) {
	return config.Load(func(name string) (string, bool) {
		for i := 0; i < len(env); i += 2 {
			if env[i] == name {
				return env[i+1], true
			}
		}
		return "", false
	})
}

// defaults is what an empty environment means.
func defaults() config.Config {
	return config.Config{
		Instance:        "stepup",
		Organizations:   []string{"default"},
		Timeout:         8 * time.Second,
		StoreTimeout:    2 * time.Second,
		KeyCache:        30 * time.Second,
		LogLevel:        slog.LevelInfo,
		Lockout:         user.Lockout{Limit: 10, FirstDelay: 30 * time.Second, MaxDelay: time.Hour},
		Passwords:       password.Policy{MinLength: 8},
		Hashing:         password.Params{MemoryKiB: 19456, Time: 2, Threads: 1},
		HashConcurrency: 4,

		Issuer:           "stepup",
		Reauthentication: 15 * time.Minute,
		IntentLifetime:   time.Hour,
		RelyingParties:   relyingParties(map[string][]string{"localhost": nil}),
		SMS:              config.SMS{Limits: sending.Policy{Cooldown: time.Minute, PerHour: 5, PerDay: 10, Budget: 1000, Prices: price.Examples(), Conversion: sending.Conversion{PerCode: 10, Window: time.Hour}}},
		Mail:             config.Mail{Limits: sending.Policy{Cooldown: time.Minute, PerHour: 5, PerDay: 10, Budget: 10_000, Prices: price.List{"": price.Mail}}},
	}
}

func relyingParties(parties map[string][]string) *passkey.RelyingParties {
	r, err := passkey.New(parties)
	if err != nil {
		panic(err) // every list in this file is a good one
	}
	return r
}

// each changes the limits of both channels, as STEPUP_SEND_* does.
func each(alter func(p *sending.Policy)) func(c *config.Config) {
	return func(c *config.Config) {
		alter(&c.SMS.Limits)
		alter(&c.Mail.Limits)
	}
}

// compare takes an empty list for an absent one, and functions as they are.
func compare(want, got config.Config) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(password.Policy{}, "Blocked"),
		cmp.AllowUnexported(passkey.RelyingParties{}))
}

func TestAnEmptyEnvironmentMeansTheDefaults(t *testing.T) {
	t.Parallel()
	got, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := compare(defaults(), got); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

type setting struct {
	good  string
	alter func(c *config.Config)
	bad   []string
}

// settings holds, for each variable, a good value with what it changes, and bad
// values.
var settings = map[string]setting{
	"STEPUP_TABLE":               {"t", func(c *config.Config) { c.Table = "t" }, nil},
	"STEPUP_KEYRING":             {"file:k", func(c *config.Config) { c.Keyring = "file:k" }, nil},
	"STEPUP_ENV":                 {"dev-ada", func(c *config.Config) { c.Environment = "dev-ada" }, nil},
	"STEPUP_TEST_CODES":          testCodes,
	"STEPUP_INSTANCE":            {"i", func(c *config.Config) { c.Instance = "i" }, []string{" "}},
	"STEPUP_ORGANIZATIONS":       {"a, b,,c", func(c *config.Config) { c.Organizations = []string{"a", "b", "c"} }, []string{",", " , "}},
	"STEPUP_ORIGINS":             {"https://a, https://b", func(c *config.Config) { c.Origins = []string{"https://a", "https://b"} }, nil},
	"STEPUP_TIMEOUT":             {"3s", func(c *config.Config) { c.Timeout = 3 * time.Second }, badDurations},
	"STEPUP_STORE_TIMEOUT":       {"1s", func(c *config.Config) { c.StoreTimeout = time.Second }, append([]string{"9s"}, badDurations...)},
	"STEPUP_KEY_CACHE":           {"1m", func(c *config.Config) { c.KeyCache = time.Minute }, badDurations},
	"STEPUP_IAM_ROLES":           iamRoles,
	"STEPUP_LOG_LEVEL":           {"DEBUG", func(c *config.Config) { c.LogLevel = slog.LevelDebug }, []string{"canary"}},
	"STEPUP_METRICS":             {"m", func(c *config.Config) { c.Metrics = "m" }, nil},
	"STEPUP_LOCKOUT_LIMIT":       {"3", func(c *config.Config) { c.Lockout.Limit = 3 }, append([]string{"-1", "101"}, badNumbers...)},
	"STEPUP_LOCKOUT_FIRST_DELAY": {"1m", func(c *config.Config) { c.Lockout.FirstDelay = time.Minute }, append([]string{"1ms", "2h"}, badDurations...)},
	"STEPUP_LOCKOUT_MAX_DELAY":   {"2h", func(c *config.Config) { c.Lockout.MaxDelay = 2 * time.Hour }, append([]string{"1s"}, badDurations...)},
	"STEPUP_LOCKOUT_USER_AT":     {"5", func(c *config.Config) { c.Lockout.LockUserAt = 5 }, append([]string{"-1"}, badNumbers...)},
	"STEPUP_SESSION_LIMITS": {"0, 24h/1h ,12h/15m", func(c *config.Config) {
		c.SessionLimits = session.Limits{{}, {Max: 24 * time.Hour, Idle: time.Hour}, {Max: 12 * time.Hour, Idle: 15 * time.Minute}}
	}, []string{"canary", "24h", "1h,2h", "1h,2h,3h,4h", "1h,2h,3", "1h,2h,3h/", "1h,2h/-1s,3h", "-1h,2h,3h", "1h,1h/2h,3h", ",,"}},
	"STEPUP_SESSIONS_PER_USER":   {"3", func(c *config.Config) { c.SessionsPerUser = 3 }, append([]string{"-1", "51"}, badNumbers...)},
	"STEPUP_PASSWORD_MIN_LENGTH": {"15", func(c *config.Config) { c.Passwords.MinLength = 15 }, append([]string{"-1", "7", "201"}, badNumbers...)},
	"STEPUP_PASSWORD_BLOCKLIST":  {"/opt/passwords.txt", func(c *config.Config) { c.PasswordBlocklist = "/opt/passwords.txt" }, nil},
	"STEPUP_HASH_MEMORY_KIB":     {"65536", func(c *config.Config) { c.Hashing.MemoryKiB = 65536 }, append([]string{"-1", "4294967296"}, badNumbers...)},
	"STEPUP_HASH_TIME":           {"3", func(c *config.Config) { c.Hashing.Time = 3 }, append([]string{"-1", "4294967296"}, badNumbers...)},
	"STEPUP_HASH_CONCURRENCY":    {"8", func(c *config.Config) { c.HashConcurrency = 8 }, badNumbers},
	"STEPUP_ISSUER":              {"Example", func(c *config.Config) { c.Issuer = "Example" }, []string{" "}},
	"STEPUP_REAUTHENTICATION":    {"5m", func(c *config.Config) { c.Reauthentication = 5 * time.Minute }, badDurations},
	"STEPUP_RELYING_PARTIES": {
		"example.com=https://login.example.com https://example.org; example.net",
		func(c *config.Config) {
			c.RelyingParties = relyingParties(map[string][]string{
				"example.com": {"https://login.example.com", "https://example.org"}, "example.net": nil,
			})
		},
		[]string{" ", ";", "=https://example.com", "https://canary", "example.com=canary", "example.com=http://example.com"},
	},
	"STEPUP_SITE":                      {"example.com", func(c *config.Config) { c.Site = "example.com" }, nil},
	"STEPUP_LINK_HOSTS":                {"a.example, b.example", func(c *config.Config) { c.LinkHosts = []string{"a.example", "b.example"} }, nil},
	"STEPUP_URL":                       {"https://api.example.com/", func(c *config.Config) { c.URL = "https://api.example.com" }, []string{"api.example.com", "http://api.example.com", "https://api.example.com?q=1", "https://api.example.com#f"}},
	"STEPUP_IDENTITY_PROVIDERS":        {"file:/idps.json", func(c *config.Config) { c.IdentityProviders = "file:/idps.json" }, nil},
	"STEPUP_INTENT_LIFETIME":           {"30m", func(c *config.Config) { c.IntentLifetime = 30 * time.Minute }, []string{"0s", "-1h", "soon"}},
	"STEPUP_TEMPLATES":                 {"/opt/templates", func(c *config.Config) { c.Templates = "/opt/templates" }, nil},
	"STEPUP_SEND_COOLDOWN":             {"90s", each(func(p *sending.Policy) { p.Cooldown = 90 * time.Second }), badDurations},
	"STEPUP_SEND_PER_HOUR":             {"3", each(func(p *sending.Policy) { p.PerHour = 3 }), append([]string{"-1"}, badNumbers...)},
	"STEPUP_SEND_PER_DAY":              {"20", each(func(p *sending.Policy) { p.PerDay = 20 }), append([]string{"-1"}, badNumbers...)},
	"STEPUP_SEND_USER_PER_DAY":         {"20", each(func(p *sending.Policy) { p.Caps.User = 20 }), append([]string{"-1"}, badNumbers...)},
	"STEPUP_SEND_ORGANIZATION_PER_DAY": {"20", each(func(p *sending.Policy) { p.Caps.Organization = 20 }), append([]string{"-1"}, badNumbers...)},
	"STEPUP_SEND_NETWORK_PER_DAY":      {"20", each(func(p *sending.Policy) { p.Caps.Network = 20 }), append([]string{"-1"}, badNumbers...)},
	"STEPUP_SMS_COUNTRY_PER_DAY":       {"20", func(c *config.Config) { c.SMS.Limits.Caps.Country = 20 }, append([]string{"-1"}, badNumbers...)},
	"STEPUP_SMS_CONVERSION_LIMIT":      {"20", func(c *config.Config) { c.SMS.Limits.Conversion.Limit = 20 }, append([]string{"-1"}, badNumbers...)},
	"STEPUP_SMS_CONVERSION_PER_CODE":   {"5", func(c *config.Config) { c.SMS.Limits.Conversion.PerCode = 5 }, append([]string{"-1"}, badNumbers...)},
	"STEPUP_SMS_CONVERSION_WINDOW":     {"30m", func(c *config.Config) { c.SMS.Limits.Conversion.Window = 30 * time.Minute }, append([]string{"9m", "25h"}, badDurations...)},
	"STEPUP_SMS_BUDGET_USD":            {"9.50", func(c *config.Config) { c.SMS.Limits.Spend = 9_500_000 }, []string{"canary", "-0.01", "NaN", "1,5"}},
	"STEPUP_SMS_PRICES":                {"+41=0.07,*=0.25", func(c *config.Config) { c.SMS.Limits.Prices = price.List{"+41": 70_000, "": 250_000} }, []string{"canary", "+41=0.07", "*=canary"}},
	"STEPUP_MAIL_BUDGET_USD":           {"9.50", func(c *config.Config) { c.Mail.Limits.Spend = 9_500_000 }, []string{"canary", "-0.01", "NaN", "1,5"}},
	"STEPUP_MAIL_PRICE":                {"0.002", func(c *config.Config) { c.Mail.Limits.Prices = price.List{"": 2_000} }, []string{"canary", "-0.01", "NaN", "1,5"}},
	"STEPUP_SMS_BUDGET":                {"50", func(c *config.Config) { c.SMS.Limits.Budget = 50 }, append([]string{"-1"}, badNumbers...)},
	"STEPUP_SMS_PREFIXES":              {"+41, +423", func(c *config.Config) { c.SMS.Limits.Prefixes = []string{"+41", "+423"} }, []string{"canary", "41", "+41, canary"}},
	"STEPUP_SMS_SENDER_ID":             {"Example", func(c *config.Config) { c.SMS.SenderID = "Example" }, nil},
	"STEPUP_SMS_ORIGINATION_NUMBER":    {"+12065550100", func(c *config.Config) { c.SMS.OriginationNumber = "+12065550100" }, nil},
	"STEPUP_SMS_MAX_PRICE":             {"0.10", func(c *config.Config) { c.SMS.MaxPrice = 0.1 }, []string{"canary", "-0.01", "NaN", "1,5"}},
	"STEPUP_MAIL_BUDGET":               {"50", func(c *config.Config) { c.Mail.Limits.Budget = 50 }, append([]string{"-1"}, badNumbers...)},
	"STEPUP_MAIL_FROM":                 {"a@example.com", func(c *config.Config) { c.Mail.From = "a@example.com" }, nil},
	"STEPUP_MAIL_REPLY_TO":             {"b@example.com", func(c *config.Config) { c.Mail.ReplyTo = "b@example.com" }, nil},
	"STEPUP_MAIL_CONFIGURATION_SET":    {"events", func(c *config.Config) { c.Mail.ConfigurationSet = "events" }, nil},
	"AWS_LAMBDA_FUNCTION_NAME":         {"api", func(c *config.Config) { c.Metrics = "api" }, nil},
	"AWS_REGION":                       {"eu-central-1", func(c *config.Config) { c.Region = "eu-central-1" }, nil},
	"AWS_ENDPOINT_URL_DYNAMODB":        {"http://d", func(c *config.Config) { c.DynamoDBEndpoint = "http://d" }, []string{"canary", "127.0.0.1:8000", "ftp://canary", "http://"}},
	"AWS_ENDPOINT_URL_SECRETS_MANAGER": {"http://s", func(c *config.Config) { c.SecretsEndpoint = "http://s" }, []string{"canary", "127.0.0.1:8000", "ftp://canary", "http://"}},
	"AWS_ENDPOINT_URL_SNS":             {"http://n", func(c *config.Config) { c.SNSEndpoint = "http://n" }, []string{"canary", "127.0.0.1:8000", "ftp://canary", "http://"}},
	"AWS_ENDPOINT_URL_SESV2":           {"http://m", func(c *config.Config) { c.SESEndpoint = "http://m" }, []string{"canary", "127.0.0.1:8000", "ftp://canary", "http://"}},
}

var (
	badDurations = []string{"canary", "0s", "-1s", "5"}
	badNumbers   = []string{"canary", "1.5", "99999999999999999999"}
)

func TestNamesListsEveryVariableOnce(t *testing.T) {
	t.Parallel()
	names := config.Names()
	for name := range settings {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not listed", name)
		}
	}
	if len(names) != len(settings) {
		t.Errorf("%d names, and %d in the table of this test: %v", len(names), len(settings), names)
	}
}

func TestEveryVariableSetsItsField(t *testing.T) {
	t.Parallel()
	for name, s := range settings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := load(name, s.good, "STEPUP_ENV", "ci") // without which there are no test codes
			if err != nil {
				t.Fatal(err)
			}
			want := defaults()
			want.Environment = "ci"
			s.alter(&want)
			if diff := compare(want, got); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEmptyValueMeansTheDefault(t *testing.T) {
	t.Parallel()
	for name := range settings {
		got, err := load(name, "")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := compare(defaults(), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestABadValueIsRefusedByNameAndNotRepeated(t *testing.T) {
	t.Parallel()
	for name, s := range settings {
		for _, bad := range s.bad {
			t.Run(name+"="+bad, func(t *testing.T) {
				t.Parallel()
				_, err := load(name, bad, "STEPUP_ENV", "ci")
				switch {
				case err == nil:
					t.Fatal("no error")
				case !strings.Contains(err.Error(), group(name)):
					t.Errorf("%q does not name %s", err, group(name))
				case strings.Contains(err.Error(), "canary"):
					t.Errorf("%q repeats the value", err)
				}
			})
		}
	}
}

// group is how an error names a variable: by its family, where only several values
// together are wrong.
func group(name string) string {
	for _, family := range []string{"STEPUP_LOCKOUT_", "STEPUP_SEND_", "STEPUP_SMS_CONVERSION_"} {
		if strings.HasPrefix(name, family) {
			return family
		}
	}
	return name
}

func TestEveryBadValueIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := load("STEPUP_TIMEOUT", "canary", "STEPUP_LOCKOUT_LIMIT", "canary", "STEPUP_LOG_LEVEL", "canary")
	for _, name := range []string{"STEPUP_TIMEOUT", "STEPUP_LOCKOUT_LIMIT", "STEPUP_LOG_LEVEL"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}
