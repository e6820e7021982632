package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/descope/virtualwebauthn"
	"golang.org/x/sync/errgroup"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey/passkeytest"
	"github.com/stepup-auth/stepup/test/canary"
)

// origin is what each row of the table of outages begins with: what a table holds, and
// what there is to know of it.
type origin struct {
	items []attributes
	env   map[string]string
	stub  *idptest.Stub

	key string
	// bound and open are paths of sessions: of ada, who has every factor, with codes
	// that wait to be answered, and of nobody. The token is that of the first.
	bound, open, token string
	sms, mail          string // those codes
	seed               []byte // of her app
	recovery           string
	signIn             intentProof
	// begun are ben's: an app that is not confirmed, codes for his address and number, and
	// keys that wait for the browser.
	begun struct {
		seed         []byte
		email, phone string
		passkey, u2f begunKey
	}
	// authURL is where a sign-in goes that has begun.
	authURL string
	// planted is what was secret on the way.
	planted *canary.Ledger
}

type attributes = map[string]types.AttributeValue

// intentProof proves a sign-in at a provider.
type intentProof struct{ id, token string }

// begunKey is the path of a key that is being registered, and the browser's answer.
type begunKey struct{ path, answer string }

// outageDeadline bounds each request of the table.
const outageDeadline = 10 * time.Second

// hasty bounds a call of the store so that a row is over soon. What takes long because
// the machine is busy has the same outcome as what hangs.
var hasty = map[string]string{"STEPUP_STORE_TIMEOUT": "150ms"}

