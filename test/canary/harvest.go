package canary

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Fields has the kinds of secrets by the names of the fields that carry them, in messages,
// queries and redirects, without capitals and underscores.
var Fields = map[string]Kind{
	"password": Password, "currentpassword": Password,
	"hash": Hash,
	"code": Code, "verificationcode": Code, "emailcode": Code, "phonecode": Code, "otpsms": Code, "otpemail": Code,
	"recoverycodes": Recovery,
	"secret":        Seed, "totpsecret": Seed,
	"sessiontoken":   Token,
	"idpintenttoken": Federated, "accesstoken": Federated, "refreshtoken": Federated, "idtoken": Federated, "token": Federated, "state": Federated,
	"signature": Assertion, "clientdatajson": Assertion,
	"phone": Number, "number": Number,
	"email": Address, "emailaddress": Address,
	"username": Name, "loginname": Name, "preferredloginname": Name, "loginnames": Name,
	"givenname": Name, "familyname": Name, "nickname": Name, "displayname": Name,
}

// Harmless are the other fields of the contract that hold text or bytes. Together with
// Fields they are all: a test holds them together, so that a new field is thought about.
var Harmless = []string{
	// Ids and words of the protocol. Each is in logs or events, or may be.
	"userid", "id", "sessionid", "idpid", "u2fid", "passkeyid", "organizationid", "orgid", "orgdomain", "resourceowner", "idpintentid", "linkeduserid",
	"keepsessionid", "ids", "userids", "values", "fingerprintid", "amr", "acr", "acrvalues", "anyof", "why", "then", "factor", "domain", "message",
	"error", "errordescription", "sends", "preferredlanguage", "loginhint",
	// What a caller gives to be kept or shown, and nobody signs in with.
	"name", "description", "key", "value", "tokenname", "passkeyname", "ip", "avatarurl", "url", "urltemplate", "successurl", "failureurl",
	// They hold others of Fields, or are of protocols that nobody speaks here.
	"uri", "authurl", "postform", "assertion",
}

// Field is a field's name as Fields has it.
func Field(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// valued finds the members of JSON, be it broken, that are strings or lists.
var (
	valued = regexp.MustCompile(`"([A-Za-z0-9_]+)"\s*:\s*("(?:[^"\\]|\\.)*"|\[[^\]]*\])`)
	quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
)

// Body notes the secrets in a message in JSON.
func (l *Ledger) Body(body []byte) {
	for _, member := range valued.FindAllSubmatch(body, -1) {
		name := Field(string(member[1]))
		for _, text := range quoted.FindAll(member[2], -1) {
			var value string
			if json.Unmarshal(text, &value) == nil {
				l.field(name, value)
			}
		}
	}
}

func (l *Ledger) field(name, value string) {
	if k, secret := Fields[name]; secret && !strings.Contains(value, "{{") { // which is a place for one
		l.Plant(k, value)
	}
	// Where a browser goes, a template of a link among them.
	if u, err := url.Parse(value); err == nil && u.Scheme != "" {
		l.Query(u.Query())
	}
}

// Query notes the secrets in the query of a URL.
func (l *Ledger) Query(q url.Values) {
	for name, values := range q {
		for _, value := range values {
			l.field(Field(name), value)
		}
	}
}

// Header notes the secrets in the header of a request or of an answer: credentials, and
// where a browser is sent.
func (l *Ledger) Header(h http.Header) {
	if _, bearer, ok := strings.Cut(h.Get("Authorization"), " "); ok {
		kind := Token
		if strings.HasPrefix(bearer, "stepup_") {
			kind = APIKey
		}
		l.Plant(kind, bearer)
	}
	if u, err := url.Parse(h.Get("Location")); err == nil {
		l.Query(u.Query())
	}
}
