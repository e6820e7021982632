package user_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// linkable is a service with two identity providers, which nobody asks anything here.
func linkable(t *testing.T, tb table.Table) *apptest.Service {
	t.Helper()
	provider := func(id string) idp.Provider {
		return idp.Provider{ID: id, Name: id, Issuer: "https://" + id + ".example", ClientID: "c", ClientSecret: "s"}
	}
	return apptest.New(t, apptest.Options{Table: tb, Providers: []idp.Provider{provider("one"), provider("two")}})
}

func account(provider, id string) user.Link {
	return user.Link{ProviderID: provider, ExternalID: id, Name: "name of " + id}
}

func links(t *testing.T, s *apptest.Service, userID string) []user.Link {
	t.Helper()
	u, err := s.Users.Get(t.Context(), apptest.Admin(), userID)
	if err != nil {
		t.Fatal(err)
	}
	return u.Links
}

func TestAccountsAreLinkedAndUnlinked(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := linkable(t, tb)
		ctx, admin, id := t.Context(), apptest.Admin(), newcomer(t, s, true)
		add := func(l user.Link) error { _, err := s.Users.AddLink(ctx, admin, id, l); return err }
		remove := func(l user.Link) error { _, err := s.Users.RemoveLink(ctx, admin, id, l); return err }
		outcome(t, "add", add(account("one", "ada")), "")
		outcome(t, "add twice", add(account("one", "ada")), "STEPUP-idp-link-taken")
		outcome(t, "a provider that is not configured", add(account("three", "ada")), "STEPUP-idp")
		for _, l := range []user.Link{{}, {ProviderID: "one", ExternalID: "x"}, {ProviderID: "one", Name: "x"}} {
			outcome(t, "a part", add(l), "STEPUP-idp-link-empty")
		}
		outcome(t, "the same account elsewhere", add(account("two", "ada")), "") // row S13
		want := []user.Link{account("one", "ada"), account("two", "ada")}
		byProvider := cmpopts.SortSlices(func(a, b user.Link) bool { return a.ProviderID < b.ProviderID })
		if diff := cmp.Diff(want, links(t, s, id), byProvider); diff != "" {
			t.Errorf("links (-want +got):\n%s", diff)
		}
		outcome(t, "remove what is not there", remove(account("one", "eve")), "STEPUP-idp-link")
		outcome(t, "remove", remove(user.Link{ProviderID: "one", ExternalID: "ada"}), "")
		outcome(t, "remove twice", remove(account("one", "ada")), "STEPUP-idp-link")
		if diff := cmp.Diff(want[1:], links(t, s, id)); diff != "" {
			t.Errorf("links (-want +got):\n%s", diff)
		}
		outcome(t, "add again", add(account("one", "ada")), "")
	})
}

func TestAnAccountBelongsToOneUserUntilItIsGivenUp(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := linkable(t, tb)
		ctx, admin := t.Context(), apptest.Admin()
		ada, bob := newcomer(t, s, true), s.NewUserCheap(t, "bob@example.com").ID
		s.Link(t, ada, "one", "x")
		add := func() error { _, err := s.Users.AddLink(ctx, admin, bob, account("one", "x")); return err }
		outcome(t, "while it is ada's", add(), "STEPUP-idp-link-taken")
		if _, err := s.Users.Delete(ctx, admin, ada); err != nil {
			t.Fatal(err)
		}
		outcome(t, "after ada is gone", add(), "")
		_, err := s.Users.Create(ctx, admin, user.Registration{
			ID: "eve", Username: "eve", Profile: user.Profile{GivenName: "E", FamilyName: "V"}, Links: []user.Link{account("one", "x")},
		})
		outcome(t, "by somebody new", err, "STEPUP-idp-link-taken")
		if _, err := s.Users.Get(ctx, admin, "eve"); !errors.Is(err, user.ErrNotFound) {
			t.Errorf("eve came to be: %v", err)
		}
	})
}

func TestOneOf50UsersGetsAnAccountThatAllClaimAtOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := linkable(t, tb)
		errs := make([]error, 50)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() {
				_, errs[i] = s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
					Username: fmt.Sprintf("user%d", i), Profile: user.Profile{GivenName: "A", FamilyName: "B"}, Links: []user.Link{account("one", "x")},
				})
			})
		}
		all.Wait()
		won := 0
		for i, err := range errs {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, user.ErrLinkTaken):
				t.Errorf("user %d: %v", i, err)
			}
		}
		if won != 1 {
			t.Errorf("%d users have the account", won)
		}
	})
}

