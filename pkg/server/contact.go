package server

import (
	"context"

	"github.com/stepup-auth/stepup/pkg/access"
	objectv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/object/v2"
	pb "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/user"
)

// SetEmail implements the RPC of that name.
func (s *userServer) SetEmail(ctx context.Context, r *pb.SetEmailRequest) (*pb.SetEmailResponse, error) {
	email := user.Contact{Address: r.GetEmail(), Verified: r.GetIsVerified()}
	sent, err := s.setContact(ctx, r, user.Update{Email: &email, EmailCode: newEmailCode(r, email)})
	return &pb.SetEmailResponse{Details: sent.details, VerificationCode: sent.code, EstimatedPriceUsdMicros: sent.price}, err
}

// SendEmailCode implements the RPC of that name.
func (s *userServer) SendEmailCode(ctx context.Context, r *pb.SendEmailCodeRequest) (*pb.SendEmailCodeResponse, error) {
	sent, err := s.sendCode(ctx, r, emailCode(r), sending.Email)
	return &pb.SendEmailCodeResponse{Details: sent.details, VerificationCode: sent.code, EstimatedPriceUsdMicros: sent.price}, err
}

// ResendEmailCode implements the RPC of that name. Unlike the original it asks for no
// earlier code: one that was used up by wrong answers counts as none.
func (s *userServer) ResendEmailCode(ctx context.Context, r *pb.ResendEmailCodeRequest) (*pb.ResendEmailCodeResponse, error) {
	sent, err := s.sendCode(ctx, r, emailCode(r), sending.Email)
	return &pb.ResendEmailCodeResponse{Details: sent.details, VerificationCode: sent.code, EstimatedPriceUsdMicros: sent.price}, err
}

// VerifyEmail implements the RPC of that name.
func (s *userServer) VerifyEmail(ctx context.Context, r *pb.VerifyEmailRequest) (*pb.VerifyEmailResponse, error) {
	d, err := s.verifyContact(ctx, r, s.service.VerifyEmail)
	return &pb.VerifyEmailResponse{Details: d}, err
}

// SetPhone implements the RPC of that name.
func (s *userServer) SetPhone(ctx context.Context, r *pb.SetPhoneRequest) (*pb.SetPhoneResponse, error) {
	phone := user.Contact{Address: r.GetPhone(), Verified: r.GetIsVerified()}
	sent, err := s.setContact(ctx, r, user.Update{Phone: &phone, PhoneCode: newPhoneCode(r, phone)})
	return &pb.SetPhoneResponse{Details: sent.details, VerificationCode: sent.code, EstimatedPriceUsdMicros: sent.price}, err
}

// RemovePhone implements the RPC of that name.
func (s *userServer) RemovePhone(ctx context.Context, r *pb.RemovePhoneRequest) (*pb.RemovePhoneResponse, error) {
	sent, err := s.setContact(ctx, r, user.Update{Phone: &user.Contact{}})
	return &pb.RemovePhoneResponse{Details: sent.details}, err
}

// ResendPhoneCode implements the RPC of that name, under the rule of ResendEmailCode.
func (s *userServer) ResendPhoneCode(ctx context.Context, r *pb.ResendPhoneCodeRequest) (*pb.ResendPhoneCodeResponse, error) {
	sent, err := s.sendCode(ctx, r, phoneCode(r), sending.SMS)
	return &pb.ResendPhoneCodeResponse{Details: sent.details, VerificationCode: sent.code, EstimatedPriceUsdMicros: sent.price}, err
}

// VerifyPhone implements the RPC of that name.
func (s *userServer) VerifyPhone(ctx context.Context, r *pb.VerifyPhoneRequest) (*pb.VerifyPhoneResponse, error) {
	d, err := s.verifyContact(ctx, r, s.service.VerifyPhone)
	return &pb.VerifyPhoneResponse{Details: d}, err
}

// contactAnswer is what the answers about an address have in common.
type contactAnswer struct {
	details *objectv2.Details
	code    *string
	price   *int64
}

