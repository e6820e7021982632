package app_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	sessionv1 "github.com/stepup-auth/stepup/pkg/gen/stepup/session/v1"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	userv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/otp"
)

// call is one request of the table of outages. Undisturbed it answers status, and below
// 300 when that is zero.
type call struct {
	method, path, body string
	status             int
	// fresh makes the path, for a call that needs a code of a provider's.
	fresh func(t *testing.T) string
	// alone is set where nobody else changes what the call writes, so that it does not
	// try again.
	alone bool
	// key is the Idempotency-Key of the call, which most have none of.
	key string
	// bearer is who calls, where it is not the owner of the key.
	bearer string
	// sms and mails are how many messages leave.
	sms, mails int
}

// calls returns one call of each method of the contract, and more where one method does
// several things. The name begins with the method's.
func (o *origin) calls() map[string]call {
	const (
		ada, ben, eve, profile = "/v2/users/ada", "/v2/users/ben", "/v2/users/eve", `"profile":{"givenName":"G","familyName":"H"}`
		send                   = `{"sendCode":{}}`
	)
	check := func(checks string) call {
		return call{method: "PATCH", path: o.bound, body: `{"checks":{` + checks + `}}`}
	}
	wrong := check(`"password":{"password":"canary: not it"}`)
	wrong.status = 400
	code := func(seed []byte) string { return `{"code":"` + otp.Code(seed, apptest.Epoch()) + `"}` }
	return map[string]call{
		"CreateSession": {method: "POST", path: "/v2/sessions", body: `{"checks":{"user":{"userId":"ada"}},"lifetime":"3600s"}`},
		"CreateSession with codes": {
			method: "POST", path: "/v2/sessions", body: `{"checks":{"user":{"loginName":"ada"}},"challenges":{"otpSms":{},"otpEmail":{}}}`, sms: 1, mails: 1,
		},
		"SetSession":                     {method: "PATCH", path: o.bound, body: `{"metadata":{"k":"dg=="}}`},
		"SetSession with a user":         {method: "PATCH", path: o.open, body: `{"checks":{"user":{"userId":"ada"}}}`},
		"SetSession with password":       check(`"password":{"password":"` + apptest.Password + `"}`),
		"SetSession with wrong password": wrong,
		"SetSession with TOTP":           check(`"totp":` + code(o.seed)),
		"SetSession with SMS and mail":   check(`"otpSms":{"code":"` + o.sms + `"},"otpEmail":{"code":"` + o.mail + `"}`),
		"SetSession with recovery code":  check(`"recoveryCode":{"code":"` + o.recovery + `"}`),
		"SetSession with intent":         check(`"idpIntent":{"idpIntentId":"` + o.signIn.id + `","idpIntentToken":"` + o.signIn.token + `"}`),
		"SetSession with codes":          {method: "PATCH", path: o.bound, body: `{"challenges":{"otpSms":{},"otpEmail":{}}}`, sms: 1, mails: 1},
		"SetSession with returned codes": {method: "PATCH", path: o.bound, body: `{"challenges":{"otpSms":{"returnCode":true},"otpEmail":{"returnCode":{}}}}`},
		"GetSession":                     {method: "GET", path: o.bound + "?sessionToken=" + o.token},
		"DeleteSession":                  {method: "DELETE", path: o.bound, body: `{"sessionToken":"` + o.token + `"}`},
		"ListSessions":                   {method: "POST", path: "/v2/sessions/search", body: `{"queries":[{"userIdQuery":{"id":"ada"}}]}`},

		"TerminateUserSessions": {method: "POST", path: "/stepup/v1" + ada[len("/v2"):] + "/sessions/terminate", body: `{}`},
		"TerminateUserSessions but one": {
			method: "POST", path: "/stepup/v1" + ada[len("/v2"):] + "/sessions/terminate", body: `{"keepSessionId":"` + strings.TrimPrefix(o.bound, "/v2/sessions/") + `"}`,
		},

		"AddHumanUser": {
			method: "POST", path: "/v2/users/human", sms: 1, mails: 1,
			body: `{"userId":"bob",` + profile + `,"email":{"email":"bob@example.com","sendCode":{}},"phone":{"phone":"+41446681809","sendCode":{}},
				"idpLinks":[{"idpId":"google","userId":"bob","userName":"bob"}]}`,
		},
		"CreateUser": {
			method: "POST", path: "/v2/users/new", sms: 1, mails: 1,
			body: `{"organizationId":"default","userId":"bob","human":{` + profile + `,"email":{"email":"bob@example.com","sendCode":{}},"phone":{"phone":"+41446681809","sendCode":{}}}}`,
		},
		"GetUserByID":       {method: "GET", path: ada},
		"ListUsers":         {method: "POST", path: "/v2/users", body: `{"queries":[{"loginNameQuery":{"loginName":"ada"}}]}`},
		"ListUsers, all":    {method: "POST", path: "/v2/users", body: `{}`},
		"ListUsers by mail": {method: "POST", path: "/v2/users", body: `{"queries":[{"emailQuery":{"emailAddress":"` + mailAddress + `"}}]}`},
		"UpdateHumanUser": {
			method: "PUT", path: "/v2/users/human/ada", sms: 1, mails: 1,
			body: `{"username":"countess",` + profile + `,"email":{"email":"new@example.com","sendCode":{}},"phone":{"phone":"+41446681809","sendCode":{}}}`,
		},
		"SetEmail":                      {method: "POST", path: ada + "/email", body: `{"email":"new@example.com","sendCode":{}}`, mails: 1},
		"SendEmailCode":                 {method: "POST", path: ben + "/email/send", body: send, mails: 1},
		"ResendEmailCode":               {method: "POST", path: ben + "/email/resend", body: send, mails: 1},
		"VerifyEmail":                   {method: "POST", path: ben + "/email/verify", body: `{"verificationCode":"` + o.begun.email + `"}`},
		"SetPhone":                      {method: "POST", path: ada + "/phone", body: `{"phone":"+41446681809","sendCode":{}}`, sms: 1},
		"RemovePhone":                   {method: "DELETE", path: ada + "/phone"},
		"ResendPhoneCode":               {method: "POST", path: ben + "/phone/resend", body: send, sms: 1},
		"VerifyPhone":                   {method: "POST", path: ben + "/phone/verify", body: `{"verificationCode":"` + o.begun.phone + `"}`},
		"SetPassword":                   {method: "POST", path: ada + "/password", body: `{"newPassword":{"password":"canary: a longer one"}}`},
		"LockUser":                      {method: "POST", path: ada + "/lock", body: `{}`},
		"UnlockUser":                    {method: "POST", path: "/v2/users/cas/unlock", body: `{}`},
		"DeactivateUser":                {method: "POST", path: ada + "/deactivate", body: `{}`},
		"ReactivateUser":                {method: "POST", path: "/v2/users/dan/reactivate", body: `{}`},
		"DeleteUser":                    {method: "DELETE", path: ada},
		"ListAuthenticationMethodTypes": {method: "GET", path: ada + "/authentication_methods"},
		"ListAuthenticationFactors":     {method: "POST", path: ada + "/authentication_factors/_search", body: `{}`},

		"RegisterTOTP":           {method: "POST", path: eve + "/totp", body: `{}`},
		"VerifyTOTPRegistration": {method: "POST", path: ben + "/totp/verify", body: code(o.begun.seed)},
		"RemoveTOTP":             {method: "DELETE", path: ada + "/totp"},
		"AddOTPSMS":              {method: "POST", path: eve + "/otp_sms", body: `{}`},
		"RemoveOTPSMS":           {method: "DELETE", path: ada + "/otp_sms"},
		"AddOTPEmail":            {method: "POST", path: eve + "/otp_email", body: `{}`},
		"RemoveOTPEmail":         {method: "DELETE", path: ada + "/otp_email"},
		"GenerateRecoveryCodes":  {method: "POST", path: eve + "/recovery_codes", body: `{"count":2}`},
		"RemoveRecoveryCodes":    {method: "DELETE", path: ada + "/recovery_codes"},

		"CreatePasskeyRegistrationLink": {method: "POST", path: eve + "/passkeys/registration_link", body: `{"sendLink":{"urlTemplate":"https://login.example.com/{{.UserID}}?id={{.CodeID}}&code={{.Code}}"}}`, mails: 1},
		"RegisterPasskey":               {method: "POST", path: eve + "/passkeys", body: `{"domain":"example.com"}`},
		"VerifyPasskeyRegistration":     {method: "POST", path: o.begun.passkey.path, body: o.begun.passkey.answer},
		"ListPasskeys":                  {method: "POST", path: ben + "/passkeys/_search", body: `{}`},
		"RemovePasskey":                 {method: "DELETE", path: o.begun.passkey.path},
		"RegisterU2F":                   {method: "POST", path: eve + "/u2f", body: `{"domain":"example.com"}`},
		"VerifyU2FRegistration":         {method: "POST", path: o.begun.u2f.path, body: o.begun.u2f.answer},
		"RemoveU2F":                     {method: "DELETE", path: o.begun.u2f.path},

		"StartIdentityProviderIntent":    {method: "POST", path: "/v2/idp_intents", body: googleStart, alone: true},
		"RetrieveIdentityProviderIntent": {method: "POST", path: "/v2/idp_intents/" + o.signIn.id, body: `{"idpIntentToken":"` + o.signIn.token + `"}`},
		"AddIDPLink":                     {method: "POST", path: eve + "/links", body: `{"idpLink":{"idpId":"google","userId":"eve","userName":"eve"}}`},
		"ListIDPLinks":                   {method: "POST", path: ada + "/links/_search", body: `{}`},
		"RemoveIDPLink":                  {method: "DELETE", path: ada + "/links/google/ada"},
		callbackOfAProvider: {
			method: "GET", status: 303, alone: true, fresh: func(t *testing.T) string { return o.stub.SignIn(t, o.authURL, "ada") },
		},
	}
}

