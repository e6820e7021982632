package session_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
	"github.com/stepup-auth/stepup/pkg/user"
)

// federation is a service with two identity providers and ada, who is linked to the
// account of her name at the first.
type federation struct {
	*apptest.Service

	t    *testing.T
	stub *idptest.Stub
	ada  *user.User
}

func federate(t *testing.T, tb table.Table) federation {
	t.Helper()
	stub := idptest.NewStub(t)
	s := apptest.New(t, apptest.Options{Table: tb, Providers: []idp.Provider{stub.Config("one"), stub.Config("two")}})
	f := federation{s, t, stub, s.NewUserCheap(t, "ada@example.com")}
	s.Link(t, f.ada.ID, "one", "ada")
	return f
}

func (f federation) signIn(provider, login string) session.CheckIntent {
	f.t.Helper()
	return f.SignInAt(f.t, f.stub, provider, login)
}

// named is a step of ada's with a sign-in.
func (f federation) named(c session.CheckIntent) session.Step {
	step := apptest.Federated(c)
	step.Checks.User = &session.CheckUser{ID: f.ada.ID}
	return step
}

var (
	notSucceeded = wire(fault.FailedPrecondition, "COMMAND-Df4bw", "Intent has not succeeded")
	intentOld    = wire(fault.FailedPrecondition, "COMMAND-SAf42", "Intent has expired")
	otherUser    = wire(fault.FailedPrecondition, "COMMAND-O8xk3w", "Intent meant for another user")
	noUser       = wire(fault.FailedPrecondition, "COMMAND-Sfw3r", "User ID missing")
)

func invalidToken(id string) *fault.Fault {
	return wire(fault.PermissionDenied, id, "Intent Token is invalid")
}

func TestAnExternalIdentityStepsTheSessionUp(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		f := federate(t, tb)
		created := f.NewSession(t, session.Create{Step: f.named(f.signIn("one", "ada"))})
		f.Clock.Advance(time.Minute)
		stepped := f.NewSession(t, session.Create{Step: apptest.Named(f.ada.ID)})
		f.Set(t, stepped.SessionID, apptest.Federated(f.signIn("one", "ada")))
		for id, at := range map[string]time.Time{created.SessionID: apptest.Epoch(), stepped.SessionID: apptest.Epoch().Add(time.Minute)} {
			if got := f.View(t, id).Factors.Intent; !got.Equal(at) {
				t.Errorf("verified at %v, want %v", got, at)
			}
		}
		caller, err := f.Sessions.Authenticate(t.Context(), created.Token)
		if err != nil || caller.UserID != f.ada.ID || !caller.AuthenticatedAt.Equal(apptest.Epoch()) {
			t.Errorf("as bearer: %+v, %v", caller, err)
		}
	})
}

// TestS13_CVE_2025_46815_AnIntentCountsOnce replays it in the same session and in others.
func TestS13_CVE_2025_46815_AnIntentCountsOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		f := federate(t, tb)
		once := f.signIn("one", "ada")
		r := f.NewSession(t, session.Create{Step: f.named(once)})
		_, same := f.TrySet(r.SessionID, apptest.Federated(once))
		_, other := f.TrySet(f.NewSession(t, session.Create{Step: apptest.Named(f.ada.ID)}).SessionID, apptest.Federated(once))
		_, created := f.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: f.named(once)})
		for _, err := range []error{same, other, created} {
			apptest.WantFault(t, err, notSucceeded)
		}
	})
}

func TestS13_CVE_2025_46815_OneOf200ParallelUsesOfAnIntentPasses(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		f := federate(t, tb)
		once := f.signIn("one", "ada")
		shared := f.NewSession(t, session.Create{Step: apptest.Named(f.ada.ID)}).SessionID
		_, errs := atOnce(200, func(i int) (session.Result, error) {
			if i%2 == 0 {
				return f.TrySet(shared, apptest.Federated(once))
			}
			return f.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: f.named(once)})
		})
		passed := 0
		for i, err := range errs {
			switch id := idOf(err); {
			case err == nil:
				passed++
			case id != "COMMAND-Df4bw" && id != "STEPUP-conflict":
				t.Errorf("call %d: %v", i, err)
			}
		}
		if passed != 1 {
			t.Errorf("%d passed", passed)
		}
	})
}