func contactAnswerOf(u user.Result, c sending.Channel) contactAnswer {
	return contactAnswer{userDetails(u.User), returned(u, c), quoted(u.Prices, c)}
}

// setContact changes an address and answers with the code that was asked for, or the price
// of the message.
func (s *userServer) setContact(ctx context.Context, r aboutUser, c user.Update) (contactAnswer, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return contactAnswer{}, err
	}
	if c.Once, err = once(ctx, caller, r); err != nil {
		return contactAnswer{}, err
	}
	u, err := s.service.Update(ctx, caller, r.GetUserId(), c)
	if err != nil {
		return contactAnswer{}, err
	}
	if c.Email != nil {
		return contactAnswerOf(u, sending.Email), nil
	}
	return contactAnswerOf(u, sending.SMS), nil
}

// sendCode makes another code for an address that the user has.
func (s *userServer) sendCode(ctx context.Context, r aboutUser, ask user.CodeRequest, c sending.Channel) (contactAnswer, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return contactAnswer{}, err
	}
	operation := s.service.SendEmailCode
	if c == sending.SMS {
		operation = s.service.SendPhoneCode
	}
	if ask.Once, err = once(ctx, caller, r); err != nil {
		return contactAnswer{}, err
	}
	u, err := operation(ctx, caller, r.GetUserId(), ask)
	if err != nil {
		return contactAnswer{}, err
	}
	return contactAnswerOf(u, c), nil
}

func (s *userServer) verifyContact(
	ctx context.Context, r interface {
		aboutUser
		GetVerificationCode() string
	},
	operation func(ctx context.Context, caller access.Caller, id, code string) (*user.User, error),
) (*objectv2.Details, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, err := operation(ctx, caller, r.GetUserId(), r.GetVerificationCode())
	if err != nil {
		return nil, err
	}
	return userDetails(u), nil
}

// emailVerification and phoneVerification are how a request wants an address verified;
// with neither set a code is sent.
type emailVerification interface {
	GetSendCode() *pb.SendEmailVerificationCode
	GetReturnCode() *pb.ReturnEmailVerificationCode
}

type phoneVerification interface {
	GetSendCode() *pb.SendPhoneVerificationCode
	GetReturnCode() *pb.ReturnPhoneVerificationCode
}

func emailCode(r emailVerification) user.CodeRequest {
	return user.CodeRequest{Return: r.GetReturnCode() != nil, URLTemplate: r.GetSendCode().GetUrlTemplate()}
}

func phoneCode(r phoneVerification) user.CodeRequest {
	return user.CodeRequest{Return: r.GetReturnCode() != nil}
}

// newEmailCode is the code that is asked for with a new address: none for one that the
// caller vouches for, and one that can be done without when nothing is said.
func newEmailCode(r emailVerification, to user.Contact) *user.CodeRequest {
	if to.Verified {
		return nil
	}
	ask := emailCode(r)
	ask.Optional = r.GetSendCode() == nil && !ask.Return
	return &ask
}

// newPhoneCode is newEmailCode for a number.
func newPhoneCode(r phoneVerification, to user.Contact) *user.CodeRequest {
	if to.Verified {
		return nil
	}
	ask := phoneCode(r)
	ask.Optional = r.GetSendCode() == nil && !ask.Return
	return &ask
}

func emailOf(e *pb.SetHumanEmail) (user.Contact, *user.CodeRequest) {
	to := user.Contact{Address: e.GetEmail(), Verified: e.GetIsVerified()}
	return to, newEmailCode(e, to)
}

func phoneOf(p *pb.SetHumanPhone) (user.Contact, *user.CodeRequest) {
	to := user.Contact{Address: p.GetPhone(), Verified: p.GetIsVerified()}
	return to, newPhoneCode(p, to)
}

// returned is the code that the caller asked to be handed, nil when it was sent.
func returned(u user.Result, c sending.Channel) *string { return optional(u.Code(c)) }