// callbackOfAProvider is no method of the contract: browsers come there.
const callbackOfAProvider = "callback"

// methods are those of the contract.
func methods() map[string]protoreflect.MethodDescriptor {
	all := make(map[string]protoreflect.MethodDescriptor)
	for _, file := range []protoreflect.FileDescriptor{
		sessionv2.File_zitadel_session_v2_session_service_proto, userv2.File_zitadel_user_v2_user_service_proto,
		sessionv1.File_stepup_session_v1_session_service_proto,
	} {
		declared := file.Services().Get(0).Methods()
		for i := range declared.Len() {
			all[string(declared.Get(i).Name())] = declared.Get(i)
		}
	}
	return all
}

func TestR1_TheTableOfOutagesHasEveryMethod(t *testing.T) {
	t.Parallel()
	calls := (&origin{}).calls()
	for name := range methods() {
		if _, there := calls[name]; !there {
			t.Errorf("%s is missing", name)
		}
	}
}

// TestR1_TheTableOfOutagesHasEveryMethodThatSends fails where a message can be asked for
// and no row of the method sends one over that channel.
func TestR1_TheTableOfOutagesHasEveryMethodThatSends(t *testing.T) {
	t.Parallel()
	calls := (&origin{}).calls()
	asks := 0
	for name, method := range methods() {
		sms, mails := asked(method.Input(), nil)
		sends := func(count func(call) int) bool {
			for row, c := range calls {
				if method, _, _ := strings.Cut(row, " "); method == name && count(c) > 0 {
					return true
				}
			}
			return false
		}
		if sms && !sends(func(c call) int { return c.sms }) || mails && !sends(func(c call) int { return c.mails }) {
			t.Errorf("%s can send over SMS: %v, by mail: %v, and has no row that does", name, sms, mails)
		}
		if sms || mails {
			asks++
		}
	}
	if asks < 10 {
		t.Errorf("only %d methods can send", asks)
	}
}

// asked reports over which channels a message, by the fields of a request, can be asked for.
func asked(m protoreflect.MessageDescriptor, above []protoreflect.FullName) (sms, mails bool) {
	if slices.Contains(above, m.FullName()) {
		return false, false
	}
	switch m.Name() {
	case "SendPhoneVerificationCode", "OTPSMS":
		return true, false
	case "SendEmailVerificationCode", "OTPEmail", "SendPasskeyRegistrationLink":
		return false, true
	}
	for i := range m.Fields().Len() {
		if inner := m.Fields().Get(i).Message(); inner != nil {
			s, e := asked(inner, append(above, m.FullName()))
			sms, mails = sms || s, mails || e
		}
	}
	return sms, mails
}
