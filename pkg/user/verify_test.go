package user_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/notify/inbox"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// contact is what the tests below need to know of mail addresses and phone numbers, so
// that each holds for both.
type contact struct {
	channel sending.Channel
	first   string
	second  string
	life    time.Duration
	set     func(s *apptest.Service, caller access.Caller, id string, to user.Contact, ask *user.CodeRequest) (user.Result, error)
	send    func(s *apptest.Service, caller access.Caller, id string, ask user.CodeRequest) (user.Result, error)
	verify  func(s *apptest.Service, caller access.Caller, id, code string) error
	of      func(*user.User) user.Contact
}

func mail() contact {
	return contact{
		channel: sending.Email, first: "ada@example.com", second: "ada@new.example", life: time.Hour,
		set: func(s *apptest.Service, caller access.Caller, id string, to user.Contact, ask *user.CodeRequest) (user.Result, error) {
			return s.Users.Update(context.Background(), caller, id, user.Update{Email: &to, EmailCode: ask})
		},
		send: func(s *apptest.Service, caller access.Caller, id string, ask user.CodeRequest) (user.Result, error) {
			return s.Users.SendEmailCode(context.Background(), caller, id, ask)
		},
		verify: func(s *apptest.Service, caller access.Caller, id, code string) error {
			_, err := s.Users.VerifyEmail(context.Background(), caller, id, code)
			return err
		},
		of: func(u *user.User) user.Contact { return u.Email },
	}
}

func phoneNumber() contact {
	return contact{
		channel: sending.SMS, first: "+41446681800", second: "+41446681801", life: 10 * time.Minute,
		set: func(s *apptest.Service, caller access.Caller, id string, to user.Contact, ask *user.CodeRequest) (user.Result, error) {
			return s.Users.Update(context.Background(), caller, id, user.Update{Phone: &to, PhoneCode: ask})
		},
		send: func(s *apptest.Service, caller access.Caller, id string, ask user.CodeRequest) (user.Result, error) {
			return s.Users.SendPhoneCode(context.Background(), caller, id, ask)
		},
		verify: func(s *apptest.Service, caller access.Caller, id, code string) error {
			_, err := s.Users.VerifyPhone(context.Background(), caller, id, code)
			return err
		},
		of: func(u *user.User) user.Contact { return u.Phone },
	}
}

// forBoth runs a test for mail addresses and for phone numbers.
func forBoth(t *testing.T, test func(t *testing.T, c contact)) {
	t.Helper()
	for _, c := range []contact{mail(), phoneNumber()} {
		t.Run(string(c.channel), func(t *testing.T) { t.Parallel(); test(t, c) })
	}
}

// code has a code returned.
func (c contact) code(t *testing.T, s *apptest.Service, id string) string {
	t.Helper()
	r, err := c.send(s, apptest.Admin(), id, user.CodeRequest{Return: true})
	if err != nil {
		t.Fatal(err)
	}
	return r.Code(c.channel)
}

// other differs from the code in its last digit.
func other(code string) string {
	last := len(code) - 1
	return code[:last] + string('0'+(code[last]-'0'+1)%10)
}

// proven is the user, who has just proved themselves.
func proven(s *apptest.Service, id string) access.Caller {
	return access.Caller{ID: id, UserID: id, Organization: "default", AuthenticatedAt: s.Clock.Now()}
}

func sentTo(s *apptest.Service, address string) []inbox.Message {
	return slices.DeleteFunc(s.Inbox.Messages(), func(m inbox.Message) bool { return m.To != address })
}