// TestTheSessionIsToldWhyAnIntentDoesNotCount has a row for each id of the wire contract,
// section 4.4. A denial leaves session, user and intent as they were.
func TestTheSessionIsToldWhyAnIntentDoesNotCount(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		f := federate(t, tb)
		bob := f.NewUserCheap(t, "bob@example.com")
		good, strange := f.signIn("one", "ada"), f.signIn("one", "nobody")
		elsewhere := f.signIn("two", "ada") // the same subject at another provider; S13
		old := f.signIn("one", "ada")
		bobs := f.NewSession(t, session.Create{Step: apptest.Named(bob.ID)}).SessionID
		adas := f.NewSession(t, session.Create{Step: apptest.Named(f.ada.ID)}).SessionID
		free := f.NewSession(t, session.Create{}).SessionID
		tampered := old.Token[:40] + good.Token[40:] // one's id with the other's proof
		for name, tc := range map[string]struct {
			session string
			check   session.CheckIntent
			want    *fault.Fault
		}{
			"no user":                      {free, good, noUser},
			"no user, and a forged token":  {free, session.CheckIntent{ID: good.ID, Token: "forged"}, noUser},
			"no token":                     {adas, session.CheckIntent{ID: good.ID}, invalidToken("CRYPTO-Sfefs")},
			"a token that is no base64":    {adas, session.CheckIntent{ID: good.ID, Token: "%%%"}, invalidToken("CRYPTO-Swg31")},
			"a token that was made up":     {adas, session.CheckIntent{ID: good.ID, Token: "AAAA"}, invalidToken("CRYPTO-Sf4gt")},
			"a tampered token":             {adas, session.CheckIntent{ID: good.ID, Token: tampered}, invalidToken("CRYPTO-Sf4gt")},
			"the token of another intent":  {adas, session.CheckIntent{ID: good.ID, Token: old.Token}, invalidToken("CRYPTO-CRYPTO")},
			"the token of an unknown one":  {adas, session.CheckIntent{ID: "unknown", Token: good.Token}, invalidToken("CRYPTO-CRYPTO")},
			"an account of another user":   {bobs, good, otherUser},
			"an account of nobody":         {adas, strange, otherUser},
			"the account at another place": {adas, elsewhere, otherUser},
		} {
			before := f.View(t, tc.session)
			_, err := f.TrySet(tc.session, apptest.Federated(tc.check))
			if got := fault.From(err); got == nil || !got.Is(tc.want) {
				t.Errorf("%s: got %v, want %v", name, err, tc.want)
			}
			equal(t, f.View(t, tc.session), before)
		}
		f.Clock.Advance(time.Hour)
		f.Set(t, adas, apptest.Federated(good)) // in the last moment, and after all those denials
		f.Clock.Advance(time.Microsecond)
		_, err := f.TrySet(adas, apptest.Federated(old))
		apptest.WantFault(t, err, intentOld)
	})
}

func TestAnIntentThatNobodyFinishedHasNotSucceeded(t *testing.T) {
	t.Parallel()
	f := federate(t, nil)
	address := f.StartAt(t, "one")
	a := apptest.Answer(t, f.stub.SignIn(t, address, "ada"))
	a.Error = "access_denied"
	outcome, err := f.Intents.Callback(t.Context(), a)
	if err != nil || outcome.Failure == nil {
		t.Fatalf("%+v, %v", outcome, err)
	}
	failed, err := url.Parse(outcome.Redirect)
	if err != nil {
		t.Fatal(err)
	}
	id := failed.Query().Get("id")
	token, err := intent.NewTokens(f.Ring).Format(id)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: f.named(session.CheckIntent{ID: id, Token: token})})
	apptest.WantFault(t, err, notSucceeded)
}

