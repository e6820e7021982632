package server

import (
	"context"
	"net/netip"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/assurance"
	objectv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/object/v2"
	pb "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
)

// sessionServer translates zitadel.session.v2.SessionService.
type sessionServer struct {
	door     *door
	service  *session.Service
	instance string
}

// CreateSession implements the RPC of that name.
func (s *sessionServer) CreateSession(ctx context.Context, r *pb.CreateSessionRequest) (*pb.CreateSessionResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	step, err := stepOf(ctx, caller, r)
	if err != nil {
		return nil, err
	}
	result, err := s.service.Create(ctx, caller, session.Create{Step: step, Agent: agentOf(r.GetUserAgent())})
	if err != nil {
		return nil, err
	}
	opened, err := challenges(r.GetChallenges(), result)
	if err != nil {
		return nil, err
	}
	tag(ctx, result.Details.Sequence)
	return &pb.CreateSessionResponse{
		Details:      s.details(result.Details),
		SessionId:    result.SessionID,
		SessionToken: result.Token,
		Challenges:   opened,
		Assurance:    assuranceMessage(result.Assurance),
	}, nil
}

// SetSession implements the RPC of that name. The request's session token is
// ignored, as in the original.
func (s *sessionServer) SetSession(ctx context.Context, r *pb.SetSessionRequest) (*pb.SetSessionResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	step, err := stepOf(ctx, caller, r)
	if err != nil {
		return nil, err
	}
	allowed, err := match(ctx)
	if err != nil {
		return nil, err
	}
	required, err := requirementOf(r.GetRequire())
	if err != nil {
		return nil, err
	}
	result, err := s.service.Set(ctx, caller, session.Set{SessionID: r.GetSessionId(), Match: allowed, Step: step, Require: required})
	if err != nil {
		return nil, err
	}
	opened, err := challenges(r.GetChallenges(), result)
	if err != nil {
		return nil, err
	}
	tag(ctx, result.Details.Sequence)
	return &pb.SetSessionResponse{
		Details:      s.details(result.Details),
		SessionToken: result.Token,
		Challenges:   opened,
		Assurance:    assuranceMessage(result.Assurance),
		Unmet:        unmetMessage(result.Unmet),
	}, nil
}

// GetSession implements the RPC of that name.
func (s *sessionServer) GetSession(ctx context.Context, r *pb.GetSessionRequest) (*pb.GetSessionResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	required, err := requirementOf(r.GetRequire())
	if err != nil {
		return nil, err
	}
	view, err := s.read(ctx, caller, r, required)
	if err != nil {
		return nil, err
	}
	response := &pb.GetSessionResponse{Session: sessionMessage(view)}
	return response, tagView(ctx, response)
}

func (s *sessionServer) read(ctx context.Context, caller access.Caller, r *pb.GetSessionRequest, required *assurance.Requirement) (session.View, error) {
	if required == nil {
		return s.service.Get(ctx, caller, r.GetSessionId(), r.GetSessionToken())
	}
	return s.service.GetMeeting(ctx, caller, r.GetSessionId(), r.GetSessionToken(), *required)
}

// ListSessions implements the RPC of that name.
func (s *sessionServer) ListSessions(ctx context.Context, r *pb.ListSessionsRequest) (*pb.ListSessionsResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	search, err := searchOf(r, caller)
	if err != nil {
		return nil, err
	}
	listing, err := s.service.List(ctx, caller, search)
	if err != nil {
		return nil, err
	}
	response := &pb.ListSessionsResponse{Details: &objectv2.ListDetails{
		TotalResult:       uint64(listing.Total),
		TotalIsLowerBound: listing.AtLeast,
		Timestamp:         timestamppb.New(listing.At),
	}}
	for _, view := range listing.Sessions {
		response.Sessions = append(response.Sessions, sessionMessage(view))
	}
	return response, nil
}

// DeleteSession implements the RPC of that name.
func (s *sessionServer) DeleteSession(ctx context.Context, r *pb.DeleteSessionRequest) (*pb.DeleteSessionResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	details, err := s.service.Delete(ctx, caller, r.GetSessionId(), r.GetSessionToken())
	if err != nil {
		return nil, err
	}
	return &pb.DeleteSessionResponse{Details: s.details(details)}, nil
}