func TestAnAddressIsVerifiedByTheCodeThatWasSentToIt(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, c contact) {
		apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
			s := apptest.New(t, apptest.Options{Table: tb})
			id := newcomer(t, s, true)
			ask := user.CodeRequest{}
			if c.channel == sending.Email {
				ask.URLTemplate = "https://login.example.com/verify?user={{.UserID}}&code={{.Code}}&org={{.OrgID}}"
			}
			_, err := c.set(s, proven(s, id), id, user.Contact{Address: c.second}, &ask)
			outcome(t, "set", err, "")
			if got, want := c.of(get(t, s, id)), (user.Contact{Address: c.second}); got != want {
				t.Errorf("before: %+v, want %+v", got, want)
			}
			sent := sentTo(s, c.second)
			if len(sent) != 1 {
				t.Fatalf("%d messages to the new address, want 1", len(sent))
			}
			if link := "verify?user=" + id + "&code=" + sent[0].Code + "&org=default"; ask.URLTemplate != "" && !strings.Contains(sent[0].Text, link) {
				t.Errorf("the mail lacks %s:\n%s", link, sent[0].Text)
			}
			outcome(t, "verify", c.verify(s, proven(s, id), id, sent[0].Code), "")
			if got, want := c.of(get(t, s, id)), (user.Contact{Address: c.second, Verified: true}); got != want {
				t.Errorf("after: %+v, want %+v", got, want)
			}
			outcome(t, "verify again", c.verify(s, proven(s, id), id, sent[0].Code), "COMMAND-eis9R")
		})
	})
}

func TestO2_ACodeForAnAddressExpires(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, c contact) {
		s := apptest.New(t, apptest.Options{})
		id := newcomer(t, s, false)
		code := c.code(t, s, id)
		s.Clock.Advance(c.life + time.Second)
		outcome(t, "too late", c.verify(s, apptest.Admin(), id, code), "CODE-QvUQ4P")
		code = c.code(t, s, id)
		s.Clock.Advance(c.life - time.Second)
		outcome(t, "in time", c.verify(s, apptest.Admin(), id, code), "")
	})
}

func TestO3_OneOf200ParallelVerificationsPasses(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, c contact) {
		apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
			s := apptest.New(t, apptest.Options{Table: tb})
			id := newcomer(t, s, false)
			code := c.code(t, s, id)
			var passed atomic.Int64
			var all sync.WaitGroup
			for range 200 {
				all.Go(func() {
					switch err := c.verify(s, apptest.Admin(), id, code); {
					case err == nil:
						passed.Add(1)
					case fault.From(err).ID != "COMMAND-eis9R" && fault.From(err).ID != fault.Conflict.ID:
						t.Errorf("refused with %v", err)
					}
				})
			}
			all.Wait()
			if n := passed.Load(); n != 1 {
				t.Errorf("the code passed %d times", n)
			}
		})
	})
}

func TestO4_O5_WrongCodesKillTheCodeAndANewOneForgetsNothing(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, c contact) {
		s := apptest.New(t, apptest.Options{})
		id := newcomer(t, s, false)
		for range 2 {
			code := c.code(t, s, id)
			for range 5 {
				outcome(t, "wrong", c.verify(s, apptest.Admin(), id, other(code)), "COMMAND-eis9R")
			}
			outcome(t, "right after five wrong", c.verify(s, apptest.Admin(), id, code), "COMMAND-eis9R")
		}
		_, err := c.send(s, apptest.Admin(), id, user.CodeRequest{})
		outcome(t, "another code after ten failures", err, "STEPUP-verify-locked")
		if n := len(s.Inbox.Messages()); n != 0 {
			t.Errorf("%d messages left while locked (row O14)", n)
		}
		s.Clock.Advance(30 * time.Second)
		outcome(t, "right after the lock", c.verify(s, apptest.Admin(), id, c.code(t, s, id)), "")
	})
}

func TestO6_ACodeIsForOneUserAndOneAddress(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, c contact) {
		s := apptest.New(t, apptest.Options{})
		id := newcomer(t, s, false)
		code := c.code(t, s, id)
		newer := c.code(t, s, id)
		outcome(t, "code before the last", c.verify(s, apptest.Admin(), id, code), "COMMAND-eis9R")
		_, err := c.set(s, apptest.Admin(), id, user.Contact{Address: c.second}, nil)
		outcome(t, "set", err, "")
		outcome(t, "code of the former address", c.verify(s, apptest.Admin(), id, newer), "COMMAND-eis9R")
		r, err := c.set(s, apptest.Admin(), id, user.Contact{Address: c.second}, &user.CodeRequest{Return: true})
		outcome(t, "set with a code", err, "")
		bob := s.NewUser(t, "bob@example.com").ID
		_, err = c.set(s, apptest.Admin(), bob, user.Contact{Address: c.second}, &user.CodeRequest{Return: true})
		outcome(t, "set the same for somebody else", err, "")
		outcome(t, "code of somebody else", c.verify(s, apptest.Admin(), bob, r.Code(c.channel)), "COMMAND-eis9R")
		outcome(t, "code of one's own", c.verify(s, apptest.Admin(), id, r.Code(c.channel)), "")
	})
}

