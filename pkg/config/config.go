// Package config owns the environment: which variables there are, what they mean,
// and how their text becomes values. Nothing else reads the environment, so that
// the list in this package is the list, and a bad value stops the start with the
// variable's name.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/password"
	"github.com/stepup-auth/stepup/pkg/phone"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/sending/price"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Config is everything that can be configured. The documented defaults are those of
// Load; a Config is made by nothing else.
type Config struct {
	// Table is the name of the DynamoDB table; empty where the store is embedded.
	Table string
	// Keyring says where the master keys are: the name or ARN of a secret in
	// Secrets Manager, or "file:" and a path.
	Keyring string
	// Environment is the name of the deployment, such as "prod"; empty where it has none.
	Environment string
	// Instance is the id that answers name as the owner of sessions.
	Instance string
	// Organizations are those that users may belong to; the first is the default.
	Organizations []string
	// Origins are the browser origins that may call; empty allows any.
	Origins []string
	// Timeout bounds one request. It must be shorter than the function's.
	Timeout time.Duration
	// StoreTimeout bounds one call of the store, retries included.
	StoreTimeout time.Duration
	// KeyCache is how long a process trusts an API key that it has looked up.
	KeyCache time.Duration
	// IAMRoles are the roles of callers who sign with AWS credentials. They count only
	// behind a gateway that verifies signatures.
	IAMRoles access.Principals
	// LogLevel is the least level that is logged.
	LogLevel slog.Level
	// Metrics is the name that metrics are written in, by default the function's; empty
	// writes none.
	Metrics string
	// Lockout is the guessing policy.
	Lockout user.Lockout
	// SessionLimits end sessions that last too long, or are not used.
	SessionLimits session.Limits
	// SessionsPerUser is how many sessions of a user are alive at a time; 0 for any number.
	SessionsPerUser int
	// Passwords is what a new password must fulfil.
	Passwords password.Policy
	// PasswordBlocklist is the path of a file with passwords that nobody may choose,
	// besides those that the service knows to be common; empty for none.
	PasswordBlocklist string
	// Hashing is the cost of new password hashes.
	Hashing password.Params
	// HashConcurrency is how many hashes one process computes at a time.
	HashConcurrency int
	// Issuer is how authenticator apps name the service.
	Issuer string
	// Reauthentication is how old a user's last check may be when they change
	// their own factors.
	Reauthentication time.Duration
	// RelyingParties are those that passkeys and U2F keys are scoped to.
	RelyingParties *passkey.RelyingParties
	// Site is the host name that messages name, and that browsers fill codes in for.
	Site string
	// LinkHosts are the hosts that links in mails, and sign-ins at identity providers, may
	// lead to; empty allows any.
	LinkHosts []string
	// Templates is the folder of message texts that replace the built-in ones or add
	// languages; empty for none. notify.NewRenderer says what is in it.
	Templates string
	// URL is how browsers reach this API, without a slash at the end; empty where nobody
	// needs to know.
	URL string
	// IdentityProviders says where those are described: the name or ARN of a secret in
	// Secrets Manager, or "file:" and a path; empty for none.
	IdentityProviders string
	// IntentLifetime is how long a sign-in at one of them can be used.
	IntentLifetime time.Duration
	// SMS and Mail are the limits of what is sent, and how.
	SMS  SMS
	Mail Mail

	// Region, and the endpoints that replace AWS's own on a laptop, keep the names
	// that the AWS SDKs use.
	Region           string
	DynamoDBEndpoint string
	SecretsEndpoint  string
	SNSEndpoint      string
	SESEndpoint      string
}

// SMS says how text messages leave.
type SMS struct {
	Limits sending.Policy
	// SenderID is shown as the sender where a country allows it.
	SenderID string
	// OriginationNumber is the account's number that messages come from, in E.164 form;
	// empty lets the account choose.
	OriginationNumber string
	// MaxPrice is the most that one message may cost, in USD; 0 leaves it to the
	// account.
	MaxPrice float64
}

// Mail says how mails leave. Without From none does.
type Mail struct {
	Limits           sending.Policy
	From             string
	ReplyTo          string
	ConfigurationSet string
}

// Lookup returns the value of a variable and whether it is set; os.LookupEnv is one.
type Lookup func(name string) (string, bool)

// setting ties a variable's name to what its text sets in C.
type setting[C any] struct {
	name string
	def  string
	set  func(c *C, text string) error
}

type variable = setting[Config]