func (s *sessionServer) details(d session.Details) *objectv2.Details {
	return &objectv2.Details{
		Sequence:      d.Sequence,
		ChangeDate:    timestamp(d.Changed),
		CreationDate:  timestamp(d.Created),
		ResourceOwner: s.instance,
	}
}

// stepRequest is what CreateSession and SetSession have in common.
type stepRequest interface {
	proto.Message
	lifetimer
	GetChecks() *pb.Checks
	GetMetadata() map[string][]byte
	GetChallenges() *pb.RequestChallenges
}

func stepOf(ctx context.Context, caller access.Caller, r stepRequest) (session.Step, error) {
	named, err := once(ctx, caller, r)
	if err != nil {
		return session.Step{}, err
	}
	step := session.Step{
		Once:       named,
		Metadata:   r.GetMetadata(),
		Lifetime:   lifetimeOf(r),
		Challenges: requestedOf(r.GetChallenges()),
	}
	if u := r.GetChecks().GetUser(); u != nil {
		step.Checks.User = &session.CheckUser{ID: u.GetUserId(), LoginName: u.GetLoginName()}
	}
	if p := r.GetChecks().GetPassword(); p != nil {
		step.Checks.Password = &session.CheckPassword{Plain: p.GetPassword()}
	}
	if i := r.GetChecks().GetIdpIntent(); i != nil {
		step.Checks.Intent = &session.CheckIntent{ID: i.GetIdpIntentId(), Token: i.GetIdpIntentToken()}
	}
	if k := r.GetChecks().GetWebAuthN(); k != nil {
		answer, err := k.GetCredentialAssertionData().MarshalJSON()
		if err != nil {
			return session.Step{}, passkey.ErrUnreadable.Wrap(err)
		}
		step.Checks.Key = &session.CheckKey{Answer: answer}
	}
	if c := r.GetChecks().GetTotp(); c != nil {
		step.Checks.TOTP = &session.CheckCode{Code: c.GetCode()}
	}
	if c := r.GetChecks().GetOtpSms(); c != nil {
		step.Checks.SMS = &session.CheckCode{Code: c.GetCode()}
	}
	if c := r.GetChecks().GetOtpEmail(); c != nil {
		step.Checks.Email = &session.CheckCode{Code: c.GetCode()}
	}
	if c := r.GetChecks().GetRecoveryCode(); c != nil {
		step.Checks.Recovery = &session.CheckCode{Code: c.GetCode()}
	}
	return step, nil
}

// verifications is total on what field validation lets through.
var verifications = map[pb.UserVerificationRequirement]passkey.Verification{
	pb.UserVerificationRequirement_USER_VERIFICATION_REQUIREMENT_REQUIRED:    passkey.Required,
	pb.UserVerificationRequirement_USER_VERIFICATION_REQUIREMENT_PREFERRED:   passkey.Preferred,
	pb.UserVerificationRequirement_USER_VERIFICATION_REQUIREMENT_DISCOURAGED: passkey.Discouraged,
}

func requestedOf(c *pb.RequestChallenges) session.RequestChallenges {
	var asked session.RequestChallenges
	if k := c.GetWebAuthN(); k != nil {
		asked.Key = &session.RequestKey{RPID: k.GetDomain(), Verification: verifications[k.GetUserVerificationRequirement()]}
	}
	if sms := c.GetOtpSms(); sms != nil {
		asked.SMS = &session.RequestCode{ReturnCode: sms.GetReturnCode()}
	}
	if mail := c.GetOtpEmail(); mail != nil {
		asked.Email = &session.RequestCode{
			ReturnCode:  mail.GetReturnCode() != nil,
			URLTemplate: mail.GetSendCode().GetUrlTemplate(),
		}
	}
	return asked
}