func TestADenialOfAnotherCheckUsesUpNoIntent(t *testing.T) {
	t.Parallel()
	f := federate(t, nil)
	good := f.signIn("one", "ada")
	adas := f.NewSession(t, session.Create{Step: apptest.Named(f.ada.ID)}).SessionID
	wrong := apptest.Federated(good)
	wrong.Checks.TOTP = &session.CheckCode{Code: "000000"} // comes after the intent
	_, err := f.TrySet(adas, wrong)
	refused(t, err, "COMMAND-3Mif9s")
	wrong = apptest.Federated(good)
	wrong.Checks.Password = &session.CheckPassword{Plain: "no"} // comes before
	_, err = f.TrySet(adas, wrong)
	refused(t, err, "COMMAND-3M0fs")
	f.Set(t, adas, apptest.Federated(good))
}

// TestT7_ARemovedLinkIsRefusedAtOnce removes it between the sign-in and its use, and gives
// the account to somebody else.
func TestT7_ARemovedLinkIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		f := federate(t, tb)
		before := f.signIn("one", "ada")
		if _, err := f.Users.RemoveLink(t.Context(), apptest.Admin(), f.ada.ID, user.Link{ProviderID: "one", ExternalID: "ada"}); err != nil {
			t.Fatal(err)
		}
		adas := f.NewSession(t, session.Create{Step: apptest.Named(f.ada.ID)}).SessionID
		_, err := f.TrySet(adas, apptest.Federated(before))
		apptest.WantFault(t, err, otherUser)
		bob := f.NewUserCheap(t, "bob@example.com")
		f.Link(t, bob.ID, "one", "ada")
		bobs := f.NewSession(t, session.Create{Step: apptest.Named(bob.ID)}).SessionID
		_, err = f.TrySet(bobs, apptest.Federated(before)) // it was meant for ada
		apptest.WantFault(t, err, otherUser)
		f.Set(t, bobs, apptest.Federated(f.signIn("one", "ada")))
	})
}

// TestS10_AnExternalIdentityCountsAsThePasswordDoes: the two together are one factor, and
// neither asks for the other.
func TestS10_AnExternalIdentityCountsAsThePasswordDoes(t *testing.T) {
	t.Parallel()
	f := federate(t, nil)
	both := f.named(f.signIn("one", "ada"))
	both.Checks.Password = &session.CheckPassword{Plain: apptest.Password}
	r := f.NewSession(t, session.Create{Step: both})
	if factors := f.View(t, r.SessionID).Factors; !factors.Authenticated() || factors.MultiFactor() {
		t.Errorf("password and external identity: %+v", factors)
	}
	if _, err := f.Sessions.Authenticate(t.Context(), r.Token); err != nil {
		t.Errorf("without a second factor: %v", err)
	}
	if _, err := f.Users.AddEmailCodes(t.Context(), apptest.Admin(), f.ada.ID); err != nil {
		t.Fatal(err)
	}
	_, err := f.Sessions.Authenticate(t.Context(), r.Token)
	apptest.WantFault(t, err, wire(fault.PermissionDenied, "AUTHZ-Kl3p0", "mfa required"))
	step := session.Step{Challenges: session.RequestChallenges{Email: &session.RequestCode{ReturnCode: true}}}
	code := f.Set(t, r.SessionID, step).Codes["email"]
	r = f.Set(t, r.SessionID, session.Step{Checks: session.Checks{Email: &session.CheckCode{Code: code}}})
	if _, err := f.Sessions.Authenticate(t.Context(), r.Token); err != nil {
		t.Errorf("with a second factor: %v", err)
	}
}

func TestAForgedIntentTokenReadsNoIntent(t *testing.T) {
	t.Parallel()
	meter := tabletest.NewMeter(apptest.Bolt(t), 0)
	f := federate(t, meter)
	good := f.signIn("one", "ada")
	adas := f.NewSession(t, session.Create{Step: apptest.Named(f.ada.ID)}).SessionID
	count := func(c session.CheckIntent) int {
		meter.Reset()
		if _, err := f.TrySet(adas, apptest.Federated(c)); err == nil {
			return 0
		}
		return meter.Calls().Total()
	}
	forged, genuine := count(session.CheckIntent{ID: good.ID, Token: "forged"}), count(f.signIn("two", "ada"))
	if forged == 0 || forged+1 != genuine {
		t.Errorf("%d calls with a forged token, %d with a genuine one", forged, genuine)
	}
}