// variables is the complete list, in the order of the documentation.
var variables = []variable{
	{"STEPUP_TABLE", "", func(c *Config, s string) error { c.Table = s; return nil }},
	{"STEPUP_KEYRING", "", func(c *Config, s string) error { c.Keyring = s; return nil }},
	{"STEPUP_ENV", "", func(c *Config, s string) error { c.Environment = s; return nil }},
	{"STEPUP_TEST_CODES", "", setTestCodes},
	{"STEPUP_INSTANCE", "stepup", func(c *Config, s string) error { c.Instance = s; return filled(s) }},
	{"STEPUP_ORGANIZATIONS", "default", setOrganizations},
	{"STEPUP_ORIGINS", "", setOrigins},
	{"STEPUP_TIMEOUT", "8s", duration(func(c *Config) *time.Duration { return &c.Timeout })},
	{"STEPUP_STORE_TIMEOUT", "2s", duration(func(c *Config) *time.Duration { return &c.StoreTimeout })},
	{"STEPUP_KEY_CACHE", "30s", duration(func(c *Config) *time.Duration { return &c.KeyCache })},
	{"STEPUP_IAM_ROLES", "", setIAMRoles},
	{"STEPUP_LOG_LEVEL", "INFO", setLogLevel},
	{"STEPUP_METRICS", "", func(c *Config, s string) error { c.Metrics = s; return nil }},
	{"STEPUP_LOCKOUT_LIMIT", "10", number(func(c *Config) *int { return &c.Lockout.Limit })},
	{"STEPUP_LOCKOUT_FIRST_DELAY", "30s", duration(func(c *Config) *time.Duration { return &c.Lockout.FirstDelay })},
	{"STEPUP_LOCKOUT_MAX_DELAY", "1h", duration(func(c *Config) *time.Duration { return &c.Lockout.MaxDelay })},
	{"STEPUP_LOCKOUT_USER_AT", "0", number(func(c *Config) *int { return &c.Lockout.LockUserAt })},
	{"STEPUP_SESSION_LIMITS", "none", setSessionLimits},
	{"STEPUP_SESSIONS_PER_USER", "0", number(func(c *Config) *int { return &c.SessionsPerUser })},
	{"STEPUP_PASSWORD_MIN_LENGTH", "8", number(func(c *Config) *int { return &c.Passwords.MinLength })},
	{"STEPUP_PASSWORD_BLOCKLIST", "", func(c *Config, s string) error { c.PasswordBlocklist = s; return nil }},
	{"STEPUP_HASH_MEMORY_KIB", "19456", unsigned(func(c *Config) *uint32 { return &c.Hashing.MemoryKiB })},
	{"STEPUP_HASH_TIME", "2", unsigned(func(c *Config) *uint32 { return &c.Hashing.Time })},
	{"STEPUP_HASH_CONCURRENCY", "4", number(func(c *Config) *int { return &c.HashConcurrency })},
	{"STEPUP_ISSUER", "stepup", func(c *Config, s string) error { c.Issuer = s; return filled(s) }},
	{"STEPUP_REAUTHENTICATION", "15m", duration(func(c *Config) *time.Duration { return &c.Reauthentication })},
	{"STEPUP_RELYING_PARTIES", "localhost", setRelyingParties},
	{"STEPUP_SITE", "", setSite},
	{"STEPUP_LINK_HOSTS", "", setLinkHosts},
	{"STEPUP_TEMPLATES", "", func(c *Config, s string) error { c.Templates = s; return nil }},
	{"STEPUP_URL", "", setURL},
	{"STEPUP_IDENTITY_PROVIDERS", "", func(c *Config, s string) error { c.IdentityProviders = s; return nil }},
	{"STEPUP_INTENT_LIFETIME", "1h", duration(func(c *Config) *time.Duration { return &c.IntentLifetime })},
	{"STEPUP_SEND_COOLDOWN", "60s", each(duration, func(p *sending.Policy) *time.Duration { return &p.Cooldown })},
	{"STEPUP_SEND_PER_HOUR", "5", each(number, func(p *sending.Policy) *int { return &p.PerHour })},
	{"STEPUP_SEND_PER_DAY", "10", each(number, func(p *sending.Policy) *int { return &p.PerDay })},
	{"STEPUP_SEND_USER_PER_HOUR", "0", each(number, func(p *sending.Policy) *int { return &p.Caps.UserHour })},
	{"STEPUP_SEND_USER_PER_DAY", "0", each(number, func(p *sending.Policy) *int { return &p.Caps.User })},
	{"STEPUP_SEND_ORGANIZATION_PER_DAY", "0", each(number, func(p *sending.Policy) *int { return &p.Caps.Organization })},
	{"STEPUP_SEND_NETWORK_PER_DAY", "0", each(number, func(p *sending.Policy) *int { return &p.Caps.Network })},
	{"STEPUP_SMS_COUNTRY_PER_DAY", "0", number(func(c *Config) *int { return &c.SMS.Limits.Caps.Country })},
	{"STEPUP_SMS_CONVERSION_LIMIT", "0", number(func(c *Config) *int { return &c.SMS.Limits.Conversion.Limit })},
	{"STEPUP_SMS_CONVERSION_PER_CODE", "10", number(func(c *Config) *int { return &c.SMS.Limits.Conversion.PerCode })},
	{"STEPUP_SMS_CONVERSION_WINDOW", "1h", duration(func(c *Config) *time.Duration { return &c.SMS.Limits.Conversion.Window })},
	{"STEPUP_SMS_BUDGET", "1000", number(func(c *Config) *int { return &c.SMS.Limits.Budget })},
	{"STEPUP_SMS_BUDGET_USD", "0", amount(func(c *Config) *price.Micros { return &c.SMS.Limits.Spend })},
	{"STEPUP_SMS_PRICES", "", setPrices},
	{"STEPUP_SMS_PREFIXES", "", setPrefixes},
	{"STEPUP_SMS_SENDER_ID", "", func(c *Config, s string) error { c.SMS.SenderID = s; return nil }},
	{"STEPUP_SMS_ORIGINATION_NUMBER", "", func(c *Config, s string) error { c.SMS.OriginationNumber = s; return nil }},
	{"STEPUP_SMS_MAX_PRICE", "0", setMaxPrice},
	{"STEPUP_MAIL_BUDGET", "10000", number(func(c *Config) *int { return &c.Mail.Limits.Budget })},
	{"STEPUP_MAIL_BUDGET_USD", "0", amount(func(c *Config) *price.Micros { return &c.Mail.Limits.Spend })},
	{"STEPUP_MAIL_PRICE", "", setMailPrice},
	{"STEPUP_MAIL_FROM", "", func(c *Config, s string) error { c.Mail.From = s; return nil }},
	{"STEPUP_MAIL_REPLY_TO", "", func(c *Config, s string) error { c.Mail.ReplyTo = s; return nil }},
	{"STEPUP_MAIL_CONFIGURATION_SET", "", func(c *Config, s string) error { c.Mail.ConfigurationSet = s; return nil }},
	{"AWS_LAMBDA_FUNCTION_NAME", "", func(c *Config, s string) error { c.Metrics = cmp.Or(c.Metrics, s); return nil }},
	{"AWS_REGION", "", func(c *Config, s string) error { c.Region = s; return nil }},
	{"AWS_ENDPOINT_URL_DYNAMODB", "", func(c *Config, s string) error { c.DynamoDBEndpoint = s; return endpoint(s) }},
	{"AWS_ENDPOINT_URL_SECRETS_MANAGER", "", func(c *Config, s string) error { c.SecretsEndpoint = s; return endpoint(s) }},
	{"AWS_ENDPOINT_URL_SNS", "", func(c *Config, s string) error { c.SNSEndpoint = s; return endpoint(s) }},
	{"AWS_ENDPOINT_URL_SESV2", "", func(c *Config, s string) error { c.SESEndpoint = s; return endpoint(s) }},
}

