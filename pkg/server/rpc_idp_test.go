package server_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	objectv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/object/v2"
	userv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
)

// providerID is the one provider of the fixture.
const providerID = "google"

// signedIn is a sign-in at the provider that waits to be used.
type signedIn struct{ id, token string }

func signIn(t testing.TB, s *apptest.Service, stub *idptest.Stub, login string) signedIn {
	t.Helper()
	c := s.SignInAt(t, stub, providerID, login)
	return signedIn{c.ID, c.Token}
}

func urls() *userv2.StartIdentityProviderIntentRequest_Urls {
	return &userv2.StartIdentityProviderIntentRequest_Urls{Urls: &userv2.RedirectURLs{
		SuccessUrl: "https://login.example.com/ok", FailureUrl: "https://login.example.com/failed",
	}}
}

func link(account string) *userv2.IDPLink {
	return &userv2.IDPLink{IdpId: providerID, UserId: account, UserName: account + "@provider.test"}
}

// idpRPCs are the calls about external identities. They run in this order.
func idpRPCs(f *fixture) []rpc {
	unknownUser := refusal(codes.NotFound, "QUERY-Dfbg2", "User could not be found")
	return []rpc{
		{
			"a sign-in begins",
			&userv2.StartIdentityProviderIntentRequest{IdpId: providerID, Content: urls()},
			&userv2.StartIdentityProviderIntentResponse{
				Details:  sessionDetails(1),
				NextStep: &userv2.StartIdentityProviderIntentResponse_AuthUrl{AuthUrl: placeholder},
			},
		}, {
			"directories are of a later version",
			&userv2.StartIdentityProviderIntentRequest{IdpId: providerID, Content: &userv2.StartIdentityProviderIntentRequest_Ldap{
				Ldap: &userv2.LDAPCredentials{Username: "ada", Password: "secret"},
			}},
			refusal(codes.Unimplemented, "STEPUP-ldap", "directories are not supported; use a provider with OpenID Connect"),
		}, {
			"a sign-in is read",
			&userv2.RetrieveIdentityProviderIntentRequest{IdpIntentId: f.signedIn.id, IdpIntentToken: f.signedIn.token},
			&userv2.RetrieveIdentityProviderIntentResponse{
				Details: sessionDetails(2),
				IdpInformation: &userv2.IDPInformation{
					Access: &userv2.IDPInformation_Oauth{Oauth: &userv2.IDPOAuthAccessInformation{AccessToken: placeholder}},
					IdpId:  providerID, UserId: "grace", UserName: placeholder, RawInformation: &structpb.Struct{},
				},
				UserAction: &userv2.RetrieveIdentityProviderIntentResponse_CreateUser{CreateUser: &userv2.CreateUserRequest{OrganizationId: "default"}},
			},
		}, {
			"a sign-in is not read with another token",
			&userv2.RetrieveIdentityProviderIntentRequest{IdpIntentId: f.signedIn.id, IdpIntentToken: "token"},
			refusal(codes.PermissionDenied, "CRYPTO-Swg31", "Intent Token is invalid"),
		}, {
			"an account is linked",
			&userv2.AddIDPLinkRequest{UserId: "fay", IdpLink: link("fay")},
			&userv2.AddIDPLinkResponse{Details: userDetails(2)},
		}, {
			"an account is linked once",
			&userv2.AddIDPLinkRequest{UserId: "gus", IdpLink: link("fay")},
			refusal(codes.AlreadyExists, "STEPUP-idp-link-taken", "External account is already linked"),
		}, {
			"links are listed",
			&userv2.ListIDPLinksRequest{UserId: "fay"},
			&userv2.ListIDPLinksResponse{
				Details: &objectv2.ListDetails{TotalResult: 1, Timestamp: epoch()}, Result: []*userv2.IDPLink{link("fay")},
			},
		},
		{"no links are listed of an unknown user", &userv2.ListIDPLinksRequest{UserId: unknown}, unknownUser},
		{
			"a link is removed",
			&userv2.RemoveIDPLinkRequest{UserId: "fay", IdpId: providerID, LinkedUserId: "fay"},
			&userv2.RemoveIDPLinkResponse{Details: userDetails(3)},
		}, {
			"a link is removed once",
			&userv2.RemoveIDPLinkRequest{UserId: "fay", IdpId: providerID, LinkedUserId: "fay"},
			refusal(codes.NotFound, "STEPUP-idp-link", "External account is not linked"),
		},
	}
}

// scrubIntent names what the provider draws, and leaves out what a proposal repeats.
func scrubIntent(m *userv2.RetrieveIdentityProviderIntentResponse) {
	said := m.GetIdpInformation()
	said.GetOauth().AccessToken, said.GetOauth().IdToken = drawn(said.GetOauth().GetAccessToken()), nil
	said.UserName, said.RawInformation = drawn(said.GetUserName()), &structpb.Struct{}
	if proposal := m.GetCreateUser(); proposal != nil {
		m.UserAction = &userv2.RetrieveIdentityProviderIntentResponse_CreateUser{
			CreateUser: &userv2.CreateUserRequest{OrganizationId: proposal.GetOrganizationId()},
		}
	}
}

func providers(stub *idptest.Stub) []idp.Provider { return []idp.Provider{stub.Config(providerID)} }

func contains(text string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return part != "" && strings.Contains(text, part) })
}