func TestAUserIsCreatedWithLinks(t *testing.T) {
	t.Parallel()
	s := linkable(t, nil)
	create := func(links ...user.Link) error {
		_, err := s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
			ID: "ada", Username: "ada", Profile: user.Profile{GivenName: "A", FamilyName: "L"}, Links: links,
		})
		return err
	}
	many := make([]user.Link, user.MaxLinks+1)
	for i := range many {
		many[i] = account("one", fmt.Sprint(i))
	}
	outcome(t, "one twice", create(account("one", "x"), account("one", "x")), "STEPUP-idp-link-taken")
	outcome(t, "an unknown provider", create(account("three", "x")), "STEPUP-idp")
	outcome(t, "too many", create(many...), "STEPUP-idp-link-count")
	outcome(t, "as many as there can be", create(many[1:]...), "")
	_, err := s.Users.AddLink(t.Context(), apptest.Admin(), "ada", many[0])
	outcome(t, "one more", err, "STEPUP-idp-link-count")
	if n := len(links(t, s, "ada")); n != user.MaxLinks {
		t.Errorf("%d links", n)
	}
}

func TestAnAccountIsAMethodAndNoSecondFactor(t *testing.T) {
	t.Parallel()
	u := user.User{Password: user.Password{Hash: "x"}, Links: []user.Link{account("one", "x")}}
	if got := u.Methods(); !slices.Equal(got, []user.Authenticator{user.AuthPassword, user.AuthIDP}) || u.HasSecondFactor() {
		t.Errorf("methods %v, second factor %t", got, u.HasSecondFactor())
	}
}

// TestS9_UsersUnlinkThemselvesAfterARecentCheckAndLinkNothing: what links has to vouch for
// the account, and a user's word proves nothing.
func TestS9_UsersUnlinkThemselvesAfterARecentCheckAndLinkNothing(t *testing.T) {
	t.Parallel()
	s := linkable(t, nil)
	ctx, id := t.Context(), newcomer(t, s, true)
	s.Link(t, id, "one", "x")
	fresh := access.Caller{ID: id, UserID: id, AuthenticatedAt: s.Clock.Now()}
	stale := fresh
	stale.AuthenticatedAt = s.Clock.Now().Add(-16 * time.Minute)
	stranger := access.Caller{ID: "eve", UserID: "eve", AuthenticatedAt: s.Clock.Now()}
	viewer := access.Caller{ID: "k", Role: access.IAMOwnerViewer}
	for name, tc := range map[string]struct {
		caller      access.Caller
		add, remove string
	}{
		"a stranger":  {stranger, "AUTH-AWfge", "AUTH-AWfge"},
		"a viewer":    {viewer, "AUTH-AWfge", "AUTH-AWfge"},
		"nobody":      {access.Caller{}, "AUTH-AWfge", "AUTH-AWfge"},
		"a stale one": {stale, "AUTH-AWfge", "STEPUP-reauthenticate"},
	} {
		_, err := s.Users.AddLink(ctx, tc.caller, id, account("two", name))
		outcome(t, name+" links", err, tc.add)
		_, err = s.Users.RemoveLink(ctx, tc.caller, id, account("one", "x"))
		outcome(t, name+" unlinks", err, tc.remove)
	}
	_, err := s.Users.AddLink(ctx, fresh, id, account("two", "x"))
	outcome(t, "the user links", err, "AUTH-AWfge")
	_, err = s.Users.RemoveLink(ctx, fresh, id, account("one", "x"))
	outcome(t, "the user unlinks", err, "")
}

func TestLinksAreCutIntoPages(t *testing.T) {
	t.Parallel()
	u := user.User{Links: []user.Link{account("one", "a"), account("one", "b"), account("one", "c")}}
	for _, tc := range []struct{ offset, limit, first, last int }{{0, 0, 0, 3}, {1, 1, 1, 2}, {2, 5, 2, 3}, {3, 1, 3, 3}, {9, 0, 3, 3}} {
		if diff := cmp.Diff(u.Links[tc.first:tc.last], u.LinkPage(tc.offset, tc.limit), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("offset %d, limit %d (-want +got):\n%s", tc.offset, tc.limit, diff)
		}
	}
}