// Names returns every variable that Load reads.
func Names() []string { return namesOf(variables) }

func namesOf[C any](settings []setting[C]) []string {
	names := make([]string, len(settings))
	for i, v := range settings {
		names[i] = v.name
	}
	return names
}

// Load reads the environment. An unset or empty variable has its default. The error
// names every variable with a bad value, but does not repeat text that it could not
// read, which may be a secret in the wrong place.
func Load(lookup Lookup) (Config, error) {
	c := Config{Hashing: password.DefaultParams()}
	if err := read(&c, variables, lookup); err != nil {
		return c, err
	}
	return c, c.validate()
}

// read sets c as the environment says. The error names every variable at fault.
func read[C any](c *C, settings []setting[C], lookup Lookup) error {
	var problems []error
	for _, v := range settings {
		text, _ := lookup(v.name)
		if text == "" {
			text = v.def
		}
		if err := v.set(c, text); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", v.name, err))
		}
	}
	return errors.Join(problems...)
}

// validate holds what needs more than one variable.
func (c Config) validate() error {
	if err := c.Lockout.Validate(); err != nil {
		return fmt.Errorf("STEPUP_LOCKOUT_*: %w", err)
	}
	if err := errors.Join(c.SMS.Limits.Validate(), c.Mail.Limits.Validate()); err != nil {
		return fmt.Errorf("STEPUP_SEND_*, STEPUP_SMS_BUDGET, STEPUP_SMS_COUNTRY_PER_DAY, STEPUP_SMS_CONVERSION_*, STEPUP_MAIL_BUDGET: %w", err)
	}
	if c.SessionsPerUser < 0 || c.SessionsPerUser > session.MaxPerUser {
		return fmt.Errorf("STEPUP_SESSIONS_PER_USER: is not between 0 and %d", session.MaxPerUser)
	}
	if err := c.Passwords.Validate(); err != nil {
		return fmt.Errorf("STEPUP_PASSWORD_MIN_LENGTH: %w", err)
	}
	if c.StoreTimeout > c.Timeout {
		return errors.New("STEPUP_STORE_TIMEOUT: is longer than STEPUP_TIMEOUT")
	}
	return errors.Join(c.checkIAMRoles(), c.checkTestCodes())
}

