package server

import (
	"context"

	pb "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/user"
)

// RegisterTOTP implements the RPC of that name.
func (s *userServer) RegisterTOTP(ctx context.Context, r *pb.RegisterTOTPRequest) (*pb.RegisterTOTPResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, app, err := s.service.RegisterTOTP(ctx, caller, r.GetUserId())
	if err != nil {
		return nil, err
	}
	return &pb.RegisterTOTPResponse{Details: userDetails(u), Uri: app.URI, Secret: app.Secret}, nil
}

// VerifyTOTPRegistration implements the RPC of that name.
func (s *userServer) VerifyTOTPRegistration(ctx context.Context, r *pb.VerifyTOTPRegistrationRequest) (*pb.VerifyTOTPRegistrationResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, err := s.service.VerifyTOTP(ctx, caller, r.GetUserId(), r.GetCode())
	if err != nil {
		return nil, err
	}
	return &pb.VerifyTOTPRegistrationResponse{Details: userDetails(u)}, nil
}

// RemoveTOTP implements the RPC of that name.
func (s *userServer) RemoveTOTP(ctx context.Context, r *pb.RemoveTOTPRequest) (*pb.RemoveTOTPResponse, error) {
	d, err := s.onUser(ctx, r, s.service.RemoveTOTP)
	return &pb.RemoveTOTPResponse{Details: d}, err
}

// AddOTPSMS implements the RPC of that name.
func (s *userServer) AddOTPSMS(ctx context.Context, r *pb.AddOTPSMSRequest) (*pb.AddOTPSMSResponse, error) {
	d, err := s.onUser(ctx, r, s.service.AddSMSCodes)
	return &pb.AddOTPSMSResponse{Details: d}, err
}

// RemoveOTPSMS implements the RPC of that name.
func (s *userServer) RemoveOTPSMS(ctx context.Context, r *pb.RemoveOTPSMSRequest) (*pb.RemoveOTPSMSResponse, error) {
	d, err := s.onUser(ctx, r, s.service.RemoveSMSCodes)
	return &pb.RemoveOTPSMSResponse{Details: d}, err
}

// AddOTPEmail implements the RPC of that name.
func (s *userServer) AddOTPEmail(ctx context.Context, r *pb.AddOTPEmailRequest) (*pb.AddOTPEmailResponse, error) {
	d, err := s.onUser(ctx, r, s.service.AddEmailCodes)
	return &pb.AddOTPEmailResponse{Details: d}, err
}

// RemoveOTPEmail implements the RPC of that name.
func (s *userServer) RemoveOTPEmail(ctx context.Context, r *pb.RemoveOTPEmailRequest) (*pb.RemoveOTPEmailResponse, error) {
	d, err := s.onUser(ctx, r, s.service.RemoveEmailCodes)
	return &pb.RemoveOTPEmailResponse{Details: d}, err
}

// GenerateRecoveryCodes implements the RPC of that name.
func (s *userServer) GenerateRecoveryCodes(ctx context.Context, r *pb.GenerateRecoveryCodesRequest) (*pb.GenerateRecoveryCodesResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, codes, err := s.service.GenerateRecoveryCodes(ctx, caller, r.GetUserId(), int(r.GetCount()))
	if err != nil {
		return nil, err
	}
	return &pb.GenerateRecoveryCodesResponse{Details: userDetails(u), RecoveryCodes: codes}, nil
}

// RemoveRecoveryCodes implements the RPC of that name.
func (s *userServer) RemoveRecoveryCodes(ctx context.Context, r *pb.RemoveRecoveryCodesRequest) (*pb.RemoveRecoveryCodesResponse, error) {
	d, err := s.onUser(ctx, r, s.service.RemoveRecoveryCodes)
	return &pb.RemoveRecoveryCodesResponse{Details: d}, err
}

// methodTypes are the names of ready authenticators.
var methodTypes = map[user.Authenticator]pb.AuthenticationMethodType{
	user.AuthPassword: pb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_PASSWORD,
	user.AuthTOTP:     pb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_TOTP,
	user.AuthSMS:      pb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_OTP_SMS,
	user.AuthEmail:    pb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_OTP_EMAIL,
	user.AuthPasskey:  pb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_PASSKEY,
	user.AuthU2F:      pb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_U2F,
	user.AuthIDP:      pb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_IDP,
	user.AuthRecovery: pb.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_RECOVERY_CODE,
}
