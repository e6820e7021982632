package server

import (
	"context"
	"io"
	"net/http"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	objectv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/object/v2"
	pb "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Faults of what is asked of a sign-in.
var (
	errNoDirectory = fault.New(fault.Unimplemented, "STEPUP-ldap", "directories are not supported; use a provider with OpenID Connect")
	errNoContent   = fault.New(fault.InvalidArgument, "STEPUP-idp-content", "urls is missing")
)

// StartIdentityProviderIntent implements the RPC of that name, for OpenID Connect.
func (s *userServer) StartIdentityProviderIntent(ctx context.Context, r *pb.StartIdentityProviderIntentRequest) (*pb.StartIdentityProviderIntentResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	switch {
	case r.GetLdap() != nil:
		return nil, errNoDirectory
	case r.GetUrls() == nil:
		return nil, errNoContent
	}
	i, address, err := s.intents.Start(ctx, caller, intent.Start{
		ProviderID: r.GetIdpId(), SuccessURL: r.GetUrls().GetSuccessUrl(), FailureURL: r.GetUrls().GetFailureUrl(),
		LoginHint: r.GetUrls().GetLoginHint(),
	})
	if err != nil {
		return nil, err
	}
	return &pb.StartIdentityProviderIntentResponse{
		Details: s.intentDetails(i), NextStep: &pb.StartIdentityProviderIntentResponse_AuthUrl{AuthUrl: address},
	}, nil
}

// RetrieveIdentityProviderIntent implements the RPC of that name.
func (s *userServer) RetrieveIdentityProviderIntent(ctx context.Context, r *pb.RetrieveIdentityProviderIntentRequest) (*pb.RetrieveIdentityProviderIntentResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	i, said, err := s.intents.Retrieve(ctx, caller, r.GetIdpIntentId(), r.GetIdpIntentToken())
	if err != nil {
		return nil, err
	}
	raw, err := structOf(said.Claims)
	if err != nil {
		return nil, err
	}
	response := &pb.RetrieveIdentityProviderIntentResponse{
		Details: s.intentDetails(i), UserId: i.UserID,
		IdpInformation: &pb.IDPInformation{
			Access: &pb.IDPInformation_Oauth{Oauth: &pb.IDPOAuthAccessInformation{
				AccessToken: said.AccessToken, IdToken: optional(said.IDToken), RefreshToken: optional(said.RefreshToken),
			}},
			IdpId: said.ProviderID, UserId: said.Subject, UserName: said.UserName, RawInformation: raw,
		},
	}
	if i.UserID == "" {
		proposal, err := s.proposal(caller, said)
		if err != nil {
			return nil, err
		}
		response.UserAction = &pb.RetrieveIdentityProviderIntentResponse_CreateUser{CreateUser: proposal}
	}
	return response, nil
}

// proposal is the user that could be made of an identity. What the provider did not tell
// is for the caller to ask.
func (s *userServer) proposal(caller access.Caller, said idp.Identity) (*pb.CreateUserRequest, error) {
	organization, err := s.service.Organization("", caller)
	if err != nil {
		return nil, err
	}
	p := said.Profile
	email := &pb.SetHumanEmail{Email: p.Email}
	if p.EmailVerified {
		email.Verification = &pb.SetHumanEmail_IsVerified{IsVerified: true}
	}
	human := &pb.CreateUserRequest_Human{
		Profile: &pb.SetHumanProfile{
			GivenName: p.GivenName, FamilyName: p.FamilyName, NickName: optional(p.NickName),
			DisplayName: optional(p.DisplayName), PreferredLanguage: optional(p.Language),
		},
		Email:    email,
		IdpLinks: []*pb.IDPLink{{IdpId: said.ProviderID, UserId: said.Subject, UserName: said.UserName}},
	}
	return &pb.CreateUserRequest{
		OrganizationId: organization, Username: optional(said.UserName), UserType: &pb.CreateUserRequest_Human_{Human: human},
	}, nil
}

func (s *userServer) intentDetails(i *intent.Intent) *objectv2.Details {
	return &objectv2.Details{
		Sequence: i.Revision, ChangeDate: timestamp(i.Changed), CreationDate: timestamp(i.Created), ResourceOwner: s.instance,
	}
}

// AddIDPLink implements the RPC of that name.
func (s *userServer) AddIDPLink(ctx context.Context, r *pb.AddIDPLinkRequest) (*pb.AddIDPLinkResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, err := s.service.AddLink(ctx, caller, r.GetUserId(), linkOf(r.GetIdpLink()))
	if err != nil {
		return nil, err
	}
	return &pb.AddIDPLinkResponse{Details: userDetails(u)}, nil
}

// ListIDPLinks implements the RPC of that name.
func (s *userServer) ListIDPLinks(ctx context.Context, r *pb.ListIDPLinksRequest) (*pb.ListIDPLinksResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, err := s.service.Get(ctx, caller, r.GetUserId())
	if err != nil {
		return nil, err
	}
	response := &pb.ListIDPLinksResponse{Details: s.listDetails(len(u.Links))}
	for _, l := range u.LinkPage(pageOf(r.GetQuery())) {
		response.Result = append(response.Result, &pb.IDPLink{IdpId: l.ProviderID, UserId: l.ExternalID, UserName: l.Name})
	}
	return response, nil
}

// RemoveIDPLink implements the RPC of that name.
func (s *userServer) RemoveIDPLink(ctx context.Context, r *pb.RemoveIDPLinkRequest) (*pb.RemoveIDPLinkResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, err := s.service.RemoveLink(ctx, caller, r.GetUserId(), user.Link{ProviderID: r.GetIdpId(), ExternalID: r.GetLinkedUserId()})
	if err != nil {
		return nil, err
	}
	return &pb.RemoveIDPLinkResponse{Details: userDetails(u)}, nil
}

func linkOf(l *pb.IDPLink) user.Link {
	return user.Link{ProviderID: l.GetIdpId(), ExternalID: l.GetUserId(), Name: l.GetUserName()}
}

func linksOf(list []*pb.IDPLink) []user.Link {
	var links []user.Link
	for _, l := range list {
		links = append(links, linkOf(l))
	}
	return links
}

// CallbackPath is where identity providers send browsers back to.
const CallbackPath = "/idps/callback"

// callback takes a browser back from an identity provider. Nobody is authenticated here:
// what counts is the state, which nobody else can make. The answer repeats nothing of the
// request, and what follows it learns nothing of its address, which holds a code.
func callback(intents *intent.Service) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Referrer-Policy", "no-referrer")
		if r.Method != http.MethodGet { // a HEAD by a previewer must not use the code up
			renderREST(r.Context(), w, errBadMethod)
			return
		}
		query := r.URL.Query()
		outcome, err := intents.Callback(r.Context(), intent.Answer{
			State: query.Get("state"), Code: query.Get("code"), Error: query.Get("error"), Issuer: query.Get("iss"),
		})
		if err != nil {
			callbackFailed(r.Context(), w, fault.From(err))
			return
		}
		exchangeOf(r.Context()).fault = outcome.Failure
		w.Header().Set("Location", outcome.Redirect)
		w.WriteHeader(http.StatusSeeOther)
	}
}

// callbackFailed writes the fault for a person: there is nowhere to send them.
func callbackFailed(ctx context.Context, w http.ResponseWriter, f *fault.Fault) {
	exchangeOf(ctx).fault = f
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(f.Kind.HTTPStatus())
	_, _ = io.WriteString(w, f.Text+"\n") // the client may be gone
}
