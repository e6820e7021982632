package main_test

import (
	"net/http"

	"github.com/stepup-auth/stepup/functions/api/apitest"
)

// factorRoutes registers factors with one user and removes those of another. What would
// have to be answered within minutes is answered too late.
func factorRoutes() []request {
	const credential = `"publicKeyCredential":{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}`
	return []request{
		{
			file: "register-totp.rest", method: http.MethodPost, path: userPath + "/totp", body: `{}`,
			status: http.StatusOK, want: `"uri":"otpauth://totp/`,
		},
		{
			file: "verify-totp-registration.rest", method: http.MethodPost, path: factorsPath + "/totp/verify", body: `{"code":"12345"}`,
			status: http.StatusBadRequest, want: "EVENT-8isk2",
		},
		{
			file: "remove-totp.rest", method: http.MethodDelete, path: factorsPath + "/totp",
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "add-otp-sms.rest", method: http.MethodPost, path: userPath + "/otp_sms", body: `{}`,
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "remove-otp-sms.rest", method: http.MethodDelete, path: factorsPath + "/otp_sms",
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "add-otp-email.rest", method: http.MethodPost, path: userPath + "/otp_email", body: `{}`,
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "remove-otp-email.rest", method: http.MethodDelete, path: factorsPath + "/otp_email",
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "generate-recovery-codes.rest", method: http.MethodPost, path: userPath + "/recovery_codes", body: `{"count":8}`,
			status: http.StatusOK, want: `"recoveryCodes"`,
		},
		{
			file: "remove-recovery-codes.rest", method: http.MethodDelete, path: factorsPath + "/recovery_codes",
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "register-passkey.rest", method: http.MethodPost, path: userPath + "/passkeys",
			body:   `{"domain":"localhost","authenticator":"PASSKEY_AUTHENTICATOR_PLATFORM"}`,
			status: http.StatusOK, want: `"publicKeyCredentialCreationOptions"`,
		},
		{
			file: "verify-passkey-registration.rest", method: http.MethodPost, path: factorsPath + "/passkeys/" + apitest.PasskeyID,
			body:   `{` + credential + `,"passkeyName":"laptop"}`,
			status: http.StatusBadRequest, want: "STEPUP-webauthn-expired",
		},
		{
			file: "create-passkey-registration-link.rest", method: http.MethodPost, path: userPath + "/passkeys/registration_link",
			body:   `{"returnCode":{}}`,
			status: http.StatusOK, want: `"code"`,
		},
		{
			file: "list-passkeys.rest", method: http.MethodPost, path: factorsPath + "/passkeys/_search", body: `{}`,
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "remove-passkey.rest", method: http.MethodDelete, path: factorsPath + "/passkeys/" + apitest.PasskeyID,
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "register-u2f.rest", method: http.MethodPost, path: userPath + "/u2f", body: `{"domain":"localhost"}`,
			status: http.StatusOK, want: `"publicKeyCredentialCreationOptions"`,
		},
		{
			file: "verify-u2f-registration.rest", method: http.MethodPost, path: factorsPath + "/u2f/" + apitest.U2FID,
			body:   `{` + credential + `,"tokenName":"stick"}`,
			status: http.StatusBadRequest, want: "STEPUP-webauthn-expired",
		},
		{
			file: "remove-u2f.rest", method: http.MethodDelete, path: factorsPath + "/u2f/" + apitest.U2FID,
			status: http.StatusOK, want: `"details"`,
		},
		{
			// The filters are in the query, although the verb is POST.
			file: "list-authentication-factors.rest", method: http.MethodPost,
			path:   factorsPath + "/authentication_factors/_search?states=AUTH_FACTOR_STATE_READY&authFactors=OTP_SMS",
			status: http.StatusOK, want: `"otpSms"`,
		},
		{
			file: "one-time-code", method: http.MethodPatch, path: "/v2/sessions/" + apitest.FactorsSessionID,
			body:   `{"challenges":{"otpSms":{"returnCode":true},"otpEmail":{"returnCode":{}}}}`,
			status: http.StatusOK, want: `"otpSms":"`,
		},
		{
			file: "recovery-code", method: http.MethodPatch, path: "/v2/sessions/" + apitest.FactorsSessionID,
			body:   `{"checks":{"recoveryCode":{"code":"` + apitest.RecoveryCode + `"}}}`,
			status: http.StatusOK, want: `"sessionToken"`,
		},
	}
}

// identityRoutes are the calls about external identities. Their function knows no
// provider: what one says is good for minutes, and there is none on a laptop.
func identityRoutes() []request {
	const link = `{"idpLink":{"idpId":"google","userId":"1098","userName":"ada@example.com"}}`
	return []request{
		{
			file: "start-identity-provider-intent.rest", method: http.MethodPost, path: "/v2/idp_intents",
			body:   `{"idpId":"google","urls":{"successUrl":"https://login.example.com/ok","failureUrl":"https://login.example.com/failed"}}`,
			status: http.StatusNotFound, want: "STEPUP-idp",
		},
		{
			file: "retrieve-identity-provider-intent.rest", method: http.MethodPost, path: "/v2/idp_intents/intent",
			body: `{"idpIntentToken":"token"}`, status: http.StatusForbidden, want: "CRYPTO-",
		},
		{
			file: "add-idp-link.rest", method: http.MethodPost, path: userPath + "/links", body: link,
			status: http.StatusNotFound, want: "STEPUP-idp",
		},
		{
			file: "list-idp-links.rest", method: http.MethodPost, path: userPath + "/links/_search", body: `{}`,
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "remove-idp-link.rest", method: http.MethodDelete, path: userPath + "/links/google/1098",
			status: http.StatusNotFound, want: "STEPUP-idp-link",
		},
		{
			file: "identity-provider-callback", method: http.MethodGet, path: "/idps/callback?state=state&code=code",
			status: http.StatusBadRequest, want: "Referrer-Policy: no-referrer",
		},
	}
}