// newOrigin makes the people through the service itself.
func newOrigin(t *testing.T) *origin {
	t.Helper()
	o := &origin{stub: idptest.NewStub(t)}
	folder := t.TempDir()
	provider := o.stub.Config("google")
	list, err := json.Marshal([]map[string]string{{
		"id": provider.ID, "issuer": provider.Issuer, "clientId": provider.ClientID, "clientSecret": provider.ClientSecret,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"keyring.json": keyringText(t), "providers.json": list} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.env = map[string]string{
		"STEPUP_KEYRING": "file:" + folder + "/keyring.json", "STEPUP_IDENTITY_PROVIDERS": "file:" + folder + "/providers.json",
		"STEPUP_URL": idptest.BaseURL, "STEPUP_RELYING_PARTIES": "example.com=https://login.example.com",
		"STEPUP_TIMEOUT": outageDeadline.String(), "STEPUP_STORE_TIMEOUT": outageDeadline.String(),
	}
	d := deploy(t, o.env)
	o.people(t, d.client)
	o.sessions(t, d.client)
	o.items, o.planted = d.dump(t), &d.watch.Ledger
	return o
}

func human(id, more string) string {
	return `{"userId":"` + id + `","username":"` + id + `","profile":{"givenName":"A","familyName":"L"},` + more + `}`
}

func (o *origin) people(t *testing.T, d client) {
	t.Helper()
	o.key = d.key
	verified := func(address, number string) string {
		return `"email":{"email":"` + address + `","isVerified":true},"phone":{"phone":"` + number + `","isVerified":true}`
	}
	d.must("POST", "/v2/users/human", human("ada", verified(mailAddress, phoneNumber)+
		`,"hashedPassword":{"hash":"`+apptest.CheapHash(t, apptest.Password)+`"},"idpLinks":[{"idpId":"google","userId":"ada","userName":"ada"}]`))
	o.seed = confirmed(t, d, "ada")
	d.must("POST", "/v2/users/ada/totp/verify", `{"code":"`+otp.Code(o.seed, apptest.Epoch().Add(-otp.Step))+`"}`)
	d.must("POST", "/v2/users/ada/otp_sms", `{}`)
	d.must("POST", "/v2/users/ada/otp_email", `{}`)
	o.recovery = d.must("POST", "/v2/users/ada/recovery_codes", `{"count":2}`)["recoveryCodes"].([]any)[0].(string)
	codes := d.must("POST", "/v2/users/human", human("ben",
		`"email":{"email":"ben@example.com","returnCode":{}},"phone":{"phone":"+41446681801","returnCode":{}}`))
	o.begun.email, o.begun.phone = codes["emailCode"].(string), codes["phoneCode"].(string)
	o.begun.seed = confirmed(t, d, "ben")
	o.begun.passkey, o.begun.u2f = beginKey(t, d, "passkeys"), beginKey(t, d, "u2f")
	for _, id := range []string{"eve", "cas", "dan"} { // active, locked, inactive
		d.must("POST", "/v2/users/human", human(id, verified(id+"@example.com", "+41446681802")))
	}
	d.must("POST", "/v2/users/cas/lock", `{}`)
	d.must("POST", "/v2/users/dan/deactivate", `{}`)
}

// confirmed registers an app and returns its seed.
func confirmed(t *testing.T, d client, id string) []byte {
	t.Helper()
	seed, err := otp.ParseSecret(d.must("POST", "/v2/users/"+id+"/totp", `{}`)["secret"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

// beginKey begins to register a key of ben's, and answers for his browser.
func beginKey(t *testing.T, d client, kind string) begunKey {
	t.Helper()
	made := d.must("POST", "/v2/users/ben/"+kind, `{"domain":"example.com"}`)
	text, err := json.Marshal(made["publicKeyCredentialCreationOptions"])
	if err != nil {
		t.Fatal(err)
	}
	options, err := virtualwebauthn.ParseAttestationOptions(string(text))
	if err != nil {
		t.Fatal(err)
	}
	id, _ := made["passkeyId"].(string)
	if id == "" {
		id = made["u2fId"].(string)
	}
	browser := virtualwebauthn.RelyingParty{ID: "example.com", Origin: "https://login.example.com"}
	answer := virtualwebauthn.CreateAttestationResponse(
		browser, virtualwebauthn.NewAuthenticator(), passkeytest.Credential(7), *options)
	return begunKey{"/v2/users/ben/" + kind + "/" + id, `{"publicKeyCredential":` + answer + `,"passkeyName":"laptop","tokenName":"laptop"}`}
}

func (o *origin) sessions(t *testing.T, d client) {
	t.Helper()
	s := d.must("POST", "/v2/sessions", `{"checks":{"user":{"userId":"ada"}},"challenges":{"otpSms":{"returnCode":true},"otpEmail":{"returnCode":{}}}}`)
	o.bound, o.token = "/v2/sessions/"+s["sessionId"].(string), s["sessionToken"].(string)
	o.sms, o.mail = s["challenges"].(map[string]any)["otpSms"].(string), s["challenges"].(map[string]any)["otpEmail"].(string)
	o.open = "/v2/sessions/" + d.must("POST", "/v2/sessions", `{}`)["sessionId"].(string)
	start := func() string { return d.must("POST", "/v2/idp_intents", googleStart)["authUrl"].(string) }
	_, location := federated{client: d}.back(o.stub.SignIn(t, start(), "ada"))
	o.signIn = intentProof{location.Query().Get("id"), location.Query().Get("token")}
	o.authURL = start()
}

var googleStart = strings.Replace(startBody, `"test"`, `"google"`, 1)

// secrets are what must not be in any log.
func (o *origin) secrets() map[string][]byte {
	return map[string][]byte{
		"key": []byte(o.key), "token": []byte(o.token), "password": []byte(apptest.Password), "sms": []byte(o.sms), "mail": []byte(o.mail),
		"seed": o.seed, "recovery": []byte(o.recovery), "intent": []byte(o.signIn.token), "email code": []byte(o.begun.email),
		"phone code": []byte(o.begun.phone), "number": []byte(phoneNumber), "address": []byte(mailAddress), "client secret": []byte(idptest.ClientSecret),
	}
}

// world is a service of its own on a table that holds the origin.
type world struct {
	deployment
	*origin

	hasty string // URL of a process that does not wait for a store that hangs
}

func (o *origin) world(t *testing.T) *world {
	t.Helper()
	w := &world{deployment: deploy(t, o.env), origin: o}
	w.client.key = o.key
	w.watch.Adopt(o.planted)
	w.hasty, _ = w.start(t, hasty)
	w.restore(t)
	return w
}

// restore makes the table hold what it began with.
func (w *world) restore(t *testing.T) {
	t.Helper()
	wanted := byKey(w.items)
	var changes []types.WriteRequest
	for key, item := range byKey(w.dump(t)) {
		if _, kept := wanted[key]; !kept {
			changes = append(changes, types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: attributes{"PK": item["PK"], "SK": item["SK"]}}})
		} else if render(item) == render(wanted[key]) {
			delete(wanted, key)
		}
	}
	for _, item := range wanted {
		changes = append(changes, types.WriteRequest{PutRequest: &types.PutRequest{Item: item}})
	}
	for part := range slices.Chunk(changes, 25) {
		_, err := w.database.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{w.table: part}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (d deployment) dump(t *testing.T) []attributes {
	t.Helper()
	out, err := d.database.Scan(t.Context(), &dynamodb.ScanInput{TableName: &d.table, ConsistentRead: new(true)})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.LastEvaluatedKey) > 0 {
		t.Fatal("the table is larger than a page")
	}
	return out.Items
}

func keyOf(item attributes) string {
	return item["PK"].(*types.AttributeValueMemberS).Value + " " + item["SK"].(*types.AttributeValueMemberS).Value
}

func byKey(items []attributes) map[string]attributes {
	all := make(map[string]attributes, len(items))
	for _, item := range items {
		all[keyOf(item)] = item
	}
	return all
}

// exactly is everything in the table.
func (w *world) exactly(t *testing.T) []string { return rows(w.dump(t), render) }

// roughly is everything in the table but for what is drawn: the ids of new items, and
// what is text or bytes.
func (w *world) roughly(t *testing.T) []string {
	known := byKey(w.items)
	return rows(w.dump(t), func(item attributes) string {
		key := keyOf(item)
		if _, old := known[key]; !old {
			pk, sk, _ := strings.Cut(key, " ")
			key = stem(pk) + " " + stem(sk)
		}
		return key + " " + outline(&types.AttributeValueMemberM{Value: item})
	})
}

func stem(key string) string {
	head, _, _ := strings.Cut(key, "#")
	return head
}

func rows(items []attributes, render func(attributes) string) []string {
	var all []string
	for _, item := range items {
		all = append(all, render(item))
	}
	slices.Sort(all)
	return all
}

// render is an item as one line.
func render(item attributes) string {
	return fmt.Sprint(keyOf(item), " ", text(&types.AttributeValueMemberM{Value: item}, true))
}

// outline is a value without what is text or bytes.
func outline(v types.AttributeValue) string { return text(v, false) }

func text(v types.AttributeValue, whole bool) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberM:
		var parts []string
		for name, member := range v.Value {
			parts = append(parts, name+":"+text(member, whole))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, " ") + "}"
	case *types.AttributeValueMemberL:
		var parts []string
		for _, member := range v.Value {
			parts = append(parts, text(member, whole))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case *types.AttributeValueMemberN:
		return v.Value
	case *types.AttributeValueMemberBOOL:
		return fmt.Sprint(v.Value)
	case *types.AttributeValueMemberS:
		if whole {
			return v.Value
		}
		return "S"
	case *types.AttributeValueMemberB:
		if whole {
			return fmt.Sprintf("%x", v.Value)
		}
		return "B"
	default:
		panic(fmt.Sprintf("%T is not stored", v))
	}
}

// answered is what a call came to.
type answered struct {
	status   int
	code     int // of gRPC, in the body of a refusal
	id       string
	location string
	after    string // Retry-After
	took     time.Duration
	log      string // what was logged meanwhile
}

// make makes a call of a process.
func (w *world) make(t *testing.T, url string, c call) answered {
	t.Helper()
	path := c.path
	if c.fresh != nil {
		path = c.fresh(t)
	}
	r, err := http.NewRequestWithContext(t.Context(), c.method, url+path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.key)
	if c.key != "" {
		r.Header.Set("Idempotency-Key", c.key)
	}
	logged := len(w.logs.String())
	start := time.Now()
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answerOf(response.StatusCode, response.Header, body)
	a.took, a.log = time.Since(start), w.logs.String()[logged:]
	return a
}

func answerOf(status int, header http.Header, body []byte) answered {
	a := answered{status: status, location: header.Get("Location"), after: header.Get("Retry-After")}
	var said struct {
		Code    int
		Details []struct{ ID string }
	}
	if json.Unmarshal(body, &said) == nil && a.status >= 400 {
		a.code = said.Code
		if len(said.Details) > 0 {
			a.id = said.Details[0].ID
		}
	}
	return a
}

// together runs the subtests, a number of them at once however many processors there
// are: most of the time they wait.
func together[R any](t *testing.T, rows map[string]R, test func(t *testing.T, row R)) {
	t.Helper()
	var g errgroup.Group
	g.SetLimit(8)
	for name, row := range rows {
		g.Go(func() error {
			t.Run(name, func(t *testing.T) { test(t, row) })
			return nil
		})
	}
	_ = g.Wait()
}
