package idp_test

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
)

// TestS13_WhatTheProviderDidIsKeptApart looks at acr and amr, which must not turn up among
// what is ours, and at how names are chosen.
func TestS13_WhatTheProviderDidIsKeptApart(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name             string
		claims, userInfo map[string]any
		userName         string
		profile          idp.Profile
	}{
		{
			"signed claims come first", map[string]any{"family_name": ""},
			map[string]any{"sub": "ada", "email": "other@idp.example", "preferred_username": "ada.l", "nickname": "Countess"}, "ada.l",
			idp.Profile{GivenName: "ada", NickName: "Countess", Email: "ada@idp.example"},
		},
		{
			"userinfo that fails is done without", map[string]any{"email": ""}, map[string]any{}, "ada",
			idp.Profile{GivenName: "ada", FamilyName: "Example"},
		},
		{
			"a verified address as text", map[string]any{"email_verified": "true"}, nil, "ada@idp.example",
			idp.Profile{GivenName: "ada", FamilyName: "Example", Email: "ada@idp.example", EmailVerified: true},
		},
		{
			"claims of a wrong type", map[string]any{"email": 1, "given_name": []string{"a"}, "family_name": nil, "email_verified": 1}, nil, "ada",
			idp.Profile{},
		},
		{
			"long names are cut", map[string]any{"preferred_username": strings.Repeat("é", 300)}, nil, strings.Repeat("é", 200),
			idp.Profile{GivenName: "ada", FamilyName: "Example", Email: "ada@idp.example"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			stub := idptest.NewStub(t)
			b := idptest.Behaviour{Claims: func(c map[string]any) { maps.Copy(c, tc.claims) }, UserInfo: tc.userInfo}
			if len(tc.userInfo) == 0 && tc.userInfo != nil {
				b.Answer = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path == "/userinfo" {
						w.WriteHeader(http.StatusInternalServerError)
					}
					return r.URL.Path == "/userinfo"
				}
			}
			stub.Behave(b)
			got, err := signIn(t, providers(t, at(stub).Now, stub.Config("p")), stub)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.profile, got.Profile); diff != "" || got.UserName != tc.userName {
				t.Errorf("%q, profile (-want +got):\n%s", got.UserName, diff)
			}
			if !strings.Contains(string(got.Claims), `"acr":"upstream"`) {
				t.Errorf("claims %s", got.Claims)
			}
			again, err := encoded(got)
			if diff := cmp.Diff(got, again); diff != "" || err != nil {
				t.Errorf("after it was stored (-want +got):\n%s%v", diff, err)
			}
		})
	}
}

func encoded(i idp.Identity) (idp.Identity, error) {
	text, err := i.Encode()
	if err != nil {
		return idp.Identity{}, err
	}
	return idp.DecodeIdentity(text)
}

func TestAnIdentityThatIsNoneIsNotDecoded(t *testing.T) {
	t.Parallel()
	if _, err := idp.DecodeIdentity([]byte("canary")); err == nil {
		t.Error("no error")
	}
}

func TestAProviderThatIsNotConfiguredIsUnknown(t *testing.T) {
	t.Parallel()
	p := providers(t, time.Now)
	_, address := p.AuthURL(t.Context(), request("p"))
	_, redeem := p.Redeem(t.Context(), idp.Answer{ProviderID: "p"})
	if !errors.Is(address, idp.ErrUnknown) || !errors.Is(redeem, idp.ErrUnknown) || p.Knows("p") {
		t.Errorf("got %v, %v, %v", address, redeem, p.Knows("p"))
	}
}