func TestO9_OneOf100ParallelRequestsSendsACode(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, c contact) {
		apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
			s := apptest.New(t, apptest.Options{Table: tb})
			id := newcomer(t, s, false)
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					_, err := c.send(s, apptest.Admin(), id, user.CodeRequest{})
					if f := fault.From(err); f != nil && f.ID != sending.ErrCooldown.ID && f.ID != fault.Conflict.ID {
						t.Errorf("refused with %v", err)
					}
				})
			}
			all.Wait()
			if n := len(s.Inbox.Messages()); n != 1 {
				t.Errorf("%d messages left", n)
			}
		})
	})
}

func TestARefusedMessageLeavesTheUserAsTheyWere(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, c contact) {
		apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
			s := apptest.New(t, apptest.Options{Table: tb})
			id := newcomer(t, s, true)
			before := get(t, s, id)
			s.Inbox.FailNext(notify.ErrEmailUnavailable)
			_, err := c.set(s, apptest.Admin(), id, user.Contact{Address: c.second}, &user.CodeRequest{})
			outcome(t, "set", err, notify.ErrEmailUnavailable.ID)
			after := get(t, s, id)
			if got, want := c.of(after), c.of(before); got != want || len(after.Guard.Codes) != 0 {
				t.Errorf("after: %+v and codes %v, want %+v and none", got, after.Guard.Codes, want)
			}
			_, err = c.set(s, apptest.Admin(), id, user.Contact{Address: c.second}, &user.CodeRequest{})
			outcome(t, "the same at once", err, "")
		})
	})
}

func TestARefusedMessageLeavesNoNewUser(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		registration := user.Registration{
			ID: "ada", Username: "ada", Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
			Email: user.Contact{Address: "ada@example.com"}, EmailCode: &user.CodeRequest{},
		}
		s.Inbox.FailNext(notify.ErrEmailUnavailable)
		_, err := s.Users.Create(t.Context(), apptest.Admin(), registration)
		outcome(t, "create", err, notify.ErrEmailUnavailable.ID)
		_, err = s.Users.Get(t.Context(), apptest.Admin(), "ada")
		outcome(t, "get", err, "QUERY-Dfbg2")
		_, err = s.Users.Create(t.Context(), apptest.Admin(), registration)
		outcome(t, "create again", err, "")
		if n := len(s.Inbox.Messages()); n != 1 {
			t.Errorf("%d messages, want 1", n)
		}
	})
}

// An over-limit request changes nothing: neither the address nor the code that is open.
func TestAMessageOverTheLimitChangesNothing(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, c contact) {
		s := apptest.New(t, apptest.Options{})
		id := newcomer(t, s, false)
		_, err := c.send(s, apptest.Admin(), id, user.CodeRequest{})
		outcome(t, "first", err, "")
		sent := s.Inbox.Messages()[0].Code
		_, err = c.send(s, apptest.Admin(), id, user.CodeRequest{})
		outcome(t, "within the cooldown", err, sending.ErrCooldown.ID)
		outcome(t, "the code that was sent", c.verify(s, apptest.Admin(), id, sent), "")
	})
}