// each sets a limit of every channel.
func each[V any](
	parse func(func(*Config) *V) func(*Config, string) error, field func(*sending.Policy) *V,
) func(*Config, string) error {
	sms := parse(func(c *Config) *V { return field(&c.SMS.Limits) })
	mail := parse(func(c *Config) *V { return field(&c.Mail.Limits) })
	return func(c *Config, s string) error {
		if err := sms(c, s); err != nil {
			return err
		}
		return mail(c, s)
	}
}

func setPrefixes(c *Config, s string) error {
	c.SMS.Limits.Prefixes = list(s)
	if phone.CheckPrefixes(c.SMS.Limits.Prefixes) != nil {
		return errPrefixes
	}
	return nil
}

func amount(field func(*Config) *price.Micros) func(*Config, string) error {
	return func(c *Config, s string) (err error) {
		*field(c), err = price.Parse(s)
		return err
	}
}

// setPrices takes the examples where nothing is set, which bound what a day costs but are
// told to nobody.
func setPrices(c *Config, s string) (err error) {
	c.SMS.Limits.Prices, c.SMS.Limits.Quoted = price.Examples(), s != ""
	if s != "" {
		c.SMS.Limits.Prices, err = price.ParseList(s)
	}
	return err
}

// setMailPrice is setPrices for mails, which cost the same wherever they go.
func setMailPrice(c *Config, s string) (err error) {
	p := price.Mail
	if s != "" {
		p, err = price.Parse(s)
	}
	c.Mail.Limits.Prices, c.Mail.Limits.Quoted = price.List{"": p}, s != ""
	return err
}

func setMaxPrice(c *Config, s string) (err error) {
	if c.SMS.MaxPrice, err = strconv.ParseFloat(s, 64); err != nil || !(c.SMS.MaxPrice >= 0) {
		return price.ErrAmount
	}
	return nil
}

func setOrganizations(c *Config, s string) error {
	c.Organizations = list(s)
	if len(c.Organizations) == 0 {
		return errEmpty
	}
	return nil
}

func setLogLevel(c *Config, s string) error { return level(&c.LogLevel, s) }

func level(l *slog.Level, s string) error {
	if l.UnmarshalText([]byte(s)) != nil {
		return errLevel
	}
	return nil
}

var (
	errEmpty    = errors.New("is empty")
	errLevel    = errors.New("is not DEBUG, INFO, WARN or ERROR")
	errDuration = errors.New("is not a duration above zero, such as 30s")
	errNumber   = errors.New("is not a whole number")
	errPrefixes = errors.New("is not a list of a plus sign and digits each, such as +41,+423")
	errEndpoint = errors.New("is not a URL of a host alone, such as http://127.0.0.1:8000")
)

func filled(s string) error {
	if strings.TrimSpace(s) == "" {
		return errEmpty
	}
	return nil
}

// endpoint takes nothing, which is AWS's own, or where another service is.
func endpoint(s string) error {
	u, err := url.Parse(s)
	if s != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return errEndpoint
	}
	return nil
}

// list splits at commas and drops empty entries.
func list(s string) []string {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return slices.DeleteFunc(parts, func(p string) bool { return p == "" })
}

func duration(field func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, s string) error {
		d, err := time.ParseDuration(s)
		if err != nil || d <= 0 {
			return errDuration
		}
		*field(c) = d
		return nil
	}
}

func number(field func(*Config) *int) func(*Config, string) error {
	return func(c *Config, s string) error {
		n, err := strconv.Atoi(s)
		if err != nil {
			return errNumber
		}
		*field(c) = n
		return nil
	}
}

func unsigned(field func(*Config) *uint32) func(*Config, string) error {
	return func(c *Config, s string) error {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return errNumber
		}
		*field(c) = uint32(n)
		return nil
	}
}
