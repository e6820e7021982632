package app_test

import (
	"strings"
	"testing"
)

// TestATestAddressCostsNothing has a deployment on AWS, whose providers count what they
// are asked.
func TestATestAddressCostsNothing(t *testing.T) {
	t.Parallel()
	const texted, mailed = "12345678", "87654321"
	d := deploy(t, map[string]string{
		"STEPUP_ENV": "staging", "STEPUP_TEST_CODES": phoneNumber + "=" + texted + ";" + mailAddress + "=" + mailed,
	})
	path, _ := d.session()
	for range 3 {
		d.must("PATCH", path, `{"challenges":{"otpSms":{},"otpEmail":{"sendCode":{"urlTemplate":"https://login.example.com/{{.Code}}"}}}}`)
		d.must("PATCH", path, `{"checks":{"otpSms":{"code":"`+texted+`"},"otpEmail":{"code":"`+mailed+`"}}}`)
	}
	d.must("POST", "/v2/users/ada/passkeys/registration_link", `{"sendLink":{"urlTemplate":"https://login.example.com/{{.Code}}"}}`)
	if n := d.providers.Requests(); n != 0 {
		t.Errorf("%d requests to SNS and SES", n)
	}
	logs := d.logs.String()
	if strings.Count(logs, "codes of some addresses are fixed") != 1 || !strings.Contains(logs, `"environment":"staging","addresses":2`) {
		t.Errorf("the log does not say once that there are two fixed codes:\n%s", logs)
	}
	if found := leaks([]byte(logs), map[string][]byte{
		"phone": []byte(phoneNumber), "mail": []byte(mailAddress), "code by SMS": []byte(texted), "code by mail": []byte(mailed),
	}); len(found) > 0 {
		t.Errorf("logged: %v in\n%s", found, logs)
	}
}

func TestOthersAreSentMessagesBesideATestAddress(t *testing.T) {
	t.Parallel()
	d := deploy(t, map[string]string{"STEPUP_ENV": "staging", "STEPUP_TEST_CODES": "+15005550006=12345678;test@example.com=87654321"})
	path, _ := d.session()
	d.must("PATCH", path, `{"challenges":{"otpSms":{},"otpEmail":{}}}`)
	if texts, mails := d.providers.SMS(), d.providers.Mails(); len(texts) != 1 || len(mails) != 1 {
		t.Errorf("%d text messages and %d mails, want one of each", len(texts), len(mails))
	}
	status, _ := d.call("PATCH", path, d.key, `{"checks":{"otpSms":{"code":"12345678"}}}`)
	if status != 400 {
		t.Errorf("the code of another address: %d", status)
	}
}
