package user_test

import (
	"net/url"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// nobody is an authenticated caller without any permission.
func nobody() access.Caller { return access.Caller{ID: "somebody", UserID: "somebody"} }

func registerBy(t *testing.T, s *apptest.Service, id string, code user.RegistrationCode) error {
	t.Helper()
	_, _, err := s.Users.RegisterKey(t.Context(), nobody(), id, user.KeyRequest{
		Kind: passkey.Passkey, RPID: "localhost", Code: &code,
	})
	return err
}

func registrationCode(t *testing.T, s *apptest.Service, id string) user.RegistrationCode {
	t.Helper()
	_, code, err := s.Users.CreatePasskeyLink(t.Context(), apptest.Admin(), id, user.CodeRequest{Return: true})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

var linkInMail = regexp.MustCompile(`https://\S+`)

func TestALinkInAMailEntitlesToRegisterOnePasskey(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	id := newcomer(t, s, true)
	_, code, err := s.Users.CreatePasskeyLink(t.Context(), apptest.Admin(), id, user.CodeRequest{
		URLTemplate: "https://login.example.com/?user={{.UserID}}&org={{.OrgID}}&id={{.CodeID}}&code={{.Code}}",
	})
	outcome(t, "create", err, "")
	if code != (user.RegistrationCode{}) {
		t.Error("a code that is sent is answered too")
	}
	link, err := url.Parse(linkInMail.FindString(s.Inbox.Messages()[0].Text))
	if err != nil {
		t.Fatal(err)
	}
	q := link.Query()
	shown := user.RegistrationCode{ID: q.Get("id"), Code: q.Get("code")}
	outcome(t, "register", registerBy(t, s, q.Get("user"), shown), "")
	outcome(t, "register again", registerBy(t, s, q.Get("user"), shown), "COMMAND-Eeb2a")
	if keys := get(t, s, id).KeysOf(passkey.Passkey, s.Clock.Now()); len(keys) != 1 {
		t.Errorf("%d registrations have begun, want 1", len(keys))
	}
}

func TestARegistrationCodeIsRefused(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	id := newcomer(t, s, true)
	bob := s.NewUser(t, "bob@example.com").ID
	first := registrationCode(t, s, id)
	code := registrationCode(t, s, id)
	outcome(t, "the code before the last", registerBy(t, s, id, first), "COMMAND-Eeb2a")
	outcome(t, "of somebody else", registerBy(t, s, bob, code), "COMMAND-Eeb2a")
	outcome(t, "of nobody", registerBy(t, s, "unknown", code), "COMMAND-Eeb2a")
	outcome(t, "with another id", registerBy(t, s, id, user.RegistrationCode{ID: first.ID, Code: code.Code}), "COMMAND-Eeb2a")
	_, _, err := s.Users.RegisterKey(t.Context(), nobody(), id, user.KeyRequest{Kind: passkey.Passkey, RPID: "evil.example", Code: &code})
	outcome(t, "for another domain", err, "WEBAU-UX9ta")
	for range 4 {
		outcome(t, "wrong", registerBy(t, s, id, user.RegistrationCode{ID: code.ID, Code: other(code.Code)}), "COMMAND-Eeb2a")
	}
	outcome(t, "right after four wrong", registerBy(t, s, id, code), "")
	code = registrationCode(t, s, id)
	for range 5 {
		_ = registerBy(t, s, id, user.RegistrationCode{ID: code.ID, Code: other(code.Code)})
	}
	outcome(t, "right after five wrong", registerBy(t, s, id, code), "COMMAND-Eeb2a")
	code = registrationCode(t, s, id)
	s.Clock.Advance(time.Hour + time.Second)
	outcome(t, "too late", registerBy(t, s, id, code), "COMMAND-Eeb2a")
}

func TestOneOf200ParallelUsesOfARegistrationCodePasses(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		id := newcomer(t, s, true)
		code := registrationCode(t, s, id)
		var passed atomic.Int64
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				switch err := registerBy(t, s, id, code); {
				case err == nil:
					passed.Add(1)
				case fault.From(err).ID != "COMMAND-Eeb2a" && fault.From(err).ID != fault.Conflict.ID:
					t.Errorf("refused with %v", err)
				}
			})
		}
		all.Wait()
		if n := passed.Load(); n != 1 {
			t.Errorf("the code passed %d times", n)
		}
	})
}

func TestALinkIsNotMadeForEverybody(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	id, unverified := newcomer(t, s, true), s.NewUser(t, "bob@example.com").ID
	_, err := mail().set(s, apptest.Admin(), unverified, user.Contact{Address: "bob@new.example"}, nil)
	outcome(t, "set", err, "")
	link := user.CodeRequest{URLTemplate: "https://login.example.com/?id={{.CodeID}}&code={{.Code}}"}
	for what, c := range map[string]struct {
		caller access.Caller
		id     string
		ask    user.CodeRequest
		want   string
	}{
		"by the user":              {proven(s, id), id, link, "AUTH-AWfge"},
		"by a viewer":              {access.Caller{ID: "key", Role: access.IAMOwnerViewer}, id, link, "AUTH-AWfge"},
		"for nobody":               {apptest.Admin(), "unknown", link, "QUERY-Dfbg2"},
		"without a link":           {apptest.Admin(), id, user.CodeRequest{}, "STEPUP-link"},
		"with a bad link":          {apptest.Admin(), id, user.CodeRequest{URLTemplate: "https://h.example/{{.SessionID}}"}, "DOMAIN-ieYa7"},
		"to an unverified address": {apptest.Admin(), unverified, link, "STEPUP-link-email"},
	} {
		_, _, err := s.Users.CreatePasskeyLink(t.Context(), c.caller, c.id, c.ask)
		outcome(t, what, err, c.want)
	}
	if n := len(s.Inbox.Messages()); n != 0 {
		t.Errorf("%d messages left", n)
	}
}