// A user cannot make an address count as theirs without having it.
func TestS9_UsersDoNotVouchForTheirOwnAddresses(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, c contact) {
		s := apptest.New(t, apptest.Options{})
		id := newcomer(t, s, false)
		me, stale := proven(s, id), proven(s, id)
		stale.AuthenticatedAt = s.Clock.Now().Add(-time.Hour)
		for what, attempt := range map[string]struct {
			caller access.Caller
			to     user.Contact
			ask    *user.CodeRequest
			id     string
		}{
			"verified by word":    {me, user.Contact{Address: c.second, Verified: true}, nil, "AUTH-AWfge"},
			"without a code":      {me, user.Contact{Address: c.second}, nil, "AUTH-AWfge"},
			"with its code":       {me, user.Contact{Address: c.second}, &user.CodeRequest{Return: true}, "AUTH-AWfge"},
			"after an old check":  {stale, user.Contact{Address: c.second}, &user.CodeRequest{}, "STEPUP-reauthenticate"},
			"of somebody else":    {proven(s, "bob"), user.Contact{Address: c.second}, &user.CodeRequest{}, "AUTH-AWfge"},
			"with a code sent":    {me, user.Contact{Address: c.second}, &user.CodeRequest{}, ""},
			"by who manages them": {apptest.Admin(), user.Contact{Address: c.first, Verified: true}, nil, ""},
		} {
			_, err := c.set(s, attempt.caller, id, attempt.to, attempt.ask)
			outcome(t, what, err, attempt.id)
		}
		_, err := c.set(s, apptest.Admin(), id, user.Contact{Address: c.first}, nil)
		outcome(t, "unverified again", err, "")
		_, err = c.send(s, me, id, user.CodeRequest{Return: true})
		outcome(t, "another code, returned", err, "AUTH-AWfge")
		outcome(t, "verify somebody else", c.verify(s, proven(s, "bob"), id, "12345678"), "AUTH-AWfge")
	})
}

func TestAnOptionalCodeLeavesAVerifiedAddressAlone(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, c contact) {
		s := apptest.New(t, apptest.Options{})
		id := newcomer(t, s, true)
		_, err := c.set(s, apptest.Admin(), id, user.Contact{Address: c.first}, &user.CodeRequest{Optional: true})
		outcome(t, "the same address", err, "")
		if got := c.of(get(t, s, id)); !got.Verified || len(s.Inbox.Messages()) != 0 {
			t.Errorf("%+v, %d messages; want it verified and none", got, len(s.Inbox.Messages()))
		}
		_, err = c.set(s, apptest.Admin(), id, user.Contact{Address: c.second}, &user.CodeRequest{Optional: true})
		outcome(t, "another address", err, "")
		if got := c.of(get(t, s, id)); got.Verified || len(s.Inbox.Messages()) != 1 {
			t.Errorf("%+v, %d messages; want it unverified and one", got, len(s.Inbox.Messages()))
		}
	})
}

func TestWithoutANumberThereAreNoCodesBySMS(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	id := newcomer(t, s, true)
	_, err := s.Users.AddSMSCodes(t.Context(), apptest.Admin(), id)
	outcome(t, "add", err, "")
	set := func(to user.Contact) *user.User {
		u, err := phoneNumber().set(s, apptest.Admin(), id, to, nil)
		outcome(t, "set", err, "")
		return u.User
	}
	if u := set(user.Contact{Address: "+41446681801"}); u.TakesSMSCodes() || slices.Contains(u.Methods(), user.AuthSMS) || !u.SMSCodes {
		t.Error("codes by SMS are ready for a number that is not verified, or no longer set up")
	}
	if u := set(user.Contact{}); u.SMSCodes {
		t.Error("codes by SMS are set up without a number")
	}
}

func TestABadLinkIsRefusedBeforeAnythingHappens(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{Env: map[string]string{"STEPUP_LINK_HOSTS": "login.example.com"}})
	id := newcomer(t, s, false)
	for template, want := range map[string]string{
		"https://login.example.com/{{.Code":        "DOMAIN-oGh5e",
		"https://login.example.com/{{.SessionID}}": "DOMAIN-ieYa7",
		"https://login.example.com/{{.CodeID}}":    "DOMAIN-ieYa7",
		"https://evil.example/{{.Code}}":           "DOMAIN-ieYa7",
	} {
		ask := user.CodeRequest{URLTemplate: template}
		_, err := mail().send(s, apptest.Admin(), id, ask)
		outcome(t, template, err, want)
		_, err = mail().set(s, apptest.Admin(), id, user.Contact{Address: "ada@new.example"}, &ask)
		outcome(t, template, err, want)
	}
	if u := get(t, s, id); u.Email.Address != "ada@example.com" || len(s.Inbox.Messages()) != 0 {
		t.Errorf("the address is %s, %d messages left", u.Email.Address, len(s.Inbox.Messages()))
	}
}