// challenges is present exactly when the request had the field. It holds the options
// for an assertion, and the codes that were asked to be returned; those that were sent
// leave it empty, but for their price.
func challenges(asked *pb.RequestChallenges, r session.Result) (*pb.Challenges, error) {
	if asked == nil {
		return nil, nil
	}
	opened := &pb.Challenges{
		OtpSms: optional(r.Codes[sending.SMS]), OtpSmsEstimatedPriceUsdMicros: quoted(r.Prices, sending.SMS),
		OtpEmail: optional(r.Codes[sending.Email]), OtpEmailEstimatedPriceUsdMicros: quoted(r.Prices, sending.Email),
	}
	if r.KeyOptions != nil {
		options, err := structOf(r.KeyOptions)
		if err != nil {
			return nil, err
		}
		opened.WebAuthN = &pb.Challenges_WebAuthN{PublicKeyCredentialRequestOptions: options}
	}
	return opened, nil
}

// agentOf drops an address that does not parse, as the original does. One with a zone is
// none to the original: the zone means something on the device only, and can be any text
// of any length.
func agentOf(a *pb.UserAgent) session.UserAgent {
	agent := session.UserAgent{Fingerprint: a.GetFingerprintId(), Description: a.GetDescription()}
	if ip, err := netip.ParseAddr(a.GetIp()); err == nil && ip.Zone() == "" {
		agent.IP = ip
	}
	for name, values := range a.GetHeader() {
		if agent.Header == nil {
			agent.Header = make(map[string][]string)
		}
		agent.Header[name] = values.GetValues()
	}
	return agent
}

func sessionMessage(v session.View) *pb.Session {
	return &pb.Session{
		Id:             v.ID,
		CreationDate:   timestamp(v.Created),
		ChangeDate:     timestamp(v.Changed),
		Sequence:       v.Sequence,
		Factors:        factorsMessage(v),
		Metadata:       v.Metadata,
		UserAgent:      agentMessage(v.Agent),
		ExpirationDate: timestamp(v.ExpiresAt),
		Assurance:      assuranceMessage(v.Assurance),
	}
}

// factorsMessage is nil until a user was checked.
func factorsMessage(v session.View) *pb.Factors {
	if !v.Bound() {
		return nil
	}
	f := &pb.Factors{User: &pb.UserFactor{
		VerifiedAt:     timestamp(v.Factors.User.VerifiedAt),
		Id:             v.Factors.User.ID,
		LoginName:      v.LoginName,
		DisplayName:    v.DisplayName,
		OrganizationId: v.Factors.User.Organization,
	}}
	if at := v.Factors.Password; !at.IsZero() {
		f.Password = &pb.PasswordFactor{VerifiedAt: timestamp(at)}
	}
	if at := v.Factors.Intent; !at.IsZero() {
		f.Intent = &pb.IntentFactor{VerifiedAt: timestamp(at)}
	}
	if k := v.Factors.Key; !k.VerifiedAt.IsZero() {
		f.WebAuthN = &pb.WebAuthNFactor{VerifiedAt: timestamp(k.VerifiedAt), UserVerified: k.UserVerified}
	}
	if at := v.Factors.TOTP; !at.IsZero() {
		f.Totp = &pb.TOTPFactor{VerifiedAt: timestamp(at)}
	}
	if at := v.Factors.SMS; !at.IsZero() {
		f.OtpSms = &pb.OTPFactor{VerifiedAt: timestamp(at)}
	}
	if at := v.Factors.Email; !at.IsZero() {
		f.OtpEmail = &pb.OTPFactor{VerifiedAt: timestamp(at)}
	}
	if at := v.Factors.Recovery; !at.IsZero() {
		f.RecoveryCode = &pb.RecoveryCodeFactor{VerifiedAt: timestamp(at)}
	}
	return f
}

func agentMessage(a session.UserAgent) *pb.UserAgent {
	if a.Zero() {
		return nil
	}
	m := &pb.UserAgent{FingerprintId: optional(a.Fingerprint), Description: optional(a.Description)}
	if a.IP.IsValid() {
		m.Ip = optional(a.IP.String())
	}
	for name, values := range a.Header {
		if m.Header == nil {
			m.Header = make(map[string]*pb.UserAgent_HeaderValues)
		}
		m.Header[name] = &pb.UserAgent_HeaderValues{Values: values}
	}
	return m
}
