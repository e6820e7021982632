package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"google.golang.org/protobuf/types/known/structpb"

	pb "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/user"
)

// CreatePasskeyRegistrationLink implements the RPC of that name.
func (s *userServer) CreatePasskeyRegistrationLink(ctx context.Context, r *pb.CreatePasskeyRegistrationLinkRequest) (*pb.CreatePasskeyRegistrationLinkResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	named, err := once(ctx, caller, r)
	if err != nil {
		return nil, err
	}
	u, code, err := s.service.CreatePasskeyLink(ctx, caller, r.GetUserId(), user.CodeRequest{
		Return: r.GetReturnCode() != nil, URLTemplate: r.GetSendLink().GetUrlTemplate(), Once: named,
	})
	if err != nil {
		return nil, err
	}
	response := &pb.CreatePasskeyRegistrationLinkResponse{
		Details: userDetails(u.User), EstimatedPriceUsdMicros: quoted(u.Prices, sending.Email),
	}
	if r.GetReturnCode() != nil {
		response.Code = &pb.PasskeyRegistrationCode{Id: code.ID, Code: code.Code}
	}
	return response, nil
}

// RegisterPasskey implements the RPC of that name.
func (s *userServer) RegisterPasskey(ctx context.Context, r *pb.RegisterPasskeyRequest) (*pb.RegisterPasskeyResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	request := user.KeyRequest{
		Kind: passkey.Passkey, RPID: domainOf(ctx, r), Attachment: attachments[r.GetAuthenticator()],
	}
	if c := r.GetCode(); c != nil {
		request.Code = &user.RegistrationCode{ID: c.GetId(), Code: c.GetCode()}
	}
	u, made, err := s.service.RegisterKey(ctx, caller, r.GetUserId(), request)
	if err != nil {
		return nil, err
	}
	options, err := structOf(made.Options)
	if err != nil {
		return nil, err
	}
	return &pb.RegisterPasskeyResponse{
		Details: userDetails(u), PasskeyId: made.ID, PublicKeyCredentialCreationOptions: options,
	}, nil
}

// attachments leaves it to the user where nothing, or something new, was asked for.
var attachments = map[pb.PasskeyAuthenticator]passkey.Attachment{
	pb.PasskeyAuthenticator_PASSKEY_AUTHENTICATOR_PLATFORM:       passkey.Platform,
	pb.PasskeyAuthenticator_PASSKEY_AUTHENTICATOR_CROSS_PLATFORM: passkey.CrossPlatform,
}

// VerifyPasskeyRegistration implements the RPC of that name.
func (s *userServer) VerifyPasskeyRegistration(ctx context.Context, r *pb.VerifyPasskeyRegistrationRequest) (*pb.VerifyPasskeyRegistrationResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	response, err := r.GetPublicKeyCredential().MarshalJSON()
	if err != nil {
		return nil, passkey.ErrRegistrationUnreadable.Wrap(err)
	}
	u, err := s.service.VerifyKey(ctx, caller, r.GetUserId(), user.KeyProof{
		Kind: passkey.Passkey, ID: r.GetPasskeyId(), Name: r.GetPasskeyName(), Response: response,
	})
	if err != nil {
		return nil, err
	}
	return &pb.VerifyPasskeyRegistrationResponse{Details: userDetails(u)}, nil
}

// ListPasskeys implements the RPC of that name.
func (s *userServer) ListPasskeys(ctx context.Context, r *pb.ListPasskeysRequest) (*pb.ListPasskeysResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, err := s.service.Get(ctx, caller, r.GetUserId())
	if err != nil {
		return nil, err
	}
	var list []*pb.Passkey
	for _, k := range u.KeysOf(passkey.Passkey, s.now()) {
		list = append(list, &pb.Passkey{Id: k.ID, State: factorState(k.Ready()), Name: k.Name})
	}
	return &pb.ListPasskeysResponse{Details: s.listDetails(len(list)), Result: list}, nil
}

// RemovePasskey implements the RPC of that name.
func (s *userServer) RemovePasskey(ctx context.Context, r *pb.RemovePasskeyRequest) (*pb.RemovePasskeyResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, err := s.service.RemoveKey(ctx, caller, r.GetUserId(), user.KeyName{Kind: passkey.Passkey, ID: r.GetPasskeyId()})
	if err != nil {
		return nil, err
	}
	return &pb.RemovePasskeyResponse{Details: userDetails(u)}, nil
}

// RegisterU2F implements the RPC of that name.
func (s *userServer) RegisterU2F(ctx context.Context, r *pb.RegisterU2FRequest) (*pb.RegisterU2FResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, made, err := s.service.RegisterKey(ctx, caller, r.GetUserId(), user.KeyRequest{Kind: passkey.U2F, RPID: domainOf(ctx, r)})
	if err != nil {
		return nil, err
	}
	options, err := structOf(made.Options)
	if err != nil {
		return nil, err
	}
	return &pb.RegisterU2FResponse{
		Details: userDetails(u), U2FId: made.ID, PublicKeyCredentialCreationOptions: options,
	}, nil
}

// VerifyU2FRegistration implements the RPC of that name.
func (s *userServer) VerifyU2FRegistration(ctx context.Context, r *pb.VerifyU2FRegistrationRequest) (*pb.VerifyU2FRegistrationResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	response, err := r.GetPublicKeyCredential().MarshalJSON()
	if err != nil {
		return nil, passkey.ErrRegistrationUnreadable.Wrap(err)
	}
	u, err := s.service.VerifyKey(ctx, caller, r.GetUserId(), user.KeyProof{
		Kind: passkey.U2F, ID: r.GetU2FId(), Name: r.GetTokenName(), Response: response,
	})
	if err != nil {
		return nil, err
	}
	return &pb.VerifyU2FRegistrationResponse{Details: userDetails(u)}, nil
}

// RemoveU2F implements the RPC of that name.
func (s *userServer) RemoveU2F(ctx context.Context, r *pb.RemoveU2FRequest) (*pb.RemoveU2FResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, err := s.service.RemoveKey(ctx, caller, r.GetUserId(), user.KeyName{Kind: passkey.U2F, ID: r.GetU2FId()})
	if err != nil {
		return nil, err
	}
	return &pb.RemoveU2FResponse{Details: userDetails(u)}, nil
}

// domainOf is the relying party id that was asked for, or the host that was asked.
func domainOf(ctx context.Context, r interface{ GetDomain() string }) string {
	if domain := r.GetDomain(); domain != "" {
		return domain
	}
	return exchangeOf(ctx).host
}

func hostname(r *http.Request) string { return (&url.URL{Host: r.Host}).Hostname() }

// structOf puts a JSON object into a message.
func structOf(object []byte) (*structpb.Struct, error) {
	s := &structpb.Struct{}
	if err := s.UnmarshalJSON(object); err != nil {
		return nil, fmt.Errorf("options to a message: %w", err)
	}
	return s, nil
}

// relatedOrigins serves the document by which browsers let other sites use the
// credentials of the host (WebAuthn section 5.11).
func relatedOrigins(parties *passkey.RelyingParties) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		party, err := parties.Find(hostname(r))
		if err != nil {
			notFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(party.WellKnown()) //nolint:gosec // JSON of the configuration; and the client may be gone
	}
}
