package app_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
)

func newUser(id, credential string) string {
	return fmt.Sprintf(`{"userId":%[1]q,"username":%[1]q,"profile":{"givenName":"A","familyName":"L"},
		"email":{"email":"%[1]s@example.com","isVerified":true},%[2]s}`, id, credential)
}

func TestP2_CommonPasswordsAreRefusedWhenTheyAreSet(t *testing.T) {
	t.Parallel()
	list := filepath.Join(t.TempDir(), "blocklist.txt")
	write(t, list, "Musterbank AG\r\nhorse battery staple\r\n")
	s := apptest.New(t, apptest.Options{Env: map[string]string{"STEPUP_PASSWORD_BLOCKLIST": list}})
	c := client{t, s.Serve(t), s.NewKey(t, access.IAMOwner, "")}
	c.must("POST", "/v2/users/human", newUser("ada", `"password":{"password":"`+apptest.Password+`"}`))
	for plain, common := range map[string]bool{
		"password1": true, "iLoveYou": true, "12345678": true, // built in
		"musterbank ag": true, "horse battery staple": true, // the operator's
		"password1 and more": false, "another correct horse": false,
	} {
		for call, body := range map[string][2]string{
			"create": {"/v2/users/human", newUser("u"+fmt.Sprint(len(plain)), `"password":{"password":"`+plain+`"}`)},
			"set":    {"/v2/users/ada/password", `{"newPassword":{"password":"` + plain + `"}}`},
		} {
			status, answer := c.call("POST", body[0], c.key, body[1])
			if refused := status == 400 && faultOf(answer) == "STEPUP-password-common"; refused != common || !common && status >= 300 {
				t.Errorf("%s with %q: %d %v", call, plain, status, answer)
			}
		}
	}
}

func TestP2_CommonPasswordsThatAreSetStillWork(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	c := client{t, s.Serve(t), s.NewKey(t, access.IAMOwner, "")}
	c.must("POST", "/v2/users/human", newUser("ada", `"hashedPassword":{"hash":"`+apptest.CheapHash(t, "12345678")+`"}`))
	path := "/v2/sessions/" + c.must("POST", "/v2/sessions", `{"checks":{"user":{"userId":"ada"}}}`)["sessionId"].(string)
	for range 2 { // against the hash that came from elsewhere, and against its successor
		c.must("PATCH", path, `{"checks":{"password":{"password":"12345678"}}}`)
	}
}

func TestP2_BlocklistThatCannotBeReadStopsTheStartByName(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"missing": "", "blank": "\n", "UTF-16": "\xff\xfep\x00"} {
		path := filepath.Join(t.TempDir(), "blocklist.txt")
		if text != "" {
			write(t, path, text)
		}
		_, err := app.InFolder(t.TempDir(), with(t, "STEPUP_PASSWORD_BLOCKLIST", path), ambient())
		if err == nil || !strings.HasPrefix(err.Error(), "STEPUP_PASSWORD_BLOCKLIST: ") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want it to name the variable and %s", name, err, path)
		}
	}
}
